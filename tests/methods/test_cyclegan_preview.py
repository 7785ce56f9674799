"""A look at CycleGAN: its pictures, its health, and no trace that it was looked at."""

import pytest
import torch
from rounds import batch, changed, play, snapshot, tiny


@pytest.mark.parametrize("norm", ["instance", "spectral"])
@pytest.mark.parametrize("training", [True, False])
def test_a_preview_changes_no_state(norm, training):
    method = tiny(norm).train(training)
    play(method, range(2))
    method.F.layers[0].eval()
    before, modes = snapshot(method), [module.training for module in method.modules()]
    gradients, random = [p.grad for p in method.parameters()], torch.get_rng_state()
    first, second = method.preview(batch(3)), method.preview(batch(3))
    assert changed(method, before) == set()
    assert [module.training for module in method.modules()] == modes
    assert all(p.grad is gradient for p, gradient in zip(method.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), random)
    assert first.scores == second.scores


def test_a_preview_shows_both_cycles_and_both_identities():
    method, seen = tiny(), batch(3)
    pictures = method.preview(seen).pictures
    G, F = method.x_to_y.translate, method.y_to_x.translate
    x, y = seen
    expected = {
        "x_to_y": {"x": x, "G(x)": G(x), "F(G(x))": F(G(x)), "F(x)": F(x)},
        "y_to_x": {"y": y, "F(y)": F(y), "G(F(y))": G(F(y)), "G(y)": G(y)},
    }
    for direction, columns in expected.items():
        assert list(pictures[direction]) == list(columns)
        for title, images in columns.items():
            assert torch.equal(pictures[direction][title], images)
            assert not pictures[direction][title].requires_grad


def test_health_says_how_the_discriminators_score():
    method, seen = tiny(), batch(2)
    preview = method.preview(seen)
    scores = preview.scores
    with torch.no_grad():
        assert scores["D_X"][0] == pytest.approx(method.D_X(seen.x).mean().item())
        assert scores["D_Y"][0] == pytest.approx(method.D_Y(seen.y).mean().item())
        assert scores["D_X"][1] == pytest.approx(method.D_X(method.F(seen.y)).mean().item(), rel=1e-4)
        assert scores["D_Y"][1] == pytest.approx(method.D_Y(method.G(seen.x)).mean().item(), rel=1e-4)


@pytest.mark.parametrize(("gan", "middle"), [("vanilla", torch.sigmoid), ("hinge", lambda score: (score + 1) / 2)])
def test_health_is_between_fake_and_real_whatever_the_scale_of_the_game(gan, middle):
    method, seen = tiny(gan=gan), batch(2)
    with torch.no_grad():
        expected = middle(method.D_X(seen.x)).clamp(0, 1).mean().item()
    assert method.preview(seen).scores["D_X"][0] == pytest.approx(expected)


def test_the_scores_of_a_critic_are_told_and_not_taken_for_probabilities():
    method, seen = tiny(gan="wgan-gp"), batch(2)
    preview = method.preview(seen)
    numbers = preview.numbers
    assert not preview.scores
    assert set(numbers) == {f"D_{side} {kind}, score" for side in "XY" for kind in ("real", "fake")}
    with torch.no_grad():
        assert numbers["D_Y real, score"] == pytest.approx(method.D_Y(seen.y).mean().item())


def test_a_preview_says_what_was_translated_to_what():
    method, seen = tiny(), batch(2)
    preview = method.preview(seen)
    for name, direction in (("G(x)", "x_to_y"), ("F(y)", "y_to_x")):
        source, translation = preview.translations[name]
        assert torch.equal(source, preview.pictures[direction][name[2]])
        assert torch.equal(translation, preview.pictures[direction][name])
