"""Translations of the sources of a task, by a translator or a stylizing method, or read from files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from cyclegan.data.task import Task
from cyclegan.errors import NotFiniteError, UserError
from cyclegan.images.rgb8 import read_picture, reduced
from cyclegan.images.tensors import from_bytes, to_bytes
from cyclegan.metrics.evaluation_data import CPU, Picture
from cyclegan.protocols import Stylizes, Translator

STYLE_SIZE = 256  # px of the longer side of examples

Translated: TypeAlias = Mapping[Path, Path | np.ndarray]  # source -> translation, a file or uint8 (h, w, 3)
Candidate: TypeAlias = Translator | Stylizes | Translated


def translate_picture(translator: Translator, picture: Picture, name: str, device: torch.device = CPU) -> Picture:
    """Translate an image to 8 bits.

    Raises UserError for another size and NotFiniteError for NaN; both messages contain the name.
    """
    images = from_bytes(picture).to(device)
    with torch.no_grad():
        translated = translator.translate(images)
    if translated.shape != images.shape:
        raise UserError(f"{name}: {size_of(picture)}, but its translation has the shape {tuple(translated.shape)}")
    if not translated.isfinite().all():
        raise NotFiniteError(f"{name}: its translation is not finite; the weights are damaged or training diverged")
    return to_bytes(translated)[0].numpy()


def translate_file(translator: Translator, source: Path) -> Picture:
    """Translate an image file to 8 bits."""
    return translate_picture(translator, read_picture(source), str(source))


def translate_source(
    candidate: Candidate, task: Task, index: int, size: int | None, device: torch.device = CPU
) -> Picture:
    """Translate a source of a task, with a longer side of at most `size`."""
    path = task.sources[index]
    source = reduced(read_picture(path), size)
    if isinstance(candidate, Mapping):
        return _read_translation(candidate[path], source, size)
    if not isinstance(candidate, Stylizes):
        return translate_picture(candidate, source, str(path))
    examples = [reduced(read_picture(example), STYLE_SIZE) for example in task.examples[index]]
    translator = candidate.bind(*(from_bytes(example).to(device) for example in examples))
    return translate_picture(translator, source, str(path), device)


def require_translations(name: str, candidate: Candidate, task: Task) -> None:
    """Raise UserError for a source without a translation.

    The same holds for a source without examples, if the method needs them.
    """
    if isinstance(candidate, Mapping):
        missing = [path for path in task.sources if path not in candidate]
        if missing:
            raise UserError(
                f"{name}: {len(missing)} of {len(task.sources)} sources have no translation there, "
                f"{missing[0].name} for one: they are matched by name; translate them, too"
            )
    elif isinstance(candidate, Stylizes) and not task.examples:
        raise UserError(f"{name}: needs style images, and {task.name} has none; give a domain or data with styles")


def size_of(picture: np.ndarray) -> str:
    """Format width × height in pixels."""
    return f"{picture.shape[1]}×{picture.shape[0]}"


def _read_translation(found: Path | np.ndarray, source: np.ndarray, size: int | None) -> Picture:
    picture = reduced(read_picture(found) if isinstance(found, Path) else found, size)
    if picture.shape != source.shape:
        sizes = f"{size_of(picture)} and {size_of(source)}"
        name = found if isinstance(found, Path) else "a translation"
        raise UserError(f"{name}: its size and that of its source are {sizes} pixels, reduced; make them equal in size")
    return picture
