"""NetworkTranslator: any size in, the same size out, the network left as it was."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cyclegan.methods.translator import SMALLEST, NetworkTranslator
from cyclegan.networks.resnet import ResnetGenerator


class Witness(nn.Module):
    """Returns its input and remembers what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.frozen = nn.Dropout().eval()
        self.seen: list[Tensor] = []
        self.modes: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images)
        self.modes += [module.training for module in self.modules()]
        return self.scale * images


def generator(downsamplings: int = 2) -> ResnetGenerator:
    torch.manual_seed(0)
    return ResnetGenerator(base_channels=1, blocks=1, downsamplings=downsamplings)


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (301, 450), (3, 500)])
def test_odd_sizes_are_kept(height, width):
    translated = NetworkTranslator(generator(), 4).translate(noise(1, 3, height, width))
    assert translated.shape == (1, 3, height, width)
    assert torch.isfinite(translated).all()


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 2),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    downsamplings=st.integers(1, 5),
)
def test_every_size_is_kept_at_every_stride(count, height, width, downsamplings):
    network = generator(downsamplings)
    image = noise(count, 3, height, width)
    translated = NetworkTranslator(network, network.stride).translate(image)
    assert translated.shape == image.shape
    assert translated.dtype == image.dtype
    assert translated.abs().max() <= 1


@settings(deadline=None, max_examples=60)
@given(height=st.integers(1, 40), width=st.integers(1, 40), stride=st.sampled_from([1, 2, 3, 4, 8, 16, 32]))
def test_the_image_lies_unmoved_in_a_padded_one_of_the_least_fitting_size(height, width, stride):
    witness, image = Witness(), noise(1, 3, height, width)
    assert torch.equal(NetworkTranslator(witness, stride).translate(image), image)
    (padded,) = witness.seen
    for side, padded_side in zip((height, width), padded.shape[-2:], strict=True):
        least = max(side, SMALLEST, 2 * stride)
        assert padded_side % stride == 0
        assert least <= padded_side < least + stride
    assert torch.equal(padded[..., :height, :width], image)
    assert torch.equal(padded[..., height:, :width], image[..., -1:, :].expand_as(padded[..., height:, :width]))
    assert torch.equal(padded[..., :height, width:], image[..., -1:].expand_as(padded[..., :height, width:]))


@pytest.mark.parametrize(("stride", "height", "width"), [(4, 16, 20), (4, 256, 64), (8, 16, 24), (2, 18, 16)])
def test_multiples_of_the_stride_pass_through_unpadded(stride, height, width):
    witness = Witness()
    NetworkTranslator(witness, stride).translate(noise(2, 3, height, width))
    assert witness.seen[0].shape == (2, 3, height, width)


def test_a_fitting_image_is_translated_exactly_as_by_the_network():
    network, image = generator(), noise(2, 3, 24, 32)
    with torch.no_grad():
        assert torch.equal(NetworkTranslator(network, 4).translate(image), network(image))


@pytest.mark.parametrize("training", [True, False])
def test_the_network_computes_in_evaluation_mode_and_every_part_gets_its_mode_back(training):
    witness = Witness()
    witness.training = training
    NetworkTranslator(witness, 4).translate(noise(1, 3, 16, 16))
    assert witness.modes == [False, False]
    assert (witness.training, witness.frozen.training) == (training, False)


def test_the_mode_comes_back_even_if_the_network_fails():
    witness = Witness()
    witness.forward = lambda images: torch.cat([images, "no image"])
    with pytest.raises(TypeError):
        NetworkTranslator(witness, 4).translate(noise(1, 3, 16, 16))
    assert (witness.training, witness.frozen.training) == (True, False)


def test_no_graph_is_recorded():
    assert not NetworkTranslator(generator(), 4).translate(noise(1, 3, 16, 16).requires_grad_()).requires_grad
