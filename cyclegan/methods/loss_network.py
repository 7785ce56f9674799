"""Loss network of feed-forward stylization: a frozen VGG that compares images with contents and with styles.

Papers     Johnson, Alahi, Fei-Fei, Perceptual losses for real-time style transfer and super-resolution, ECCV
           2016; Gatys, Ecker, Bethge, CVPR 2016; Ulyanov et al. 2016, 2017; Dumoulin et al. 2017.
Features   F (c, h, w) at a tap, M = h · w positions, G = F Fᵀ, Ĝ = G / (c M); Δ from content or style.
Forms                content                 style
           mean      Σ (ΔF)² / (c M)         Σ (ΔĜ)² / c²       fast-neural-style, texture_nets, pytorch/examples
           sum       Σ (ΔF)² / (c M)         Σ (ΔĜ)²            Johnson et al. 2016, Eqs. 2, 4; also the mean of
                                                                (Δ G/M)², as in Magenta's image_stylization
           gatys     ½ Σ (ΔF)²               Σ (Δ G/M)² / (4 c²)
Targets    The Gram matrices of every style are computed once, by `prepare`, and kept as buffers; the weights of
           the VGG are in no checkpoint. A batch has an index of a style for each image.
Units      of weights: those of the VGG. Weights of losses that were tuned for Caffe's filters, 0…255, are void for
           torchvision's, whose activations are about 140 times smaller: style / content is 5 / 1 for the
           former, 1e5 for the latter. Total variation: in 0…255, summed over an image.
Differs    from no paper silently: a tap that the weights do not reach is refused, and VGG-19 stands for VGG-16
           only where the settings say so. Losses are means over the images of a batch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from cyclegan.functional.precision import at_least_float32
from cyclegan.functional.statistics import gram_matrix
from cyclegan.losses.regularization import total_variation_sum
from cyclegan.networks.network_config import at_least
from cyclegan.networks.vgg import HALF_RANGE, TAPS_OF, channels_at, load_vgg
from cyclegan.protocols import Images, Losses

IMAGE = "image"  # tap of the preprocessed image itself

Features: TypeAlias = dict[str, Float[Tensor, "n _ _ _"]]  # by tap
PerImage: TypeAlias = Float[Tensor, " n"]  # one loss for each image of a batch


@dataclass(frozen=True, kw_only=True)
class LossNetworkConfig:
    """Settings of a loss network, by default those of Johnson et al. 2016."""

    architecture: Literal["vgg16", "vgg19"] = "vgg16"
    weights: Literal["caffe", "torchvision", "normalised", "normalised_torchvision", "random"] = "caffe"
    pooling: Literal["max", "average", "average_unscaled"] = "max"
    padding: Literal["zero", "reflect", "replicate"] = "zero"
    form: Literal["mean", "sum", "gatys"] = "mean"  # of the losses: see cyclegan/methods/loss_network.py
    content_layers: dict[str, float] = field(default_factory=lambda: {"relu2_2": 1.0})  # tap -> weight; image: pixels
    style_layers: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 5.0)
    )
    tv_weight: float = 1e-6  # of ½ Σ of squared differences of neighbors, of an image in 0…255

    def __post_init__(self) -> None:
        at_least(0, self, "tv_weight")
        for layers, more in (("content_layers", [IMAGE]), ("style_layers", [])):
            known = [*more, *TAPS_OF[self.architecture]]
            for tap, weight in getattr(self, layers).items():
                if tap not in known:
                    raise ValueError(f"{layers}: {tap} is no layer of {self.architecture}; use {' '.join(known)}")
                if not 0 <= weight < math.inf:
                    raise ValueError(f"{layers}: {tap}: must be at least 0 and finite")
        if self.architecture == "vgg16" and self.weights == "normalised":
            raise ValueError("weights: normalised are of vgg19; take caffe or torchvision, or architecture vgg19")
        if not self.content_layers and not self.style_layers:
            raise ValueError("content_layers: give a layer here or in style_layers, or nothing is learned")


class LossNetwork(nn.Module):
    """Frozen VGG with the Gram matrices of some styles: losses of images (n, 3, h, w) in [−1, 1].

    Typical use::

        network = LossNetwork(config, styles=2)
        network.prepare([first, second])
        losses = network(painted, content, style)  # {"content": …, "style": …, "tv": …}, weighted scalars
    """

    def __init__(self, config: LossNetworkConfig, styles: int = 1) -> None:
        super().__init__()
        self.config = config
        taps = [tap for tap in (*config.content_layers, *config.style_layers) if tap != IMAGE]
        self.vgg = load_vgg(
            config.weights,
            taps or ["relu1_1"],
            architecture=config.architecture,
            pooling=config.pooling,
            padding=config.padding,
        )
        for tap in config.style_layers:
            channels = channels_at(tap)
            self.register_buffer(_gram_of(tap), torch.zeros(styles, channels, channels))
        self.register_state_dict_post_hook(_without_vgg)
        self.register_load_state_dict_pre_hook(_with_vgg)

    @torch.no_grad()
    def prepare(self, styles: Sequence[Float[Tensor, "1 3 _ _"]]) -> None:
        """Compute the Gram matrices of the styles, each (1, 3, h, w), at the sizes they are given in."""
        for tap in self.config.style_layers:
            matrices = [gram_matrix(self.features(style, [tap])[tap]) for style in styles]
            self.get_buffer(_gram_of(tap)).copy_(torch.cat(matrices))

    def forward(
        self,
        images: Images,
        content: Images | None = None,
        style: Int64[Tensor, " n"] | None = None,
        factors: Float[Tensor, " styles"] | None = None,
    ) -> Losses:
        """Compute the weighted losses, means over the images: content, style and tv, those that have a weight.

        content  Images (n, 3, h, w) whose features are the target; None: no content loss (textures).
        style    Index of the style of each image, (n,); None: the first style for all.
        factors  Factor of the style loss of each style; None: 1.
        """
        found = self.features(images)
        losses = {}
        if self.config.content_layers and content is not None:
            losses["content"] = self.content_loss(found, self.content_targets(content)).mean()
        if self.config.style_layers:
            each = self.style_loss(found, style)
            losses["style"] = (each if factors is None or style is None else factors[style] * each).mean()
        if self.config.tv_weight:
            losses["tv"] = self.tv_loss(images).mean()
        return losses

    def features(self, images: Images, taps: Sequence[str] | None = None) -> Features:
        """Compute the features at the taps, by default all of the settings; no deeper than these."""
        wanted = {*self.config.content_layers, *self.config.style_layers} if taps is None else set(taps)
        found = {IMAGE: torch.addcmul(self.vgg.summand, images, self.vgg.factor)} if IMAGE in wanted else {}
        layers = self.vgg.activations(images)
        while len(found) < len(wanted):
            tap, features = next(layers)
            if tap in wanted:
                found[tap] = features
        return found

    @torch.no_grad()
    def content_targets(self, content: Images) -> Features:
        """Compute the features of contents that `content_loss` compares with, without gradient."""
        return self.features(content, list(self.config.content_layers))

    def content_loss(self, found: Features, targets: Mapping[str, Tensor]) -> PerImage:
        """Compute the weighted content loss of each image, summed over the taps."""
        losses = []
        for tap, weight in self.config.content_layers.items():
            squares = (at_least_float32(found[tap]) - at_least_float32(targets[tap])).square().flatten(1)
            factor = squares.shape[1] / 2 if self.config.form == "gatys" else 1.0
            losses.append(weight * factor * squares.mean(dim=1))
        return torch.stack(losses).sum(dim=0)

    def style_loss(self, found: Features, style: Int64[Tensor, " n"] | None = None) -> PerImage:
        """Compute the weighted style loss of each image to the style of its index, summed over the taps."""
        losses = []
        for tap, weight in self.config.style_layers.items():
            targets = self.get_buffer(_gram_of(tap))
            wanted = targets[:1] if style is None else targets[style]
            squares = (gram_matrix(found[tap]) - wanted).square().mean(dim=(1, 2))
            losses.append(weight * self._style_factor(tap) * squares)
        return torch.stack(losses).sum(dim=0)

    def tv_loss(self, images: Images) -> PerImage:
        """Compute the weighted total variation of each image."""
        return self.config.tv_weight * HALF_RANGE**2 * total_variation_sum(images)

    def _style_factor(self, tap: str) -> float:
        """Return the form's factor of the mean of (Δ G/M)²."""
        return {"mean": channels_at(tap) ** -2.0, "sum": 1.0, "gatys": 0.25}[self.config.form]


def _gram_of(tap: str) -> str:
    """Return the name of the buffer of a tap: the matrices G/M of all styles, (styles, c, c)."""
    return f"gram_{tap}"


def _without_vgg(network: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    """Leave the weights of the VGG out of a state dictionary: the settings identify them."""
    for key in [key for key in state if key.startswith(f"{prefix}vgg.")]:
        del state[key]


def _with_vgg(network: nn.Module, state: dict[str, Any], prefix: str, *others: Any) -> None:
    """Complete a state dictionary that is to be loaded by the present weights of the VGG."""
    vgg = network.get_submodule("vgg").state_dict()
    state.update({f"{prefix}vgg.{key}": tensor for key, tensor in vgg.items()})
