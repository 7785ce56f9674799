"""Objective of Gatys et al. 2016 at one size: distances in VGG's features from a content and from styles.

Equations  L(x) = α L_content(x, p) + β L_style(x, a)   (Eq. 7),   L_style = Σ_l w_l E_l   (Eq. 5); forms and
           controls as in methods/gatys.py.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from cyclegan.errors import UserError
from cyclegan.losses.perceptual import (
    FeatureStatistics,
    average,
    content_loss,
    content_loss_mean,
    feature_statistics,
    gaussian,
    gram_style_loss,
    gram_style_loss_mean,
    wasserstein_style_loss,
)
from cyclegan.losses.regularization import total_variation
from cyclegan.methods.pixel_optimizer import resize
from cyclegan.protocols import Images, Losses

Picture: TypeAlias = Float[Tensor, "1 3 _ _"]
Mask: TypeAlias = Float[Tensor, "1 1 _ _"]  # in [0, 1]: how much a place belongs to the region; resized as need be
Features: TypeAlias = dict[str, Float[Tensor, "1 _ _ _"]]  # by layer
Distance: TypeAlias = Callable[..., Float[Tensor, ""]]  # of the texture of an image from a target


class Example(NamedTuple):
    """A style image, its weight, and its regions."""

    picture: Picture
    weight: float = 1.0
    where: Mask | None = None  # the region of the content that it is applied to; None: everywhere
    shown: Mask | None = None  # the region of the image that the style is taken from; None: all of it


class Term(NamedTuple):
    """A distance in the features of a layer, its weight and its target."""

    layer: str
    weight: float
    target: Any
    guidance: Mask | None = None


class Objective:
    """Eq. (7) at one size; values that do not depend on the image are computed once."""

    def __init__(
        self,
        config: Any,  # a GatysConfig, whose module imports this one
        features: Callable[[Images], Features],
        content: Picture,
        examples: Sequence[Example],
    ) -> None:
        self.config, self.features = config, features
        self.content_distance = content_loss if config.form == "sum" else content_loss_mean
        self.style_distance: Distance = gram_style_loss if config.form == "sum" else gram_style_loss_mean
        if config.style_loss == "wasserstein":
            self.style_distance = wasserstein_style_loss
        with torch.no_grad():
            P = features(content)
            self.contents = [self._content_term(layer, w, P[layer]) for layer, w in config.content_layers.items()]
            self.styles = list(self._style_terms(content, P, examples))

    def __call__(self, image: Picture) -> Losses:
        """Compute α L_content, β L_style and the weighted total variation."""
        F = self.features(image)
        content = [t.weight * self.content_distance(F[t.layer], t.target) for t in self.contents]
        style = [
            t.weight * self.style_distance(feature_statistics(F[t.layer], t.guidance), t.target) for t in self.styles
        ]
        losses = {
            "content": self.config.content_weight * torch.stack(content).sum(),
            "style": self.config.style_weight * torch.stack(style).sum(),
        }
        if self.config.tv_weight:
            losses["tv"] = self.config.tv_weight * total_variation(image)
        return losses

    def _content_term(self, layer: str, weight: float, P: Tensor) -> Term:
        return Term(layer, weight / self._unit(self.content_distance, torch.zeros_like(P), P), P)

    def _style_terms(self, content: Picture, P: Features, examples: Sequence[Example]) -> Iterator[Term]:
        """Yield one term for each region and layer; w_l of Eq. (5) is divided among the regions."""
        total = sum(example.weight for example in examples)
        if not total > 0:
            raise UserError("no style: give at least one picture with a weight above 0")
        if min(example.weight for example in examples) < 0:
            raise UserError("weights: none may be negative, or the loss would be")
        for group in _by_region(examples):
            share = sum(example.weight for example in group)
            textures = [self._textures(example, content) for example in group]
            for layer, w in self.config.style_layers.items():
                mixed = average([t[layer] for t in textures], [example.weight / share for example in group])
                target = gaussian(mixed) if self.config.style_loss == "wasserstein" else mixed
                nothing = FeatureStatistics(*map(torch.zeros_like, mixed))
                unit = self._unit(self.style_distance, nothing, target)
                yield Term(layer, w * share / total / unit, target, _guidance(group[0].where, P[layer]))

    def _textures(self, example: Example, content: Picture) -> dict[str, FeatureStatistics]:
        """Compute the textures of a style image by layer.

        The image is resized to the area of the content, times `style_scale` along each side.
        """
        height, width = example.picture.shape[-2:]
        factor = self.config.style_scale * (content.shape[2] * content.shape[3] / (height * width)) ** 0.5
        size = max(1, round(height * factor)), max(1, round(width * factor))
        F = self.features(resize(example.picture, size))
        return {
            layer: feature_statistics(F[layer], _guidance(example.shown, F[layer]))
            for layer in self.config.style_layers
        }

    def _unit(self, distance: Callable[[Any, Any], Tensor], nothing: Any, target: Any) -> float:
        """Return the number by which a distance is divided.

        In the relative form it is the distance between the target and features that are 0; otherwise it is 1.
        """
        return max(distance(nothing, target).item(), 1e-12) if self.config.form == "relative" else 1.0


def _by_region(examples: Sequence[Example]) -> list[list[Example]]:
    """Group the examples: those without a region share one group; each other has its own."""
    everywhere = [example for example in examples if example.where is None]
    return [group for group in [everywhere, *([e] for e in examples if e.where is not None)] if group]


def _guidance(mask: Mask | None, features: Tensor) -> Mask | None:
    """Resize the mask to the size of a layer and scale it to mean 1."""
    if mask is None:
        return None
    pooled = adaptive_avg_pool2d(mask.to(features), (features.shape[2], features.shape[3]))
    if not pooled.any():
        raise UserError("masks: one is empty; mark what belongs to the region with values up to 1")
    return pooled / pooled.mean()
