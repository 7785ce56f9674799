"""CUT: one round of Eq. (5), against the textbook and against itself."""

import copy
import math
from functools import partial

import pytest
import rounds
import torch
from building import build
from rounds import batch, changed, losses_of, play, snapshot
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods.cut import CUT, CUTConfig
from cyclegan.networks.layers import ResnetBlock
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.protocols import Losses, Translates
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig

tiny = partial(rounds.tiny, config=CUTConfig, blocks=3, head_width=8)


# The objective


def nce_of_all_places(method: CUT, translated: Tensor, source: Tensor) -> Tensor:
    """Eq. (3) written out: place by place, layer by layer."""
    layers = []
    for head, query, key in zip(method.H, method.G.encode(translated), method.G.encode(source), strict=True):
        everywhere = torch.arange(query[0, 0].numel())
        images = zip(head(query, everywhere), head(key, everywhere).detach(), strict=True)
        logits = [(s, keys @ vectors[s] / 0.07) for vectors, keys in images for s in everywhere]
        layers.append(sum(torch.logsumexp(row, 0) - row[s] for s, row in logits) / len(logits))
    return sum(layers) / len(layers)


def test_losses_and_gradients_are_those_of_the_textbook():
    method, (x, y) = tiny().double(), UnpairedBatch(*(images.double() for images in batch(2)))
    G, D = method.G, method.D
    expected = {
        "D": (((D(y) - 1) ** 2).mean() + (D(G(x).detach()) ** 2).mean()) / 2,
        "gan": ((D(G(x)) - 1) ** 2).mean(),
        "nce_x": nce_of_all_places(method, G(x), x),
        "nce_y": nce_of_all_places(method, G(y), y),
    }
    ours = [*method.G.parameters(), *method.H.parameters()]
    slopes = torch.autograd.grad(expected["gan"] + expected["nce_x"] + expected["nce_y"], ours, retain_graph=True)
    of_judge = torch.autograd.grad(expected["D"], list(D.parameters()))
    owned = {player: list(parameters) for player, parameters in method.parameter_groups().items()}

    def differentiate(player: str, losses: Losses) -> None:
        sum(losses.values()).backward(inputs=owned[player])

    losses = method.training_step(UnpairedBatch(x, y), differentiate)
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(
        {name: loss.item() for name, loss in expected.items()}, rel=1e-6
    )
    for parameter, slope in zip([*ours, *D.parameters()], [*slopes, *of_judge], strict=True):
        assert torch.allclose(parameter.grad, slope, rtol=1e-5, atol=1e-8)


def test_patches_of_one_color_cannot_be_told_apart():
    flat = torch.full((1, 3, 16, 16), 0.3)
    method = tiny()
    with torch.no_grad():
        method.H = method.H[:1]  # of the pixels; zero padding makes borders differ in the layers above
        method.G.encode = lambda images: [images]
        assert method.patch_nce(flat, flat).item() == pytest.approx(math.log(256), rel=1e-5)


@pytest.mark.parametrize(("weight", "terms"), [("lambda_nce", {"nce_x"}), ("lambda_identity", {"nce_y"})])
def test_each_weight_scales_its_term(weight, terms):
    once, scaled = losses_of(tiny(), batch()), losses_of(tiny(**{weight: 3.0}), batch())
    for name, loss in once.items():
        assert scaled[name] == pytest.approx(loss * (3 if name in terms else 1), rel=1e-5)


def test_without_identity_loss_there_is_no_such_term():
    assert set(losses_of(tiny(lambda_identity=0.0), batch())) == {"D", "gan", "nce_x"}


def test_as_many_places_are_drawn_as_asked_for_and_there_are():
    drawn = []
    method = tiny(patches=20)
    for head in method.H:
        head.register_forward_hook(lambda head, given, found: drawn.append(found.shape[1]))
    losses_of(method, batch())
    assert drawn == 2 * [20, 20, 20, 20, 16, 16, 16, 16, 16, 16]


def test_queries_and_keys_are_those_of_the_same_places():
    method, x = tiny(patches=7), batch().x
    places = []
    for head in method.H:
        head.register_forward_pre_hook(lambda head, given: places.append(given[1]))
    method.patch_nce(x, x)
    assert all(torch.equal(q, k) for q, k in zip(places[::2], places[1::2], strict=True))
    assert len({tuple(q.tolist()) for q in places}) > 1


def test_flip_equivariance_compares_a_mirrored_translation_with_the_mirrored_places():
    seen = batch().x
    method = tiny(flip=True)
    method.G.encode = lambda images: [images]
    method.H = method.H[:1]
    torch.manual_seed(0)
    straight = method.patch_nce(seen, seen).item()
    torch.manual_seed(0)
    assert method.patch_nce(seen.flip(3), seen, mirrored=True).item() == pytest.approx(straight, rel=1e-6)
    torch.manual_seed(0)
    assert method.patch_nce(seen.flip(3), seen).item() != pytest.approx(straight, rel=1e-2)


class Copy(nn.Module):
    """A generator that returns its input, and sees no more than that."""

    def forward(self, images: Tensor) -> Tensor:
        return images

    def encode(self, images: Tensor) -> list[Tensor]:
        return [images]


