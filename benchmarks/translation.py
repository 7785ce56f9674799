"""One picture through a trained generator of the paper's size, as others run it and as this library does.

Plain      benchmarks/plain.py in evaluation mode, float32.
Library    the network as it was trained; and `frozen`: in the precision of the device, channels last, its instance
           norms as group norms of one channel each, which keep that order; compiled, too.
"""

from copy import deepcopy

import torch
from adain import agreement
from material import CONTENT, photograph
from paired import LEAST, Table, Variant, measure
from peaks import flops
from plain import copy_weights, generator

from cyclegan.device import choose_precision
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.networks.resnet import ResnetGenerator

SIZES = (256, 512)
QUICK_SIZES = (32,)


def run(size: int, rounds: int, device: torch.device, least: float = LEAST) -> Table:
    """At one size."""
    quick = size in QUICK_SIZES
    torch.manual_seed(0)
    network = (ResnetGenerator(base_channels=4, blocks=1) if quick else ResnetGenerator()).to(device).eval()
    reference = (generator(4, 1) if quick else generator()).to(device).eval()
    copy_weights([network], [reference])
    image = photograph(CONTENT, size, device)
    auto = choose_precision("auto", device)
    name = str(auto).removeprefix("torch.")
    ways = {
        "library, float32": inference_copy(network, torch.float32),
        f"library, {name}": inference_copy(network, auto),
    }
    if not quick:
        for title, one in list(ways.items()):
            compiled = deepcopy(one)
            compiled.compile()
            ways[f"{title}, compiled"] = compiled

    @torch.no_grad()
    def plain() -> torch.Tensor:
        return reference(image)

    truth, asked = plain(), flops(plain)
    variants = [Variant("plain, float32", plain, flops=asked)]
    for title, one in {"library, as trained": network, **ways}.items():
        translator = NetworkTranslator(one, network.stride)
        agreed = agreement(translator.translate(image), truth)
        dtype = auto if name in title else torch.float32
        variants.append(
            Variant(title, lambda translator=translator: translator.translate(image), agreed, flops=asked, dtype=dtype)
        )
    rows = measure(variants, rounds, device, least=least)
    return Table(title=f"A ResNet-9 generator, {size} px, one image", weights="random", rows=rows)
