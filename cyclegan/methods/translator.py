"""Adapters from networks to Translators, and checks of the controls of Stylizers."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import pad

from cyclegan.errors import UserError
from cyclegan.protocols import AnyImages

ROUNDING = 1e-3  # what resampling may add to the range of a mask
SMALLEST = 16  # px of a side; less is too small for reflection padding and instance statistics

Side: TypeAlias = int | torch.SymInt  # of an image, in px; symbolic while a graph of any size is traced


@dataclass(frozen=True)
class NetworkTranslator:
    """A generator as a Translator of any size.

    Images are padded to the stride of the network by replication; the translations are cropped back.
    """

    network: nn.Module
    stride: int
    smallest: int | None = None  # px of a side that the network takes; None: two strides, for 2×2 features or more
    local: bool = True  # a pixel depends on its surroundings, and on the rest only through norms: tiles are possible
    stochastic: bool = False  # dropout stays on, and batch norms use the statistics of the image, as in pix2pix's tests

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def translate(self, images: AnyImages) -> AnyImages:
        """Translate images of any size in evaluation mode: (n, c, h, w) → (n, c', h, w) for any h, w ≥ 1."""
        height, width = images.shape[-2:]
        padded = pad(images, self.padding(height, width), mode="replicate").to(self.device)
        if self.stochastic:
            translated = torch.cat([_as_in_training(self.network, image) for image in padded.split(1)])
        else:
            with evaluating(self.network):
                translated = self.network(padded)
        return translated[..., :height, :width].to(images)

    def padding(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return the pixels to add: left, right, above, below."""
        return 0, int(self.padded(width)) - width, 0, int(self.padded(height)) - height

    def padded(self, side: Side) -> Side:
        """Return the next multiple of the stride that the network takes."""
        smallest = max(SMALLEST, self.smallest or 2 * self.stride)
        least = torch.sym_max(side, smallest)  # not max, which would fix a symbolic side
        return (least + self.stride - 1) // self.stride * self.stride


def _as_in_training(network: nn.Module, image: AnyImages) -> AnyImages:
    """Compute the output of a network in training mode without changing its buffers.

    The noise is the same for every image.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    modes = {module: module.training for module in network.modules()}
    with torch.random.fork_rng(devices=[image.device] if image.is_cuda else []):
        torch.manual_seed(0)
        network.train()
        translated = functional_call(network, buffers, (image,))
    for module, mode in modes.items():
        module.training = mode
    return translated


def require_fitting_controls(styles: int, weights: Sequence[float | int] | None, masks: Tensor | None) -> None:
    """Refuse styles, weights and masks of a Stylizer that do not fit together, naming the wrong one."""
    if styles == 0:
        raise UserError("style: give at least one picture")
    if weights is not None and masks is not None:
        raise UserError("weights: are for styles that are mixed everywhere; with masks leave them out")
    for name, given in (("weights", weights), ("masks", masks)):
        if given is not None and len(given) != styles:
            raise UserError(f"{name}: {len(given)} given for {styles} styles; give one for each")
    if masks is not None:
        _require_masks(masks)
    if weights is not None and not (min(weights) >= 0 and 0 < sum(weights) < math.inf):
        raise UserError(
            f"weights: {', '.join(f'{w:g}' for w in weights)}; none may be negative and one must be above 0"
        )


def _require_masks(masks: Float[Tensor, "_ _ _"]) -> None:
    """Refuse masks that are empty or have values outside of 0…1."""
    if not (masks.min() >= 0 and masks.max() <= 1 + ROUNDING):  # NaN is not either
        raise UserError(f"masks: values from {masks.min():.4g} to {masks.max():.4g}; scale them to 0…1")
    for number, mask in enumerate(masks, start=1):
        if not mask.any():
            raise UserError(f"masks: number {number} is empty; mark where its style goes with values up to 1")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Set evaluation mode within this context; restore the mode of every module afterwards."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
