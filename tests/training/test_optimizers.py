"""Optimizers: one Adam per player, a step on the sum of the losses, and no step on nonsense."""

import copy
import re

import pytest
import torch
from torch import nn

from cyclegan.errors import NotFiniteError, UserError
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig

CONFIG = OptimizerConfig(lr=0.1)


def weight(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


def test_the_first_step_is_adams():
    w = weight(1.0, -2.0, 3.0)
    Optimizers({"only": [w]}, CONFIG).minimize("only", {"loss": (w * torch.tensor([4.0, -0.5, 0.0])).sum()})
    assert w.tolist() == pytest.approx([0.9, -1.9, 3.0])  # by the learning rate against the sign of the slope


def test_the_losses_of_a_player_are_summed():
    w = weight(0.0)
    Optimizers({"only": [w]}, CONFIG).minimize("only", {"up": 3 * w.sum(), "down": -5 * w.sum()})
    assert w.grad.item() == -2


def test_many_steps_are_those_of_pytorchs_adam_with_the_configured_betas():
    ours, theirs = weight(1.0, 2.0), weight(1.0, 2.0)
    optimizers = Optimizers({"only": [ours]}, OptimizerConfig(lr=0.03, betas=(0.5, 0.9)))
    adam = torch.optim.Adam([theirs], lr=0.03, betas=(0.5, 0.9))
    for step in range(6):
        optimizers.minimize("only", {"loss": (ours - step).square().sum()})
        adam.zero_grad()
        (theirs - step).square().sum().backward()
        adam.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_step_moves_and_differentiates_one_player_only():
    mover, bystander = weight(1.0), weight(1.0)
    optimizers = Optimizers({"mover": [mover], "bystander": [bystander]}, CONFIG)
    optimizers.minimize("mover", {"shared": (mover * bystander).sum()})
    assert (mover.item(), bystander.item()) == (pytest.approx(0.9), 1.0)
    assert bystander.grad is None
    optimizers.minimize("bystander", {"shared": 7 * (mover * bystander).sum()})
    assert mover.grad.item() == 1.0


def test_a_step_does_not_remember_the_gradient_of_the_one_before():
    w = weight(0.0)
    optimizers = Optimizers({"only": [w]}, CONFIG)
    for _ in range(3):
        optimizers.minimize("only", {"loss": 2 * w.sum()})
        assert w.grad.item() == 2


def test_the_parameters_of_a_player_may_come_from_a_generator():
    w = weight(0.0)
    Optimizers({"only": (parameter for parameter in [w])}, CONFIG).minimize("only", {"loss": w.sum()})
    assert w.item() == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("value", "said"), [(torch.nan, "bad = nan"), (torch.inf, "bad = inf"), (-torch.inf, "bad = -inf")]
)
def test_a_loss_that_is_not_finite_is_named_before_anything_moves(value, said):
    w = weight(1.0)
    optimizers = Optimizers({"only": [w]}, CONFIG)
    with pytest.raises(NotFiniteError, match=f"^{said}: no longer finite; try a lower learning rate$"):
        optimizers.minimize("only", {"good": w.sum(), "bad": value * w.sum()})
    assert w.item() == 1.0
    assert w.grad is None
    assert optimizers.adam["only"].state_dict()["state"] == {}


def test_losses_that_overflow_only_together_are_refused_too():
    w = weight(3e38)
    with pytest.raises(NotFiniteError, match="the sum of the losses: no longer finite"):
        Optimizers({"only": [w]}, CONFIG).minimize("only", {"a": w.sum(), "b": w.sum()})


def test_the_learning_rate_is_a_share_of_the_configured_one_for_every_player():
    first, second = weight(0.0), weight(0.0)
    optimizers = Optimizers({"first": [first], "second": [second]}, CONFIG)
    assert optimizers.set_learning_rates(7, 0.5) == pytest.approx(0.05)
    assert optimizers.set_learning_rates(7, 0.25) == pytest.approx(0.025)  # of the configured, not of the last
    for player, w in (("first", first), ("second", second)):
        optimizers.minimize(player, {"loss": w.sum()})
        assert w.item() == pytest.approx(-0.025)


