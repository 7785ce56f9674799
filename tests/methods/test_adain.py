"""AdaIN learns: one round of Eq. (11) against the textbook; its decoder; its settings."""

import copy

import pytest
import torch
from building import spec_of
from random_adain import batch, features, picture, random_adain
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods.adain import TARGET, AdaIN, AdaINConfig
from cyclegan.protocols import Losses, Stylizes, Trainable, Translator
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig


@pytest.fixture(scope="module")
def method() -> AdaIN:
    return random_adain()


@pytest.fixture
def learner(method: AdaIN) -> AdaIN:
    """One that may be changed."""
    return copy.deepcopy(method)


def textbook(content: Tensor, style: Tensor) -> Tensor:
    """Eq. (8), where a channel that does not vary stays flat."""
    deviation = content.std((2, 3), correction=0, keepdim=True).clamp(min=1e-5**0.5)
    normal = (content - content.mean((2, 3), True)) / deviation
    return normal * style.std((2, 3), correction=0, keepdim=True) + style.mean((2, 3), True)


def test_is_trainable_and_a_stylizer(method):
    assert isinstance(method, Trainable)
    assert isinstance(method, Stylizes)
    assert isinstance(method.bind(picture(1, 3, 16, 16)), Translator)


@pytest.mark.parametrize(("preset", "weight"), [("original", 1e-2), ("port", 10.0)])
def test_losses_are_those_of_the_textbook(learner, preset, weight):
    learner.lambda_style, learner.config = weight, AdaINConfig(encoder="random", loss=preset)
    content, style = batch(2)
    with torch.no_grad():
        losses = learner.training_step(batch(2), lambda player, losses: None)
        t = textbook(features(learner, content), features(learner, style))
        drawn, wanted = learner.encoder(learner.decoder(t)), learner.encoder(style)
        expected = 0.0
        for tap in ("relu1_1", "relu2_1", "relu3_1", "relu4_1"):
            for statistic in (lambda f: f.mean((2, 3)), lambda f: (f.var((2, 3), correction=0) + 1e-5).sqrt()):
                squares = (statistic(drawn[tap]) - statistic(wanted[tap])) ** 2
                expected += (squares.sum(1) if preset == "original" else squares.mean(1)).mean()
    assert losses["content"].item() == pytest.approx(((drawn[TARGET] - t) ** 2).mean().item(), rel=1e-3)
    assert losses["style"].item() == pytest.approx(weight * expected.item(), rel=1e-3)


def test_the_weight_of_the_style_is_that_of_the_preset_unless_given(monkeypatch):
    monkeypatch.setattr("cyclegan.methods.adain.load_vgg", lambda *_, **__: nn.Identity())
    assert AdaIN(AdaINConfig()).lambda_style == 1e-2
    assert AdaIN(AdaINConfig(loss="port")).lambda_style == 10
    assert AdaIN(AdaINConfig(loss="port", lambda_style=0.5)).lambda_style == 0.5
    assert AdaIN(AdaINConfig(lambda_style=0.0)).lambda_style == 0


def test_gradients_reach_all_of_the_decoder_and_nothing_else(learner):
    (decoder,) = learner.parameter_groups().values()
    owned = list(decoder)

    def differentiate(player: str, losses: Losses) -> None:
        assert player == "decoder"
        sum(losses.values()).backward()

    seen = UnpairedBatch(*(images.requires_grad_() for images in batch()))
    learner.training_step(seen, differentiate)
    assert len(owned) == 18
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in owned)
    assert all(p.grad is None for p in learner.encoder.parameters())
    assert seen.x.grad is seen.y.grad is None


def test_a_few_steps_lower_the_loss(learner):
    optimizers = Optimizers(learner.parameter_groups(), OptimizerConfig(lr=3e-5))
    first, *_, last = (sum(learner.training_step(batch(2, 32), optimizers.minimize).values()) for _ in range(24))
    assert last < 0.6 * first


def test_a_checkpoint_holds_the_decoder_and_not_the_encoder(method, learner):
    state = method.state_dict()
    assert state.keys() == {"decoder"}
    assert sum(value.numel() for value in state["decoder"].values()) == 3_505_219
    nn.init.normal_(learner.decoder.conv1_1.weight)
    content, style = batch()
    assert not torch.equal(learner.stylize(content, style), method.stylize(content, style))
    learner.load_state_dict(state)
    assert torch.equal(learner.stylize(content, style), method.stylize(content, style))
    assert method.networks() == {"decoder": method.decoder}


@pytest.mark.parametrize("decoder", ["untrained", "public"])
def test_a_method_built_without_weights_takes_a_released_decoder_and_works(method, decoder):
    with torch.device("meta"):
        bare = AdaINConfig(encoder="random", decoder=decoder, precision="float32").build(spec_of(), train=False)
    nn.ModuleDict(bare.networks()).load_state_dict(nn.ModuleDict(method.networks()).state_dict(), assign=True)
    assert torch.equal(bare.stylize(*batch()), method.stylize(*batch()))


def test_a_preview_shows_all_pictures_and_healthy_numbers_and_changes_nothing(method):
    before = copy.deepcopy(method.state_dict())
    preview = method.preview(batch(2))
    pictures, numbers = preview.pictures, preview.numbers
    assert {title: tuple(images.shape) for title, images in pictures["stylized"].items()} == dict.fromkeys(
        ("c", "s", "T(c, s)", "g(f(c))"), (2, 3, 16, 16)
    )
    losses = method.training_step(batch(2), lambda player, losses: None)
    assert numbers["content, held out"] == pytest.approx(losses["content"].item())
    assert numbers["style, held out"] == pytest.approx(losses["style"].item())
    assert -10 < numbers["PSNR c, g(f(c))"] < 20
    assert all(torch.equal(before["decoder"][key], value) for key, value in method.state_dict()["decoder"].items())


@pytest.mark.parametrize("field", ["alpha", "lambda_style"])
def test_settings_refuse_what_has_no_meaning(field):
    with pytest.raises(ValueError, match=f"{field}: must"):
        AdaINConfig(**{field: -0.1})
    assert AdaINConfig(**{field: 0.0}) != AdaINConfig()
