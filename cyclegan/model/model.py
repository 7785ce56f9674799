"""A loaded model: its description, its targets, and translation of images.

Images     of any size; the result has the same size. Tensors are (n, 3, h, w) or (3, h, w), RGB in [-1, 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor, nn

from cyclegan import __version__
from cyclegan.config import parse
from cyclegan.data.spec import DataSpec
from cyclegan.errors import UserError, expanded
from cyclegan.images.files import profile_of, read_profile
from cyclegan.images.rgb8 import read_picture, to_rgb
from cyclegan.images.tensors import from_bytes, to_bytes
from cyclegan.methods import METHODS, MethodConfig
from cyclegan.model.source_image import USUAL, FormatPair
from cyclegan.protocols import AnyImages, Masks, Mixes, Stylizes, Translator
from cyclegan.training.checkpoint import CorruptCheckpointError

SIGNED = ("seed", "sha256", "decoder")  # facts about a pretrained network that the signature names
ROUNDING = 1e-3  # what resampling and half precision may add to the range of a tensor


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model ready to translate to the targets it has learned."""

    about: Mapping[str, Any]  # the description: see cyclegan.release
    spec: DataSpec
    networks: Mapping[str, nn.Module]  # averaged weights, in evaluation mode
    translators: Mapping[str, Translator]  # by target
    pretrained: Mapping[str, str]  # pretrained weights that it uses: name, sha256 and more; or none
    damages: tuple[CorruptCheckpointError, ...]  # newer checkpoints that were skipped
    notes: tuple[str, ...] = ()  # changes that were made to the style images
    stylizer: Stylizes | None = None  # a method that takes style images
    mixer: Mixes | None = None  # a method that mixes its targets

    @property
    def targets(self) -> list[str]:
        """Names of the targets, the default first."""
        return list(self.translators or self.about["targets"])

    def source(self, to: str | None = None) -> str:
        """Return the name of the domain that is translated to a target, by default to the first."""
        return self.spec.names[self.spec.direction(to or self.to)[0]]

    @property
    def signature(self) -> str:
        """Description of what produced an image, in ASCII, as it is written into the file."""
        config: MethodConfig = parse(self.about["method"], METHODS, "method")
        made_by = [f"cyclegan {__version__}", config.name]
        if self.step:
            made_by.append(f"{self.about.get('domain')}, {self.step} steps")
        if imported := self.about.get("imported"):
            made_by.append(f"weights of {imported['file']}, sha256 {imported['sha256']}")
        if self.pretrained:
            said = (f"{key} {self.pretrained[key]}" for key in SIGNED if self.pretrained.get(key))
            made_by.append(", ".join([f"VGG-19 with {self.pretrained['name']} weights", *said]))
        return "; ".join(made_by).encode("ascii", "replace").decode()

    def formats_to(self, to: str | None = None) -> FormatPair:
        """Return the pixel formats that a translation to a target takes and returns."""
        source, target = (self.spec.formats[field] for field in self.spec.direction(to or self.to))
        return FormatPair(source, target)

    def require_rgb(self, what: str, to: str | None = None) -> None:
        """Raise UserError unless a translation is from 8-bit RGB to 8-bit RGB."""
        if self.formats_to(to) != USUAL:
            raise UserError(
                f"{what}: is 8-bit RGB, and this model translates {self.formats_to(to)}; use `cyclegan translate`"
            )

    @property
    def step(self) -> int:
        """Number of training steps."""
        return self.about["step"]

    @property
    def to(self) -> str:
        """Default target: the first."""
        return self.targets[0]

    def translator(self, to: str | None = None) -> Translator:
        """Return the translator to a target; it takes images on any device."""
        if not self.translators:
            raise UserError("this method needs a style image; give one with --style picture.jpg")
        side = self.to if to is None else to
        if side not in self.translators:
            likely = get_close_matches(side.lower(), self.translators, n=1)
            hint = f"; did you mean '{likely[0]}'?" if likely else ""
            sides = " or ".join(f"'{name}'" for name in self.translators)
            raise UserError(f"'{side}': this model translates to {sides}{hint}")
        return self.translators[side]

    def with_style(self, *styles: Float[Tensor, "1 3 _ _"]) -> "Model":
        """Return a copy of the model that stylizes after other examples."""
        if self.stylizer is None:
            raise UserError(f"style: this model has learned to translate to {self.to}; it takes no style image")
        return replace(self, translators={self.to: self.stylizer.bind(*styles)})

    def mixed(self, weights: Mapping[str, float], masks: Masks | None = None) -> "Model":
        """Return a copy whose one target is a mixture; see cyclegan.protocols.Mixes."""
        if self.mixer is None:
            raise UserError("--to: this model mixes no targets; name one of them")
        for target in weights:
            self.translator(target)
        return replace(self, translators={" + ".join(weights): self.mixer.mixed(weights, masks)})

    @overload
    def __call__(self, picture: str | Path | Image.Image, to: str | None = None) -> Image.Image: ...
    @overload
    def __call__(self, picture: Tensor, to: str | None = None) -> Tensor: ...
    def __call__(self, picture: str | Path | Image.Image | Tensor, to: str | None = None) -> Image.Image | Tensor:
        """Translate an image: a file or a Pillow image to an upright RGB image, a tensor to a tensor.

        The resulting tensor has the size, type and device of the input. The color profile of an image is in
        its `info`. PNG and TIFF files are saved with it; for other formats Pillow needs it as an argument:
        `translated.save("translated.jpg", icc_profile=translated.info.get("icc_profile"))`.
        """
        translate = self.translator(to).translate
        if isinstance(picture, Tensor):
            batch = _as_batch(picture, self.formats_to(to).source.channels)
            return translate(batch.float()).to(picture)[0 if picture.ndim == 3 else slice(None)]
        self.require_rgb("a picture", to)
        if not isinstance(picture, Image.Image):
            picture = expanded(picture)
        painted = Image.fromarray(to_bytes(translate(from_bytes(_as_array(picture))))[0].numpy())
        profile = profile_of(picture) if isinstance(picture, Image.Image) else read_profile(picture)
        if profile is not None:
            painted.info["icc_profile"] = profile
        return painted


def _as_batch(picture: Tensor, channels: int) -> AnyImages:
    """Return (n, c, h, w) or (c, h, w) images as (n, c, h, w); refuse tensors that are not in [-1, 1].

    Tensors of other shapes or of integer types are refused, too.
    """
    shape = tuple(picture.shape)
    if len(shape) not in (3, 4) or shape[-3] != channels or 0 in shape or not picture.is_floating_point():
        raise UserError(
            f"a tensor of shape {shape} and type {picture.dtype}: "
            f"give floats of shape (n, {channels}, h, w) or ({channels}, h, w)"
        )
    if not picture.abs().max() <= 1 + ROUNDING:  # NaN is not either
        raise UserError(f"a tensor from {picture.min():.4g} to {picture.max():.4g}: scale it to [-1, 1]")
    return picture if picture.ndim == 4 else picture[None]


def _as_array(picture: Path | Image.Image) -> np.ndarray:
    """Return an image as uint8 (h, w, 3), upright."""
    if isinstance(picture, Image.Image):
        return np.asarray(to_rgb(ImageOps.exif_transpose(picture)))
    return read_picture(picture)