def test_a_player_may_have_a_learning_rate_of_its_own_from_the_first_step_and_through_the_schedule():
    slow, fast = weight(0.0), weight(0.0)
    optimizers = Optimizers({"slow": [slow], "fast": [fast]}, OptimizerConfig(lr=0.1, lr_factors={"fast": 3.0}))
    for scaled in (False, True):
        if scaled:
            assert optimizers.set_learning_rates(7, 0.5) == pytest.approx(0.05)
        before = slow.item(), fast.item()
        for player, w in (("slow", slow), ("fast", fast)):
            optimizers.minimize(player, {"loss": w.sum()})
        moved = before[0] - slow.item(), before[1] - fast.item()
        assert moved == pytest.approx((0.05, 0.15) if scaled else (0.1, 0.3))


def test_a_player_may_watch_all_but_the_last_of_so_many_steps():
    critic, generator = weight(0.0), weight(0.0)
    config = OptimizerConfig(lr=0.1, update_every={"generator": 3})
    optimizers = Optimizers({"critic": [critic], "generator": [generator]}, config)
    places = []
    for step in range(6):
        optimizers.set_learning_rates(step, 1.0)
        for player, w in (("generator", generator), ("critic", critic)):
            optimizers.minimize(player, {"loss": w.sum()})
        places.append((critic.item(), generator.item()))
    assert places == [
        pytest.approx(place) for place in [(-0.1, 0), (-0.2, 0), (-0.3, -0.1), (-0.4, -0.1), (-0.5, -0.1), (-0.6, -0.2)]
    ]


def test_a_player_that_watches_keeps_no_gradient_and_its_losses_are_looked_at():
    w = weight(0.0)
    optimizers = Optimizers({"only": [w]}, OptimizerConfig(update_every={"only": 2}))
    optimizers.minimize("only", {"a": w.sum()})
    assert w.grad is None
    assert optimizers.terms == {"only": ["a"]}
    with pytest.raises(NotFiniteError, match="b = nan"):
        optimizers.minimize("only", {"b": torch.nan * w.sum()})


@pytest.mark.parametrize(("name", "value"), [("lr_factors", 2.0), ("update_every", 2)])
def test_settings_for_nobody_are_refused_by_name(name, value):
    config = OptimizerConfig(**{name: {"critics": value}})
    said = f"training.optimizer.{name}: no such parameter group: 'critics'; there are first and second"
    with pytest.raises(UserError, match=re.escape(said)):
        Optimizers({"first": [weight(0.0)], "second": [weight(0.0)]}, config)


def test_the_names_of_the_terms_are_kept_by_player():
    w = weight(0.0)
    optimizers = Optimizers({"first": [w], "second": [w]}, CONFIG)
    optimizers.minimize("first", {"a": w.sum(), "b": w.sum()})
    optimizers.minimize("second", {"c": w.sum()})
    assert optimizers.terms == {"first": ["a", "b"], "second": ["c"]}


def test_restored_optimizers_continue_bit_for_bit():
    def losses(w: nn.Parameter, step: int) -> dict[str, torch.Tensor]:
        return {"loss": (w - step).square().sum() * 1.7}

    w = weight(1.0, 2.0, 3.0)
    optimizers = Optimizers({"only": [w]}, CONFIG)
    for step in range(4):
        optimizers.minimize("only", losses(w, step))

    restored_w = nn.Parameter(w.detach().clone())
    restored = Optimizers({"only": [restored_w]}, CONFIG)
    restored.load_state_dict(copy.deepcopy(optimizers.state_dict()))
    for step in range(4, 8):
        optimizers.minimize("only", losses(w, step))
        restored.minimize("only", losses(restored_w, step))
    assert torch.equal(w, restored_w)
    assert not torch.equal(w, weight(1.0, 2.0, 3.0))
