"""Batches on their way to a GPU: begun by whoever reads, waited for by the stream that computes."""

import threading
from contextlib import contextmanager

import pytest
import torch
from building import unpaired_stream

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.prefetch import Copies
from cyclegan.images.rgb8 import write_picture

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


class Event(torch.cuda.Event):
    """A mark in a stream."""

    def __new__(cls) -> "Event":
        return super().__new__(cls)


class Stream:
    """Notes what it is asked for."""

    def __init__(self, name: str, heard: list[tuple[str, str]]) -> None:
        self.name, self.heard, self.event = name, heard, Event()

    def record_event(self) -> Event:
        self.heard.append((self.name, "records"))
        return self.event

    def wait_event(self, event: Event) -> None:
        self.heard.append((self.name, "waits" if isinstance(event, Event) else "waits for nothing"))


@pytest.fixture
def heard(monkeypatch):
    """What a GPU would be asked for, by the stream that is current."""
    heard: list[tuple[str, str]] = []
    computing, copying = Stream("computing", heard), Stream("copying", heard)
    current = threading.local()

    @contextmanager
    def within(stream):
        current.name = stream.name
        yield
        current.name = "computing"

    def note(what):
        def noted(tensor, *arguments, **named):
            where = arguments[0].name if what == "keeps" else getattr(current, "name", "computing")
            heard.append((where, what + (" and goes on" if named.get("non_blocking") else "")))
            return tensor

        return noted

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: copying)
    monkeypatch.setattr(torch.cuda, "stream", within)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: computing)
    monkeypatch.setattr(torch.Tensor, "pin_memory", note("pins"))
    monkeypatch.setattr(torch.Tensor, "to", note("copies"))
    monkeypatch.setattr(torch.Tensor, "record_stream", note("keeps"))
    return heard


BATCH = UnpairedBatch(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4))


def test_a_copy_runs_on_a_stream_of_its_own_and_is_marked_when_it_ends(heard):
    Copies(GPU).begin(BATCH)
    each = [("copying", "pins"), ("copying", "copies and goes on")]
    assert heard == [*each, *each, ("copying", "records")]


def test_what_computes_waits_for_the_copy_and_keeps_its_memory(heard):
    copies = Copies(GPU)
    copy = copies.begin(BATCH)
    heard.clear()
    assert copies.end(copy) == BATCH
    assert heard == [("computing", "waits"), ("computing", "keeps"), ("computing", "keeps")]


@pytest.fixture
def batches(tmp_path):
    """Batches of two small pictures, for a device."""
    paths = [tmp_path / f"{level}.png" for level in (0, 200)]
    for level, path in zip((0, 200), paths, strict=True):
        write_picture(path, torch.full((8, 8, 3), level, dtype=torch.uint8).numpy())
    config = UnpairedConfig(domain="photo2painting", load_size=None, crop_size=8, workers=1)
    return lambda device: unpaired_stream(paths, paths, config, seed=0, device=device)


def test_the_batches_after_the_one_asked_for_are_already_on_their_way(batches, heard):
    gpu = batches(GPU)
    gpu.batch_at(0)
    for coming in gpu._coming.values():
        coming.result(timeout=60)
    assert heard.count(("copying", "records")) == 4
    assert heard.count(("computing", "waits")) == 1


@needs_gpu
def test_on_a_gpu_batches_are_the_same_as_on_the_cpu(batches):
    cpu, gpu = batches(CPU), batches(torch.device("cuda"))
    for step in range(20):
        for here, there in zip(cpu.batch_at(step), gpu.batch_at(step), strict=True):
            assert there.device.type == "cuda"
            assert torch.equal(here, there.cpu())
