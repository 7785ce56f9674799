"""Adapters that make a Translator of something else."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import pad

from cyclegan.protocols import Images

SMALLEST = 16  # px of a side: below, reflection padding and instance statistics have nothing to work on


@dataclass(frozen=True)
class NetworkTranslator:
    """A generator as a Translator of images of any size: padded to its stride by repeating the border, then cut back."""

    network: nn.Module
    stride: int

    @torch.no_grad()
    def translate(self, images: Images) -> Images:
        """(n, 3, h, w) → (n, 3, h, w) for any h, w ≥ 1, in evaluation mode."""
        height, width = images.shape[-2:]
        right = -width % self.stride if width >= SMALLEST else SMALLEST - width
        bottom = -height % self.stride if height >= SMALLEST else SMALLEST - height
        padded = pad(images, (0, right, 0, bottom), mode="replicate")
        was_training = self.network.training
        translated = self.network.eval()(padded.to(next(self.network.parameters()).device))
        self.network.train(was_training)
        return translated[..., :height, :width].to(images)
