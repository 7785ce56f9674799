"""Pictures of one size go together, though others are read between them; few wait, and frames stay in order."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from photos import draw

from cyclegan.methods.translator import NetworkTranslator
from cyclegan.translate.flicker import Flicker
from cyclegan.translate.image_files import groups, translate
from cyclegan.translate.options import Options
from cyclegan.translate.video import translate_frames


class Job(NamedTuple):
    """A picture of so many pixels."""

    number: int
    size: int

    @property
    def image(self) -> torch.Tensor:
        return torch.zeros(1, 3, 1, self.size)


def jobs_of(sizes: list[int]) -> list[Job]:
    return [Job(i, size) for i, size in enumerate(sizes)]


SIZES = st.lists(st.integers(1, 4), max_size=60)


@given(sizes=SIZES, most=st.integers(1, 5), waiting=st.integers(0, 9))
def test_each_picture_is_in_one_group_of_its_size_and_few_wait(sizes, most, waiting):
    on_the_way: list[Job] = []
    jobs = jobs_of(sizes)
    done = []
    for group in groups((on_the_way.append(job) or job for job in jobs), most, waiting):
        assert len({job.size for job in group}) == 1
        assert len(group) <= most
        assert len(on_the_way) - len(done) <= waiting + most
        done += group
    assert sorted(done) == jobs
    for size in set(sizes):
        assert [job for job in done if job.size == size] == [job for job in jobs if job.size == size]


@given(sizes=SIZES, most=st.integers(1, 5))
def test_where_none_may_wait_all_stay_in_order(sizes, most):
    assert [job for group in groups(jobs_of(sizes), most) for job in group] == jobs_of(sizes)


@pytest.mark.parametrize(("waiting", "numbers"), [(3, [[0, 2, 4], [1, 3, 5], [6]]), (0, [[i] for i in range(7)])])
def test_sizes_that_alternate_fill_their_groups_if_they_may_wait(waiting, numbers):
    found = groups(jobs_of([1, 2, 1, 2, 1, 2, 1]), 3, waiting)
    assert [[job.number for job in group] for group in found] == numbers


@pytest.fixture
def together(monkeypatch) -> list[tuple[int, int]]:
    """How many pictures went through the network at a time, and how wide they were."""
    found: list[tuple[int, int]] = []
    translate_all = NetworkTranslator.translate
    monkeypatch.setattr(
        NetworkTranslator,
        "translate",
        lambda self, images: found.append((len(images), images.shape[3])) or translate_all(self, images),
    )
    return found


def test_a_folder_of_photos_of_two_shapes_is_done_in_full_batches(painter, photos, out, together):
    for i in range(8):
        draw(photos / f"{i}.png", ((24, 18), (18, 24))[i % 2])
    report = translate(painter, [photos], out, how=Options(batch=4))
    assert together == [(4, 24), (4, 18)]
    assert report.done == [out / f"{i}.png" for i in range(8)]


def test_frames_are_seen_in_order_whatever_their_sizes(painter, photos, out, together, monkeypatch):
    for i in range(4):
        draw(photos / f"{i}.png", ((24, 18), (18, 24))[i % 2])
    widths: list[int] = []
    monkeypatch.setattr(Flicker, "__call__", lambda self, images, translated: widths.append(images.shape[3]))
    translate_frames(painter, [photos], out, how=Options(batch=2))
    assert widths == [24, 18, 24, 18]
