"""StyleBankNet: sizes of the paper's parts, banks as linear filters, fusion, and the auto-encoder as a special bank."""

import pytest
import torch
from torch import Tensor, nn

from cyclegan.networks.style_bank import StyleBankNet


def small(styles: int = 3, **options: object) -> StyleBankNet:
    torch.manual_seed(0)
    return StyleBankNet(styles, base_channels=2, **options).double()


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def weights(*of_styles: float) -> Tensor:
    return torch.tensor(of_styles, dtype=torch.float64)[None, :, None, None]


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_its_parts_have_the_parameters_of_the_papers(upsampling):
    with torch.device("meta"):
        network = StyleBankNet(4, upsampling=upsampling)
    assert count(network.encoder) == 100_608
    assert count(network.decoder) == 100_227
    assert [count(bank) for bank in network.banks] == [147_584] * 4
    assert count(network) == 100_608 + 100_227 + 4 * 147_584


@pytest.mark.parametrize("size", [(8, 8), (20, 32)])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_images_keep_their_size(size, upsampling):
    network, images = small(upsampling=upsampling), noise(2, 3, *size)
    assert network(images, weights(1, 0, 0)).shape == images.shape
    assert network.autoencode(images).shape == images.shape
    assert network.encode(images).shape == (2, 8, size[0] // 4, size[1] // 4)


def test_a_bank_is_a_convolution_between_encoder_and_decoder():
    network, images = small(), noise(2, 3, 16, 12)
    bank = network.banks[1]
    features = nn.functional.pad(network.encode(images), (1, 1, 1, 1), mode="reflect")
    expected = torch.empty(2, 8, 4, 3, dtype=torch.float64)
    for y in range(4):
        for x in range(3):
            window = features[:, :, y : y + 3, x : x + 3]
            expected[:, :, y, x] = torch.einsum("ncij,kcij->nk", window, bank.weight) + bank.bias
    assert torch.allclose(network(images, weights(1), (1,)), network.decode(expected), atol=1e-12)


def test_a_bank_that_changes_nothing_gives_the_auto_encoder_to_the_bit():
    network, images = small(), noise(1, 3, 16, 16)
    nn.init.dirac_(network.banks[2].weight)
    nn.init.zeros_(network.banks[2].bias)
    assert torch.equal(network(images, weights(0, 0, 1), (0, 1, 2)), network.autoencode(images))


def test_the_auto_encoder_does_not_depend_on_the_banks():
    network, images = small(), noise(1, 3, 16, 16)
    before = network.autoencode(images)
    for bank in network.banks:
        nn.init.normal_(bank.weight)
    assert torch.equal(network.autoencode(images), before)


def test_a_mixture_is_the_mean_bank():
    network, images = small(), noise(2, 3, 16, 16)
    mixed = network(images, weights(0.2, 0.3, 0.5))
    with torch.no_grad():
        for name in ("weight", "bias"):
            mean = sum(w * getattr(bank, name) for w, bank in zip((0.2, 0.3, 0.5), network.banks, strict=True))
            getattr(network.banks[0], name).copy_(mean)
    assert torch.allclose(mixed, network(images, weights(1), (0,)), atol=1e-12)


def test_regions_filter_the_features_that_lie_in_them():
    network, features = small(), noise(1, 8, 4, 6)
    left = torch.zeros(1, 2, 1, 2, dtype=torch.float64)
    left[0, 0, 0, 0] = left[0, 1, 0, 1] = 1
    mixed = network.filtered(features, left, [network.banks[0], network.banks[2]])
    for bank, inside in ((0, slice(0, 2)), (2, slice(4, 6))):  # at the border of the regions 3×3 filters see both
        alone = network.filtered(features, weights(1), [network.banks[bank]])
        assert torch.allclose(mixed[..., inside], alone[..., inside], atol=1e-12)
    everywhere = network.filtered(features, torch.ones(1, 1, 4, 6, dtype=torch.float64), [network.banks[1]])
    assert torch.allclose(everywhere, network.filtered(features, weights(1), [network.banks[1]]), atol=1e-12)


def test_banks_that_are_not_asked_for_have_no_gradient():
    network = small()
    network(noise(2, 3, 16, 16), weights(1), (1,)).square().mean().backward()
    assert [bank.weight.grad is None for bank in network.banks] == [True, False, True]
