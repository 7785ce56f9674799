"""DINOv2: a vision transformer trained without labels, used as a source of features.

Paper      Oquab et al., DINOv2: learning robust visual features without supervision, 2023 (arXiv:2304.07193).
           A plain ViT (Dosovitskiy et al. 2021): patches of 14 × 14 pixels and a class token, a learned
           embedding of positions, blocks x + γ₁ attention(norm x), x + γ₂ MLP(norm x) with LayerScale γ
           (Touvron et al. 2021) and GELU.
Features   the class token after the last norm.
Size       Large, 304,368,640 parameters, 1.2 GB: the size that Stein et al. 2023 (Exposing flaws of
           generative model evaluation metrics) use to evaluate generators, so that numbers are comparable
           with theirs.
Positions  were learned for 37 × 37 patches, 518 pixels a side; for other numbers of patches they are
           interpolated bicubically with the scale (n + 0.1) / 37 instead of n / 37, as in the released code
           and therefore in every published number.
Names      of the parameters are those of the released file. mask_token is used only in training.
Images     RGB in [-1, 1], normalized inside; pixels beyond the last whole patch are ignored.
"""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from cyclegan.networks.imagenet import normalize
from cyclegan.networks.weights import load_into, load_weights
from cyclegan.protocols import Images

PATCH = 14  # px
GRID = 37  # patches a side that the positions were learned for
OFFSET = 0.1
EPS = 1e-6


class DINOv2(nn.Module):
    """Vision transformer that returns the features of images; by default ViT-L/14."""

    sha256 = ""  # of the file that it was filled from

    def __init__(self, width: int = 1024, depth: int = 24, heads: int = 16, grid: int = GRID) -> None:
        super().__init__()
        self.grid = grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = nn.Sequential(OrderedDict(proj=nn.Conv2d(3, width, PATCH, stride=PATCH)))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, EPS)

    def forward(self, images: Images) -> Float[Tensor, "n d"]:
        """Compute the class tokens of images: (n, 3, h, w) in [-1, 1] → (n, d)."""
        return self.norm(self.blocks(self.tokens(images)))[:, 0]

    def tokens(self, images: Images) -> Float[Tensor, "n t d"]:
        """Return the class token and one token for each patch, row by row, with their positions added."""
        squares = self.patch_embed(normalize(images))
        classes = self.cls_token.expand(len(images), -1, -1)
        return torch.cat([classes, squares.flatten(2).mT], dim=1) + self.positions(*squares.shape[2:])

    def positions(self, rows: int, columns: int) -> Float[Tensor, "1 t d"]:
        """Return the position embeddings of the class token and of rows × columns patches."""
        if rows == columns == self.grid:
            return self.pos_embed
        whole, squares = self.pos_embed.split([1, self.grid**2], dim=1)
        scale = [(count + OFFSET) / self.grid for count in (rows, columns)]
        grid = interpolate(squares.mT.unflatten(2, (self.grid, self.grid)), scale_factor=scale, mode="bicubic")
        return torch.cat([whole, grid.flatten(2).mT], dim=1)


class Block(nn.Module):
    """Transformer block: attention, then an MLP, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPS)
        self.attn = Attention(width, heads)
        self.ls1 = LayerScale(width)
        self.norm2 = nn.LayerNorm(width, EPS)
        layers = OrderedDict(fc1=nn.Linear(width, 4 * width), act=nn.GELU(), fc2=nn.Linear(4 * width, width))
        self.mlp = nn.Sequential(layers)
        self.ls2 = LayerScale(width)

    def forward(self, x: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """Transform tokens: (n, t, d) → (n, t, d)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Attention(nn.Module):
    """Multi-head self-attention over all tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """Compute softmax(Q Kᵀ / √(d / heads)) V for each head."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class LayerScale(nn.Module):
    """Learned factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """Multiply by γ."""
        return self.gamma * x


def load_dinov2(**size: int) -> DINOv2:
    """Load DINOv2 with the released weights, frozen; `size` is for weights of a model other than ViT-L/14."""
    weights = load_weights("dinov2")
    with torch.device("meta"):  # avoids initializing 304 million numbers that are replaced
        network = DINOv2(**size)
    load_into(network, weights, "DINOv2 ViT-L/14")
    network.sha256 = weights.sha256
    return network
