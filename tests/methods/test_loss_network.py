"""The loss network: its forms written out in loops, its targets for several styles, its refusals."""

import re

import pytest
import torch
from torch import Tensor, nn

from cyclegan.errors import UserError
from cyclegan.losses.regularization import total_variation_sum
from cyclegan.methods.loss_network import LossNetwork, LossNetworkConfig
from cyclegan.networks.vgg import load_vgg
from cyclegan.networks.weights import WeightsMissingError, offline

CONTENT = {"relu1_2": 2.0, "relu2_1": 1.0}
STYLE = {"relu1_1": 3.0, "relu2_1": 0.5}
SETTINGS = {"weights": "random", "content_layers": CONTENT, "style_layers": STYLE, "tv_weight": 0.0}


def noise(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def prepared(styles: int = 2, **settings: object) -> LossNetwork:
    network = LossNetwork(LossNetworkConfig(**SETTINGS | settings), styles).double()
    network.prepare([noise(90 + k, 1, 3, 14 + 2 * k, 11) for k in range(styles)])
    return network


def written_out(form: str, images: Tensor, content: Tensor, style: Tensor) -> tuple[float, float]:
    """Content and style loss of one image by the definitions of the table, channel by channel."""
    vgg = load_vgg("random", [*CONTENT, *STYLE], architecture="vgg16").double()
    found, contents, styles = (vgg(each) for each in (images, content, style))
    losses = [0.0, 0.0]
    for tap, weight in CONTENT.items():
        F, P = found[tap][0].flatten(1), contents[tap][0].flatten(1)
        total = sum((f - p) ** 2 for f, p in zip(F.flatten().tolist(), P.flatten().tolist(), strict=True))
        losses[0] += weight * total * (0.5 if form == "gatys" else 1 / F.numel())
    for tap, weight in STYLE.items():
        (c, M), total = found[tap][0].flatten(1).shape, 0.0
        F, S = found[tap][0].flatten(1), styles[tap][0].flatten(1)
        for i in range(c):
            for j in range(c):
                total += ((F[i] @ F[j]).item() / (c * M) - (S[i] @ S[j]).item() / (c * S.shape[1])) ** 2
        losses[1] += weight * total * {"mean": 1 / c**2, "sum": 1.0, "gatys": c**2 / (4 * c**2)}[form]
    return losses[0], losses[1]


@pytest.mark.parametrize("form", ["mean", "sum", "gatys"])
def test_the_losses_are_the_forms_written_out(form):
    images, content = noise(0, 1, 3, 12, 10), noise(1, 1, 3, 12, 10)
    losses = prepared(form=form)(images, content, torch.tensor([1]))
    wanted = written_out(form, images, content, noise(91, 1, 3, 16, 11))
    assert (losses["content"].item(), losses["style"].item()) == pytest.approx(wanted, rel=1e-10)


def test_with_equal_sizes_the_form_of_gatys_is_his_equation_4():
    """Σ (G − A)² / (4 c² M²) with G = F Fᵀ."""
    images, style = noise(0, 1, 3, 12, 10), noise(1, 1, 3, 12, 10)
    network = LossNetwork(LossNetworkConfig(**SETTINGS | {"form": "gatys", "style_layers": {"relu1_1": 1.0}})).double()
    network.prepare([style])
    F, S = (network.features(each, ["relu1_1"])["relu1_1"][0].flatten(1) for each in (images, style))
    wanted = (F @ F.mT - S @ S.mT).square().sum() / (4 * F.shape[0] ** 2 * F.shape[1] ** 2)
    assert torch.allclose(network(images)["style"], wanted, rtol=1e-10)


def test_each_image_of_a_batch_is_compared_with_the_style_of_its_index():
    network, images, content = prepared(3), noise(0, 4, 3, 12, 10), noise(1, 4, 3, 12, 10)
    styles = torch.tensor([2, 0, 2, 1])
    whole = network(images, content, styles)
    alone = [network(images[i : i + 1], content[i : i + 1], styles[i : i + 1]) for i in range(4)]
    for name in ("content", "style"):
        assert torch.allclose(whole[name], torch.stack([losses[name] for losses in alone]).mean(), rtol=1e-12)
    assert not torch.allclose(network(images, content, styles.flip(0))["style"], whole["style"], rtol=1e-3)


def test_a_style_is_at_no_distance_from_itself_and_a_content_neither():
    network, style = prepared(), noise(91, 1, 3, 16, 11)
    losses = network(style, style, torch.tensor([1]))
    assert losses["style"] < 1e-12 * network(style, style, torch.tensor([0]))["style"]
    assert losses["content"] == 0


def test_without_contents_or_without_weight_there_is_no_such_loss():
    assert set(prepared()(noise(0, 1, 3, 12, 10))) == {"style"}
    assert set(prepared(tv_weight=1.0, style_layers={})(noise(0, 1, 3, 12, 10))) == {"tv"}


def test_the_pixels_are_a_content_layer_too_in_the_units_of_the_weights():
    network = prepared(content_layers={"image": 1.0})
    x, c = noise(0, 2, 3, 12, 10), noise(1, 2, 3, 12, 10)
    deviations = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]
    wanted = ((x - c) / (2 * deviations)).square().mean()
    assert torch.allclose(network(x, c, torch.tensor([0, 1]))["content"], wanted, rtol=1e-6)


