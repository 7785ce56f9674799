"""What a validator says reaches the records, and the weights that validate best are kept."""

from collections.abc import Sequence

import pytest
import torch
from toy import Crash, Interrupted, Noise, crash, launch

from cyclegan.cli import main
from cyclegan.protocols import Preview
from cyclegan.training.best_weights import Best, PersistentWarnings, ValidationResult
from cyclegan.training.checkpoint import read_tensors
from cyclegan.training.schedules import Schedule

LOOKS = dict(steps=12, sample_every=2, save_every=4)


class Scripted:
    """A validator whose distances are given beforehand, one for each look."""

    def __init__(self, distances: Sequence[float], warnings: Sequence[dict[str, str]] = ()) -> None:
        self.distances, self.warnings = list(distances), list(warnings) or [{}] * len(distances)
        self.looks = 0

    def __call__(self, preview: Preview) -> ValidationResult:
        self.looks += 1
        distance = float(self.distances[self.looks - 1])
        return ValidationResult({"paleness": distance / 2}, self.warnings[self.looks - 1], {"distance": distance})


def best_of(folder) -> tuple[int, dict]:
    _, metadata = read_tensors(folder / "best.safetensors")
    return metadata["about"]["step"], metadata["about"]["validation"]


def test_the_best_weights_are_those_of_the_smallest_distance(tmp_path):
    launch(tmp_path, validator=Scripted([5, 3, 1, 2, 4, 1]), **LOOKS | {"save_every": 2}, keep_checkpoints=9)
    assert best_of(tmp_path) == (6, {"distance": 1})
    best, _ = read_tensors(tmp_path / "best.safetensors")
    then, _ = read_tensors(tmp_path / "checkpoints" / "step-00000006" / "release.safetensors")
    assert then.keys() == best.keys()
    assert all(torch.equal(best[name], then[name]) for name in then)  # averages, not the live weights


def test_a_resumed_run_remembers_how_good_the_best_was(tmp_path):
    with pytest.raises(Crash):
        launch(tmp_path, Interrupted(Noise(), 10, crash), validator=Scripted([5, 1, 3, 3]), **LOOKS)
    assert best_of(tmp_path) == (4, {"distance": 1})
    launch(tmp_path, validator=Scripted([2, 2]), **LOOKS)  # looks at steps 10 and 12
    assert best_of(tmp_path) == (4, {"distance": 1})


def test_without_a_judge_nothing_is_called_best(tmp_path):
    launch(tmp_path, **LOOKS)
    assert not (tmp_path / "best.safetensors").exists()


def test_failure_modes_and_distances_are_curves(tmp_path, read_records):
    launch(tmp_path, validator=Scripted([6, 5, 4, 3, 2, 1]), **LOOKS)
    scalars = read_records(tmp_path).scalars
    assert [value for _, value in scalars["health/paleness"]] == [3, 2.5, 2, 1.5, 1, 0.5]
    assert [step for step, _ in scalars["validation/distance"]] == [2, 4, 6, 8, 10, 12]
    assert "probability_real/D_Y fake" in scalars  # those of the method stay


def test_a_warning_is_given_when_something_stays_wrong_and_only_once(tmp_path, capsys, read_records):
    pale = {"pale": "no colors are left; lower λ"}
    launch(tmp_path, validator=Scripted([1] * 6, [pale, {}, pale, pale, pale, {}]), **LOOKS)
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert said == ["warning   pale, since step 6: no colors are left; lower λ"]
    assert "warnings/text_summary" in read_records(tmp_path).tensors


def test_warnings_that_come_back_are_given_again():
    warnings, pale = PersistentWarnings(), {"pale": "…"}
    heard = [bool(warnings.due(now, step)) for step, now in enumerate([pale, pale, {}, pale, pale])]
    assert heard == [False, True, False, False, True]


def test_best_wants_a_distance(tmp_path):
    best = Best(tmp_path / "best.safetensors", {}, {})
    assert not best.update({}, 1)
    assert best.update({"there": 1.0, "back": 2.0}, 2)
    assert not best.update({"there": 3.0, "back": 0.0}, 3)
    assert (best.distance, best.step) == (3.0, 2)


STUBBORN = dict(schedule="plateau", patience=2, decay=0.1, log_every=2, **LOOKS)


def test_a_plateau_lowers_the_learning_rate_where_validation_stays(tmp_path, read_records):
    launch(tmp_path, validator=Scripted([5, 4, 4, 4, 3, 3]), **STUBBORN)
    rates = [record["learning_rate"] for record in read_records(tmp_path).log]
    assert rates == pytest.approx([2e-4, 2e-4, 2e-4, 2e-4, 2e-5, 2e-5])  # looks are made after steps 2, 4 … 12


@pytest.mark.parametrize("forgetful", [False, True])
def test_an_interrupted_plateau_ends_with_the_same_bits(tmp_path, monkeypatch, first_difference, forgetful):
    launch(tmp_path / "whole", validator=Scripted([4, 4, 4, 4, 4, 4]), **STUBBORN)
    with pytest.raises(Crash):
        launch(tmp_path / "cut", Interrupted(Noise(), 10, crash), validator=Scripted([4] * 4), **STUBBORN)
    if forgetful:
        monkeypatch.setattr(Schedule, "load_state_dict", lambda self, state: None)
    launch(tmp_path / "cut", validator=Scripted([4, 4]), **STUBBORN)
    ends = (tmp_path / run / "checkpoints" / "step-00000012" for run in ("whole", "cut"))
    assert (first_difference(*ends) is None) != forgetful


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ((), "give data.validation a share of the images, or take linear"),
        (("method={name: adain}", "data.validation=0.1"), "of which there is none here; take linear"),
    ],
)
def test_a_plateau_that_nobody_would_see_is_refused_with_one_line(tmp_path, capsys, settings, remedy):
    (tmp_path / "it.yaml").write_text(
        "name: it\ndata: {domain: photo2painting}\ntraining: {steps: 1, schedule: plateau}\n"
    )
    assert main(["show", str(tmp_path / "it.yaml"), *(word for each in settings for word in ("--set", each))]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "training: schedule plateau follows validation" in said
    assert said.endswith(remedy)
