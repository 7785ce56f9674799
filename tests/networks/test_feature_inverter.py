"""The inverse network of style swap."""

import pytest
import torch
from torch import nn

from cyclegan.networks.feature_inverter import FeatureInverter
from cyclegan.networks.inference_copy import inference_copy


@pytest.mark.parametrize(("norm", "parameters"), [("batch", 555_843), ("instance", 555_843), ("none", 555_075)])
def test_it_has_the_parameters_of_the_paper(norm, parameters):
    with torch.device("meta"):
        network = FeatureInverter(norm)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(("height", "width"), [(2, 3), (16, 9)])
def test_a_position_becomes_four_pixels_a_side(height, width):
    images = FeatureInverter()(torch.rand(2, 256, height, width))
    assert images.shape == (2, 3, 4 * height, 4 * width)
    assert images.abs().max() <= 1


def test_a_sigmoid_is_the_linear_output_within_the_range_of_images():
    torch.manual_seed(0)
    linear, sigmoid = FeatureInverter(output="linear"), FeatureInverter(output="sigmoid")
    sigmoid.load_state_dict(linear.state_dict())
    h = torch.rand(1, 256, 4, 4)
    assert torch.allclose(sigmoid(h), 2 * torch.sigmoid(linear(h)) - 1, atol=1e-6)


def test_its_input_is_divided_by_the_scale_of_the_features():
    torch.manual_seed(0)
    plain, scaled = FeatureInverter("none"), FeatureInverter("none", feature_scale=100.0)
    scaled.load_state_dict(plain.state_dict())
    h = torch.rand(1, 256, 4, 4)
    assert torch.allclose(scaled(100 * h), plain(h), atol=1e-5)


def test_a_frozen_copy_keeps_scale_and_offset():
    torch.manual_seed(0)
    network = FeatureInverter()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    h = torch.rand(1, 256, 4, 5)
    with torch.no_grad():
        assert torch.allclose(inference_copy(network, torch.float32)(h), network.eval()(h), atol=1e-5)
