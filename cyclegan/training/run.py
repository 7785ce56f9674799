"""Run folder: all files that a run writes, and all lines that it prints.

runs/<domain>/<name>/
    lock               held by the process that trains here: see cyclegan.training.lock
    config.yaml        the resolved settings; others that would change the results are refused
    environment.json   versions, commit, threads: see cyclegan.training.environment_log
    log.jsonl          one line for each logged step
    events.out.…       TensorBoard
    samples/           the same held-out images every time: step-00001000-x_to_y.png
    checkpoints/       see cyclegan.training.checkpoint
    left-out.txt       the images that could not be read, if they are to be skipped, and why
    best.safetensors   the networks that validated best, where images were kept aside for validation
    not-finite.json    only if something was no longer finite: at which step, what, and from which images
    evaluation/        the scores on the test images, written at the end
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams
from tqdm import tqdm

from cyclegan.config import difference
from cyclegan.errors import UserError, printable, quoted
from cyclegan.images.tensors import grid, to_bytes, write
from cyclegan.protocols import Losses, Preview
from cyclegan.training.atomic import replace_text
from cyclegan.training.best_weights import ValidationResult
from cyclegan.training.checkpoint import list_checkpoints
from cyclegan.training.environment_log import note_launch
from cyclegan.training.forecast import duration, memory_in_use
from cyclegan.training.run_log import logged_records

OPERATIONAL = (  # how a run is carried out; its results do not depend on these, so they may change on the way
    *("data.workers", "data.cache_mb", "data.cache_folder", "data.timeout"),
    *("training.device", "training.activation_checkpointing", "training.keep_checkpoints"),
    *("training.log_every", "training.sample_every", "training.save_every"),
)
DATA_FOLDERS = ("data.x", "data.y")  # folders of images; the checkpoints tell whether the images are the same
MEASURED = 20  # steps after which the forecast is corrected


class Run:
    """Folder opened for one training."""

    moved: Sequence[str] = ()  # settings that name another folder of images than before

    def __init__(
        self,
        folder: Path,
        config: str,
        environment: Mapping[str, Any],
        completed: Callable[[str], str] = str,
    ) -> None:
        """Open the folder.

        `completed` adds newer settings, at their defaults, to the settings of an older run.
        """
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self._claim(config, completed)
        changed = note_launch(folder / "environment.json", self.steps_done(), environment)
        if changed:
            self.say(f"note      {changed}")
        self.config = config

    def _claim(self, config: str, completed: Callable[[str], str]) -> None:
        """Write the settings, unless the folder holds a run whose results they would change.

        If they name other folders of images and there is a checkpoint, `recording` writes them once it is
        known that the images are the same.
        """
        path = self.folder / "config.yaml"
        begun = path.read_bytes().decode(errors="surrogateescape") if path.exists() else config
        found = difference(completed(begun), config, str(path))
        changes = {change.partition(":")[0]: change for change in found}
        operational = set(OPERATIONAL)
        if "\n  schedule: plateau\n" in config:
            operational.remove("training.sample_every")  # its validations decide the learning rate
        decisive = [change for key, change in changes.items() if key not in operational.union(DATA_FOLDERS)]
        if decisive:
            listed = "\n".join(f"  {change}" for change in decisive)
            raise UserError(
                f"{self.folder}: holds a run with other settings:\n{listed}\n"
                "either give this run a name of its own (--set name=…) or remove the old one "
                f"({quoted('rm', '-r', self.folder)})"
            )
        self.moved = [changes[key] for key in DATA_FOLDERS if key in changes and self.steps_done()]
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.moved:
            replace_text(path, config)

    def steps_done(self) -> int:
        """Return the number of steps done, from the name of the newest checkpoint, which is not verified."""
        committed = list_checkpoints(self.checkpoints)
        return int(committed[-1].name.removeprefix("step-")) if committed else 0

    @contextmanager
    def recording(self, step: int, steps: int, device: torch.device) -> Iterator[None]:
        """Continue the records at a step; drop those that an interrupted run wrote after it."""
        self.steps, self.device = steps, device
        if self.moved:
            self.say(f"moved     {', '.join(self.moved)}: the same pictures, by name and size")
            replace_text(self.folder / "config.yaml", self.config)
        self.laid_out = self._trim_log(step) > 0  # the layout is written with the first line
        if step == 0:
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
        self.board = SummaryWriter(str(self.folder), purge_step=step + 1)
        if step == 0:
            self.board.add_text("config", f"```yaml\n{self.config}```")
            self.board.flush()
        elif step < steps:
            self.say(f"continuing after step {step:,}")
        self.bar = tqdm(total=steps, initial=step, unit="step", disable=None, dynamic_ncols=True)
        self.validated = 0.0  # seconds spent on checking the run since this launch
        self._tick(step)
        self.begun, self.looked = time.perf_counter(), False
        self.first = (step + 1, self.begun)  # first step of this launch, and when it was done; it warms up
        try:
            yield
        finally:
            self.bar.close()
            self.board.close()

    def _tick(self, step: int) -> None:
        self.since, self.since_step, self.waited, self.validated_before = time.perf_counter(), step, 0.0, self.validated
        self.images = 0  # since the last line of the log

    def _trim_log(self, step: int) -> int:
        """Keep the log lines up to a step and return their number; an incomplete line is dropped, too."""
        path = self.folder / "log.jsonl"
        kept = [line + "\n" for line, record in logged_records(path) if record["step"] <= step]
        replace_text(path, "".join(kept))
        return len(kept)

    @contextmanager
    def waiting_for_data(self) -> Iterator[None]:
        """Count the time spent in this context as waiting for data."""
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Count the time spent in this context as checking the run; `log` reports its share of the time."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.validated += seconds
        if not self.looked:
            share = seconds / (start + seconds - self.begun)
            self.say(f"samples and validation take {seconds:.1f} s each time, about {share:.1%} of the whole")
        self.looked = True

    def advance(self, step: int, images: int) -> None:
        """Show on a terminal that this step is done, on so many images."""
        self.images += images
        self.bar.update(step - self.bar.n)
        done = step - self.first[0]
        if done == 0:
            self.first = (step, time.perf_counter())
        if done == MEASURED:
            left = (self.steps - step) * (time.perf_counter() - self.first[1] - self.validated) / done
            memory = memory_in_use(self.device)
            used = "" if memory is None else f", at most {memory / 1e6:,.0f} MB of memory in use"
            self.say(f"measured  over {done} steps: about {duration(left)} for the rest{used}")

    def log(self, step: int, losses: Losses, learning_rate: float, charts: Mapping[str, Sequence[str]]) -> None:
        """Write losses, speed and time left to the screen, to log.jsonl and to TensorBoard."""
        seconds, steps = time.perf_counter() - self.since, step - self.since_step
        loss = {name: value.item() for name, value in losses.items()}
        speed = {
            "steps_per_second": steps / seconds,
            "images_per_second": self.images / seconds,
            "waiting_for_data": self.waited / seconds,
            "validating": (self.validated - self.validated_before) / seconds,
        }
        with (self.folder / "log.jsonl").open("a", encoding="utf-8", newline="\n") as file:
            record = {"step": step, "loss": loss, "learning_rate": learning_rate, "speed": speed}
            file.write(json.dumps(record) + "\n")
        scalars = {f"loss/{name}": value for name, value in loss.items()}
        scalars |= {f"speed/{name}": value for name, value in speed.items()}
        for tag, value in (scalars | {"learning_rate": learning_rate}).items():
            self.board.add_scalar(tag, value, step)
        if not self.laid_out:
            self._lay_out(charts)
        self.board.flush()  # so that no checkpoint is ahead of the curves
        left = duration((self.steps - step) * seconds / steps)
        losses_said = "  ".join(f"{name} {value:.3f}" for name, value in loss.items())
        speed_said = f"{speed['images_per_second']:.1f} images/s  data {speed['waiting_for_data']:.0%}"
        self.say(f"step {step:,}/{self.steps:,}  {losses_said}  {speed_said}  {left} left")
        self._tick(step)

    def _lay_out(self, charts: Mapping[str, Sequence[str]]) -> None:
        """Lay out TensorBoard's custom page: charts of the losses of each parameter group, and of the scores.

        TensorBoard merges the pages of several runs where their charts are equal, so the charts must not
        depend on the settings.
        """
        lines = {title: ["Multiline", [f"loss/{name}$" for name in names]] for title, names in charts.items()}
        self.board.add_custom_scalars(
            {"training": lines | {"probability_real": ["Multiline", ["probability_real/.*"]]}}
        )
        self.laid_out = True

    def save_samples(self, step: int, preview: Preview, result: ValidationResult) -> None:
        """Write the held-out images of every direction to samples/ and TensorBoard, with the scores."""
        for direction, columns in preview.pictures.items():
            sheet = grid(list(columns.values()))
            write(self.folder / "samples" / f"step-{step:08d}-{direction}.png", sheet)
            tag = f"samples/{direction}: {' | '.join(columns)}"
            self.board.add_image(tag, to_bytes(sheet)[0].numpy(), step, dataformats="HWC")
        for name, (real, fake) in preview.scores.items():
            self.board.add_scalar(f"probability_real/{name} real", real, step)
            self.board.add_scalar(f"probability_real/{name} fake", fake, step)
        for name, value in (*preview.numbers.items(), *result.failure_modes.items()):
            self.board.add_scalar(f"health/{name}", value, step)
        for name, value in result.validation.items():
            self.board.add_scalar(f"validation/{name}", value, step)
        self.board.flush()

    def leave_out(self, bad: Sequence[str]) -> None:
        """Print and record which images are skipped, one line each, with the reason."""
        path = self.folder / "left-out.txt"
        path.unlink(missing_ok=True)
        if bad:
            self.say(f"left out  {len(bad)} of the pictures, listed in {path}: {bad[0]}")
            replace_text(path, printable("".join(f"{line}\n" for line in bad)))

    def warn(self, step: int, sentences: Sequence[str]) -> None:
        """Write warnings of failure modes to the screen and to TensorBoard."""
        for sentence in sentences:
            self.say(f"warning   {sentence}")
            self.board.add_text("warnings", sentence, step)
        self.board.flush()

    def say(self, line: str) -> None:
        """Print a line on standard output, above the progress bar where there is one."""
        tqdm.write(line, file=sys.stdout)
        sys.stdout.flush()

    def add_hyperparameters(self, settings: Mapping[str, Any], scores: Mapping[str, float]) -> None:
        """Write TensorBoard's hyperparameter page: the settings of the run and its final scores.

        The scores of an earlier evaluation are removed.
        """
        for old in self.folder.glob("events.out.tfevents.*.scores"):
            old.unlink()
        tagged = {f"score/{name}": value for name, value in scores.items()}
        with SummaryWriter(str(self.folder), filename_suffix=".scores") as board:
            for summary in hparams(dict(settings), tagged):
                board.file_writer.add_summary(summary)
            for tag, value in tagged.items():
                board.add_scalar(tag, value)


class NullRecorder(Run):
    """Run of a process that is not the first: it trains, but prints and writes nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkpoints = folder / "checkpoints"

    @contextmanager
    def recording(self, step: int, steps: int, device: torch.device) -> Iterator[None]:
        """Record nothing."""
        yield

    @contextmanager
    def waiting_for_data(self) -> Iterator[None]:
        """Count nothing."""
        yield

    def advance(self, step: int, images: int) -> None:
        """Show nothing."""

    def log(self, step: int, losses: Losses, learning_rate: float, charts: Mapping[str, Sequence[str]]) -> None:
        """Write nothing."""

    def leave_out(self, bad: Sequence[str]) -> None:
        """Write nothing."""

    def say(self, line: str) -> None:
        """Print nothing."""