def test_a_generator_that_copies_is_told_apart_as_well_in_mirrored_rounds_as_in_others():
    found = []
    for flip in (False, True):
        method = tiny(flip=flip)
        method.G, method.H = Copy(), method.H[:1]
        found += [losses_of(method, batch(), seed)["nce_x"] for seed in range(6)]
    assert found == pytest.approx([found[0]] * 12, rel=1e-5)


def test_half_of_the_rounds_are_mirrored():
    method, given = tiny(flip=True), []
    method.G.register_forward_pre_hook(lambda network, images: given.append(images[0]))
    seen, mirrored = batch(), []
    for seed in range(20):
        given.clear()
        losses_of(method, seen, seed)
        mirrored.append(torch.equal(given[0], seen.x.flip(3)))
        assert mirrored[-1] or torch.equal(given[0], seen.x)
    assert 4 < sum(mirrored) < 16


# The players


def test_every_parameter_belongs_to_exactly_one_player_and_the_generator_is_kept():
    method = tiny("spectral")
    owned = {player: [id(p) for p in parameters] for player, parameters in method.parameter_groups().items()}
    assert sorted(owned["generator"] + owned["discriminator"]) == sorted(map(id, method.parameters()))
    assert method.networks() == {"G": method.G}


def test_the_discriminator_moves_first_and_each_move_leaves_the_other_players_weights_alone():
    method, moves = tiny(), []
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())

    def watch(player: str, losses: Losses) -> None:
        before = snapshot(method)
        optimizers.minimize(player, losses)
        moves.append((player, changed(method, before)))

    method.training_step(batch(), watch)
    assert moves == [("discriminator", {"D"}), ("generator", {"G", "H"})]


@pytest.mark.parametrize("norm", ["instance", "spectral"])
def test_a_restored_game_continues_as_if_it_had_not_been_interrupted(norm):
    method, restored = tiny(norm, flip=True), tiny(norm, seed=1, flip=True)
    optimizers, others = (Optimizers(each.parameter_groups(), OptimizerConfig()) for each in (method, restored))
    play(method, range(5), optimizers)
    restored.load_state_dict(snapshot(method))
    others.load_state_dict(copy.deepcopy(optimizers.state_dict()))
    assert play(restored, range(5, 9), others) == play(method, range(5, 9), optimizers)
    assert changed(restored, snapshot(method)) == set()


# The preview, and what is kept


def test_a_preview_shows_translation_and_identity_and_changes_no_state():
    method, seen = tiny("spectral"), batch(3)
    before = snapshot(method)
    preview = method.preview(seen)
    G = method.translators["painting"].translate
    assert torch.equal(preview.pictures["x_to_y"]["G(x)"], G(seen.x))
    assert torch.equal(preview.pictures["identity"]["G(y)"], G(seen.y))
    assert set(preview.scores) == {"D"}
    source, translation = preview.translations["G(x)"]
    assert torch.equal(source, seen.x)
    assert torch.equal(translation, G(seen.x))
    assert changed(method, before) == set()


def test_it_translates_to_one_side():
    assert isinstance(tiny(), Translates)
    assert list(tiny().translators) == ["painting"]


@pytest.mark.parametrize("seen", [{"blocks": 1}, {"blocks": 9}, {"downsamplings": 1, "stem": "shuffle", "blocks": 2}])
def test_every_layer_that_is_seen_has_a_head_of_its_width(seen):
    generator = GeneratorConfig(base_channels=2, **seen)
    method = build(CUTConfig(generator=generator, discriminator=DiscriminatorConfig(base_channels=2, layers=1)))
    features = method.G.encode(batch().x)
    assert len(features) == len(method.H) == len(method.G.feature_channels)
    assert [f.shape[1] for f in features] == list(method.G.feature_channels)
    assert torch.equal(features[0], batch().x)


def test_at_the_papers_size_five_layers_are_seen():
    G = build(CUTConfig(generator=GeneratorConfig(base_channels=2))).G
    assert G.feature_channels == (3, 4, 8, 8, 8)
    ran = []
    for k, block in enumerate(layer for layer in G.layers if isinstance(layer, ResnetBlock)):
        block.register_forward_hook(lambda block, given, found, k=k: ran.append((k, found)))
    seen = G.encode(torch.zeros(1, 3, 32, 32))
    assert [k for k, _ in ran] == [0, 1, 2, 3, 4]
    assert seen[3] is ran[0][1]
    assert seen[4] is ran[4][1]
    assert [tuple(features.shape[2:]) for features in seen] == [(32, 32), (16, 16)] + [(8, 8)] * 3


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"temperature": 0.0}, "temperature: must be above 0"),
        ({"patches": 1}, "patches: must be at least 2"),
        ({"generator": GeneratorConfig(blocks=0)}, "generator: blocks must be at least 1"),
        ({"lambda_nce": -1.0}, "lambda_nce: must be at least 0"),
    ],
)
def test_settings_that_leave_nothing_to_compare_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        CUTConfig(**settings)
