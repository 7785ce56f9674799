"""The generators of pytorch-CycleGAN-and-pix2pix as published: layers with the places that give their weights names."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, instance_norm, interpolate, pad, relu


class Block(nn.Module):
    """As published: both convolutions reflection padded, dropout between them if asked for."""

    def __init__(self, channels: int, norm: type[nn.Module], dropout: bool, bias: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm(channels), nn.ReLU(True)),
            *([nn.Dropout(0.5)] if dropout else []),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), norm(channels)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x)


class Published(nn.Module):
    """The ResNet generator as published, with the places of its layers."""

    def __init__(
        self,
        channels: int = 4,
        blocks: int = 2,
        norm: type[nn.Module] = nn.InstanceNorm2d,
        dropout: bool = False,
        io: int = 3,
    ) -> None:
        super().__init__()
        bias = norm is not nn.BatchNorm2d and norm is not nn.Identity
        c, d, e = channels, 2 * channels, 4 * channels
        up = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "bias": bias}
        self.model = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(io, c, 7, bias=bias), norm(c), nn.ReLU(True)),
            *(nn.Conv2d(c, d, 3, stride=2, padding=1, bias=bias), norm(d), nn.ReLU(True)),
            *(nn.Conv2d(d, e, 3, stride=2, padding=1, bias=bias), norm(e), nn.ReLU(True)),
            *(Block(e, norm, dropout, bias) for _ in range(blocks)),
            *(nn.ConvTranspose2d(e, d, **up), norm(d), nn.ReLU(True)),
            *(nn.ConvTranspose2d(d, c, **up), norm(c), nn.ReLU(True)),
            *(nn.ReflectionPad2d(3), nn.Conv2d(c, io, 7), nn.Tanh()),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class Relative:
    """The ResNets of CUT and of PyTorch-GAN as functions of their weights, which have the names they have there."""

    def __init__(
        self, block: str, *, blurs_down: bool, up: str, channels: int = 4, blocks: int = 2, io: int = 3
    ) -> None:
        self.block, self.blurs_down, self.up, self.blocks = block, blurs_down, up, blocks
        self.begin = 12 if blurs_down else 10
        self.shapes = dict(self._shapes(channels, io))
        self.state = {name: 0.2 * torch.randn(shape) for name, shape in self.shapes.items()}
        self.state |= {name: tensor for name, tensor in self._filters(channels)}

    def _shapes(self, c: int, io: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        down, up, end = 4 if self.blurs_down else 3, 3 if self.up == "transposed" else 4, self.begin + self.blocks
        at = end if self.up == "transposed" else end + 1
        yield from self._layer(1, (c, io, 7, 7))
        yield from self._layer(4, (2 * c, c, 3, 3))
        yield from self._layer(4 + down, (4 * c, 2 * c, 3, 3))
        for i in range(self.begin, end):
            for place in (1, 5):
                yield from self._layer(f"{i}.{self.block}.{place}", (4 * c, 4 * c, 3, 3))
        for i, (wide, narrow) in enumerate(((4 * c, 2 * c), (2 * c, c))):
            sides = (wide, narrow) if self.up == "transposed" else (narrow, wide)
            yield f"model.{at + up * i}.weight", (*sides, 3, 3)
            yield f"model.{at + up * i}.bias", (narrow,)
        self.last = end + 2 * up + 1
        yield from self._layer(self.last, (io, c, 7, 7))

    def _layer(self, place: object, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"model.{place}.weight", shape
        yield f"model.{place}.bias", shape[:1]

    def _filters(self, c: int) -> Iterator[tuple[str, torch.Tensor]]:
        three, four = (torch.tensor(row).outer(torch.tensor(row)) for row in ([1.0, 2, 1], [1.0, 3, 3, 1]))
        if self.blurs_down:
            yield from ((f"model.{at}.filt", three.div(16).repeat(n * c, 1, 1, 1)) for at, n in ((7, 2), (11, 4)))
        if self.up == "filter":
            end = self.begin + self.blocks
            yield from ((f"model.{at}.filt", four.div(16).repeat(n * c, 1, 1, 1)) for at, n in ((end, 4), (end + 4, 2)))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        down, up = 4 if self.blurs_down else 3, 3 if self.up == "transposed" else 4
        x = relu(instance_norm(self._conv(pad(x, (3, 3, 3, 3), "reflect"), 1)))
        for at in (4, 4 + down):
            x = relu(instance_norm(self._conv(x, at, stride=1 if self.blurs_down else 2, padding=1)))
            if self.blurs_down:
                x = conv2d(
                    pad(x, (1, 1, 1, 1), "reflect"), self.state[f"model.{at + 3}.filt"], stride=2, groups=x.shape[1]
                )
        for i in range(self.begin, self.begin + self.blocks):
            inner = relu(instance_norm(self._conv(pad(x, (1, 1, 1, 1), "reflect"), f"{i}.{self.block}.1")))
            x = x + instance_norm(self._conv(pad(inner, (1, 1, 1, 1), "reflect"), f"{i}.{self.block}.5"))
        for at in (self.begin + self.blocks, self.begin + self.blocks + up):
            x = relu(instance_norm(self._larger(x, at)))
        return torch.tanh(self._conv(pad(x, (3, 3, 3, 3), "reflect"), self.last))

    def _larger(self, x: torch.Tensor, at: int) -> torch.Tensor:
        if self.up == "transposed":
            weight, bias = self.state[f"model.{at}.weight"], self.state[f"model.{at}.bias"]
            return conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)
        if self.up == "filter":
            kernel, edged = self.state[f"model.{at}.filt"], pad(x, (1, 1, 1, 1), "replicate")
            x = conv_transpose2d(edged, kernel, stride=2, padding=2, groups=x.shape[1])[..., 1:-1, 1:-1]
        else:
            x = interpolate(x, scale_factor=2)
        return self._conv(x, at + 1, padding=1)

    def _conv(self, x: torch.Tensor, place: object, **how: int) -> torch.Tensor:
        return conv2d(x, self.state[f"model.{place}.weight"], self.state[f"model.{place}.bias"], **how)


class Level(nn.Module):
    """One size of the U-Net as published: down, what is inside, up, and beside it what came in."""

    def __init__(self, outer: int, inner: int, inside: "Level | None", norm: type[nn.Module], io: int = 0) -> None:
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        self.outermost = outermost = io > 0
        down = nn.Conv2d(io or outer, inner, 4, stride=2, padding=1, bias=bias)
        wide = inner if inside is None else 2 * inner
        up = nn.ConvTranspose2d(wide, io or outer, 4, stride=2, padding=1, bias=bias or outermost)
        if outermost:
            layers = [down, inside, nn.ReLU(True), up, nn.Tanh()]
        elif inside is None:
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, norm(outer)]
        else:
            layers = [nn.LeakyReLU(0.2, True), down, norm(inner), inside, nn.ReLU(True), up, norm(outer)]
        self.model = nn.Sequential(*layers, *([nn.Dropout(0.5)] if inside is not None and not outermost else []))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class PublishedUnet(nn.Module):
    """The U-Net as published."""

    def __init__(
        self, channels: int = 2, depth: int = 5, norm: type[nn.Module] = nn.InstanceNorm2d, io: int = 3
    ) -> None:
        super().__init__()
        widths = [channels * min(2**i, 8) for i in range(depth)]
        level = None
        for i in range(depth - 1, 0, -1):
            level = Level(widths[i - 1], widths[i], level, norm)
        self.model = Level(io, widths[0], level, norm, io)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


def published(seed: int = 0, **structure: object) -> Published:
    """Weights and biases drawn so that every one of them shows."""
    torch.manual_seed(seed)
    return drawn(Published(**structure))


def drawn(network: nn.Module) -> nn.Module:
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.2)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.2)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return network.eval()


def relative(seed: int = 0, **structure: object) -> Relative:
    torch.manual_seed(seed)
    return Relative(**structure)


def save(network: nn.Module, path: Path, prefix: str = "", **how: object) -> Path:
    torch.save({prefix + name: tensor for name, tensor in network.state_dict().items()}, path, **how)
    return path
