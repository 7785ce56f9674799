"""Translators to the styles of a network of several styles, and to mixtures of them.

Such a network takes images (n, 3, h, w), weights of some styles, which are (n, k, 1, 1) for the image or
(n, k, _, _) for every position, and the indices of these k styles. It has a `stride` and a `smallest` side.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cyclegan.errors import UserError
from cyclegan.methods.translator import NetworkTranslator, require_fitting_controls
from cyclegan.protocols import Images, Masks

LEAST = 1e-6  # of all masks together: below it, a position belongs to no style


class Mixture(nn.Module):
    """Network of several styles at fixed weights: a network from images to images."""

    def __init__(
        self,
        network: nn.Module,
        among: Sequence[int],
        weights: Float[Tensor, "k _ _"],
        covered: Float[Tensor, "_ _"] | None = None,
    ) -> None:
        """Fix the weights of the styles `among`, by index; the content stays where `covered`, in 0 … 1, is 0."""
        super().__init__()
        self.network, self.among, self.weights, self.covered = network, tuple(among), weights, covered

    def forward(self, images: Images) -> Images:
        """Stylize images: (n, 3, h, w) → (n, 3, h, w), clamped to [-1, 1]."""
        stylized: Images = self.network(images, self.weights[None].to(images), self.among).clamp(-1, 1)
        if self.covered is None:
            return stylized
        return images.lerp(stylized, interpolate(self.covered[None, None].to(images), images.shape[2:], mode="area"))


def style_translators(network: Any, styles: Sequence[str]) -> Mapping[str, NetworkTranslator]:
    """Return a translator to each style alone, by name."""
    whole = torch.ones(1, 1, 1, device="cpu")
    alone = (Mixture(network, [i], whole) for i in range(len(styles)))
    return {
        style: NetworkTranslator(mixture, network.stride, network.smallest)
        for style, mixture in zip(styles, alone, strict=True)
    }


def mixture_translator(
    network: Any, styles: Sequence[str], weights: Mapping[str, float], masks: Masks | None = None
) -> NetworkTranslator:
    """Return a translator to a mixture of styles; `weights` and `masks` are those of protocols.Mixes.

    Where masks overlap, the styles share the place by their values. Where they sum to less than 1, the
    content shows through.
    """
    require_fitting_controls(len(weights), None if masks is not None else list(weights.values()), masks)
    among = [_index(name, styles) for name in weights]
    if masks is None:
        shares = torch.tensor(list(weights.values()))[:, None, None] / sum(weights.values())
        return NetworkTranslator(Mixture(network, among, shares), network.stride, network.smallest)
    total = masks.sum(dim=0)
    shares = torch.where(total > LEAST, masks / total.clamp(min=LEAST), 1 / len(masks))
    mixture = Mixture(network, among, shares, total.clamp(max=1))
    return NetworkTranslator(mixture, network.stride, network.smallest, local=False)


def _index(name: str, styles: Sequence[str]) -> int:
    if name not in styles:
        raise UserError(f"'{name}': this model has learned {', '.join(styles)}; name some of these")
    return styles.index(name)
