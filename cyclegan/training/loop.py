"""Training loop of all methods: it knows the protocol `Trainable` and nothing of any method.

Everything is a function of the step: learning rate (except that of a plateau schedule), seeds, batches, names
of checkpoints. A second call continues the run; on the CPU the weights are then bit-identical to those of a
run that was never interrupted.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from cyclegan import distributed
from cyclegan.device import autocast, choose_precision
from cyclegan.errors import NotFiniteError, StoppedError
from cyclegan.protocols import Charted, Trainable
from cyclegan.training.best_weights import Best, PersistentWarnings, Validates, ValidationResult
from cyclegan.training.checkpoint import Checkpoint, Part
from cyclegan.training.compile_networks import compile_networks
from cyclegan.training.ema import EMA
from cyclegan.training.micro_batches import checkpoint_activations, in_micro_batches
from cyclegan.training.nan_report import write_nan_report
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.progress import Progress
from cyclegan.training.run import Run
from cyclegan.training.schedules import Schedule
from cyclegan.training.seeding import seed_step
from cyclegan.training.signals import stop_requests
from cyclegan.training.training_config import TrainingConfig

NOT_VALIDATED = ValidationResult({}, {}, {})


@runtime_checkable
class Batches(Protocol):
    """Batches addressed by step, as named tuples of tensors."""

    def batch_at(self, step: int) -> Any:
        """Return the batch of a step, which depends on the step alone."""
        ...

    def names_at(self, step: int) -> Mapping[str, Sequence[str]]:
        """Return the files of a step's images, by field, to be inspected if they spoil the training."""
        ...


def train(
    method: Trainable,
    batches: Batches,
    held_out: Any,
    config: TrainingConfig,
    run: Run,
    *,
    seed: int,
    device: torch.device,
    about: Mapping[str, Any],
    validator: Validates | None = None,
    **more: Part,
) -> None:
    """Train any method, or resume its run; the states in `more` are saved, too."""
    computing = autocast(choose_precision(config.precision, device), device)
    training_step = in_micro_batches(method, config.accumulate, config.cuda_graphs)
    optimizers = Optimizers(method.parameter_groups(), config.optimizer, config.accumulate)
    ema = EMA(method.networks(), config.ema)
    progress, schedule, warnings = Progress(), Schedule(config, device), PersistentWarnings()
    best = Best(run.folder / "best.safetensors", ema.average, about)
    parts: dict[str, Part] = {**more, "method": method, "optimizers": optimizers, "ema": ema, "progress": progress}
    checkpoint = Checkpoint(
        run.checkpoints, config.keep_checkpoints, ema.average, about, **parts, **schedule.parts(), best=best
    )
    _resume(checkpoint, progress, run, device)
    writes = distributed.rank() == 0
    _prepare(method, config, run)

    with run.recording(progress.step, config.steps, device), stop_requests() as stop, progress.named_in_errors():
        while progress.step < config.steps:
            seed_step(seed, progress.step)
            rate = optimizers.set_learning_rates(progress.step, schedule.factor(progress.step))
            with run.waiting_for_data():
                batch = _next_batch(batches, progress.step, device, checkpoint)
            try:
                with computing:
                    losses = training_step(batch, optimizers.minimize)
            except NotFiniteError as error:
                write_nan_report(run.folder, progress.step, method, batches.names_at(progress.step), error)
                raise
            ema.update()
            progress.step += 1

            run.advance(progress.step, count_images(batch))
            last = progress.step == config.steps
            if progress.step % config.log_every == 0 or last:
                run.log(progress.step, distributed.all_reduce_mean(losses), rate, _charts(method, optimizers))
            if writes and (progress.step % config.sample_every == 0 or last):
                with ema.applied(), run.validating():
                    preview = method.preview(to(held_out, device))
                    result = validator(preview) if validator else NOT_VALIDATED
                run.save_samples(progress.step, preview, result)
                run.warn(progress.step, warnings.due(result.warnings, progress.step))
                schedule.update(result.validation, best.update(result.validation, progress.step))
            # read only once: a signal that comes while saving waits for the next step
            stopping = distributed.all_reduce_max(stop.signal_number or 0, device)
            if writes and (progress.step % config.save_every == 0 or last or stopping):
                checkpoint.save(progress.step)
            if stopping:
                raise StoppedError(stopping)


def _resume(checkpoint: Checkpoint, progress: Progress, run: Run, device: torch.device) -> None:
    """Restore the newest checkpoint; the first process also clears away what an interrupted save has left."""
    with distributed.main_process_first():
        for damage in checkpoint.load_latest():
            run.say(f"skipped: {damage}")
    distributed.require_same_step(progress.step, device)


def _prepare(method: Trainable, config: TrainingConfig, run: Run) -> None:
    """Set what the networks keep for the gradient, and compile them if asked to."""
    checkpoint_activations(method, config.activation_checkpointing)
    if config.compile:
        compile_networks(method, run.say, graphs=config.cuda_graphs)


def _next_batch(batches: Batches, step: int, device: torch.device, checkpoint: Checkpoint) -> Any:
    """Return the batch of a step; if it cannot be read, save the steps done before the error is passed on."""
    try:
        return to(batches.batch_at(step), device)
    except Exception:
        checkpoint.save_if_missing(step)
        raise


def count_images(batch: Any) -> int:
    """Number of images of a batch, over all fields and processes; integer tensors do not count as images."""
    return distributed.world_size() * sum(len(field) for field in batch if field.is_floating_point())


def _charts(method: Trainable, optimizers: Optimizers) -> Mapping[str, Sequence[str]]:
    """Return the name patterns of the losses in each chart.

    They are those of the method, or the names that its optimizers have seen.
    """
    return method.charts if isinstance(method, Charted) else optimizers.terms


def to(batch: Any, device: torch.device) -> Any:
    """Move a batch to another device."""
    return type(batch)(*(tensor.to(device, non_blocking=True) for tensor in batch))
