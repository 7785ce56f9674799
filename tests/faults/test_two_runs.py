"""A run folder belongs to one process at a time, and to nobody after that one's end, however it came. (T2)"""

import os
import signal

import nano
import pytest
from folders import files_below
from nano import Place, ends, launched, wait_until

from cyclegan.training.lock import locked


@pytest.fixture
def place(tmp_path) -> Place:
    return nano.set_up(tmp_path, steps=15)


def test_a_second_process_is_refused_while_the_first_lives_and_takes_over_when_it_is_dead(place, figure):
    with launched(place, hang=("step", 8)) as first:
        wait_until(lambda: place.count("hang") > 0, first, place)
        before = files_below(place.run)
        with launched(place) as second:
            assert ends(second) == 2
        assert f"nano: locked by process {first.pid} on " in place.said().splitlines()[-1]
        assert files_below(place.run) == before
        first.kill()
        assert ends(first) == -signal.SIGKILL
    assert (place.run / "lock").read_text().startswith(f"{first.pid} on ")
    nano.finish(place, before=5)
    figure("T2", "the second process: exit code 2, names the first, changes 0 files; a dead one's folder is taken over")


def test_a_folder_can_be_locked_again_and_what_a_dead_process_left_does_not_matter(tmp_path):
    (tmp_path / "lock").write_text("1 on another machine with a very long name\n")
    for _ in range(2):
        with locked(tmp_path):
            assert (tmp_path / "lock").read_text().startswith(f"{os.getpid()} on ")
