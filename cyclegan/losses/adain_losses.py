"""Content and style loss of AdaIN, as functions of features (Huang & Belongie 2017, Sec. 5).

Objective  L = L_c + λ L_s                                                                          (Eq. 11)
           L_c = ‖f(g(t)) − t‖²                                                                     (Eq. 12)
           L_s = Σ_l ‖μ(φ_l(g(t))) − μ(φ_l(s))‖² + ‖σ(φ_l(g(t))) − σ(φ_l(s))‖²                      (Eq. 13)
Taps       l is relu1_1, relu2_1, relu3_1 and relu4_1, of C = 64, 128, 256 and 512 channels; f is relu4_1.
Presets    The norms of L_c are means over all elements. Those of L_s, with the λ that goes with them, are
           `original`  the authors' code: the sum over the channels, λ = 1e-2;
           `port`      the best known PyTorch code (naoto0804): the mean over the channels, λ = 10.
           As the sum is C times the mean, a tap counts 10 / (C · 1e-2) = 1000 / C times as much in the port:
           15.6, 7.8, 3.9 and 2.0 times from relu1_1 to relu4_1. The port transfers more of the style, and
           more of its fine texture.
Differs    from the authors' code: σ is the root of the variance + 1e-5, as in AdaIN itself; there 1e-6 is
           added.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import mse_loss

from cyclegan.functional.statistics import mean_std

LAMBDA_STYLE = {"original": 1e-2, "port": 10.0}  # the weight that belongs to a preset


def adain_content_loss(found: Float[Tensor, "n c h w"], target: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Compute ‖f(g(t)) − t‖², the mean over all elements.

    It compares the features of the output with those that it was decoded from.
    """
    return mse_loss(found.float(), target.float())


def adain_style_loss(
    found: Mapping[str, Float[Tensor, "n _ _ _"]], style: Mapping[str, Float[Tensor, "n _ _ _"]], preset: str
) -> Float[Tensor, ""]:
    """Compute Σ_l ‖Δμ_l‖² + ‖Δσ_l‖², the mean over the images, before λ.

    The images of found and style may differ in size.
    """
    distances = [_distance(found[tap], features) for tap, features in style.items()]  # one (n, c) for each tap
    over_channels = [d.sum(dim=1) if preset == "original" else d.mean(dim=1) for d in distances]
    return sum(over_channels).mean()  # type: ignore[union-attr]


def _distance(found: Float[Tensor, "n c _ _"], style: Float[Tensor, "n c _ _"]) -> Float[Tensor, "n c"]:
    """Compute Δμ² + Δσ² of each channel."""
    differences = (a - b for a, b in zip(mean_std(found), mean_std(style), strict=True))
    return sum(d.square() for d in differences).flatten(1)  # type: ignore[union-attr]
