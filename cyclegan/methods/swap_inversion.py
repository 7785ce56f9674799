"""Style swap for given styles: the swapped features, and the two ways from these to an image.

Paper      Chen, Schmidt, Fast patch-based style transfer of arbitrary style, 2016, arXiv:1612.04337: by the
           inverse network (Sec. 4), or by optimization of the image (Eq. 2), from the content.
Images     float32 (n, 3, h, w) in [−1, 1], of any size; features of relu3_1, (n, 256, h / 4, w / 4).
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from cyclegan.functional.adain_regions import shares_of_styles
from cyclegan.functional.patch_swap import swap_patches
from cyclegan.losses.regularization import total_variation
from cyclegan.methods.pixel_optimizer import Adam, Descent, IterationState, Watch, resize
from cyclegan.methods.translator import NetworkTranslator, require_fitting_controls
from cyclegan.networks.vgg import HALF_RANGE, VGGFeatures
from cyclegan.protocols import Images, Losses

LAYER = "relu3_1"  # Φ
STRIDE = 4  # pixels of a side for one position of Φ
ENLARGED = 64  # px: the shorter side of a style that was too small, at least
ROUNDING = 1e-5  # of the largest feature
BETAS = (0.9, 0.999)  # of the Adam that optimizes an image

Style: TypeAlias = Float[Tensor, "1 3 _ _"]
Features: TypeAlias = Float[Tensor, "n 256 rows columns"]


class PatchOptions(NamedTuple):
    """Size and stride of the patches, in positions, and the largest side of a style, in pixels."""

    size: int
    stride: int
    style_size: int | None

    @property
    def smallest(self) -> int:
        """Length in pixels of the smallest side: one patch, and two positions at least."""
        return STRIDE * max(2, self.size)


class SwappedFeatures(nn.Module):
    """Map from images to swapped features for fixed styles, mixed or each in its region."""

    def __init__(
        self,
        encoder: VGGFeatures,
        styles: Sequence[Style],
        patches: PatchOptions,
        weights: Sequence[float | int] | None,
        masks: Float[Tensor, "_ _ _"] | None,
    ) -> None:
        super().__init__()
        require_fitting_controls(len(styles), weights, masks)
        self.encoder, self.patches, self.strength = encoder, patches, 1.0
        weights = [1.0] * len(styles) if weights is None else weights
        self.weights = [weight / sum(weights) for weight in weights]
        device = encoder.factor.device
        self.masks = None if masks is None else masks.to(device, torch.float32)
        with torch.no_grad():
            self.styles = [self.encode(fitting_style(style.to(device), patches)) for style in styles]

    def encode(self, images: Images) -> Features:
        """Compute Φ."""
        features: Tensor = self.encoder(images)[LAYER]
        return features

    def forward(self, images: Images) -> Features:
        """Compute (1 − s) Φ(C) + s Σ_k w_k Φ^ss(C, S_k): (n, 3, h, w) → (n, 256, h / 4, w / 4)."""
        content = self.encode(images)
        shares = self.weights if self.masks is None else shares_of_styles(self.masks, content)
        left = 0.0 if self.masks is None else 1 - shares.sum(dim=0)  # type: ignore[union-attr]
        mixed = content * left
        for style, share in zip(self.styles, shares, strict=True):
            mixed = mixed + share * swap_patches(content, style, self.patches.size, self.patches.stride)
        return content.lerp(mixed, self.strength)

    def scaled(self, strength: float) -> "SwappedFeatures":
        """Return a module that shares all of this one, at `strength` times its strength."""
        scaled = copy(self)
        scaled.strength = strength * self.strength
        return scaled


class BoundStyleSwap(nn.Module):
    """Swap and inverse network: a network from images to images, whose sides are multiples of 4."""

    def __init__(self, swapped: SwappedFeatures, inverse: nn.Module) -> None:
        super().__init__()
        self.swapped, self.inverse = swapped, inverse

    def forward(self, images: Images) -> Images:
        """Stylize images: (n, 3, h, w) → (n, 3, h, w)."""
        return self.inverse(self.swapped(images)).clamp(-1, 1).to(images.dtype)


class SwapTranslator(NetworkTranslator):
    """Style swap bound to its styles, with the inverse network."""

    network: BoundStyleSwap

    def scaled(self, strength: float) -> "SwapTranslator":
        """Return a translator that goes so far from the features of the content to the swapped ones."""
        return replace(self, network=BoundStyleSwap(self.network.swapped.scaled(strength), self.network.inverse))


@dataclass(frozen=True)
class SwapOptimization:
    """Translator to fixed styles that optimizes every image separately (Eq. 2) and can be watched."""

    swapped: SwappedFeatures
    steps: int
    learning_rate: float  # of a range of 2
    tv: float  # λ
    watch: Watch | None = None
    every: int = 50

    def translate(self, images: Images) -> Images:
        """Stylize images: (n, 3, h, w) → (n, 3, h, w), padded by replication in the meantime."""
        height, width = images.shape[-2:]
        frame = NetworkTranslator(self.swapped, STRIDE, self.swapped.patches.smallest).padding(height, width)
        padded = pad(images, frame, mode="replicate").to(self.swapped.encoder.factor.device)
        painted = torch.cat([self._painted(content, (height, width)) for content in padded.split(1)])
        return painted[..., :height, :width].to(images)

    @torch.enable_grad()
    def _painted(self, content: Images, size: tuple[int, int]) -> Images:
        """Minimize Eq. (2) for one image; only a watcher sees the image without its padding."""

        def show(state: IterationState) -> None:
            if self.watch:
                self.watch(state._replace(image=state.image[..., : size[0], : size[1]]))

        target = self._target(content)

        def objective(image: Images) -> Losses:
            losses = {"features": normalized_distance(self.swapped.encode(image), target)}
            return losses | ({"tv": self.tv * smoothness(image)} if self.tv else {})

        steps = {(content.shape[2], content.shape[3]): self.steps}
        adam = Adam(self.learning_rate, averaging=0.0, betas=BETAS)
        descent = Descent(adam, steps, self.watch and show, self.every)
        painted = descent.run(objective, content)
        return painted if descent.value_at_start else content

    @torch.no_grad()
    def _target(self, content: Images) -> Features:
        """Compute the swapped features, or the content's own where only rounding is between them.

        The gradient of the normalized distance has one length for all differences, so that those of rounding would
        move the image as far as others.
        """
        own, swapped = self.swapped.encode(content), self.swapped(content)
        return own if (swapped - own).abs().max() <= ROUNDING * own.abs().max() else swapped

    def with_callback(self, watch: Watch, every: int) -> "SwapOptimization":
        """Return a copy that passes an IterationState to `watch` every `every` steps."""
        return replace(self, watch=watch, every=every)

    def scaled(self, strength: float) -> "SwapOptimization":
        """Return a translator that goes so far from the features of the content to the swapped ones."""
        return replace(self, swapped=self.swapped.scaled(strength))


def normalized_distance(features: Features, target: Features) -> Float[Tensor, ""]:
    """Compute mean Δ² / (2 mean |Δ|), whose divisor counts as constant, for the difference Δ from the target.

    Its gradient is that of mean Δ², divided by the sum of its magnitudes, as in the authors' code.
    """
    difference = features - target
    divisor = 2 * difference.detach().abs().mean()
    return difference.square().mean() / divisor.clamp(min=torch.finfo(divisor.dtype).tiny)


def smoothness(images: Images) -> Float[Tensor, ""]:
    """Compute ℓ_TV of Eq. (3): the sum of the squared differences of neighbors, the mean over the images.

    Images lie in [−1, 1]; the differences are those of values in 0 … 255.
    """
    return total_variation(images) * images[0].numel() * HALF_RANGE**2


def large_enough(style: Style, smallest: int) -> Style:
    """Enlarge a style with a side below `smallest` bicubically to 64 px or more; return any other unchanged."""
    side = min(style.shape[-2:])
    return style if side >= smallest else _scaled_by(style, max(ENLARGED, smallest) / side)


def fitting_style(style: Style, patches: PatchOptions) -> Style:
    """Reduce a style whose longer side is too large, then enlarge it if a side is too small."""
    longer = max(style.shape[-2:])
    if patches.style_size is not None and longer > patches.style_size:
        style = _scaled_by(style, patches.style_size / longer)
    return large_enough(style, patches.smallest)


def _scaled_by(images: Style, factor: float) -> Style:
    height, width = (max(1, round(side * factor)) for side in images.shape[-2:])
    return resize(images, (height, width))
