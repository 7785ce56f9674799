"""The generators of pytorch-CycleGAN-and-pix2pix as published: layers with the places that give their weights names."""

from pathlib import Path

import torch
from torch import nn


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
        self, channels: int = 4, blocks: int = 2, norm: type[nn.Module] = nn.InstanceNorm2d, dropout: bool = False
    ) -> None:
        super().__init__()
        bias = norm is not nn.BatchNorm2d and norm is not nn.Identity
        c, d, e = channels, 2 * channels, 4 * channels
        up = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "bias": bias}
        self.model = nn.Sequential(
            *(nn.ReflectionPad2d(3), nn.Conv2d(3, c, 7, bias=bias), norm(c), nn.ReLU(True)),
            *(nn.Conv2d(c, d, 3, stride=2, padding=1, bias=bias), norm(d), nn.ReLU(True)),
            *(nn.Conv2d(d, e, 3, stride=2, padding=1, bias=bias), norm(e), nn.ReLU(True)),
            *(Block(e, norm, dropout, bias) for _ in range(blocks)),
            *(nn.ConvTranspose2d(e, d, **up), norm(d), nn.ReLU(True)),
            *(nn.ConvTranspose2d(d, c, **up), norm(c), nn.ReLU(True)),
            *(nn.ReflectionPad2d(3), nn.Conv2d(c, 3, 7), nn.Tanh()),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


class Level(nn.Module):
    """One size of the U-Net as published: down, what is inside, up, and beside it what came in."""

    def __init__(self, outer: int, inner: int, inside: "Level | None", norm: type[nn.Module], outermost: bool) -> None:
        super().__init__()
        bias = norm is nn.InstanceNorm2d
        self.outermost = outermost
        down = nn.Conv2d(3 if outermost else outer, inner, 4, stride=2, padding=1, bias=bias)
        wide = inner if inside is None else 2 * inner
        up = nn.ConvTranspose2d(wide, 3 if outermost else outer, 4, stride=2, padding=1, bias=bias or outermost)
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

    def __init__(self, channels: int = 2, depth: int = 5, norm: type[nn.Module] = nn.InstanceNorm2d) -> None:
        super().__init__()
        widths = [channels * min(2**i, 8) for i in range(depth)]
        level = None
        for i in range(depth - 1, 0, -1):
            level = Level(widths[i - 1], widths[i], level, norm, outermost=False)
        self.model = Level(3, widths[0], level, norm, outermost=True)

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


def save(network: nn.Module, path: Path, prefix: str = "", **how: object) -> Path:
    torch.save({prefix + name: tensor for name, tensor in network.state_dict().items()}, path, **how)
    return path
