"""Dataset: the interface of all kinds of data for training and evaluation, and how to open one."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from cyclegan.config import Variants
from cyclegan.data.batches import IndexedBatch, PairedBatch, ReferenceBatch, UnpairedBatch
from cyclegan.data.fingerprint import Fingerprint
from cyclegan.data.spec import DataSpec
from cyclegan.data.splits import Split
from cyclegan.data.stream import CPU, Stream
from cyclegan.data.task import Task
from cyclegan.protocols import Images

DATASETS = Variants(  # data.name -> class
    {
        "unpaired": "cyclegan.data.sides:SidesDataset",
        "paired": "cyclegan.data.sides:SidesDataset",
        "styles": "cyclegan.data.styles:StylesDataset",
        "glyphs": "cyclegan.data.glyphs:GlyphsDataset",
    }
)


BATCHES: Mapping[str, Any] = {
    "unpaired": UnpairedBatch,
    "paired": PairedBatch,
    "styles": IndexedBatch,
    "glyphs": ReferenceBatch,
}


@runtime_checkable
class Dataset(Protocol):
    """Training batches, held-out batches, and evaluation tasks."""

    name: str  # names the folder of its runs: photo2monet
    spec: DataSpec
    stream: Stream
    fingerprint: Fingerprint
    unreadable: Sequence[str]  # files that are left out, and why
    counts: Mapping[str, int]  # training images by what users call them

    def held_out(self, split: Split, count: int = 4) -> Any:
        """Return a batch of `count` samples of a split on the CPU, the same ones on every call."""
        ...

    def tasks(self, split: Split = "test") -> Sequence[Task]:
        """Return the evaluation tasks, one for each target; none for a split without images."""
        ...

    def styles(self) -> Mapping[str, Images]:
        """Return the style images by name, (1, 3, h, w) each."""
        ...

    def describe(self) -> list[str]:
        """Return lines that describe the training data."""
        ...


def open_dataset(config: Any, seed: int, device: torch.device = CPU, micro_batches: int = 1) -> Dataset:
    """Open the data of the section `data` of an experiment.

    Batches are moved to `device`, and each is trained on in `micro_batches` parts.
    """
    return DATASETS[config.name](config, seed, device, micro_batches)


def random_batch(config: Any, device: torch.device = CPU) -> Any:
    """Return a batch of noise of the right shapes, to estimate costs without opening a file."""
    spec, count = config.spec, config.batch_size
    fields = {
        name: torch.rand(count, format.channels, spec.crop_size, spec.crop_size, device=device) * 2 - 1
        for name, format in spec.formats.items()
    }
    if spec.kind == "styles":
        fields["style"] = torch.randint(len(spec.styles), (count,), device=device)
    return BATCHES[spec.kind](**fields)
