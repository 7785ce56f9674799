"""Service behind `cyclegan serve`, without the web: from the bytes of an image and a model's name to a PNG.

Names are looked up in dictionaries that are filled at the start and hold everything in memory: a request
opens no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import numpy as np
import torch

from cyclegan.data.builtin import PHOTOGRAPHS, Painter, open_photograph
from cyclegan.data.painting import paint, palette
from cyclegan.device import choose_device
from cyclegan.errors import UserError, out_of_memory_as
from cyclegan.images.files import encode_raster, read_raster
from cyclegan.images.find import find_images, none_found
from cyclegan.images.pixel_format import RGB
from cyclegan.images.rgb8 import encode_picture
from cyclegan.model.model import Model
from cyclegan.model.strength import at_strength
from cyclegan.protocols import Translator, Watchable
from cyclegan.serve.uploads import encode_upload, fitted, read_upload

SIZE = 1024  # px of the longer side that is worked on: ten times the work of a training crop, and enough for a screen
SECONDS = 300  # for one image, of a method that optimizes; checked after every step
EXAMPLES = 24  # at most this many
OFFERED = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")  # if no folder of examples is given
STYLES: dict[str, tuple[str, Painter | None]] = {  # if no folder of styles is given: photographs, some stylized
    "painting": ("astronaut.png", paint),
    "paints": ("coffee.png", palette),
    "stars": ("hubble_deep_field.jpg", None),
    "tissue": ("ihc.png", None),
    "bricks": ("brick.png", None),
    "gravel": ("gravel.png", None),
}
STYLE_SIDE = 384  # px of the shorter side of these


class UnknownNameError(UserError):
    """Error for a model or an example that is not offered."""


class TooLongError(UserError):
    """Error for an image that takes too long, or whose client is no longer waiting."""


@dataclass(frozen=True, kw_only=True)
class TranslationRequest:
    """Request for a translation."""

    picture: bytes  # the content of a file
    style: bytes | None = None
    model: str | None = None  # by default the first
    to: str | None = None  # a side of the model, by default Y
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Result:
    """A translated image."""

    content: bytes  # of a PNG file
    note: str = ""  # what it lacks of the upload, in ASCII; empty if nothing


@dataclass(frozen=True, kw_only=True)
class Service:
    """Models and examples, under the names used in requests."""

    models: Mapping[str, Model]
    examples: Mapping[str, bytes]  # PNG
    styles: Mapping[str, bytes] = field(default_factory=dict)  # PNG
    size: int = SIZE  # px
    closing: Event = field(default_factory=Event)  # set when translations in progress are to be given up
    device: torch.device = field(default_factory=lambda: choose_device("auto"))

    def __post_init__(self) -> None:
        for name, loaded in self.models.items():
            loaded.require_rgb(name)

    def describe(self) -> list[dict[str, Any]]:
        """Describe every model: its name, its directions, whether it takes a style image, its signature."""
        return [
            {
                "name": name,
                "directions": [{"from": a, "to": b} for a, b in _directions(loaded)],
                "style": loaded.stylizer is not None,
                "made": loaded.signature,
            }
            for name, loaded in self.models.items()
        ]

    def translate(self, wanted: TranslationRequest, gone: Event) -> Result:
        """Translate an image, in its colors, into a PNG with the model's signature.

        Raises TooLongError once `gone` is set.
        """
        model, upload = self._model(wanted.model), read_upload("picture", wanted.picture, self.size)
        image = upload.original.image.to(self.device)
        if wanted.strength > 0:  # at strength 0 the answer is the image as the model would receive it
            whole = self._styled(model, wanted.style).translator(wanted.to)
            translator = self._given_up(at_strength(whole, wanted.strength), gone)
            with out_of_memory_as(lambda: "picture: needs more memory than there is; serve with a smaller --size"):
                image = translator.translate(image)
        return Result(content=encode_upload(image, upload, model.signature), note=upload.note)

    def _model(self, name: str | None) -> Model:
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise UnknownNameError(f"model: there is none of this name; take one of {', '.join(self.models)}")
        return self.models[name]

    def _styled(self, model: Model, style: bytes | None) -> Model:
        if style is not None:
            return model.with_style(read_upload("style", style, self.size).original.image.to(self.device))
        if model.stylizer is not None:
            raise UserError("style: this model needs a style image; send one")
        return model

    def _given_up(self, translator: Translator, gone: Event) -> Translator:
        """Give up a slow translation: check the clock at every step of one that optimizes.

        The other translators need only seconds.
        """
        until = monotonic() + SECONDS

        def look(_: Any) -> None:
            if gone.is_set() or self.closing.is_set():
                raise TooLongError("picture: given up")
            if monotonic() > until:
                raise TooLongError(f"picture: took more than {SECONDS} s; serve with a smaller --size, or fewer steps")

        return translator.with_callback(look, every=1) if isinstance(translator, Watchable) else translator


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Name each path by the last parts of it: as many as make all names differ, at least two."""
    parts = [(path.with_suffix("") if path.is_file() else path).absolute().parts[1:] for path in paths]
    for depth in range(2, max(map(len, parts)) + 2):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return dict(zip(names, paths, strict=True))
    raise UserError(f"{', '.join(map(str, paths))}: the same twice; give each once")


def read_examples(folder: Path | None, size: int = SIZE) -> dict[str, bytes]:
    """Read the first images below a folder, or photographs that come with scikit-image, as PNG."""
    if folder is None:
        return {Path(name).stem: encode_picture(open_photograph(name, PHOTOGRAPHS[name])) for name in OFFERED}
    paths = find_images(folder)[:EXAMPLES]
    if not paths:
        raise none_found(folder)
    return {
        f"{number}-{path.stem}": encode_raster(fitted(read_raster(path, RGB), size))
        for number, path in enumerate(paths, start=1)
    }


def read_styles(folder: Path | None, size: int = SIZE) -> dict[str, bytes]:
    """Read the first images below a folder as PNG.

    Without a folder, return paintings and textures made from images of scikit-image.
    """
    return _offered() if folder is None else read_examples(folder, size)


def _offered() -> dict[str, bytes]:
    styles = {}
    for name, (file, painter) in STYLES.items():
        image = open_photograph(file, STYLE_SIDE)
        if painter is not None:
            image = (painter(image / 255) * 255).round().astype(np.uint8)
        styles[name] = encode_picture(image)
    return styles


def _directions(loaded: Model) -> list[tuple[str, str]]:
    """Return (from, to) for each target, the default first."""
    return [(loaded.source(target), target) for target in loaded.targets]
