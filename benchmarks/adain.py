"""AdaIN: T(c, s) of one content and one style of the same size, as others write it and as this library computes it.

Plain      as in the public PyTorch implementations: float32, channels first, a 1×1 convolution before VGG-19, layers
           of a sequence for padding, convolution and ReLU, content and style encoded one after the other, statistics
           of a flattened view; the same weights and the same formula, so that the results can be compared.
Library    `stylize`, which encodes the style every time; and `bind` once, then `translate`.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from material import CONTENT, STYLE, at_hand, photograph
from paired import LEAST, Table, Variant, measure
from peaks import flops
from torch import Tensor, nn

from cyclegan.device import choose_precision
from cyclegan.functional.statistics import FLAT, TINY
from cyclegan.methods.adain import AdaIN, AdaINConfig
from cyclegan.protocols import Images

SIZES = (256, 512)
QUICK_SIZES = (32,)


class Plain(nn.Module):
    """The networks of a method, built as others build them."""

    def __init__(self, method: AdaIN) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*_encoder(method))
        self.decoder = nn.Sequential(*_decoder(method))

    @torch.no_grad()
    def forward(self, content: Images, style: Images) -> Images:
        """T(c, s)."""
        f_c, f_s = self.encoder(content), self.encoder(style)
        return self.decoder(_exchange(f_c, f_s)).clamp(-1, 1)


def run(size: int, rounds: int, device: torch.device, least: float = LEAST) -> Table:
    """At one size."""
    content, style = (photograph(name, size, device) for name in (CONTENT, STYLE))
    method = build("auto").to(device).eval()
    exact = in_float32(method)
    plain, bound = Plain(method).to(device).eval(), method.bind(style)
    auto = choose_precision("auto", device)
    name = str(auto).removeprefix("torch.")
    ways = {
        "plain, float32": lambda: plain(content, style),
        "library, float32": lambda: exact.stylize(content, style),
        f"library, {name} by default": lambda: method.stylize(content, style),
        f"library, {name}, style reused": lambda: bound.translate(content),
    }
    truth, *others = (call() for call in ways.values())
    agreements = [{}, *(agreement(other, truth) for other in others)]
    variants = [
        Variant(title, way, agreed, flops=flops(way), dtype=torch.float32 if "float32" in title else auto)
        for (title, way), agreed in zip(ways.items(), agreements, strict=True)
    ]
    rows = measure(variants, rounds, device, least=least)
    return Table(title=f"AdaIN, {size} px, one image", weights=weights(method), rows=rows)


def build(precision: str) -> AdaIN:
    """With the released weights where CYCLEGAN_WEIGHTS has them, else with random ones."""
    if at_hand("normalised", "adain_decoder"):
        return AdaIN(AdaINConfig(encoder="normalised", decoder="public", precision=precision))
    torch.manual_seed(0)
    return AdaIN(AdaINConfig(encoder="random", precision=precision))


def in_float32(method: AdaIN) -> AdaIN:
    """The same method, whatever precision it has."""
    exact = AdaIN(replace(method.config, precision="float32"))
    exact.load_state_dict(method.state_dict())
    return exact.to(next(method.parameters()).device).eval()


def weights(method: AdaIN) -> str:
    """Which ones the method has."""
    if method.config.encoder == "random":
        return "random, as CYCLEGAN_WEIGHTS names no folder with the released ones"
    return "the released ones of the encoder and the decoder"


def agreement(images: Images, truth: Images) -> dict[str, float]:
    """In 8-bit levels and as PSNR, which ends at 126 dB."""
    difference = (images - truth).abs() * 127.5
    error = max((images - truth).square().mean().item(), 1e-12)
    return {
        "largest difference in levels": difference.max().item(),
        "mean": difference.mean().item(),
        "PSNR": 10 * torch.tensor(4 / error).log10().item(),
    }


def _exchange(content: Tensor, style: Tensor) -> Tensor:
    n, c = content.shape[:2]
    flat_c, flat_s = content.view(n, c, -1), style.view(n, c, -1)
    mean_c, mean_s = (flat.mean(dim=2).view(n, c, 1, 1) for flat in (flat_c, flat_s))
    std_c = flat_c.var(dim=2, correction=0).clamp(min=FLAT).sqrt().view(n, c, 1, 1)
    std_s = (flat_s.var(dim=2, correction=0) + TINY).sqrt().view(n, c, 1, 1)
    normalized = (content - mean_c.expand(content.shape)) / std_c.expand(content.shape)
    return normalized * std_s.expand(content.shape) + mean_s.expand(content.shape)


def _encoder(method: AdaIN) -> Iterator[nn.Module]:
    first = nn.Conv2d(3, 3, 1)
    first.weight.data = torch.diag(method.encoder.factor.flatten())[:, :, None, None].clone()
    first.bias.data = method.encoder.summand.flatten().clone()
    yield first
    for name, convolution in method.encoder.layers():
        if name.endswith("_1") and name != "conv1_1":
            yield nn.MaxPool2d(2, 2, ceil_mode=True)
        yield from (nn.ReflectionPad2d(1), _unpadded(convolution), nn.ReLU())


def _decoder(method: AdaIN) -> Iterator[nn.Module]:
    for layer in method.decoder:
        match layer:
            case nn.Conv2d():
                yield from (nn.ReflectionPad2d(1), _unpadded(layer))
            case nn.ReLU():
                yield nn.ReLU()
            case _:
                yield nn.Upsample(scale_factor=2, mode="nearest")


def _unpadded(convolution: nn.Conv2d) -> nn.Conv2d:
    plain = nn.Conv2d(convolution.in_channels, convolution.out_channels, 3)
    plain.load_state_dict({name: tensor.contiguous() for name, tensor in convolution.state_dict().items()})
    return plain
