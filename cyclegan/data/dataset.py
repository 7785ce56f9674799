"""Dataset: what training and evaluation know of data of any kind; the one way to open one."""

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
    """Training batches, held-out ones, and what can be scored."""

    name: str  # names the folder of its runs: photo2monet
    spec: DataSpec
    stream: Stream
    fingerprint: Fingerprint
    unreadable: Sequence[str]  # files that are left out, and why
    counts: Mapping[str, int]  # training images by what users call them

    def held_out(self, split: Split, count: int = 4) -> Any:
        """A batch of `count` samples of a split, always the same ones, on the CPU."""
        ...

    def tasks(self, split: Split = "test") -> Sequence[Task]:
        """What can be scored, one task a target; none for a split without images."""
        ...

    def styles(self) -> Mapping[str, Images]:
        """Style images by name, (1, 3, h, w) each."""
        ...

    def describe(self) -> list[str]:
        """Lines that say what is learned from."""
        ...


def open_dataset(config: Any, seed: int, device: torch.device = CPU, micro_batches: int = 1) -> Dataset:
    """Open the data of the section `data` of an experiment; batches for a device, trained on in micro-batches."""
    return DATASETS[config.name](config, seed, device, micro_batches)


def random_batch(config: Any, device: torch.device = CPU) -> Any:
    """A batch of the right shapes, of noise: what a forecast needs, without opening a file."""
    spec, count = config.spec, config.batch_size
    fields = {
        name: torch.rand(count, format.channels, spec.crop_size, spec.crop_size, device=device) * 2 - 1
        for name, format in spec.formats.items()
    }
    if spec.kind == "styles":
        fields["style"] = torch.randint(len(spec.styles), (count,), device=device)
    return BATCHES[spec.kind](**fields)
