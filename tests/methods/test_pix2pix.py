"""pix2pix: sizes of the published networks, Eq. (4), a discriminator of pairs, and learning from pairs."""

from typing import Any

import pytest
import torch
from building import spec_of
from torch import Tensor, nn

from cyclegan.data.batches import PairedBatch
from cyclegan.methods.pix2pix import Pix2Pix, Pix2PixConfig
from cyclegan.networks.build import build_discriminator, build_generator
from cyclegan.networks.network_config import DiscriminatorConfig, UnetConfig
from cyclegan.protocols import Losses, Trainable, Translates

SMALL = {
    "generator": UnetConfig(base_channels=4, downsamplings=3, norm="batch", dropout=0.5),
    "discriminator": DiscriminatorConfig(base_channels=4, layers=1, norm="batch"),
}
SPEC = spec_of(kind="paired", crop_size=16)


def small(**settings: Any) -> Pix2Pix:
    torch.manual_seed(0)
    return Pix2PixConfig(**SMALL | settings).build(SPEC)


def pair(seed: int = 1, count: int = 2) -> PairedBatch:
    return PairedBatch(*(torch.rand(2, count, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1))


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("generator", "parameters"),
    [
        (UnetConfig(norm="batch", bias="always"), 54_419_459),
        (UnetConfig(norm="batch"), 54_413_955),
        (UnetConfig(norm="batch", bias="always", downsamplings=7), 41_833_475),
        (UnetConfig(norm="batch", downsamplings=7), 41_828_995),
    ],
)
def test_generators_have_the_parameters_of_the_torch_and_the_pytorch_code(generator, parameters):
    with torch.device("meta"):
        assert count(build_generator(generator)) == parameters


@pytest.mark.parametrize(("bias", "parameters"), [("always", 2_769_601), ("auto", 2_768_705)])
def test_discriminators_of_pairs_have_the_parameters_of_both_codes(bias, parameters):
    with torch.device("meta"):
        assert count(build_discriminator(DiscriminatorConfig(norm="batch", bias=bias), 6)) == parameters


def test_it_is_trainable_and_translates_to_y_alone():
    method = small()
    assert isinstance(method, Trainable)
    assert isinstance(method, Translates)
    assert list(method.translators) == ["painting"]


def test_an_iteration_computes_equation_4():
    method, (x, y), seen = small(generator=UnetConfig(base_channels=4, downsamplings=3)), pair(), {}
    D, bce = method.D, nn.functional.binary_cross_entropy_with_logits

    def minimize(group: str, losses: Losses) -> None:
        seen[group] = {name: loss.item() for name, loss in losses.items()}

    method.training_step(PairedBatch(x, y), minimize)
    with torch.no_grad():
        fake = method.G(x)
        real_scores, fake_scores = D(torch.cat([x, y], 1)), D(torch.cat([x, fake], 1))
        gan = bce(fake_scores, torch.ones_like(fake_scores)).item()
        loss = bce(real_scores, torch.ones_like(real_scores)) + bce(fake_scores, torch.zeros_like(fake_scores))
    assert list(seen) == ["discriminator", "generator"]
    assert seen["generator"] == pytest.approx({"l1": 100 * (fake - y).abs().mean().item(), "gan": gan}, rel=1e-4)
    assert seen["discriminator"] == pytest.approx({"D": 0.5 * loss.item()}, rel=1e-4)


def test_without_the_adversarial_loss_the_discriminator_is_left_alone():
    groups = []
    losses = small(lambda_gan=0.0).training_step(pair(), lambda group, _: groups.append(group))
    assert groups == ["generator"]
    assert set(losses) == {"l1"}


def test_the_discriminator_sees_the_pair():
    method, (x, y) = small().eval(), pair()
    with torch.no_grad():
        assert not torch.allclose(method.scores(x, y), method.scores(x.flip(0), y))


def test_the_innermost_skip_joins_the_two_halves():
    """A U-Net of two levels, written by hand."""
    torch.manual_seed(0)
    network = build_generator(UnetConfig(base_channels=2, downsamplings=2, norm="none")).eval()
    x = torch.rand(1, 3, 8, 8) * 2 - 1
    relu, leaky = torch.relu, lambda features: nn.functional.leaky_relu(features, 0.2)
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    down1, down2, up1, up2 = convolutions
    outer = down1(x)
    inner = up1(relu(down2(leaky(outer))))
    expected = torch.tanh(up2(relu(torch.cat([outer, inner], dim=1))))
    assert torch.allclose(network(x), expected, atol=1e-6)


