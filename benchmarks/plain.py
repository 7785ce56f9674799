"""CycleGAN as it is usually written, to be compared with: float32, eager, channels first, one forward for every use.

The maths are the paper's and the library's: the same layers, losses and optimizers, from the same weights, so that
losses and gradients can be compared. Nothing is shared with the library but the numbers.
"""

from collections.abc import Iterable
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

LAMBDA_CYCLE, LAMBDA_IDENTITY = 10.0, 0.5
BUFFER = 50


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

    def __init__(self, channels: int) -> None:
        super().__init__()
        one = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU()]
        two = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]
        self.body = nn.Sequential(*one, *two)

    def forward(self, features: Tensor) -> Tensor:
        """x + body(x)."""
        return cast(Tensor, features + self.body(features))


def discriminator(channels: int = 64) -> nn.Sequential:
    """C64, C128, C256, C512, and scores of 70×70 patches."""
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for width, stride in ((channels, 2), (2 * channels, 2), (4 * channels, 1)):
        layers += [nn.Conv2d(width, 2 * width, 4, stride=stride, padding=1), nn.InstanceNorm2d(2 * width)]
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Conv2d(8 * channels, 1, 4, padding=1))


class Step:
    """The four networks and one training step after the other."""

    def __init__(self, channels: int = 64, blocks: int = 9) -> None:
        self.G, self.F = generator(channels, blocks), generator(channels, blocks)
        self.D_X, self.D_Y = discriminator(channels), discriminator(channels)
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
            "cycle_x": LAMBDA_CYCLE * (self.F(fake_y) - x).abs().mean(),
            "cycle_y": LAMBDA_CYCLE * (self.G(fake_x) - y).abs().mean(),
            "identity_y": LAMBDA_CYCLE * LAMBDA_IDENTITY * (self.G(y) - y).abs().mean(),
            "identity_x": LAMBDA_CYCLE * LAMBDA_IDENTITY * (self.F(x) - x).abs().mean(),
        }
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
