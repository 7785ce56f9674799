"""The released networks of AdaIN on photographs, against their bare tensors."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, max_pool2d, pad

from cyclegan.functional.statistics import mean_std
from cyclegan.images.tensors import read
from cyclegan.methods.adain import AdaIN, AdaINConfig

WEIGHTS, DATA = os.environ.get("CYCLEGAN_WEIGHTS"), os.environ.get("CYCLEGAN_DATA")
needs_the_released_networks = pytest.mark.skipif(
    not (WEIGHTS and DATA), reason="CYCLEGAN_WEIGHTS and CYCLEGAN_DATA do not name the folders of weights and pictures"
)


@pytest.fixture(scope="module")
def released() -> AdaIN:
    return AdaIN(AdaINConfig(decoder="public", precision="float32"))


def photograph(side: int, name: str) -> Tensor:
    return interpolate(read(Path(str(DATA)) / "style_transfer" / name), (side, side), mode="area")


def plain_copy(images: Tensor) -> Tensor:
    """g(f(c)) from the bare tensors of the files: BGR in 0…255 less the mean, nine convolutions there, nine back."""
    f = load_file(Path(str(WEIGHTS)) / "vgg19_normalised_to_conv4_1.safetensors")
    g = load_file(Path(str(WEIGHTS)) / "adain_decoder.safetensors")

    def convolve(x: Tensor, tensors: dict[str, Tensor], name: str) -> Tensor:
        return conv2d(pad(x, (1, 1, 1, 1), mode="reflect"), tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    x = (images.flip(1) + 1) * 127.5 - torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    for name in ["1_1", "1_2", "|", "2_1", "2_2", "|", "3_1", "3_2", "3_3", "3_4", "|", "4_1"]:
        x = max_pool2d(x, 2) if name == "|" else convolve(x, f, f"conv{name}").relu()
    for i in range(8):
        x = convolve(x, g, f"dec{i}").relu()
        x = interpolate(x, scale_factor=2) if i in (0, 4, 6) else x
    return convolve(x, g, "dec8") * 2 - 1


@needs_the_released_networks
@pytest.mark.parametrize("name", ["content/sailboat.jpg", "content/cornell.jpg"])
def test_the_released_networks_copy_a_photograph_as_their_bare_tensors_do(released, name):
    photo = photograph(64, name)
    with torch.no_grad():
        expected = plain_copy(photo).clamp(-1, 1)
    assert torch.allclose(released.stylize(photo, photo, alpha=0.0), expected, atol=1e-3)
    assert 10 * torch.log10(4 / (expected - photo).square().mean()) > 12  # a copy, if a rough one at this size


@needs_the_released_networks
def test_the_released_networks_give_a_photograph_the_statistics_of_a_painting(released):
    content, style = photograph(128, "content/sailboat.jpg"), photograph(128, "style/la_muse.jpg")
    with torch.no_grad():
        f, s = (released.encode(images) for images in (content, style))
        found = released.encode(released.stylize(content, style))
    before, after = (
        sum((a - b).square().mean() for tap in s for a, b in zip(mean_std(x[tap]), mean_std(s[tap]), strict=True))
        for x in (f, found)
    )
    assert after < 0.5 * before


@needs_the_released_networks
def test_alpha_0_copies_a_smooth_photograph_at_22_db(released):
    photo = read(Path(str(DATA)) / "style_transfer" / "content" / "chicago.jpg")
    photo = interpolate(photo, scale_factor=512 / min(photo.shape[2:]), mode="bicubic", antialias=True).clamp(-1, 1)
    copy = released.stylize(photo, photograph(64, "style/la_muse.jpg"), alpha=0.0)
    assert 10 * torch.log10(4 / (copy - photo).square().mean()) > 22