class TestTranslation:
    """Tests as published: dropout on, statistics of the image; nothing of the network changes."""

    def test_it_is_that_of_training_mode_and_the_same_every_time(self):
        method, (x, _) = small(), pair()
        translator = method.translators["painting"]
        first, again = translator.translate(x), translator.translate(x)
        assert torch.equal(first, again)
        assert torch.equal(first[:1], translator.translate(x[:1]))
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            assert torch.equal(method.G.train()(x[:1]), first[:1])

    def test_it_changes_neither_state_nor_mode_nor_random_numbers(self):
        method, (x, _) = small().eval(), pair()
        before = {name: value.clone() for name, value in method.state_dict().items()}
        drawn = torch.random.get_rng_state()
        method.translators["painting"].translate(x)
        assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
        assert torch.equal(torch.random.get_rng_state(), drawn)
        assert not any(module.training for module in method.modules())

    def test_evaluation_mode_can_be_asked_for(self):
        method, (x, _) = small(test_time="eval").eval(), pair()
        with torch.no_grad():
            assert torch.equal(method.translators["painting"].translate(x), method.G(x))

    def test_with_instance_norm_and_without_dropout_both_are_the_same(self):
        generator = UnetConfig(base_channels=4, downsamplings=3, norm="instance")
        one, other = (small(generator=generator, test_time=mode) for mode in ("train", "eval"))
        x = pair().x
        assert torch.allclose(*(m.translators["painting"].translate(x) for m in (one, other)), atol=1e-6)


def test_a_preview_shows_source_translation_and_truth_and_changes_nothing():
    method, batch = small(), pair()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    preview = method.preview(batch)
    assert list(preview.pictures["x_to_y"]) == ["x", "G(x)", "y"]
    assert set(preview.scores) == {"D"}
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lambda_gan": 0.0, "lambda_l1": 0.0}, "lambda_l1: must be above 0"),
        ({"discriminator_weight": 0.0}, "discriminator_weight: must be above 0"),
        ({"lambda_l1": -1.0}, "lambda_l1: must be at least 0"),
    ],
)
def test_settings_that_learn_nothing_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Pix2PixConfig(**settings)


def toy_pairs(images: int = 16) -> PairedBatch:
    """Noise of few frequencies, and the same with its channels exchanged and inverted."""
    coarse = torch.rand(images, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x = nn.functional.interpolate(coarse, (32, 32), mode="bilinear")
    return PairedBatch(x, -x.roll(1, dims=1))


def test_it_learns_from_pairs():
    """16 pairs of 32 px, 80 steps: closer than half of the distance of the mean target; D is right at first."""
    torch.manual_seed(0)
    pairs = toy_pairs()
    settings = {
        "generator": UnetConfig(base_channels=16, downsamplings=4, norm="instance"),
        "discriminator": DiscriminatorConfig(base_channels=8, layers=2, norm="instance"),
    }
    method = Pix2PixConfig(**settings).build(spec_of(kind="paired", crop_size=32))
    adam = {g: torch.optim.Adam(list(p), 2e-3, betas=(0.5, 0.999)) for g, p in method.parameter_groups().items()}
    groups = {group: list(parameters) for group, parameters in method.parameter_groups().items()}
    right: list[float] = []

    def minimize(group: str, losses: Losses) -> None:
        adam[group].zero_grad()
        sum(losses.values()).backward(inputs=groups[group])
        adam[group].step()

    for step in range(80):
        chosen = torch.randperm(16)[:4]
        batch = PairedBatch(*(side[chosen] for side in pairs))
        method.training_step(batch, minimize)
        if step < 20:
            right.append(accuracy(method, batch))
    translated = method.translators["painting"].translate(pairs.x)
    mean_target = pairs.y.mean(dim=0, keepdim=True)
    assert (translated - pairs.y).abs().mean() < 0.5 * (mean_target - pairs.y).abs().mean()
    assert sum(right) / len(right) > 0.6


@torch.no_grad()
def accuracy(method: Pix2Pix, batch: PairedBatch) -> float:
    """Share of the patches that the discriminator tells right."""
    x, y = batch
    scores: list[Tensor] = [method.scores(x, y), -method.scores(x, method.G(x))]
    return float(torch.cat(scores).gt(0).float().mean())
