"""How much a translated film flickers.

Computes   mean |y_t − y_{t−1}| over all channels of the still pixels of all t, in levels of 255. x is the film and y
           its translation, before it is encoded; a pixel of x_t is still if none of its channels has moved by more than
           3 levels of 255 since x_{t−1}.
Means      0: what stands still in the film stands still in its translation, as in a copy of a film that stands still.
           A copy of any film has 3 at most. Without still pixels, as when the camera pans, there is no score.
"""

import torch

from cyclegan.protocols import AnyImages

LEVEL = 2 / 255  # of pixels in [-1, 1]
STILL = 3.5 * LEVEL  # 3 levels, and what float32 adds


class Flicker:
    """Shown the frames and their translations in order, a batch at a time, it knows the score."""

    def __init__(self) -> None:
        self.moved = 0.0  # Σ |y_t − y_{t−1}|, each the mean of the channels
        self.still = self.pixels = self.frames = 0
        self._last: tuple[AnyImages, AnyImages] | None = None

    def __call__(self, images: AnyImages, translated: AnyImages) -> None:
        """(n, 3, h, w) and the same of their translations; frames of another size begin another film."""
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
        """In levels of 255; None where nothing stands still."""
        return self.moved / self.still / LEVEL if self.still else None

    def __str__(self) -> str:
        if self.score is None:
            return f"{self.frames} frames; no flicker score, as nothing stands still"
        share = self.still / self.pixels
        return f"{self.frames} frames; flicker {self.score:.2f} of 255 levels in the {share:.0%} that stand still"
