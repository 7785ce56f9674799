"""Checks, shared by the methods, that settings of networks, data and training fit each other.

Each raises ValueError with a message that begins with the section and the key and includes the remedy.
"""

from typing import Protocol, runtime_checkable

from cyclegan.data.spec import DataSpec
from cyclegan.training.training_config import TrainingConfig

LESS_MEMORY = (
    "set training.activation_checkpointing to true, with which a run that was begun continues, or begin another "
    "(--set name=...) with a training.accumulate that divides data.batch_size, or with a smaller data.crop_size"
)

VALIDATED = ("unpaired", "paired")  # kinds of data with images of the target to validate by


@runtime_checkable
class NormalizedConfig(Protocol):
    """Settings of a network with a norm."""

    @property
    def norm(self) -> str:
        """Kind of the norm."""
        ...


def check_crop(spec: DataSpec, stride: int, smallest: int) -> None:
    """Refuse crops that the networks cannot take."""
    size = spec.crop_size
    if size % stride or size < smallest:
        needs = f"a multiple of {stride} and at least {smallest}"
        raise ValueError(f"data: crop_size {size} does not fit these networks; make it {needs}")


def check_rgb(spec: DataSpec, method: str) -> None:
    """Refuse images other than 8-bit RGB for a method that computes features with VGG."""
    channels = spec.channels()
    if set(channels) != {3}:
        counts = " and ".join(map(str, channels))
        raise ValueError(f"data: {counts} channels are not RGB, which {method} needs, as it looks through VGG")


def check_batches(training: TrainingConfig, processes: int, *networks: NormalizedConfig) -> None:
    """Refuse settings that are undefined where the images of a batch depend on each other.

    They depend on each other by batch norms, and by the common random draws of dropout.
    """
    if any(network.norm == "batch" for network in networks):
        for name, off in (("accumulate", 1), ("activation_checkpointing", False)):
            if getattr(training, name) != off:
                raise ValueError(
                    f"training: {name} changes what a batch norm sees; take norm instance, or {str(off).lower()}"
                )
        if processes > 1:
            raise ValueError(
                "method: a batch norm needs the whole batch in one process; take norm instance, or one process"
            )
    if processes > 1 and any(getattr(network, "dropout", 0) for network in networks):
        raise ValueError(
            "method: dropout is drawn for the whole batch in one process; take generator.dropout 0, or one process"
        )


def check_checkpointing(training: TrainingConfig, generator: object) -> None:
    """Refuse training.activation_checkpointing where there are no residual blocks to compute twice."""
    if training.activation_checkpointing and not getattr(generator, "blocks", 0):
        raise ValueError(
            "training: activation_checkpointing is for residual blocks, of which this method has none; set it to false"
        )


def check_whole_steps(training: TrainingConfig) -> None:
    """Refuse settings that take steps apart, for a method that compares the gradients of successive steps."""
    if training.accumulate > 1:
        raise ValueError("training: accumulate splits a batch, whose whole gradient this method compares; set it to 1")
    if training.optimizer.update_every:
        raise ValueError("training: optimizer.update_every skips updates that this method compares; leave it empty")


def check_schedule(spec: DataSpec, training: TrainingConfig, validates: bool = True) -> None:
    """Refuse a schedule that follows validation where nothing is validated; some methods never validate."""
    if training.schedule != "plateau":
        return
    if not validates or spec.kind not in VALIDATED:
        raise ValueError("training: schedule plateau follows validation, of which there is none here; take linear")
    if not spec.validated:
        raise ValueError(
            "training: schedule plateau follows validation; give data.validation a share of the images, or take linear"
        )
