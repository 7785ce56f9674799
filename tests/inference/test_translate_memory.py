"""translate: several pictures at once where there is memory, one in tiles where there is little."""

import sys
import threading
import weakref

import numpy as np
import pytest
import torch
from photos import difference, draw

from cyclegan.errors import ResourceError, UserError
from cyclegan.images.rgb8 import read_picture
from cyclegan.images.tensors import read, to_bytes
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.model.load import load
from cyclegan.model.source_image import read_source, write_translation
from cyclegan.networks.unet import UnetGenerator
from cyclegan.translate import fit_memory as memory
from cyclegan.translate.fit_memory import translate_in_memory
from cyclegan.translate.image_files import translate
from cyclegan.translate.options import Options
from cyclegan.translate.tiles import TiledTranslator

translating = sys.modules[translate.__module__]  # the function hides its module


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to …"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_a_picture_too_large_for_the_memory_is_named_with_its_size(painter, photos, out, monkeypatch, error):
    def fail(*_):
        raise error

    draw(photos / "huge.png", (24, 18))
    monkeypatch.setattr(NetworkTranslator, "translate", fail)
    monkeypatch.setattr(TiledTranslator, "translate", fail)
    with pytest.raises(
        ResourceError, match=r"huge\.png: 24×18 pixels need more memory than there is; make the picture"
    ):
        translate(painter, [photos], out)


def test_a_bug_is_not_taken_for_lack_of_memory(painter, photos, out, monkeypatch):
    def fail(*_):
        raise RuntimeError("an illegal memory access was encountered")

    draw(photos / "photo.png")
    monkeypatch.setattr(NetworkTranslator, "translate", fail)
    with pytest.raises(RuntimeError, match="illegal"):
        translate(painter, [photos], out)


def test_what_does_not_fit_into_memory_is_done_in_smaller_and_smaller_tiles(painter, photos, out, monkeypatch):
    source = draw(photos / "large.png", (400, 110))
    expected = to_bytes(painter.translator().translate(read(source)))[0].numpy()
    tried: list[int] = []
    in_tiles = TiledTranslator.translate

    def whole(self, images):
        tried.append(0)
        raise RuntimeError("CUDA out of memory")

    def tiled(self, images):
        tried.append(self.side)
        if self.side > 96:
            raise RuntimeError("CUDA out of memory")
        return in_tiles(self, images)

    monkeypatch.setattr(NetworkTranslator, "translate", whole)
    monkeypatch.setattr(TiledTranslator, "translate", tiled)
    report = translate(painter, [photos], out)
    assert tried == [0, 200, 100, 96]
    assert report.done == [out / source.name]
    assert np.abs(read_picture(out / "large.png").astype(int) - expected).max() <= 1  # where rounding decides


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_failed_attempt_has_computed_is_gone_before_the_next(painter, photos, out, monkeypatch, count):
    for i in range(count):
        draw(photos / f"{i}.png", (400, 24))
    attempts: list[weakref.ref] = []
    alive: list[int] = []
    in_tiles, at_once = TiledTranslator.translate, NetworkTranslator.translate

    def failing(paint, fails):
        def attempt(self, images):
            alive.append(sum(reference() is not None for reference in attempts))
            if not fails(self, images):
                return paint(self, images)
            activations = torch.zeros(1000)
            attempts.append(weakref.ref(activations))
            raise RuntimeError("CUDA out of memory")

        return attempt

    monkeypatch.setattr(NetworkTranslator, "translate", failing(at_once, lambda self, images: len(images) == count))
    monkeypatch.setattr(TiledTranslator, "translate", failing(in_tiles, lambda self, images: self.side > 96))
    translate(painter, [photos], out, how=Options(batch=count))
    assert len(attempts) == (3 if count == 1 else 1)
    assert alive == [0] * (4 if count == 1 else 3)


def test_what_looks_at_the_whole_picture_is_never_cut_into_tiles(photos, out, tmp_path, monkeypatch):
    source, style = draw(photos / "photo.png", (90, 70)), draw(tmp_path / "style.png")
    (tmp_path / "adain.yaml").write_text("name: adain\nencoder: random\n")
    adain = load(tmp_path / "adain.yaml", "cpu", [style])
    with pytest.raises(UserError, match="--tile: is for trained generators; this model looks at the whole picture"):
        translate(adain, [source], out, how=Options(tile=96))

    def full(self, images):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(NetworkTranslator, "translate", full)
    with pytest.raises(ResourceError, match=r"photo\.png: 90×70 pixels need more memory than there is"):
        translate(adain, [source], out)


def test_pictures_of_one_size_go_through_the_network_together(painter, photos, out, tmp_path, monkeypatch):
    sizes = [(24, 18), (24, 18), (24, 18), (16, 12), (24, 18), (24, 18), (16, 12)]
    for i, size in enumerate(sizes):
        draw(photos / f"{i}.png", size)
    (photos / "3 is bad.png").write_bytes(b"nothing")
    alone = translate(painter, [photos], out)
    seen, translate_all = [], NetworkTranslator.translate
    monkeypatch.setattr(
        NetworkTranslator, "translate", lambda self, images: seen.append(len(images)) or translate_all(self, images)
    )
    together = translate(painter, [photos], tmp_path / "together", how=Options(batch=2))
    assert seen == [2, 2, 2, 1]
    assert [path.name for path in together.done] == [path.name for path in alone.done] == [f"{i}.png" for i in range(7)]
    assert ["3 is bad.png" in str(bad) for bad in together.bad] == [True]
    for path in alone.done:
        assert difference(read_picture(path), read_picture(tmp_path / "together" / path.name)) <= 1


