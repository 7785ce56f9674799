"""What `cyclegan serve` does, without the web: a picture's bytes and the name of a model in, the bytes of a PNG out.

Names are looked up in dictionaries made at the start, which hold everything in memory: a request opens no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan.data.embedded import PHOTOGRAPHS, open_photograph
from cyclegan.errors import UserError, enough_memory
from cyclegan.images import from_bytes, to_bytes
from cyclegan.inference.loaded import Loaded
from cyclegan.inference.strength import at_strength
from cyclegan.pictures import encode_picture, find_pictures, read_picture, reduced
from cyclegan.pixels.files import read_profile
from cyclegan.precision import choose_device
from cyclegan.protocols import Translator, Watchable

SIZE = 1024  # px of the longer side that is worked on: ten times the work of a training crop, and enough for a screen
SECONDS = 300  # for one picture, of a method that optimizes, which looks at the clock after every step
EXAMPLES = 24  # a page of them
OFFERED = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")  # where no folder of examples is given


class UnknownNameError(UserError):
    """A model or an example that is not offered."""


class TooLongError(UserError):
    """Nobody waits that long for a picture, or nobody waits at all any more."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What somebody wants painted."""

    picture: bytes  # the content of a file
    style: bytes | None = None
    model: str | None = None  # by default the first
    to: str | None = None  # a side of the model, by default Y
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Studio:
    """Models and examples under the names by which they are asked for."""

    models: Mapping[str, Loaded]
    examples: Mapping[str, bytes]  # PNG
    size: int = SIZE  # px
    closing: Event = field(default_factory=Event)  # whether whatever is being painted is to be given up
    device: torch.device = field(default_factory=lambda: choose_device("auto"))

    def __post_init__(self) -> None:
        for name, loaded in self.models.items():
            loaded.require_rgb(name)

    def describe(self) -> list[dict[str, Any]]:
        """Every model: its name, its directions, whether it wants a style, and what made it."""
        return [
            {
                "name": name,
                "directions": [{"from": a, "to": b} for a, b in _directions(loaded)],
                "style": loaded.stylizer is not None,
                "made": loaded.signature,
            }
            for name, loaded in self.models.items()
        ]

    def paint(self, order: Order, gone: Event) -> bytes:
        """The picture translated, as a PNG in its colors that says what made it; given up once `gone` is set."""
        model = self._model(order.model)
        source, profile = self._image("picture", order.picture), read_profile(Path("picture"), order.picture)
        if order.strength > 0:  # without any, the answer is the picture as it would be worked on
            whole = self._styled(model, order.style).translator(order.to)
            translator = self._given_up(at_strength(whole, order.strength), gone)
            with enough_memory(lambda: "picture: needs more memory than there is; serve with a smaller --size"):
                source = translator.translate(source)
        return encode_picture(to_bytes(source)[0].numpy(), model.signature, profile)

    def _model(self, name: str | None) -> Loaded:
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise UnknownNameError(f"model: there is none of this name; take one of {', '.join(self.models)}")
        return self.models[name]

    def _styled(self, model: Loaded, style: bytes | None) -> Loaded:
        if style is not None:
            return model.after(self._image("style", style))
        if model.stylizer is not None:
            raise UserError("style: this model paints after an example; send a picture of the style")
        return model

    def _given_up(self, translator: Translator, gone: Event) -> Translator:
        """One that optimizes looks at the clock; the others are done in seconds."""
        until = monotonic() + SECONDS

        def look(_: Any) -> None:
            if gone.is_set() or self.closing.is_set():
                raise TooLongError("picture: given up")
            if monotonic() > until:
                raise TooLongError(f"picture: took more than {SECONDS} s; serve with a smaller --size, or fewer steps")

        return translator.watched(look, every=1) if isinstance(translator, Watchable) else translator

    def _image(self, name: str, content: bytes) -> Float[Tensor, "1 3 h w"]:
        return from_bytes(reduced(read_picture(Path(name), content), self.size)).to(self.device)


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Each under as many of the last parts of its path as it takes to tell all apart, at least two."""
    parts = [(path.with_suffix("") if path.is_file() else path).absolute().parts[1:] for path in paths]
    for depth in range(2, max(map(len, parts)) + 2):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return dict(zip(names, paths, strict=True))
    raise UserError(f"{', '.join(map(str, paths))}: the same twice; give each once")


def read_examples(folder: Path | None, size: int = SIZE) -> dict[str, bytes]:
    """The first pictures below a folder, or photographs that come with scikit-image, as PNG."""
    if folder is None:
        return {Path(name).stem: encode_picture(open_photograph(name, PHOTOGRAPHS[name])) for name in OFFERED}
    paths = find_pictures(folder)[:EXAMPLES]
    if not paths:
        raise UserError(f"{folder}: no pictures there; give a folder of examples")
    return {
        f"{number}-{path.stem}": encode_picture(reduced(read_picture(path), size), profile=read_profile(path))
        for number, path in enumerate(paths, start=1)
    }


def _directions(loaded: Loaded) -> list[tuple[str, str]]:
    """(from, to) for each target, the default first."""
    return [(loaded.source(target), target) for target in loaded.targets]
