"""The released encoders: what their weights are, and what they make of photographs."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import center_crop

from cyclegan.errors import UserError
from cyclegan.images.tensors import read
from cyclegan.networks.vgg import load_vgg

needs_weights = pytest.mark.skipif("CYCLEGAN_WEIGHTS" not in os.environ, reason="CYCLEGAN_WEIGHTS names no folder")
needs_data = pytest.mark.skipif("CYCLEGAN_DATA" not in os.environ, reason="CYCLEGAN_DATA names no folder")


def photographs(count: int) -> Tensor:
    """The middles of some real ones."""
    paths = sorted((Path(os.environ["CYCLEGAN_DATA"]) / "monet2photo" / "testB").glob("*.jpg"))[:count]
    return torch.cat([center_crop(read(path), [96, 96]) for path in paths])


@needs_weights
def test_the_normalised_encoder_is_caffes_network_rescaled_channel_by_channel():
    caffe, normalised = (dict(load_vgg(name, ["relu4_1"]).layers()) for name in ("caffe", "normalised"))
    incoming = torch.ones(3)
    for name, layer in caffe.items():
        rescaled, found = layer.weight * incoming[:, None, None], normalised[name].weight
        factor = (rescaled * found).sum(dim=(1, 2, 3)) / rescaled.square().sum(dim=(1, 2, 3))  # 1 / s_out
        step = (found.amax(dim=(1, 2, 3)) - found.amin(dim=(1, 2, 3))) / 255  # of 8 bits
        error = (rescaled * factor[:, None, None, None] - found).abs().amax(dim=(1, 2, 3))
        assert (error <= step / 2).all()
        assert torch.allclose(layer.bias * factor, normalised[name].bias, atol=1e-6)
        assert 0 < factor.min() < factor.max() < 1
        incoming = 1 / factor


@needs_weights
@needs_data
def test_the_mean_activation_of_the_normalised_encoder_on_photographs_is_about_one():
    network = load_vgg("normalised", ["relu4_1"], padding="reflect", ceil=True)
    assert network(photographs(24))["relu4_1"].mean().item() == pytest.approx(0.96, abs=0.1)


@needs_weights
@needs_data
@pytest.mark.parametrize("weights", ["caffe", "normalised"])
def test_with_average_pooling_activations_stay_as_large_as_they_were(weights):
    taps = ["relu2_1", "relu3_1", "relu4_1"]
    largest, average = (load_vgg(weights, taps, pooling=pooling)(photographs(8)) for pooling in ("max", "average"))
    for tap in taps:
        assert average[tap].mean() / largest[tap].mean() == pytest.approx(1, abs=0.2)


@needs_weights
def test_the_file_at_hand_ends_at_relu4_1():
    with pytest.raises(UserError, match="its deepest tap is relu4_1, and relu5_1 is asked for"):
        load_vgg("normalised", ["relu5_1"])
