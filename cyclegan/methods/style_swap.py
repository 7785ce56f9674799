"""Style swap: replace each patch of the content's features by the nearest patch of the style's, and invert them.

Paper      Chen, Schmidt, Fast patch-based style transfer of arbitrary style, 2016, arXiv:1612.04337.
Idea       One layer Φ, relu3_1 of VGG-19, holds enough of an image; each of its 3×3 patches is exchanged for
           that of the style with the largest normalized cross-correlation: functional/patch_swap.py     (Eq. 1)
Inversion  optimization: min over x of ‖Φ(x) − Φ^ss(C, S)‖² + λ ℓ_TV(x), λ = 1e-7, from x = C: 100 steps of
           Adam, rate 0.05 of a range of 1                                                             (Eq. 2)
           network: Φ⁻¹ is learned once, for any style: min mean (Φ(Φ⁻¹(h)) − h)² + λ ℓ_TV(Φ⁻¹(h)), where h are
           features of photographs, of paintings, and swaps of these                                   (Eq. 5)
           ℓ_TV(x) = Σ (squared differences of neighbors) of an image with values in 0 … 255           (Eq. 3)
Weights    As in the authors' code, the gradient of the first term of Eq. (2) at Φ is divided by the sum of its
           magnitudes, against which λ is to be seen; that of Eq. (5) is not, and the code's λ = 1e-6 is of the
           sum over its 8 images: 8e-6 of their mean. Both are for the features of `caffe`; other encoders
           have features of other sizes, and no ℓ_TV unless `tv_weight` is given.
Controls   several styles: Σ_k w_k Φ^ss(C, S_k), or each in its region; strength s: (1 − s) Φ(C) + s Φ^ss(C, S)
Images     float32 (n, 3, h, w) in [−1, 1]; training: h and w multiples of 4; stylizing: any h and w.
Presets    default: instance norms and a sigmoid, as the decoder that the authors released. Code: `norm: batch`,
           `output: linear`, as the network that their program builds.
Differs    from the authors' code: a content is swapped with the style at its place in the batch, not with all
           of them, and the swaps make half of the loss as there, so that every image counts by itself; the
           image of the optimization is clamped after each step, not before the next, and is padded to whole
           positions, not cut; `style_stride` is of the patches of the style alone; `average` pooling, the
           default of their program, is scaled as in networks/vgg.py; a style with a side of fewer positions
           than a patch is enlarged; an exponential average of Φ⁻¹ is kept. Mixed styles, regions and strength
           are not from the paper.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.functional.patch_swap import swap_patches
from cyclegan.functional.precision import at_least_float32
from cyclegan.methods.checks import check_batches, check_checkpointing, check_crop, check_rgb, check_schedule
from cyclegan.methods.swap_inversion import (
    LAYER,
    STRIDE,
    BoundStyleSwap,
    PatchOptions,
    SwapOptimization,
    SwappedFeatures,
    SwapTranslator,
    large_enough,
    smoothness,
)
from cyclegan.networks.feature_inverter import FeatureInverter
from cyclegan.networks.network_config import at_least
from cyclegan.networks.vgg import load_vgg
from cyclegan.protocols import Images, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig

TV_WEIGHTS = {"network": 8e-6, "optimization": 1e-7}  # λ for the features of Caffe's weights

Style: TypeAlias = Float[Tensor, "1 3 _ _"]
Features: TypeAlias = Float[Tensor, "n 256 rows columns"]


@dataclass(frozen=True, kw_only=True)
class StyleSwapConfig:
    """Settings of style swap (Chen & Schmidt 2016)."""

    learns_from: ClassVar = ("unpaired",)  # X are the contents, Y the styles
    remedies: ClassVar = {
        "change": "lower patch in a new run, or take styles of more variety",
        "diversity": "go back to an earlier checkpoint, or lower the learning rate",
        "checkerboard": "train longer, or raise tv_weight",
        "memory": "set training.accumulate to a divisor of data.batch_size in a new run (--set name=...), or a smaller "
        "data.crop_size; for large styles lower style_size",
    }

    name: Literal["style_swap"] = "style_swap"
    encoder: Literal["caffe", "normalised", "normalised_torchvision", "torchvision", "random"] = "caffe"
    pooling: Literal["max", "average"] = "max"  # of the encoder
    inversion: Literal["network", "optimization"] = "network"  # optimization: of every image, nothing to train
    patch: int = 3  # positions of a side of a patch; large ones keep more of the style's texture
    style_stride: int = 1  # step between the patches of a style; 2 leaves out three of four
    style_size: int | None = 512  # px of the longer side; larger styles are reduced; null: none is
    tv_weight: float | None = None  # λ; null: with caffe 8e-6 for the network, 1e-7 for the optimization; else 0
    norm: Literal["instance", "batch", "none"] = "instance"  # of the inverse network
    output: Literal["sigmoid", "linear"] = "sigmoid"  # of the inverse network
    feature_scale: float = 1.0  # the network's input is divided by it; norm none: mean of Φ, about 100 for caffe
    steps: int = 100  # of the optimization
    learning_rate: float = 0.1  # of the optimization, of a range of 2

    def __post_init__(self) -> None:
        at_least(1, self, "patch", "style_stride", "steps")
        if self.tv_weight is not None:
            at_least(0, self, "tv_weight")
        if self.style_size is not None and self.style_size < self.smallest:
            raise ValueError(f"style_size: must be at least {self.smallest} for patch {self.patch}, or null")
        for name in ("feature_scale", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be above 0")

    @property
    def smallest(self) -> int:
        """Length in pixels of the smallest side."""
        return self.patches.smallest

    @property
    def patches(self) -> PatchOptions:
        """Settings of the swap alone."""
        return PatchOptions(self.patch, self.style_stride, self.style_size)

    @property
    def tv(self) -> float:
        """Weight of ℓ_TV."""
        if self.tv_weight is None:
            return TV_WEIGHTS[self.inversion] if self.encoder == "caffe" else 0.0
        return self.tv_weight

    @property
    def untrained(self) -> str:
        """Return a remedy where the settings give an inverse network that has to be trained; random ones are meant."""
        untrained = self.inversion == "network" and self.encoder != "random"
        return "give the folder of a run, or set inversion to optimization" if untrained else ""

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for crops, channels, training or processes that do not fit."""
        if self.inversion == "optimization":
            raise ValueError("method: inversion optimization learns nothing; take network, or translate with --style")
        check_rgb(spec, self.name)
        check_crop(spec, STRIDE, self.smallest)
        check_batches(training, processes, self)
        check_checkpointing(training, None)
        check_schedule(spec, training, validates=False)

    def build(self, spec: DataSpec, train: bool = True) -> "StyleSwap":
        """Build the frozen encoder Φ and an untrained inverse network."""
        return StyleSwap(self)


