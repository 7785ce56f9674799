"""CycleGAN as it is usually written, to be compared with: float32, eager, channels first, one forward for every use.

The maths are the paper's and the library's: the same layers, losses and optimizers, from the same weights, so that
losses and gradients can be compared. Nothing is shared with the library but the numbers.

Differs    from the library: the discriminators see the fakes of this very step instead of past ones. The first fifty
           are the same, of which those are that losses are compared on.
"""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

SATURATION = 0.98  # of what a copying generator is given: atanh(±1) is infinite


def generator(channels: int = 64, blocks: int = 9) -> nn.Sequential:
    """c7s1-64, d128, d256, R256 × 9, u128, u64, c7s1-3."""
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, channels, 7), nn.InstanceNorm2d(channels), nn.ReLU()]
    for width in (channels, 2 * channels):
        layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.InstanceNorm2d(2 * width), nn.ReLU()]
    layers += [Block(4 * channels) for _ in range(blocks)]
    for width in (4 * channels, 2 * channels):
        layers.append(nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1))
        layers += [nn.InstanceNorm2d(width // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(channels, 3, 7), nn.Tanh())


class Block(nn.Module):
    """R256."""

    def __init__(self, channels: int, norm: bool = True) -> None:
        super().__init__()
        one = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), *[nn.InstanceNorm2d(channels)] * norm]
        two = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), *[nn.InstanceNorm2d(channels)] * norm]
        self.body = nn.Sequential(*one, nn.ReLU(), *two)

    def forward(self, features: Tensor) -> Tensor:
        """x + body(x)."""
        return cast(Tensor, features + self.body(features))


class SmallGenerator(nn.Module):
    """That of the embedded recipe: residual blocks on 2×2 pixels at once, no norms, and what it adds to its input."""

    def __init__(self, channels: int = 32, blocks: int = 4) -> None:
        super().__init__()
        stem = [nn.PixelUnshuffle(2), nn.ReflectionPad2d(1), nn.Conv2d(12, channels, 3), nn.ReLU()]
        head = [nn.ReflectionPad2d(1), nn.Conv2d(channels, 12, 3), nn.PixelShuffle(2)]
        self.body = nn.Sequential(*stem, *(Block(channels, norm=False) for _ in range(blocks)), *head)

    def forward(self, images: Tensor) -> Tensor:
        """tanh(body(x) + atanh(x))."""
        return torch.tanh(self.body(images) + torch.atanh(SATURATION * images))


def discriminator(channels: int = 64, layers: int = 3, norm: bool = True) -> nn.Sequential:
    """C64, C128, C256, C512, and scores of 70×70 patches."""
    found: list[nn.Module] = [nn.Conv2d(3, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for i in range(layers):
        width, stride = channels * 2**i, 2 if i < layers - 1 else 1
        found += [nn.Conv2d(width, 2 * width, 4, stride=stride, padding=1), *[nn.InstanceNorm2d(2 * width)] * norm]
        found.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*found, nn.Conv2d(channels * 2**layers, 1, 4, padding=1))


class Step:
    """The four networks and one training step after the other."""

    def __init__(
        self,
        generator: Callable[[], nn.Module] = generator,
        discriminator: Callable[[], nn.Module] = discriminator,
        cycle: float = 10.0,  # λ
        identity: float = 0.5,  # times λ
    ) -> None:
        self.G, self.F, self.D_X, self.D_Y = generator(), generator(), discriminator(), discriminator()
        self.cycle, self.identity = cycle, cycle * identity
        options = dict(lr=2e-4, betas=(0.5, 0.999))
        self.of_generators = torch.optim.Adam(chain(self.G.parameters(), self.F.parameters()), **options)  # type: ignore[arg-type]
        self.of_discriminators = torch.optim.Adam(chain(self.D_X.parameters(), self.D_Y.parameters()), **options)  # type: ignore[arg-type]

    def __call__(self, x: Tensor, y: Tensor) -> dict[str, float]:
        """The losses by name; every loss is read, as for a log."""
        self._freeze(True)
        self.of_generators.zero_grad()
        fake_y, fake_x = self.G(x), self.F(y)
        losses = {
            "gan_G": _to_one(self.D_Y(fake_y)),
            "gan_F": _to_one(self.D_X(fake_x)),
            "cycle_x": self.cycle * (self.F(fake_y) - x).abs().mean(),
            "cycle_y": self.cycle * (self.G(fake_x) - y).abs().mean(),
        }
        if self.identity:
            losses["identity_y"] = self.identity * (self.G(y) - y).abs().mean()
            losses["identity_x"] = self.identity * (self.F(x) - x).abs().mean()
        cast(Tensor, sum(losses.values())).backward()
        self.of_generators.step()

        self._freeze(False)
        self.of_discriminators.zero_grad()
        for name, D, real, fake in (("D_X", self.D_X, x, fake_x), ("D_Y", self.D_Y, y, fake_y)):
            losses[name] = 0.5 * (_to_one(D(real)) + D(fake.detach()).square().mean())
            losses[name].backward()
        self.of_discriminators.step()
        return {name: loss.item() for name, loss in losses.items()}

    def _freeze(self, frozen: bool) -> None:
        for parameter in chain(self.D_X.parameters(), self.D_Y.parameters()):
            parameter.requires_grad_(not frozen)


def copy_weights(source: Iterable[nn.Module], target: Iterable[nn.Module]) -> None:
    """Into networks of the same layers under other names."""
    for one, other in zip(source, target, strict=True):
        for parameter, given in zip(other.parameters(), one.parameters(), strict=True):
            parameter.data.copy_(given.data)


def _to_one(scores: Tensor) -> Tensor:
    return (scores - 1).square().mean()
