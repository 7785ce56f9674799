"""AdaINDecoder: features of VGG-19's relu4_1 back to images, with the encoder's layers in reverse order.

Paper      Huang, Belongie, ICCV 2017 (arXiv:1703.06868), Sec. 6.1: every pooling becomes a nearest-neighbor
           ×2, with reflection padding throughout and no norm, because images of many styles share no
           statistics.
Layers     512-256, ×2, 256-256 three times, 256-128, ×2, 128-128, 128-64, ×2, 64-64, 64-3; all 3×3, ReLU
           between.
Images     (n, 512, h, w) → (n, 3, 8h, 8w), RGB in [-1, 1] but unbounded; h and w at least 2.
Numbers    3,505,219 parameters.
Differs    from the authors' code: weights start with He's variance, with which the decoder learns several
           times faster than with PyTorch's default, because no norm keeps the features at one scale. Images
           lie in [-1, 1], there in [0, 1]; `from_public` converts released decoders by doubling the last
           convolution and subtracting 1 from its output.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from cyclegan.errors import UserError
from cyclegan.networks.initialization import initialize_
from cyclegan.networks.weights import find_weights, read_tensors

MIRRORED = {  # layer of the encoder, deepest first -> input and output channels of its mirrored layer
    "conv4_1": (512, 256),
    "conv3_4": (256, 256),
    "conv3_3": (256, 256),
    "conv3_2": (256, 256),
    "conv3_1": (256, 128),
    "conv2_2": (128, 128),
    "conv2_1": (128, 64),
    "conv1_2": (64, 64),
    "conv1_1": (64, 3),
}
LAST = "conv1_1"


class AdaINDecoder(nn.Sequential):
    """Decoder whose convolutions are named after the encoder layers that they mirror."""

    def __init__(self) -> None:
        super().__init__()
        for name, ends in MIRRORED.items():
            self.add_module(name, nn.Conv2d(*ends, 3, padding=1, padding_mode="reflect"))
            if name != LAST:
                self.add_module(name.replace("conv", "relu"), nn.ReLU())
            if name.endswith("_1") and name != LAST:  # where the encoder pools
                self.add_module(name.replace("conv", "up"), nn.Upsample(scale_factor=2))
        initialize_(self, norm="none")

    def forward(self, features: Float[Tensor, "n 512 h w"]) -> Float[Tensor, "n 3 H W"]:
        """Decode features: (n, 512, h, w) → (n, 3, 8h, 8w)."""
        return super().forward(features)


def load_decoder(path: Path | None = None) -> AdaINDecoder:
    """Load a trained decoder from a file in one of the public naming schemes; by default the released one."""
    path = path or find_weights("adain_decoder")
    decoder = AdaINDecoder()
    try:
        decoder.load_state_dict(from_public(read_tensors(path)))
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{path}: holds no AdaIN decoder ({reason}); give decoder.pth or a file like it") from error
    return decoder


def from_public(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the state of a public decoder, whose layers are numbered, to the state of an AdaINDecoder.

    The keys are 1.weight, 5.weight … 28.weight as in decoder.pth, or dec0.weight … dec8.weight; sorted by
    number, they correspond to the layers of MIRRORED in order. The images of such a decoder lie in [0, 1].
    """
    named = {name: re.fullmatch(r"(?:dec)?(\d+)\.(weight|bias)", name) for name in tensors}
    strange = [name for name, match in named.items() if match is None]
    numbers = sorted({int(match[1]) for match in named.values() if match})
    if strange or len(numbers) != len(MIRRORED):
        raise ValueError(f"'{strange[0]}' is unknown" if strange else f"{len(numbers)} layers, not {len(MIRRORED)}")
    layer = dict(zip(numbers, MIRRORED, strict=True))
    state = {f"{layer[int(match[1])]}.{match[2]}": tensors[name] for name, match in named.items() if match}
    return {name: _on_our_scale(name, tensor) for name, tensor in state.items()}


def _on_our_scale(name: str, tensor: Tensor) -> Tensor:
    """Replace W x + b by 2 (W x + b) − 1 in the last layer; return all other tensors unchanged."""
    if not name.startswith(LAST):
        return tensor
    return 2 * tensor - 1 if name.endswith("bias") else 2 * tensor
