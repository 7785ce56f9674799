"""Adapters that make a Translator of something else."""

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
SMALLEST = 16  # px of a side: below, reflection padding and instance statistics have nothing to work on

Side: TypeAlias = int | torch.SymInt  # of an image, in px; symbolic while a graph of any size is traced


@dataclass(frozen=True)
class NetworkTranslator:
    """A generator as a Translator of any size: padded to its stride by repeating the border, then cut back."""

    network: nn.Module
    stride: int
    smallest: int | None = None  # px of a side that the network takes; None: two strides, for 2×2 features or more
    local: bool = True  # a pixel depends on those around it, and on the rest through norms only: tiles will do
    stochastic: bool = False  # dropout stays on, and batch norms use the statistics of the image, as in pix2pix's tests

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def translate(self, images: AnyImages) -> AnyImages:
        """(n, c, h, w) → (n, c', h, w) for any h, w ≥ 1, in evaluation mode."""
        height, width = images.shape[-2:]
        padded = pad(images, self.padding(height, width), mode="replicate").to(self.device)
        if self.stochastic:
            translated = torch.cat([_as_in_training(self.network, image) for image in padded.split(1)])
        else:
            with evaluating(self.network):
                translated = self.network(padded)
        return translated[..., :height, :width].to(images)

    def padding(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Pixels to add: left, right, above, below."""
        return 0, int(self.padded(width)) - width, 0, int(self.padded(height)) - height

    def padded(self, side: Side) -> Side:
        """The next multiple of the stride that the network takes."""
        smallest = max(SMALLEST, self.smallest or 2 * self.stride)
        least = torch.sym_max(side, smallest)  # not max, which would fix an open side
        return (least + self.stride - 1) // self.stride * self.stride


def _as_in_training(network: nn.Module, image: AnyImages) -> AnyImages:
    """Output of a network in training mode, which leaves its buffers alone; the noise is the same for every image."""
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
    """Say which control of a Stylizer cannot be meant."""
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
    """Say which mask cannot be meant."""
    if not (masks.min() >= 0 and masks.max() <= 1 + ROUNDING):  # NaN is not either
        raise UserError(f"masks: values from {masks.min():.4g} to {masks.max():.4g}; scale them to 0…1")
    for number, mask in enumerate(masks, start=1):
        if not mask.any():
            raise UserError(f"masks: number {number} is empty; mark where its style goes with values up to 1")


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode within this context; afterwards every module is in the mode it had."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