class StyleSwap(nn.Module):
    """Encoder Φ and inverse network Φ⁻¹, as a Stylizer."""

    examples_are = "mixed"

    def __init__(self, config: StyleSwapConfig) -> None:
        super().__init__()
        self.config = config
        self.inverse = FeatureInverter(config.norm, config.output, config.feature_scale)
        with torch.device("cpu"):  # no checkpoint holds these weights
            self.encoder = load_vgg(config.encoder, (LAYER,), pooling=config.pooling)

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of the inverse network, the only one that learns."""
        return {"inverse": self.inverse.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the inverse network; the encoder is identified by the settings."""
        return {"inverse": self.inverse}

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        """Return the state of the inverse network; the encoder never changes."""
        return {"inverse": self.inverse.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Load a state that state_dict has returned."""
        self.inverse.load_state_dict(state["inverse"])

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        """Minimize Eq. (5) once, on the features of both sides and on their swaps."""
        _, losses = self.invert(batch)
        minimize("inverse", losses)
        return losses

    def invert(self, batch: UnpairedBatch) -> tuple[Images, Losses]:
        """Return the inverted features (3n, 3, h, w) of contents, styles and swaps, and the terms of Eq. (5)."""
        with torch.no_grad():
            content, style = self.encode(batch.x), self.encode(batch.y)
            h = torch.cat([content, style, self.swap(content, style)])
        images = self.inverse(h)
        errors = (self.encode(images) - h).square().mean(dim=(1, 2, 3))
        *maps, swaps = errors.chunk(3)
        losses = {"features": (torch.cat(maps).mean() + swaps.mean()) / 2}
        if self.config.tv:
            losses["tv"] = self.config.tv * smoothness(images)
        return images, losses

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        """Return contents, styles, stylized images and inverted contents, the losses, and the relative error."""
        inverted, losses = self.invert(batch)
        content, _, stylized = inverted.clamp(-1, 1).chunk(3)
        h = self.encode(batch.x)
        error = (self.encode(content) - h).square().sum() / h.square().sum()
        pictures = {"c": batch.x, "s": batch.y, "swapped": stylized, "inverse(Φ(c))": content}
        numbers = {f"{name}, held out": float(loss) for name, loss in losses.items()}
        return Preview({"stylized": pictures}, numbers=numbers | {"relative error of Φ(c)": float(error)})

    def bind(
        self,
        *styles: Style,
        weights: Sequence[float | int] | None = None,
        masks: Float[Tensor, "_ _ _"] | None = None,
    ) -> "SwapTranslator | SwapOptimization":
        """Encode the styles once, for any number of contents; weights and masks as for every Stylizer."""
        config, device = self.config, next(self.inverse.parameters()).device  # after loading maybe not the encoder's
        encoder = self.encoder.to_inference(torch.float32, device)
        swapped = SwappedFeatures(encoder, styles, config.patches, weights, masks)
        if config.inversion == "optimization":
            return SwapOptimization(swapped, config.steps, config.learning_rate, config.tv)
        return SwapTranslator(BoundStyleSwap(swapped, self.inverse), STRIDE, config.smallest, local=False)

    @property
    def pretrained(self) -> Mapping[str, str]:
        """Pretrained weights in use: those of the encoder."""
        return self.encoder.description

    def enlarged(self, style: Style) -> Style:
        """Enlarge a style with a side smaller than a patch; return any other style unchanged."""
        return large_enough(style, self.config.smallest)

    def encode(self, images: Images) -> Features:
        """Compute Φ: (n, 3, h, w) → (n, 256, h / 4, w / 4), in float32."""
        return at_least_float32(self.encoder(images)[LAYER])

    def swap(self, content: Features, style: Features) -> Features:
        """Compute Φ^ss(C, S) for each content and its style (Eq. 1)."""
        return swap_patches(content, style, self.config.patch, self.config.style_stride)
