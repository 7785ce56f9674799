"""ProjectionHead: H_l of CUT, which projects features at some positions into the space where patches are compared.

Paper      Park et al. 2020, Sec. 3: an MLP of two layers with 256 units.
Features   (n, c, h, w), places of h · w → (n, places, width), of length 1, float32 also under autocast.
"""

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import normalize

from cyclegan.functional.precision import at_least_float32


class ProjectionHead(nn.Module):
    """MLP of linear, ReLU, linear; weights from N(0, 0.02²), as in the authors' code."""

    def __init__(self, channels: int, width: int = 256) -> None:
        super().__init__()
        first, last = nn.Linear(channels, width), nn.Linear(width, width)
        self.layers = nn.Sequential(first, nn.ReLU(), last)
        for layer in (first, last):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            nn.init.zeros_(layer.bias)

    def forward(
        self, features: Float[Tensor, "n c h w"], places: Int[Tensor, " places"]
    ) -> Float[Tensor, "n places width"]:
        """Return one vector for each place; places are numbered row by row."""
        vectors = self.layers(features.flatten(2)[:, :, places].mT)
        return normalize(at_least_float32(vectors), dim=2)
