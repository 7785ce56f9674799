"""CycleGAN: one round of Eq. (3), against the textbook and against itself."""

import copy
from collections.abc import Callable

import pytest
import torch
from building import build
from rounds import batch, changed, losses_of, play, snapshot, tiny
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.errors import NotFiniteError
from cyclegan.methods.cyclegan import CycleGAN, CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.protocols import Losses
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig

GAN, CYCLE, IDENTITY = {"gan_G", "gan_F"}, {"cycle_x", "cycle_y"}, {"identity_x", "identity_y"}
JUDGING = {"D_X", "D_Y"}


class Copy(nn.Module):
    """A generator that returns its input."""

    stride, smallest = 4, 8

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.sign = nn.Parameter(torch.tensor(sign))

    def forward(self, images: Tensor) -> Tensor:
        return self.sign * images


# The objective


def test_cycle_and_identity_terms_vanish_for_identity_networks():
    method = tiny()
    method.G, method.F = Copy(), Copy()
    losses = losses_of(method, batch())
    assert {losses[name] for name in CYCLE | IDENTITY} == {0.0}
    assert min(losses[name] for name in GAN | JUDGING) > 0


def test_the_cycle_closes_for_networks_that_undo_each_other_and_the_identity_does_not():
    method = tiny()
    method.G, method.F = Copy(-1.0), Copy(-1.0)
    losses = losses_of(method, batch())
    assert {losses[name] for name in CYCLE} == {0.0}
    assert losses["identity_y"] == pytest.approx(5 * 2 * batch().y.abs().mean().item())
    assert losses["identity_x"] == pytest.approx(5 * 2 * batch().x.abs().mean().item())