def test_contents_are_followed_no_deeper_than_the_content_layers():
    network, calls = prepared(content_layers={"relu1_1": 1.0}), []
    for name, convolution in network.vgg.layers():
        convolution.register_forward_hook(lambda *_, name=name: calls.append(name))
    network.content_targets(noise(0, 1, 3, 12, 10))
    assert calls == ["conv1_1"]


def test_the_gradient_reaches_the_image_and_no_weight():
    network, images = prepared(), noise(0, 1, 3, 12, 10).requires_grad_()
    network(images, noise(1, 1, 3, 12, 10))["style"].backward()
    assert images.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_gradient_of_the_total_variation_is_that_of_the_torch_layer():
    """Written out: each pixel with both neighbors pulls at itself, and at these two the other way."""
    images = noise(0, 2, 3, 5, 6).requires_grad_()
    total_variation_sum(images).sum().backward()
    wanted, x = torch.zeros(2, 3, 5, 6, dtype=torch.float64), images.detach()
    for i in range(4):
        for j in range(5):
            across, down = x[..., i, j] - x[..., i, j + 1], x[..., i, j] - x[..., i + 1, j]
            wanted[..., i, j] += across + down
            wanted[..., i, j + 1] -= across
            wanted[..., i + 1, j] -= down
    assert torch.allclose(images.grad, wanted, atol=1e-12)


def test_the_total_variation_is_of_an_image_in_0_to_255():
    images = noise(0, 2, 3, 5, 6)
    losses = prepared(tv_weight=1e-3)(images)
    assert torch.allclose(losses["tv"], 1e-3 * total_variation_sum((images + 1) * 127.5).mean())


@pytest.mark.parametrize("around", [lambda network: network, lambda network: nn.ModuleDict({"loss": network})])
def test_a_state_holds_the_targets_and_no_weight_of_the_vgg(around):
    one, other = around(prepared()), around(LossNetwork(LossNetworkConfig(**SETTINGS), 2).double())
    assert len(one.state_dict()) == len(STYLE)
    assert all("gram_" in name for name in one.state_dict())
    other.load_state_dict(one.state_dict())
    (network,) = (module for module in other.modules() if isinstance(module, LossNetwork))
    images, style = noise(0, 1, 3, 12, 10), torch.tensor([1])
    assert torch.equal(network(images, style=style)["style"], prepared()(images, style=style)["style"])


def test_a_state_without_targets_is_refused():
    with pytest.raises(RuntimeError, match="gram_relu1_1"):
        prepared().load_state_dict({})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"style_layers": {"relu3_4": 1.0}}, "style_layers: relu3_4 is no layer of vgg16; use relu1_1"),
        ({"style_layers": {"image": 1.0}}, "style_layers: image is no layer of vgg16"),
        ({"content_layers": {"relu1_1": -1.0}}, "content_layers: relu1_1: must be at least 0 and finite"),
        ({"content_layers": {}, "style_layers": {}}, "content_layers: give a layer here or in style_layers"),
        ({"tv_weight": -1.0}, "tv_weight: must be at least 0"),
        ({"weights": "normalised"}, "weights: normalised are of vgg19; take caffe or torchvision"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        LossNetworkConfig(**settings)


def test_no_other_network_stands_in_for_weights_that_are_not_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("CYCLEGAN_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with offline(), pytest.raises(WeightsMissingError, match=r"'vgg16_caffe' .* put vgg16-00b39a1b\.pth from https"):
        LossNetwork(LossNetworkConfig())


def test_a_layer_that_the_weights_do_not_reach_is_refused(provide):
    provide("caffe", {f"conv1_1.{k}": t for k, t in nn.Conv2d(3, 64, 3).state_dict().items()})
    config = LossNetworkConfig(architecture="vgg19", content_layers={"relu2_2": 1.0}, style_layers={})
    with pytest.raises(UserError, match="its deepest tap is relu1_1, and relu2_2 is asked for"):
        LossNetwork(config)
