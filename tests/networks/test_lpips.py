"""LPIPS as a network: frozen, and differentiable in its images; VGG-16 with random weights, SqueezeNet with its own."""

import os
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch_fidelity import sample_similarity_lpips as theirs
from torchvision.models.vgg import cfgs, make_layers

from cyclegan.networks.lpips import Lpips
from cyclegan.networks.weights import WrongWeightsError

CHANNELS = (64, 128, 256, 512, 512)


@pytest.fixture(scope="module")
def vgg16() -> nn.Sequential:
    """Layers that neither fade nor grow with depth."""
    torch.manual_seed(0)
    layers = make_layers(cfgs["D"]).eval().requires_grad_(False)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.1)
    return layers


@pytest.fixture(scope="module")
def heads() -> dict[str, Tensor]:
    """Under the released names, none negative."""
    torch.manual_seed(1)
    return {f"lin{i}.model.1.weight": torch.rand(1, channels, 1, 1) for i, channels in enumerate(CHANNELS)}


@pytest.fixture
def lpips_vgg(vgg16, heads, provide) -> Lpips:
    provide("vgg16", {f"features.{name}": tensor for name, tensor in vgg16.state_dict().items()})
    provide("lpips_vgg", heads)
    return Lpips("vgg16")


@pytest.fixture(params=["squeezenet", "vgg16"])
def lpips(request) -> Lpips:
    if request.param == "vgg16":
        return request.getfixturevalue("lpips_vgg")
    if "CYCLEGAN_WEIGHTS" not in os.environ:
        pytest.skip("CYCLEGAN_WEIGHTS names no folder")
    return Lpips()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 48, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_each_pair_is_compared_by_itself_and_equals_are_at_distance_zero(lpips, images):
    found = lpips(images, images.flip(0))
    assert found.shape == (2,)
    assert found[0].item() == pytest.approx(found[1].item(), rel=1e-4)
    assert found[0].item() == pytest.approx(lpips(images[:1], images[1:]).item(), rel=1e-4)
    assert lpips(images, images).tolist() == [0, 0]
    assert (found > 0).all()


def test_descent_brings_an_image_nearer_and_finds_nothing_to_learn_in_the_network(lpips, images):
    image, target = images[:1].clone().requires_grad_(), images[1:]
    distance = lpips(image, target)
    (slope,) = torch.autograd.grad(distance.sum(), image)
    assert lpips(image - 0.02 * slope / slope.abs().max(), target) < distance
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


def test_flat_images_whose_features_vanish_have_a_finite_gradient(lpips):
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    (slope,) = torch.autograd.grad(lpips(image, torch.ones(1, 3, 32, 32)).sum(), image)
    assert slope.isfinite().all()


def test_it_computes_in_float32_also_under_autocast(lpips, images):
    expected = lpips(images, images.flip(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(lpips(images, images.flip(0)), expected)


def test_it_is_zhangs_formula_whose_weights_make_nothing_negative(lpips, images):
    """Eq. 1 position by position, on whatever the trunk sees."""
    shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])[:, :, None, None]
    total = 0.0
    for head, one, other in zip(lpips.heads, *(lpips.trunk((i[None] - shift) / scale) for i in images), strict=True):
        assert (head >= 0).all()
        one, other = one[0].flatten(1).T.double(), other[0].flatten(1).T.double()  # a row for each position
        one, other = (rows / (rows.norm(dim=1, keepdim=True) + 1e-10) for rows in (one, other))
        total += float(((one - other) ** 2 @ head.flatten().double()).mean())
    assert lpips(images[:1], images[1:]).item() == pytest.approx(total, rel=1e-4)


def test_with_vgg16_it_agrees_with_torch_fidelity(lpips_vgg, vgg16, heads, monkeypatch):
    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: heads)
    monkeypatch.setattr(theirs, "torchvision_load_pretrained_vgg16", lambda: SimpleNamespace(features=vgg16))
    reference = theirs.SampleSimilarityLPIPS("lpips-vgg16")
    images = torch.randint(0, 256, (2, 3, 40, 56), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    one, other = (images / 127.5 - 1).split(1)
    expected = reference(images[:1], images[1:])
    assert lpips_vgg(one, other).item() == pytest.approx(expected.item(), rel=1e-4)


def test_vgg16_is_cut_after_the_last_relu_of_each_block(lpips_vgg, vgg16):
    image = torch.rand(1, 3, 32, 48)
    taps = lpips_vgg.trunk(image.clone())
    assert [tuple(tap.shape[1:]) for tap in taps] == [(c, 32 >> i, 48 >> i) for i, c in enumerate(CHANNELS)]
    for tap, end in zip(taps, (4, 9, 16, 23, 30), strict=True):
        assert torch.equal(tap, vgg16[:end](image.clone()))


def test_a_file_that_lacks_a_layer_is_refused_by_name(lpips_vgg, vgg16, provide):
    tensors = {f"features.{name}": tensor for name, tensor in vgg16.state_dict().items()}
    provide("vgg16", {name: tensor for name, tensor in tensors.items() if name != "features.28.bias"})
    with pytest.raises(WrongWeightsError, match=r"^vgg16\.pth: is no VGG-16; fetch it anew$"):
        Lpips("vgg16")