def test_the_next_picture_is_read_and_the_last_one_written_while_one_is_translated(painter, photos, out, monkeypatch):
    for i in range(3):
        draw(photos / f"{i}.png")
    has_read, has_written = [threading.Event() for _ in range(3)], threading.Event()

    def reading(path, kind):
        original = read_source(path, kind)
        has_read[int(path.stem)].set()
        return original

    def writing(*arguments):
        lost = write_translation(*arguments)
        has_written.set()
        return lost

    waited, paint = [], NetworkTranslator.translate

    def painting(self, images):
        turn = len(waited)
        waited.append(has_read[min(turn + 1, 2)].wait(20) and (turn == 0 or has_written.wait(20)))
        return paint(self, images)

    monkeypatch.setattr(translating, "read_source", reading)
    monkeypatch.setattr(translating, "write_translation", writing)
    monkeypatch.setattr(NetworkTranslator, "translate", painting)
    translate(painter, [photos], out)
    assert waited == [True, True, True]


def test_a_batch_that_does_not_fit_into_memory_is_done_one_by_one(painter, photos, out, monkeypatch):
    for i in range(2):
        draw(photos / f"{i}.png")
    paint = NetworkTranslator.translate

    def small_ones_only(self, images):
        if len(images) > 1:
            raise RuntimeError("CUDA out of memory")
        return paint(self, images)

    monkeypatch.setattr(NetworkTranslator, "translate", small_ones_only)
    assert len(translate(painter, [photos], out, how=Options(batch=2)).done) == 2


def test_tiles_can_be_asked_for_and_give_the_same_picture(painter, photos, tmp_path):
    draw(photos / "photo.png", (90, 70))
    translate(painter, [photos], tmp_path / "whole")
    translate(painter, [photos], tmp_path / "tiled", how=Options(tile=8))
    whole, tiled = (read_picture(tmp_path / way / "photo.png").astype(int) for way in ("whole", "tiled"))
    assert np.abs(whole - tiled).max() <= 1


@pytest.fixture
def little_memory(monkeypatch):
    """Sets how many MB are free, and starts with no line said."""

    def set_free(megabytes: float | None) -> None:
        monkeypatch.setattr(memory, "free", lambda device: None if megabytes is None else int(megabytes * 1e6))

    memory._say.cache_clear()
    return set_free


@pytest.fixture
def tried(monkeypatch) -> list[int]:
    """The sides of the tiles that are begun with, 0 for a whole picture; none of them is painted."""
    sides: list[int] = []
    monkeypatch.setattr(NetworkTranslator, "translate", lambda self, images: sides.append(0) or images)
    monkeypatch.setattr(TiledTranslator, "translate", lambda self, images: sides.append(self.side) or images)
    return sides


@pytest.mark.parametrize(("megabytes", "in_tiles"), [(None, False), (40, False), (20, True), (5, True), (0, True)])
def test_what_will_not_fit_into_free_memory_is_worked_on_in_tiles_at_once(
    painter, photos, out, capsys, little_memory, tried, megabytes, in_tiles
):
    draw(photos / "a small one.png", (90, 70))
    draw(photos / "large.png", (900, 600))
    little_memory(megabytes)
    translate(painter, [photos], out)
    small, large = tried
    assert (small, large > 0) == (0, in_tiles)
    lines = [line for line in capsys.readouterr().err.splitlines() if "more memory than is free" in line]
    assert len(lines) == in_tiles
    assert all(line.startswith("900×600 pixels need about ") for line in lines)


@pytest.mark.parametrize(("megabytes", "begun"), [(40, 200), (0, 96)])
def test_tiles_that_are_asked_for_stay_as_they_are_where_they_fit(
    painter, photos, out, little_memory, tried, megabytes, begun
):
    draw(photos / "large.png", (900, 600))
    little_memory(megabytes)
    translate(painter, [photos], out, how=Options(tile=200))
    assert tried == [begun]


def test_a_batch_that_will_not_fit_into_free_memory_is_done_one_by_one(painter, photos, out, little_memory, tried):
    for i in range(4):
        draw(photos / f"{i}.png", (390, 390))
    little_memory(12)  # more than one of these needs
    translate(painter, [photos], out, how=Options(batch=4))
    assert tried == [0, 0, 0, 0]


def test_tiles_never_become_smaller_than_the_stride_of_the_network(photos, monkeypatch):
    deep = NetworkTranslator(UnetGenerator(base_channels=2, downsamplings=8), 256)
    sides = []

    def full(self, images):
        sides.append(self.side)
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(NetworkTranslator, "translate", lambda self, images: full(TiledTranslator(self, 300), images))
    monkeypatch.setattr(TiledTranslator, "translate", full)
    with pytest.raises(ResourceError, match="make the picture smaller"):
        translate_in_memory(deep, torch.zeros(1, 3, 300, 300), [photos / "large.png"])
    assert sides == [300, 256]
