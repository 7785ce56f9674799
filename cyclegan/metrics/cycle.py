"""Cycle error: the difference between F(G(x)) and x, also with perturbed G(x).

Paper      Chu, Zhmoginov, Sandler, CycleGAN, a master of steganography, 2017: a generator may hide its source
           in its translation as a faint, invisible pattern. The hidden information is lost when the
           translation is stored.
Perturbed  clean: as a tensor; 8-bit: rounded, as in a PNG; JPEG-90; noise: σ = 3 of 255 levels, the same for
           all.
Error      the mean |F(G(x)) − x| in levels of 255, and PSNR in dB.
Ratio      perturbation ratio, clean error / noisy error: about 1 if F uses visible content; near 0 if it
           reads a hidden message.
"""

import io
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from cyclegan.images.tensors import from_bytes, to_bytes
from cyclegan.metrics.fidelity import psnr
from cyclegan.protocols import Images, Translator

PERTURBATIONS = ("clean", "8-bit", "JPEG-90", "noise")
NOISE = 3.0  # levels of 255
SMALLEST = 1 / 255  # levels: an error below this is a perfect cycle

CYCLE_PROTOCOL = "mean |F(G(x)) − x| in levels of 255, the source in 8 bits, mean over images; noise of sigma 3, seed 0"


class Cycle(NamedTuple):
    """Errors of one image by perturbation."""

    error: dict[str, float]  # levels of 255
    psnr: dict[str, float]  # dB

    @property
    def perturbation_ratio(self) -> float:
        """Clean error / noisy error, in 0 … 1."""
        return min(1.0, max(self.error["clean"], SMALLEST) / max(self.error["noise"], SMALLEST))


@torch.no_grad()
def cycle(there: Translator, back: Translator, source: UInt8[np.ndarray, "h w 3"], device: torch.device) -> Cycle:
    """Translate an image there and back, with its translation unchanged and perturbed in between."""
    translated = there.translate(from_bytes(source).to(device))
    error, signal = {}, {}
    for name in PERTURBATIONS:
        returned = back.translate(_perturbed(translated, name))
        exact = returned.float().add(1).mul(127.5).clamp(0, 255)[0].permute(1, 2, 0).cpu().numpy()
        error[name] = float(np.abs(exact - source).mean())
        signal[name] = psnr(to_bytes(returned)[0].numpy(), source)
    return Cycle(error, signal)


def _perturbed(images: Images, name: str) -> Images:
    if name == "clean":
        return images
    if name == "noise":
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        return (images + noise.to(images) * (NOISE / 127.5)).clamp(-1, 1)
    levels = to_bytes(images)[0].numpy()
    return from_bytes(levels if name == "8-bit" else _as_jpeg(levels)).to(images)


def _as_jpeg(picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90)
    return np.asarray(Image.open(file).convert("RGB"))