def textbook(method: CycleGAN, x: Tensor, y: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Sec. 3 to 5.2 of the paper written out, and its gradients by plain autograd."""
    G, F, D_X, D_Y = method.G, method.F, method.D_X, method.D_Y
    losses = {
        "gan_G": ((D_Y(G(x)) - 1) ** 2).mean(),
        "gan_F": ((D_X(F(y)) - 1) ** 2).mean(),
        "cycle_x": 10 * (F(G(x)) - x).abs().mean(),
        "cycle_y": 10 * (G(F(y)) - y).abs().mean(),
        "identity_y": 0.5 * 10 * (G(y) - y).abs().mean(),
        "identity_x": 0.5 * 10 * (F(x) - x).abs().mean(),
        "D_X": (((D_X(x) - 1) ** 2).mean() + (D_X(F(y).detach()) ** 2).mean()) / 2,
        "D_Y": (((D_Y(y) - 1) ** 2).mean() + (D_Y(G(x).detach()) ** 2).mean()) / 2,
    }
    gradients = {}
    for networks, terms in (((G, F), GAN | CYCLE | IDENTITY), ((D_X, D_Y), JUDGING)):
        parameters = [parameter for network in networks for parameter in network.parameters()]
        found = torch.autograd.grad(sum(losses[term] for term in terms), parameters)
        gradients |= {id(parameter): gradient for parameter, gradient in zip(parameters, found, strict=True)}
    return losses, {name: gradients[id(p)] for name, p in method.named_parameters()}


def test_losses_and_gradients_are_those_of_the_textbook():
    method, seen = tiny().double(), UnpairedBatch(*(images.double() for images in batch(2)))
    expected, slopes = textbook(method, *seen)
    owned = {player: list(parameters) for player, parameters in method.parameter_groups().items()}

    def differentiate(player: str, losses: Losses) -> None:
        sum(losses.values()).backward(inputs=owned[player])

    losses = method.training_step(seen, differentiate)
    assert losses.keys() == expected.keys()
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=1e-6)
    for name, parameter in method.named_parameters():
        assert torch.allclose(parameter.grad, slopes[name], rtol=1e-5, atol=1e-7), name
    assert min(p.grad.abs().max() for name, p in method.named_parameters() if name.endswith("weight")) > 1e-5


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_lambda_cycle_scales_the_cycle_and_the_identity(factor):
    once, scaled = losses_of(tiny(), batch()), losses_of(tiny(lambda_cycle=10 * factor), batch())
    for name, loss in once.items():
        assert scaled[name] == pytest.approx(loss * (factor if name in CYCLE | IDENTITY else 1))


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_lambda_identity_scales_the_identity_alone(factor):
    once, scaled = losses_of(tiny(), batch()), losses_of(tiny(lambda_identity=0.5 * factor), batch())
    for name, loss in once.items():
        assert scaled[name] == pytest.approx(loss * (factor if name in IDENTITY else 1))


def test_without_identity_loss_there_are_no_such_terms():
    assert losses_of(tiny(), batch()).keys() == GAN | CYCLE | IDENTITY | JUDGING
    assert losses_of(tiny(lambda_identity=0.0), batch()).keys() == GAN | CYCLE | JUDGING


def test_weights_change_with_the_rounds_played_and_a_term_of_no_weight_is_gone():
    method = tiny(lambda_cycle_final=5.0, lambda_identity_final=0.0, anneal=(0, 2))
    constant = losses_of(tiny(), batch())
    found = [losses_of(method, batch()) for _ in range(4)]
    for name in CYCLE:
        assert [losses[name] / constant[name] for losses in found] == pytest.approx([1, 0.75, 0.5, 0.5])
    for name in IDENTITY:
        assert [losses[name] / constant[name] for losses in found[:2]] == pytest.approx([1, 0.375])
        assert all(name not in losses for losses in found[2:])


# The players


def test_every_parameter_belongs_to_exactly_one_player():
    method = tiny("spectral")
    owned = {player: [id(p) for p in parameters] for player, parameters in method.parameter_groups().items()}
    assert sorted(owned["generators"] + owned["discriminators"]) == sorted(map(id, method.parameters()))
    kept = method.networks()
    assert list(kept) == ["G", "F"]
    assert owned["generators"] == [id(p) for network in kept.values() for p in network.parameters()]


def observed(method: CycleGAN, watch: Callable[[str, dict[str, Tensor], list[Tensor | None]], None]) -> None:
    """A round with real moves; `watch` is told the weights and gradients from before each."""
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())

    def minimize(player: str, losses: Losses) -> None:
        before, gradients = snapshot(method), [p.grad for p in method.parameters()]
        optimizers.minimize(player, losses)
        watch(player, before, gradients)

    method.training_step(batch(), minimize)


def test_the_generators_move_first_and_each_move_leaves_the_other_players_weights_alone():
    method, moves = tiny(), []

    def watch(player: str, before: dict[str, Tensor], gradients: list[Tensor | None]) -> None:
        moves.append((player, changed(method, before)))

    observed(method, watch)
    assert moves == [("generators", {"G", "F"}), ("discriminators", {"D_X", "D_Y"})]


def test_each_move_leaves_the_other_players_gradients_alone():
    method = tiny()
    owned = {player: {id(p) for p in parameters} for player, parameters in method.parameter_groups().items()}
    moved = []

    def watch(player: str, before: dict[str, Tensor], gradients: list[Tensor | None]) -> None:
        for parameter, gradient in zip(method.parameters(), gradients, strict=True):
            if id(parameter) in owned[player]:
                assert parameter.grad is not None
            else:
                assert parameter.grad is gradient
        moved.append(player)

    observed(method, watch)
    assert moved == ["generators", "discriminators"]


def test_a_generators_move_gives_the_discriminators_no_gradient_at_all():
    method = tiny()
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())

    def only_generators(player: str, losses: Losses) -> None:
        if player == "generators":
            optimizers.minimize(player, losses)

    method.training_step(batch(), only_generators)
    assert all(p.grad is None for network in (method.D_X, method.D_Y) for p in network.parameters())


def test_a_loss_that_is_not_finite_stops_the_round_before_anyone_moves():
    method = tiny()
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())
    seen = batch()
    seen.x[0, 0, 0, 0] = torch.nan
    before = snapshot(method)
    with pytest.raises(NotFiniteError, match="gan_G = nan, cycle_x = nan"):
        method.training_step(seen, optimizers.minimize)
    assert changed(method, before) == set()


# The history of fakes


def test_the_fakes_of_each_side_are_kept_in_its_own_buffer():
    method = tiny()
    losses_of(method, batch())
    with torch.no_grad():
        assert torch.allclose(method.fake_pool_x.images, method.F(batch().y), atol=1e-6)
        assert torch.allclose(method.fake_pool_y.images, method.G(batch().x), atol=1e-6)


def test_the_discriminators_judge_past_fakes_and_the_generators_present_ones():
    method = tiny()
    present = losses_of(copy.deepcopy(method), batch())
    past = -torch.ones(1, 3, 16, 16)
    method.fake_pool_x.forward = method.fake_pool_y.forward = lambda fakes: past
    losses = losses_of(method, batch())
    assert {name: losses[name] for name in GAN} == {name: present[name] for name in GAN}
    with torch.no_grad():
        for name, real in (("D_X", batch().x), ("D_Y", batch().y)):
            judge = getattr(method, name)
            expected = 0.5 * ((judge(real) - 1) ** 2).mean() + 0.5 * (judge(past) ** 2).mean()
            assert losses[name] == pytest.approx(expected.item(), rel=1e-5)


def test_buffers_and_rounds_are_part_of_the_state_and_are_restored():
    method, restored = tiny(buffer_size=4), tiny(buffer_size=4, seed=1)
    play(method, range(3))
    state = method.state_dict()
    assert (len(state["fake_pool_x.images"]), len(state["fake_pool_y.images"]), int(state["iteration"])) == (3, 3, 3)
    restored.load_state_dict(snapshot(method))
    assert changed(restored, snapshot(method)) == set()


@pytest.mark.parametrize("norm", ["instance", "spectral"])
def test_a_restored_game_continues_as_if_it_had_not_been_interrupted(norm):
    settings = {"buffer_size": 2, "lambda_r1": 1.0, "r1_every": 2}
    method, restored = tiny(norm, **settings), tiny(norm, seed=1, **settings)
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())
    play(method, range(5), optimizers)
    others = Optimizers(restored.parameter_groups(), OptimizerConfig())
    restored.load_state_dict(snapshot(method))
    others.load_state_dict(copy.deepcopy(optimizers.state_dict()))
    assert play(restored, range(5, 9), others) == play(method, range(5, 9), optimizers)
    assert changed(restored, snapshot(method)) == set()


# Building


def test_the_settings_reach_the_networks():
    generator = GeneratorConfig(base_channels=3, blocks=2, downsamplings=1, stem="shuffle", norm="none")
    discriminator = DiscriminatorConfig(base_channels=5, layers=1, norm="spectral")
    method = build(CycleGANConfig(generator=generator, discriminator=discriminator, buffer_size=7))
    assert (method.G.stride, method.F.stride, method.x_to_y.stride, method.y_to_x.stride) == (2, 2, 2, 2)
    assert (method.fake_pool_x.size, method.fake_pool_y.size) == (7, 7)
    assert all(judge.layers[0].out_channels == 5 for judge in (method.D_X, method.D_Y))
    assert not any(isinstance(module, nn.InstanceNorm2d) for module in method.modules())


def test_a_seed_decides_the_weights_and_no_two_networks_start_alike():
    method = tiny()
    assert changed(method, snapshot(tiny())) == set()
    assert changed(method, snapshot(tiny(seed=1))) == {"G", "F", "D_X", "D_Y"}
    assert not torch.equal(method.G.layers[1].weight, method.F.layers[1].weight)
    assert not torch.equal(method.D_X.layers[0].weight, method.D_Y.layers[0].weight)


def test_each_direction_translates_with_its_network():
    method, seen = tiny(), batch(2)
    with torch.no_grad():
        assert torch.equal(method.x_to_y.translate(seen.x), method.G(seen.x))
        assert torch.equal(method.y_to_x.translate(seen.y), method.F(seen.y))


@pytest.mark.parametrize("channels", [(1, 3), (4, 4), (5, 2)])
def test_two_steps_of_images_with_other_numbers_of_channels(channels):
    torch.manual_seed(0)
    config = CycleGANConfig(
        generator=GeneratorConfig(base_channels=2, blocks=1),
        discriminator=DiscriminatorConfig(base_channels=2, layers=1),
        lambda_identity=0.5 if channels[0] == channels[1] else 0.0,
        lambda_r1=1.0,
        r1_every=1,
        augment=("translation", "cutout"),
    )
    method = build(config, channels)
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())
    before = [parameter.clone() for parameter in method.parameters()]
    batch = UnpairedBatch(*(torch.rand(2, count, 16, 16) * 2 - 1 for count in channels))
    for _ in range(2):
        losses = method.training_step(batch, optimizers.minimize)
    assert all(loss.isfinite() for loss in losses.values())
    assert ("identity_x" in losses) is (channels[0] == channels[1])
    assert sum(not torch.equal(*pair) for pair in zip(before, method.parameters(), strict=True)) > len(before) / 2
    pictures = method.preview(batch).pictures
    assert pictures["x_to_y"]["G(x)"].shape[1] == channels[1]
    assert ("F(x)" in pictures["x_to_y"]) is (channels[0] == channels[1])
