"""Timing: the median of what was run after the warm-up, and the memory of the first run."""

import time
from collections.abc import Callable

import pytest
import torch

from cyclegan.evaluation import timing
from cyclegan.evaluation.timing import Timing, device_name, measure

IMAGES = torch.zeros(1, 3, 8, 8)
CPU = torch.device("cpu")


class Slow:
    """Takes as long as it is told, call after call, by a clock of its own; then as long as the last time."""

    def __init__(self, *seconds: float) -> None:
        self.seconds = list(seconds)
        self.calls = 0
        self.clock = 0.0

    def translate(self, images):
        self.clock += self.seconds[min(self.calls, len(self.seconds) - 1)]
        self.calls += 1
        return images


@pytest.fixture
def measured(monkeypatch) -> Callable[..., Timing]:
    """Measures by the clock of the translator."""

    def measure_by_its_clock(slow: Slow, **settings) -> Timing:
        monkeypatch.setattr(timing, "perf_counter", lambda: slow.clock)
        return measure(slow, IMAGES, **settings)

    return measure_by_its_clock


def test_the_warm_up_does_not_count_and_the_median_does(measured):
    slow = Slow(20, 1, 3, 8)
    assert measured(slow, runs=3)[:2] == (3, 3)
    assert slow.calls == 4


def test_what_takes_longer_than_our_patience_is_run_once(measured):
    slow = Slow(31)
    assert measured(slow)[:2] == (31, 1)
    assert slow.calls == 1


def test_no_run_begins_after_our_patience(measured):
    assert measured(Slow(10, 12))[:2] == (12, 3)


def test_no_gradients_are_recorded():
    class Recorder:
        def translate(self, images):
            self.recording = torch.is_grad_enabled()
            return images

    recorder = Recorder()
    measure(recorder, IMAGES, runs=1)
    assert recorder.recording is False


def test_an_error_of_the_translator_comes_through_and_the_watcher_ends():
    class Broken:
        def translate(self, images):
            raise RuntimeError("broken")

    before = timing.threading.active_count()
    with pytest.raises(RuntimeError, match="broken"):
        measure(Broken(), IMAGES)
    assert timing.threading.active_count() == before


@pytest.mark.skipif(timing._resident() is None, reason="the system does not tell the resident memory")
def test_memory_is_what_the_first_run_needs_at_its_peak():
    class Large:
        def translate(self, images):
            held = torch.ones(60_000_000, dtype=torch.uint8)
            time.sleep(0.05)
            return images + 0 * held[0]

    assert measure(Large(), IMAGES, runs=1).memory == pytest.approx(60e6, rel=0.25)
    assert measure(Slow(0), IMAGES, runs=1).memory < 20e6


@pytest.mark.skipif(timing._resident() is None, reason="the system does not tell the resident memory")
def test_memory_that_an_earlier_run_has_left_behind_does_not_hide_what_is_needed():
    class ManySmall:
        """Its last allocation stays, so that the allocator keeps the freed ones below it."""

        def __init__(self) -> None:
            self.kept = []

        def translate(self, images):
            held = [torch.ones(100_000, dtype=torch.uint8) for _ in range(400)]
            self.kept.append(torch.ones(100_000, dtype=torch.uint8))
            time.sleep(0.05)
            return images + 0 * held[0][0]

    many = ManySmall()
    grown = [measure(many, IMAGES, runs=1).memory for _ in range(3)]
    assert grown == pytest.approx([40e6] * 3, rel=0.25)


def test_memory_is_not_known_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(timing, "STATUS", tmp_path / "missing")
    assert measure(Slow(0), IMAGES, runs=1).memory is None
    monkeypatch.setattr(timing, "STATUS", tmp_path / "status")
    (tmp_path / "status").write_text("Name: python\n")
    assert measure(Slow(0), IMAGES, runs=1).memory is None
    (tmp_path / "status").write_text("Name: python\nVmRSS:\t    2048 kB\nThreads: 1\n")
    assert measure(Slow(0), IMAGES, runs=1).memory == 0


def test_the_device_is_named_with_its_threads(monkeypatch, tmp_path):
    monkeypatch.setattr(timing, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: A fast one\nmodel name\t: A fast one\n")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert device_name(CPU) == "A fast one, 2 threads"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert device_name(CPU) == "A fast one, 1 thread"
    (tmp_path / "cpuinfo").unlink()
    assert device_name(CPU).endswith(", 1 thread")
    assert device_name(torch.device("mps")) == "mps"


@pytest.mark.gpu
def test_a_gpu_is_waited_for_and_its_memory_is_read():
    class Multiply:
        def translate(self, images):
            square = torch.ones(8192, 8192, device="cuda")
            for _ in range(10):
                square = square @ square.clamp(max=1e-4)
            return images

    measured = measure(Multiply(), IMAGES.cuda())
    assert measured.memory >= 2 * 4 * 8192**2
    assert measured.seconds > 1e-3  # 11 TFLOP; launching them takes microseconds
    assert device_name(torch.device("cuda")) == torch.cuda.get_device_name()
