"""Stream: batches of any source, a function of (seed, k) alone, whoever reads them and in however many parts."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cyclegan import distributed
from cyclegan.data.counter_rng import rng
from cyclegan.data.data_config import ReadingConfig
from cyclegan.data.stream import Source, Stream
from cyclegan.errors import UnresponsiveError


class NumbersBatch(NamedTuple):
    image: Tensor
    level: Tensor
    index: Tensor


class Numbers:
    """Bytes, floats and whole numbers, of no file."""

    Batch = NumbersBatch

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def sample(self, k: int) -> Sequence[Tensor]:
        random = rng(self.seed, k)
        pixels = torch.from_numpy(random.integers(256, size=(1, 2, 2)).astype("uint8"))
        return pixels, torch.from_numpy(random.random((2, 2), dtype="float32")), torch.tensor(k)

    def names(self, k: int) -> Sequence[str]:
        return f"image {k}", f"level {k}", f"index {k}"


def stream(seed: int = 0, micro_batches: int = 1, **reading: object) -> Stream:
    return Stream(Numbers(seed), ReadingConfig(**{"workers": 1, **reading}), micro_batches=micro_batches)


def test_a_source_is_two_methods_and_a_batch():
    assert isinstance(Numbers(0), Source)


def test_bytes_are_scaled_and_floats_and_whole_numbers_stay():
    batch = stream(batch_size=3).batch_at(2)
    samples = [Numbers(0).sample(k) for k in (6, 7, 8)]
    assert type(batch) is NumbersBatch
    assert torch.equal(batch.image, torch.stack([pixels for pixels, _, _ in samples]).float() / 127.5 - 1)
    assert torch.equal(batch.level, torch.stack([level for _, level, _ in samples]))
    assert batch.index.tolist() == [6, 7, 8]
    assert batch.index.dtype == torch.int64


@settings(deadline=None, max_examples=20)
@given(
    steps=st.lists(st.integers(0, 30), min_size=1, max_size=10),
    seed=st.integers(0, 2**33),
    size=st.integers(1, 4),
    workers=st.integers(1, 4),
)
def test_batches_are_a_function_of_seed_and_step_in_any_order(steps, seed, size, workers):
    one, many = stream(seed, batch_size=size), stream(seed, batch_size=size, workers=workers)
    expected = {step: one.batch_at(step) for step in sorted(set(steps))}
    for step in steps:
        assert all(map(torch.equal, many.batch_at(step), expected[step]))


def test_another_seed_draws_others():
    assert not torch.equal(stream(0, batch_size=4).batch_at(0).image, stream(1, batch_size=4).batch_at(0).image)


def test_names_are_those_of_the_samples_by_field():
    assert stream(batch_size=2).names_at(5) == {
        "image": ["image 10", "image 11"],
        "level": ["level 10", "level 11"],
        "index": ["index 10", "index 11"],
    }


@pytest.mark.parametrize(("size", "processes", "micro_batches"), [(4, 1, 2), (4, 2, 1), (8, 2, 2), (12, 3, 2)])
def test_micro_batches_and_processes_see_the_images_of_a_lone_process(monkeypatch, size, processes, micro_batches):
    """The first micro-batch of all processes together is the first of a lone one, and so on."""
    whole = stream(batch_size=size).batch_at(1)
    shares = []
    for rank in range(processes):
        monkeypatch.setattr(distributed, "world_size", lambda: processes)
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(stream(batch_size=size, micro_batches=micro_batches).batch_at(1))
    each = size // micro_batches
    for part in range(micro_batches):
        own = slice(part * each // processes, (part + 1) * each // processes)
        for field, expected in enumerate(whole):
            together = torch.cat([share[field][own] for share in shares])
            assert torch.equal(together, expected[part * each : (part + 1) * each])


def test_all_processes_name_all_samples(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    assert stream(batch_size=2).names_at(0)["index"] == ["index 0", "index 1"]


def test_a_source_that_hangs_is_named_with_the_sample_it_is_at(monkeypatch):
    awake = threading.Event()
    read = Numbers.sample

    def hang(self: Numbers, k: int) -> Sequence[Tensor]:
        if k == 3:
            awake.wait(60)
        return read(self, k)

    monkeypatch.setattr(Numbers, "sample", hang)
    batches = stream(batch_size=2, timeout=0.2)
    batches.batch_at(0)
    with pytest.raises(
        UnresponsiveError, match=r"^image 3 or level 3 or index 3: not read after 0\.2 s; when its drive"
    ):
        batches.batch_at(1)
    awake.set()


def test_what_a_source_raises_comes_with_the_batch_it_is_for(monkeypatch):
    def fail(self: Numbers, k: int) -> Sequence[Tensor]:
        if k == 5:
            raise ValueError("sample 5 is bad")
        return torch.zeros(1, 2, 2, dtype=torch.uint8), torch.zeros(2, 2), torch.tensor(k)

    monkeypatch.setattr(Numbers, "sample", fail)
    batches = stream(batch_size=2)
    batches.batch_at(1)
    with pytest.raises(ValueError, match="sample 5 is bad"):
        batches.batch_at(2)
    assert batches.batch_at(3).index.tolist() == [6, 7]
