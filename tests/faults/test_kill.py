"""`cyclegan train`, killed at random moments and typed again, ends where it would have ended anyway. (K1, T1)"""

import random
import signal
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import nano
import pytest
from nano import SAVE_EVERY, Place, ends, launched, let_pass, wait_until
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cyclegan.training.checkpoint import verify

pytestmark = pytest.mark.timeout(1200)  # the larger number of kills


@pytest.fixture(scope="module")
def kills(size) -> int:
    return size(6, 50)


@pytest.fixture(scope="module")
def whole(kills, tmp_path_factory) -> Path:
    """The run folder of a training that nobody interrupted; every kill can cost it 10 steps, and all do not end it."""
    place = nano.set_up(tmp_path_factory.mktemp("whole"), steps=10 * kills)
    nano.typed(place.folder)
    return place.run


def anywhere(process: BaseProcess, place: Place, moments: random.Random) -> None:
    """After 1 to 8 steps, and a part of another."""
    steps = moments.randint(1, 8)
    wait_until(lambda: place.count("step done") >= steps, process, place)
    let_pass(moments.uniform(0, 0.015))


def while_it_saves(process: BaseProcess, place: Place, moments: random.Random) -> None:
    """Up to 5 ms after it has begun to write a checkpoint."""
    wait_until(lambda: place.count("save") > 0, process, place)
    let_pass(moments.uniform(0, 0.005))


@pytest.fixture(scope="module")
def killed(kills, tmp_path_factory) -> SimpleNamespace:
    """A run that was killed again and again, and what each kill found and cost."""
    place, moments = nano.set_up(tmp_path_factory.mktemp("killed"), steps=10 * kills), nano.moments("K1")
    while_saving, lost = 0, []
    for _ in range(kills):
        before = place.steps_saved()
        with launched(place) as process:
            moments.choice([anywhere, while_it_saves])(process, place, moments)
            process.kill()
            assert ends(process) == -signal.SIGKILL
        nano.assert_continued(place, before)
        for checkpoint in place.checkpoints():
            verify(checkpoint)
        while_saving += place.count("save") > place.count("save done")
        lost.append(before + place.count("step done") - place.steps_saved())
    nano.finish(place, place.steps_saved(), score=True)
    return SimpleNamespace(place=place, while_saving=while_saving, lost=lost)


def test_killed_at_random_moments_it_ends_as_if_nothing_had_happened(
    killed, kills, whole, size, first_difference, read_records, figure
):
    assert all(0 <= steps <= SAVE_EVERY for steps in killed.lost), killed.lost
    assert killed.while_saving >= size(3, 15), f"too few kills struck a checkpoint half written (seed {nano.SEED})"
    nano.assert_same_run(killed.place.run, whole, first_difference, read_records)
    assert killed.place.partials() == []
    figure(
        "K1",
        f"{len(killed.lost)} kills, {killed.while_saving} of them in a save: 0 runs lost, "
        f"at most {max(killed.lost)} steps to repeat, 0 bits of difference",
    )


def points(run: Path, **options: bool) -> Counter[tuple[str, int]]:
    """How many values TensorBoard has of each tag and step."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}, **options)
    events.Reload()
    tags = (tag for tag in events.Tags()["scalars"] if not tag.startswith("score/"))
    return Counter((tag, event.step) for tag in tags for event in events.Scalars(tag))


def test_the_curves_of_a_killed_run_have_one_value_at_every_step(killed, whole, figure):
    written, shown, expected = (
        points(killed.place.run, purge_orphaned_data=False),
        points(killed.place.run),
        points(whole),
    )
    assert shown == expected
    assert set(shown.values()) == {1}
    repeated = written.total() - shown.total()
    assert repeated > 0, "no kill came after a value that was written and not yet saved: the test is blind"
    figure("T1", f"{shown.total()} values, one a tag and step; {repeated} of killed launches dropped, 0 missing")
