"""Glyphs from a table of fonts × characters: a sample is a target glyph with reference sets (EMD, Sec. 3).

Sheets     A font is an image with the glyphs of all characters, row by row, in cells of size × size, black on
           white.
Splits     Fonts and characters are divided into known and novel by the SHA-256 of their names: D1 is for
           training; D2 to D4 are for testing (novel characters, novel fonts, both).
Sample     A target of D1, in shuffled passes. Its style set holds r other characters of its font, its
           content set r other fonts of its character, all from D1; drawn without replacement if there are
           enough.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from cyclegan.data.batches import ReferenceBatch
from cyclegan.data.counter_rng import rng, shuffled_pass
from cyclegan.data.crops import spread
from cyclegan.data.data_config import GlyphsConfig
from cyclegan.data.fingerprint import Fingerprint
from cyclegan.data.splits import Split
from cyclegan.data.stream import CPU, Stream, collate
from cyclegan.data.task import Task
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import read_picture
from cyclegan.protocols import Images

Table = UInt8[Tensor, "fonts characters h w"]
REFERENCES = 1  # counter of the draws of reference glyphs


class Part(NamedTuple):
    """Rows and columns of one part of the table, D1 … D4."""

    fonts: Sequence[int]
    characters: Sequence[int]


class Glyphs:
    """Target glyphs of a part of the table, with reference sets of known fonts and characters."""

    Batch = ReferenceBatch

    def __init__(self, table: Table, part: Part, known: Part, config: GlyphsConfig, seed: int) -> None:
        self.table = table
        self.part = part
        self.known = known
        self.config = config
        self.seed = seed

    def __len__(self) -> int:
        return len(self.part.fonts) * len(self.part.characters)

    def sample(self, k: int) -> Sequence[Tensor]:
        """Return style and content (r, size, size) and target (1, size, size), as bytes."""
        font, character, characters, fonts = self._places(k)
        return self.table[font, characters], self.table[fonts, character], self.table[font, [character]]

    def names(self, k: int) -> Sequence[str]:
        """Return the characters of the style set, the fonts of the content set, and the target."""
        font, character, characters, fonts = self._places(k)
        names = [path.stem for path in self.config.fonts]
        style = "".join(self.config.characters[c] for c in characters)
        target = f"{names[font]} {self.config.characters[character]}"
        return style, " ".join(names[f] for f in fonts), target

    def _places(self, k: int) -> tuple[int, int, list[int], list[int]]:
        row, column = divmod(shuffled_pass(k, len(self), self.seed), len(self.part.characters))
        font, character = self.part.fonts[row], self.part.characters[column]
        random = rng(self.seed, REFERENCES, k)
        return (
            font,
            character,
            self._others(self.known.characters, character, random),
            self._others(self.known.fonts, font, random),
        )

    def _others(self, known: Sequence[int], target: int, rng: np.random.Generator) -> list[int]:
        """Draw r known indices other than the target; repeat from the first if there are fewer."""
        others = [int(i) for i in rng.permutation(known) if i != target]
        return [others[i % len(others)] for i in range(self.config.references)]


class GlyphsDataset:
    """Training batches of glyphs of known fonts and characters (D1)."""

    def __init__(self, config: GlyphsConfig, seed: int, device: torch.device = CPU, micro_batches: int = 1) -> None:
        self.config = config
        self.seed = seed
        self.spec = config.spec
        self.name = f"{len(config.fonts)}fonts"
        self.table = torch.stack([_read_sheet(path, config) for path in config.fonts])
        self.parts = split_table([path.stem for path in config.fonts], config.characters, config.novel)
        self.unreadable: list[str] = []
        self.counts = {"glyph": len(self.parts["D1"].fonts) * len(self.parts["D1"].characters)}
        self.fingerprint = Fingerprint({"target": ("fonts", config.fonts)})
        self.stream = Stream(self._source("D1"), config, device, micro_batches)

    def _source(self, part: str) -> Glyphs:
        return Glyphs(self.table, self.parts[part], self.parts["D1"], self.config, self.seed)

    def held_out(self, split: Split, count: int = 4) -> Any:
        """Return samples of D4 (novel fonts and characters) for the test split.

        For the training split they come from D1.
        """
        source = self._source("D1" if split == "train" else "D4")
        return collate(source, [source.sample(k) for k in spread(count, len(source))])

    def tasks(self, split: Split = "test") -> Sequence[Task]:
        """No tasks yet: glyphs are cells of sheets, while tasks refer to files."""
        return []

    def styles(self) -> Mapping[str, Images]:
        """No style images: styles are fonts."""
        return {}

    def describe(self) -> list[str]:
        """Return the sizes of the four parts of the table."""
        sizes = ", ".join(f"{name} {len(part.fonts)} × {len(part.characters)}" for name, part in self.parts.items())
        return [f"glyphs    fonts × characters: {sizes}"]


def split_table(fonts: Sequence[str], characters: str, novel: float) -> dict[str, Part]:
    """Divide a table into D1 … D4 by the SHA-256 of the names of fonts and characters."""
    known_fonts, novel_fonts = _divide([f"style:{font}" for font in fonts], novel)
    known_characters, novel_characters = _divide([f"content:{c}" for c in characters], novel)
    return {
        "D1": Part(known_fonts, known_characters),
        "D2": Part(known_fonts, novel_characters),
        "D3": Part(novel_fonts, known_characters),
        "D4": Part(novel_fonts, novel_characters),
    }


def _divide(names: Sequence[str], novel: float) -> tuple[list[int], list[int]]:
    """Return (known, novel) indices.

    The first share by SHA-256 is known; each part has at least one index.
    """
    order = sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).hexdigest())
    known = min(max(1, round((1 - novel) * len(names))), len(names) - 1)
    return sorted(order[:known]), sorted(order[known:])


def _read_sheet(path: Any, config: GlyphsConfig) -> UInt8[Tensor, "characters h w"]:
    """Read the cells of a sheet in grey."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; data.fonts names sheets of glyphs")
    grey = read_picture(path)[..., 0]
    rows, columns = (side // config.size for side in grey.shape)
    if rows * columns < len(config.characters) or any(side % config.size for side in grey.shape):
        raise UserError(
            f"{path}: {grey.shape[1]}×{grey.shape[0]} px hold no {len(config.characters)} cells of {config.size} px; "
            "set data.size to the size of a cell, and data.characters to what the sheet shows"
        )
    cells = grey.reshape(rows, config.size, columns, config.size).swapaxes(1, 2).reshape(-1, config.size, config.size)
    return torch.from_numpy(cells[: len(config.characters)].copy())
