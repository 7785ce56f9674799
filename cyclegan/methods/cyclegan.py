"""CycleGAN: unpaired image-to-image translation with cycle-consistent adversarial networks.

Paper      Zhu, Park, Isola, Efros, ICCV 2017, arXiv:1703.10593.
Idea       Learn G: X → Y without pairs; ask F: Y → X to bring every image back.
Objective  L(G, F, D_X, D_Y) = L_GAN(G, D_Y, X, Y) + L_GAN(F, D_X, Y, X) + λ L_cyc(G, F)     (Eq. 3)
           L_cyc(G, F)       = E‖F(G(x)) − x‖₁ + E‖G(F(y)) − y‖₁                              (Eq. 2)
           L_GAN in the least-squares form of Sec. 4; L_identity of Sec. 5.2, weighted ½ λ.
Images     float32 (n, 3, h, w) in [−1, 1]; h and w multiples of the generator's stride (4).
Differs    from the paper: the identity loss is on for every domain, as in the authors' code (the paper names it for
           paintings and flowers); R1, spectral norm and the generator's `ends` and `start` are ours and off by default.
           From the authors' code: every side walks through shuffled passes of its own (there, Y is drawn with
           replacement); an epoch is a number of steps; an exponential average of both generators is kept and used
           for samples, evaluation and release (the raw weights stay in the checkpoint).
"""

from collections.abc import Iterable, Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.buffer import ImageBuffer
from cyclegan.losses.adversarial import lsgan_discriminator, lsgan_generator
from cyclegan.losses.reconstruction import reconstruction
from cyclegan.losses.regularization import r1_penalty
from cyclegan.methods.bind import NetworkTranslator, evaluating
from cyclegan.methods.players import build_discriminator, build_generator
from cyclegan.methods.settings import CycleGANConfig
from cyclegan.protocols import Images, Losses, Minimize, Preview


class CycleGAN(nn.Module):
    """G: X → Y and F: Y → X, judged by D_Y and D_X, held together by the cycle."""

    Batch = UnpairedBatch
    round: Tensor  # the number of rounds played

    def __init__(self, config: CycleGANConfig) -> None:
        super().__init__()
        self.config = config
        self.G = build_generator(config.generator)
        self.F = build_generator(config.generator)
        self.D_X = build_discriminator(config.discriminator)
        self.D_Y = build_discriminator(config.discriminator)
        self.past_x = ImageBuffer(config.buffer_size)
        self.past_y = ImageBuffer(config.buffer_size)
        self.register_buffer("round", torch.zeros((), dtype=torch.int64))

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """The two sides of the game; each gets its own optimizer."""
        return {
            "generators": chain(self.G.parameters(), self.F.parameters()),
            "discriminators": chain(self.D_X.parameters(), self.D_Y.parameters()),
        }

    def networks(self) -> Mapping[str, nn.Module]:
        """The generators: what a user keeps."""
        return {"G": self.G, "F": self.F}

    @property
    def x_to_y(self) -> NetworkTranslator:
        """G as a Translator."""
        return NetworkTranslator(self.G, self.G.stride, self.G.smallest)

    @property
    def y_to_x(self) -> NetworkTranslator:
        """F as a Translator."""
        return NetworkTranslator(self.F, self.F.stride, self.F.smallest)

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        """One round of Eq. (3): the generators move, then the discriminators."""
        x, y = batch
        cycle = self.config.lambda_cycle
        identity = cycle * self.config.lambda_identity

        fake_y, fake_x = self.G(x), self.F(y)
        generators = {
            "gan_G": lsgan_generator(self.D_Y(fake_y)),
            "gan_F": lsgan_generator(self.D_X(fake_x)),
            "cycle_x": cycle * reconstruction(self.F(fake_y), x),  # F(G(x)) ≈ x
            "cycle_y": cycle * reconstruction(self.G(fake_x), y),  # G(F(y)) ≈ y
        }
        if identity:
            generators["identity_y"] = identity * reconstruction(self.G(y), y)
            generators["identity_x"] = identity * reconstruction(self.F(x), x)
        minimize("generators", generators)

        discriminators = {  # halved, on buffered fakes (Secs. 4, 7.1)
            "D_X": 0.5 * lsgan_discriminator(self.D_X(x), self.D_X(self.past_x(fake_x))),
            "D_Y": 0.5 * lsgan_discriminator(self.D_Y(y), self.D_Y(self.past_y(fake_y))),
        }
        if self.config.lambda_r1 and int(self.round) % self.config.r1_every == 0:
            weight = self.config.lambda_r1 * self.config.r1_every
            discriminators["r1_X"] = weight * self._r1(self.D_X, x)
            discriminators["r1_Y"] = weight * self._r1(self.D_Y, y)
        minimize("discriminators", discriminators)
        self.round += 1
        return generators | discriminators

    def _r1(self, discriminator: nn.Module, real: Images) -> Tensor:
        with torch.autocast(real.device.type, enabled=False):  # a gradient of a gradient wants full precision
            real = real.detach().requires_grad_()
            return r1_penalty(discriminator(real), real)

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        """Both directions of the cycle and the identity, and how the game stands."""
        x, y = batch
        G, F = self.x_to_y.translate, self.y_to_x.translate
        fake_y, fake_x = G(x), F(y)
        pictures = {
            "x_to_y": {"x": x, "G(x)": fake_y, "F(G(x))": F(fake_y), "F(x)": F(x)},
            "y_to_x": {"y": y, "F(y)": fake_x, "G(F(y))": G(fake_x), "G(y)": G(y)},
        }
        with evaluating(self):  # in training mode a spectral norm would refine its vectors, which are state
            scores = {
                "D_X real": self.D_X(x).mean(),
                "D_X fake": self.D_X(fake_x).mean(),
                "D_Y real": self.D_Y(y).mean(),
                "D_Y fake": self.D_Y(fake_y).mean(),
            }
        return Preview(
            pictures,
            {name: float(value) for name, value in scores.items()},
            translations={"G(x)": (x, fake_y), "F(y)": (y, fake_x)},
        )
