"""Contents and styles: random crops of content images, each with the index of a style image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cyclegan.data.batches import IndexedBatch
from cyclegan.data.cached_images import CachedImages, MemoryBudget
from cyclegan.data.cards import find_domain, folders, locate
from cyclegan.data.counter_rng import rng, shuffled_pass
from cyclegan.data.crops import center_crop, random_crop, read_images, spread
from cyclegan.data.data_config import CropConfig, StylesConfig
from cyclegan.data.fingerprint import Fingerprint
from cyclegan.data.splits import Side, Split, keep_validation, split_test
from cyclegan.data.stream import CPU, Stream, collate
from cyclegan.data.task import Task
from cyclegan.errors import UserError
from cyclegan.images.find import find_images
from cyclegan.images.rgb8 import read_picture, reduced
from cyclegan.images.tensors import from_bytes
from cyclegan.protocols import Images

CONTENT, STYLE = range(2)  # counters of the draws for a sample


class Styled:
    """Crop of a content image, in shuffled passes, with a style index that is drawn uniformly."""

    Batch = IndexedBatch

    def __init__(self, contents: CachedImages, styles: Sequence[str], config: CropConfig, seed: int) -> None:
        self.contents = contents
        self.styles = styles
        self.config = config
        self.seed = seed

    def sample(self, k: int) -> Sequence[Tensor]:
        """Return content (3, size, size) and style, an integer."""
        crop = random_crop(self.contents[self._content(k)], self.config, rng(self.seed, CONTENT, k))
        return crop, torch.tensor(self._style(k))

    def names(self, k: int) -> Sequence[str]:
        """Return the file of the content and the name of the style."""
        return str(self.contents.paths[self._content(k)]), self.styles[self._style(k)]

    def center(self, index: int, style: int) -> Sequence[Tensor]:
        """Return the central crop of a content image, with a style index."""
        return center_crop(self.contents[index], self.config), torch.tensor(style)

    def _content(self, k: int) -> int:
        return shuffled_pass(k, len(self.contents), self.seed, CONTENT)

    def _style(self, k: int) -> int:
        return int(rng(self.seed, STYLE, k).integers(len(self.styles)))


class StylesDataset:
    """Training batches of content images with style indices; each style is a target."""

    def __init__(self, config: StylesConfig, seed: int, device: torch.device = CPU, micro_batches: int = 1) -> None:
        self.config = config
        self.seed = seed
        self.spec = config.spec
        self.contents = _contents(config, self.spec.names["content"])
        self.name = f"{self.contents.name}2{'style' if len(config.styles) > 1 else self.spec.styles[0]}"
        self.unreadable: list[str] = []
        self.counts = {self.contents.name: len(self.contents.train)}
        for path in config.styles:
            if not path.is_file():
                raise UserError(f"{path}: no such file; data.styles names style images")
        self.fingerprint = Fingerprint(
            {"content": (self.contents.name, self.contents.train), "style": ("styles", config.styles)}
        )
        self.stream = Stream(
            self._source("train", MemoryBudget(config.cache_mb * 2**20)), config, device, micro_batches
        )

    def _source(self, split: Split, memory: MemoryBudget) -> Styled:
        images = read_images(getattr(self.contents, split), self.config, memory)
        return Styled(images, self.spec.styles, self.config, self.seed)

    def held_out(self, split: Split, count: int = 4) -> Any:
        """Return central crops of `count` content images, evenly spaced over the split.

        They take the styles in turn.
        """
        source = self._source(split, MemoryBudget(0))
        indices = spread(count, len(source.contents))
        return collate(source, [source.center(i, turn % len(source.styles)) for turn, i in enumerate(indices)])

    def tasks(self, split: Split = "test") -> Sequence[Task]:
        """Return the tasks contents → style, one for each style, compared with that style image."""
        sources = getattr(self.contents, split)
        if not sources:
            return []
        return [
            Task(
                name=f"{self.contents.name}2{path.stem}",
                to=path.stem,
                sources=sources,
                references=[path],
                examples=[[path]] * len(sources),
                fit=(self.contents.train, [path]),
            )
            for path in self.config.styles
        ]

    def styles(self) -> Mapping[str, Images]:
        """Return the style images by name, (1, 3, h, w), at `style_size`."""
        return {
            path.stem: from_bytes(reduced(read_picture(path), self.config.style_size)) for path in self.config.styles
        }

    def describe(self) -> list[str]:
        """Return the numbers of content images and the names of the styles."""
        return [f"images    {self.contents.name} {len(self.contents.train):,}; styles {', '.join(self.spec.styles)}"]


def _contents(config: StylesConfig, name: str) -> Side:
    if config.domain is not None:
        domain = find_domain(config.domain)
        files = folders(domain, locate(domain))
        train, test = find_images(files["train_x"]), find_images(files["test_x"])
    else:
        folder = config.contents or Path()
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; data.contents names a folder of content images")
        train, test = split_test(find_images(folder), folder)
    train, validation = keep_validation(train, config.validation)
    return Side(name=name, train=train, test=test, validation=validation)
