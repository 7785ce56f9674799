"""What a training will take, told before it starts and without a trace in it."""

from functools import partial
from pathlib import Path

import pytest
import torch
from building import build
from toy import CPU, Noise, Toy, launch

from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training import forecast as plan
from cyclegan.training.checkpoint import list_checkpoints
from cyclegan.training.forecast import StepCost, checkpoint_bytes, describe, duration, forecast, profile_step
from cyclegan.training.training_config import TrainingConfig

DAY = 24 * 3600
STEP = TrainingConfig(steps=1)


def small_cyclegan(buffer_size: int = 4):
    return build(
        CycleGANConfig(
            generator=GeneratorConfig(base_channels=8, blocks=1),
            discriminator=DiscriminatorConfig(base_channels=8, layers=2, norm="spectral"),
            buffer_size=buffer_size,
        )
    )


class Squares(Noise):
    """Batches of random 32 px images, as many of each side as asked for."""

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def batch_at(self, step: int) -> UnpairedBatch:
        drawn = torch.rand(2, self.count, 3, 32, 32, generator=torch.Generator().manual_seed(step)) * 2 - 1
        return UnpairedBatch(*drawn)


@pytest.mark.parametrize(("make", "batches"), [(Toy, Noise()), (small_cyclegan, Squares())], ids=["toy", "cyclegan"])
def test_a_rehearsal_leaves_the_method_as_it_was(is_same, make, batches):
    method = make()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    assert 0 < profile_step(method, batches.batch_at(0), STEP, CPU).seconds < 60
    assert is_same(dict(method.state_dict()), before)
    assert all(parameter.grad is None for parameter in method.parameters())


def test_a_rehearsed_run_ends_as_one_that_was_not(tmp_path, first_difference):
    def rehearsed(method: Toy) -> None:
        profile_step(method, Noise().batch_at(0), STEP, CPU)

    launch(tmp_path / "straight")
    launch(tmp_path / "rehearsed", before=rehearsed)
    one, other = (list_checkpoints(tmp_path / name / "checkpoints")[-1] for name in ("straight", "rehearsed"))
    assert first_difference(one, other) is None


class Clock:
    """Time that passes only in training steps."""

    def __init__(self, *durations: float) -> None:
        self.now, self.durations, self.steps = 0.0, durations, 0

    def perf_counter(self) -> float:
        return self.now

    def step(self, *_) -> dict[str, torch.Tensor]:
        self.now += self.durations[min(self.steps, len(self.durations) - 1)]
        self.steps += 1
        return {"loss": torch.tensor(1.0)}


@pytest.mark.parametrize(
    ("durations", "steps", "seconds"), [((0.5, 0.2, 0.2, 0.3), 4, 0.2), ((7.0,), 1, 7.0), ((0.25,), 4, 0.25)]
)
def test_after_one_to_be_counted_small_steps_are_repeated_for_a_second_and_the_fastest_counts(
    monkeypatch, durations, steps, seconds
):
    clock = Clock(0.1, *durations)
    monkeypatch.setattr(plan, "time", clock)
    monkeypatch.setattr(Toy, "training_step", clock.step)
    assert profile_step(Toy(), Noise().batch_at(0), STEP, CPU).seconds == pytest.approx(seconds)
    assert clock.steps == 1 + steps


def test_flops_of_convolutions_are_counted_forward_and_backward():
    found = profile_step(Toy(), Noise().batch_at(0), STEP, CPU)
    pixels = 2 * 8 * 8
    painter, critic = 2 * 9 * pixels, 2 * 3 * pixels  # of one forward pass
    judged = 3 * critic  # the fake for the painter, the past one and the real one for the critic
    weights_and_inputs = painter + critic + 2 * critic  # the gradients of G's weights, and through D; of D's weights
    assert found.flops == painter + judged + weights_and_inputs


def test_activations_are_counted_once_each_and_without_weights_and_images():
    class Squared(Toy):
        def training_step(self, batch, minimize):
            drawn = self.G(batch.x)
            losses = {"loss": (drawn.sin() * drawn.cos()).sum()}
            minimize("painter", losses)
            return losses

    found = profile_step(Squared(), Noise().batch_at(0), STEP, CPU)
    assert found.kept == 3 * 4 * Noise().batch_at(0).x.numel()  # what is drawn, its sine and its cosine


@pytest.fixture
def told(monkeypatch):
    """The lines of a description, where a step takes so many seconds."""

    def tell(seconds: float, *, steps: int, done: int = 0, compiled: bool = False) -> list[str]:
        monkeypatch.setattr(plan, "profile_step", lambda *_: StepCost(seconds, 3_000_000_000, 5_000_000))
        monkeypatch.setattr(plan, "memory_in_use", lambda _: 400_000_000)
        planned = Toy(), Noise().batch_at(0), TrainingConfig(steps=steps, compile=compiled), CPU
        return describe(*planned, done=done) + forecast(*planned, done=done)

    return tell


def test_it_warns_of_days_on_this_device(told):
    lines = told(2.0, steps=DAY)
    assert lines[-1].startswith("warning: 2.0 days is more than this device is good for; run this recipe on a GPU")
    assert "needs     about 2.0 days" in lines[-2]


@pytest.mark.parametrize(
    ("seconds", "steps", "done"), [(1.0, DAY, 0), (0.01, 1000, 0), (2.0, DAY, DAY // 2), (9.0, 5, 5)]
)
def test_it_does_not_warn_of_a_day_or_less(told, seconds, steps, done):
    assert not any("warning" in line for line in told(seconds, steps=steps, done=done))


def test_one_second_more_than_a_day_is_too_much(told):
    assert "warning" in told(1.0, steps=DAY + 1)[-1]


def test_it_tells_device_networks_steps_time_and_disk(told):
    device, networks, training, step, needs = told(0.5, steps=1000, done=400)
    assert device == f"device    CPU with {torch.get_num_threads()} threads, float32"
    assert networks == "networks  G 12 parameters"
    assert training == "training  600 of 1,000 steps of (2, 3, 8, 8) + (2, 3, 8, 8)"
    assert step == "a step    3.0 GFLOP, 0.5 s (6 GFLOP/s)"
    assert needs == "needs     about 5.0 min, 405 MB of memory, 0 MB of disk"
    assert told(0.5, steps=1000, compiled=True)[-2] == "a step    3.0 GFLOP, 0.5 s (6 GFLOP/s, not compiled)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (89, "89 s"), (90, "1.5 min"), (5400, "1.5 h"), (DAY, "24.0 h"), (1.5 * DAY, "1.5 days")],
)
def test_durations_read_like_speech(seconds, text):
    assert duration(float(seconds)) == text


@pytest.mark.parametrize(("buffer_size", "count"), [(4, 1), (48, 8)])
def test_the_predicted_size_of_a_checkpoint_is_that_of_a_real_one(tmp_path, buffer_size, count):
    batches = Squares(count)
    make = partial(small_cyclegan, buffer_size)
    launch(tmp_path, batches, build=make, held_out=batches.batch_at(99), steps=buffer_size // count, sample_every=99)
    checkpoint = list_checkpoints(tmp_path / "checkpoints")[-1]
    predicted = checkpoint_bytes(make(), batches.batch_at(0))
    assert predicted == pytest.approx(size(checkpoint), rel=0.2)


def size(checkpoint: Path) -> int:
    return sum(file.stat().st_size for file in checkpoint.iterdir())
