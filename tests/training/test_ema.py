"""The exponential moving average: its values by hand, and the networks as they were."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cyclegan.training.ema import EMA


class Weight(nn.Module):
    """A network of one number."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([value]))

    def set(self, value: float) -> None:
        self.w.data.fill_(value)


def averages(decay: float, values: list[float]) -> list[float]:
    """The average after each update of a weight that starts at 0 and then takes these values."""
    network = Weight()
    ema, averaged = EMA({"G": network}, decay), []
    for value in values:
        network.set(value)
        ema.update()
        averaged.append(ema.average["G.w"].item())
    return averaged


def networks(seed: int = 0) -> dict[str, nn.Module]:
    torch.manual_seed(seed)
    return {"G": nn.Conv2d(2, 3, 3), "F": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))}


def weights(nets: dict[str, nn.Module]) -> list[Tensor]:
    return [value.detach().clone() for net in nets.values() for value in net.state_dict().values()]


def walk(nets: dict[str, nn.Module], ema: EMA, steps: range) -> None:
    for step in steps:
        torch.manual_seed(step)
        for net in nets.values():
            for parameter in net.parameters():
                parameter.data.add_(torch.randn_like(parameter))
        ema.update()


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_warm_up_by_hand():
    first = 0.1 * 0 + 0.9 * 1
    second = 2 / 11 * first + 9 / 11 * 2
    third = 3 / 12 * second + 9 / 12 * 4
    assert averages(0.999, [1.0, 2.0, 4.0]) == pytest.approx([first, second, third])


def test_the_warm_up_ends_when_it_reaches_the_decay():
    first = 0.1 * 0 + 0.9 * 1
    second = 0.15 * first + 0.85 * 2
    assert averages(0.15, [1.0, 2.0, 3.0]) == pytest.approx([first, second, 0.15 * second + 0.85 * 3])


def test_the_first_weights_are_nearly_forgotten_after_a_few_steps():
    assert averages(0.999, [1.0] * 20)[-1] > 0.9999


def test_a_decay_of_zero_is_the_present_weight():
    assert averages(0.0, [1.0, 5.0, 2.0]) == [1.0, 5.0, 2.0]


@settings(deadline=None, max_examples=30)
@given(decay=st.floats(0, 1, exclude_max=True), value=st.floats(-100, 100, width=32), updates=st.integers(1, 30))
def test_the_average_of_a_constant_is_that_constant(decay, value, updates):
    network = Weight(value)
    ema = EMA({"G": network}, decay)
    for _ in range(updates):
        ema.update()
    assert ema.average["G.w"].item() == pytest.approx(value, rel=1e-5)


def test_it_averages_every_weight_and_every_statistic_of_every_network():
    assert set(EMA(networks(), 0.9).average) == {
        *("G.weight", "G.bias"),
        *("F.0.weight", "F.0.bias", "F.1.weight", "F.1.bias"),
        *("F.1.running_mean", "F.1.running_var", "F.1.num_batches_tracked"),
    }


def test_running_statistics_are_averaged_and_counts_copied():
    norm = nn.BatchNorm2d(1)
    ema = EMA({"G": norm}, 0.15)
    for mean in (1.0, 2.0):
        norm.running_mean.fill_(mean)
        norm.num_batches_tracked += 1
        ema.update()
    assert ema.average["G.running_mean"].item() == pytest.approx(0.15 * 0.9 + 0.85 * 2)
    assert ema.average["G.num_batches_tracked"] == 2
    with ema.applied():
        assert norm.running_mean.item() == pytest.approx(0.15 * 0.9 + 0.85 * 2)
    assert norm.running_mean.item() == 2.0


def test_an_update_leaves_the_networks_alone_and_the_average_off_the_graph():
    nets = networks()
    ema, before = EMA(nets, 0.9), weights(nets)
    ema.update()
    assert equal(weights(nets), before)
    assert not any(average.requires_grad for average in ema.average.values())


def test_in_place_puts_the_averages_into_the_networks_and_takes_them_out_to_the_bit():
    nets = networks()
    ema = EMA(nets, 0.9)
    walk(nets, ema, range(3))
    live, average = weights(nets), [value.clone() for value in ema.average.values()]
    with ema.applied():
        assert equal(weights(nets), average)
        assert not equal(weights(nets), live)
    assert equal(weights(nets), live)
    assert equal(list(ema.average.values()), average)


def test_in_place_takes_the_averages_out_even_after_an_error():
    nets = networks()
    ema = EMA(nets, 0.9)
    walk(nets, ema, range(3))
    live = weights(nets)

    def fail() -> None:
        with ema.applied():
            raise ValueError("no sample today")

    with pytest.raises(ValueError, match="no sample today"):
        fail()
    assert equal(weights(nets), live)


def test_updates_after_in_place_reach_both_the_networks_and_whoever_holds_the_averages():
    nets, others = networks(), networks()
    ema, undisturbed = EMA(nets, 0.9), EMA(others, 0.9)
    release = ema.average  # a checkpoint holds on to it
    for steps in (range(3), range(3, 6)):
        walk(nets, ema, steps)
        walk(others, undisturbed, steps)
        with ema.applied():
            pass
    assert equal(list(release.values()), list(undisturbed.average.values()))
    assert equal(weights(nets), weights(others))


def test_a_restored_average_continues_bit_for_bit():
    nets, others = networks(), networks(seed=1)
    ema, restored = EMA(nets, 0.99), EMA(others, 0.99)
    walk(nets, ema, range(4))
    restored.load_state_dict(copy.deepcopy(ema.state_dict()))
    for name, net in nets.items():
        others[name].load_state_dict(net.state_dict())
    assert restored.updates == 4
    assert equal(list(restored.average.values()), list(ema.average.values()))
    walk(nets, ema, range(4, 8))
    walk(others, restored, range(4, 8))
    assert equal(list(restored.average.values()), list(ema.average.values()))


def test_the_average_shares_no_memory_with_the_weights_nor_with_a_loaded_state():
    network = Weight(1.0)
    ema = EMA({"G": network}, 0.9)
    network.set(5.0)
    assert ema.average["G.w"].item() == 1.0
    state = copy.deepcopy(ema.state_dict())
    ema.load_state_dict(state)
    state["average"]["G.w"].fill_(9.0)
    assert ema.average["G.w"].item() == 1.0
