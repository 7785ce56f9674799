"""Flicker score of a translated video.

Computes   mean |y_t − y_{t−1}| over all channels of the still pixels of all t, in levels of 255. x is the
           video and y its translation, before it is encoded; a pixel of x_t is still if none of its channels
           has changed by more than 3 levels of 255 since x_{t−1}.
Means      A score of 0: what stands still in the video stands still in its translation, as in a copy of a
           video without motion. A copy of any video scores 3 at most. If no pixel is still, as when the
           camera pans, there is no score.
"""

import torch

from cyclegan.protocols import AnyImages

LEVEL = 2 / 255  # of pixels in [-1, 1]
STILL = 3.5 * LEVEL  # 3 levels, and what float32 adds


class Flicker:
    """Running flicker score of batches of frames and their translations, given in order."""

    def __init__(self) -> None:
        self.moved = 0.0  # Σ |y_t − y_{t−1}|, each the mean of the channels
        self.still = self.pixels = self.frames = 0
        self._last: tuple[AnyImages, AnyImages] | None = None

    def __call__(self, images: AnyImages, translated: AnyImages) -> None:
        """Add frames (n, 3, h, w) and their translations; frames of another size start another video."""
        self.frames += len(images)
        if self._last and self._last[0].shape[1:] == images.shape[1:]:
            images, translated = (torch.cat(pair) for pair in zip(self._last, (images, translated), strict=True))
        still = images.diff(dim=0).abs().amax(dim=1) < STILL
        self.moved += float(translated.diff(dim=0).abs().mean(dim=1)[still].sum(dtype=torch.float64))
        self.still += int(still.sum())
        self.pixels += still.numel()
        self._last = images[-1:], translated[-1:]

    @property
    def score(self) -> float | None:
        """Flicker in levels of 255; None if no pixel is still."""
        return self.moved / self.still / LEVEL if self.still else None

    def __str__(self) -> str:
        if self.score is None:
            return f"{self.frames} frames; no flicker score, as nothing stands still"
        share = self.still / self.pixels
        return f"{self.frames} frames; flicker {self.score:.2f} of 255 levels in the {share:.0%} that stand still"
