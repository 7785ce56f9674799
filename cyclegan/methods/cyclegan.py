"""CycleGAN: unpaired image-to-image translation with cycle-consistent adversarial networks.

Paper      Zhu, Park, Isola, Efros, ICCV 2017, arXiv:1703.10593.
Idea       Learn G: X → Y without pairs; ask F: Y → X to bring every image back.
Objective  L(G, F, D_X, D_Y) = L_GAN(G, D_Y, X, Y) + L_GAN(F, D_X, Y, X) + λ L_cyc(G, F)     (Eq. 3)
           L_cyc(G, F)       = E‖F(G(x)) − x‖₁ + E‖G(F(y)) − y‖₁                              (Eq. 2)
           L_GAN in the least-squares form of Sec. 4; L_identity of Sec. 5.2, weighted ½ λ.
Images     float32 (n, c, h, w) in [−1, 1], c = 3 unless data say otherwise; h and w multiples of the stride (4).
Differs    from the paper: the identity loss is on for every domain, as in the authors' code (the paper names it for
           paintings and flowers); other games than least squares (losses/adversarial.py), other cycle
           distances than L1, weights that change, the penalties, DiffAugment, spectral norm and the generator's `ends`
           and `start` are ours and off by default.
           From the authors' code: every side walks through shuffled passes of its own (there, Y is drawn with
           replacement); an epoch is a number of steps; an exponential average of both generators is kept and used
           for samples, evaluation and release (the raw weights stay in the checkpoint).
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.buffer import ImageBuffer
from cyclegan.functional.augment import augment
from cyclegan.losses.adversarial import GAMES
from cyclegan.losses.reconstruction import reconstruction, structural_reconstruction
from cyclegan.losses.regularization import between, r1_penalty, slope_penalty
from cyclegan.methods.bind import NetworkTranslator, evaluating
from cyclegan.methods.players import build_discriminator, build_generator
from cyclegan.methods.settings import CycleGANConfig
from cyclegan.networks.lpips import Lpips
from cyclegan.protocols import AnyImages, Losses, Minimize, Preview

Judge: TypeAlias = Callable[[AnyImages], Tensor]  # images → scores
Distance: TypeAlias = Callable[[AnyImages, AnyImages], Tensor]  # images and what they should be → scalar


class CycleGAN(nn.Module):
    """G: X → Y and F: Y → X, judged by D_Y and D_X, held together by the cycle."""

    Batch = UnpairedBatch
    charts: ClassVar = {  # group of parameters -> patterns of the losses it may have, whatever the settings
        "generators": ["gan_.", "cycle_.", "identity_."],
        "discriminators": ["D_.", "r1_.", "gp_."],
    }
    round: Tensor  # the number of rounds played

    def __init__(self, config: CycleGANConfig, channels: tuple[int, int] = (3, 3)) -> None:
        super().__init__()
        c_x, c_y = channels
        self.config = config
        self.gan = GAMES[config.gan]
        self.G = build_generator(config.generator, c_x, c_y)
        self.F = build_generator(config.generator, c_y, c_x)
        self.D_X = build_discriminator(config.discriminator, c_x)
        self.D_Y = build_discriminator(config.discriminator, c_y)
        self.past_x = ImageBuffer(config.buffer_size)
        self.past_y = ImageBuffer(config.buffer_size)
        self.distance = _distance("l1" if self.past_x.images.is_meta else config.cycle)  # meta: to translate only
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

    @property
    def translators(self) -> Mapping[str, NetworkTranslator]:
        """Side → what translates to it."""
        return {"x": self.y_to_x, "y": self.x_to_y}

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        """One round of Eq. (3): the generators move, then the discriminators."""
        x, y = batch
        D_X, D_Y = self._augmented(self.D_X), self._augmented(self.D_Y)
        cycle, identity = self.config.weights_in(self.round)  # λ and, by default, ½ λ

        fake_y, fake_x = self.G(x), self.F(y)
        generators = {
            "gan_G": self.gan.generator(D_Y(fake_y)),
            "gan_F": self.gan.generator(D_X(fake_x)),
            "cycle_x": cycle * self.distance(self.F(fake_y), x),  # F(G(x)) ≈ x
            "cycle_y": cycle * self.distance(self.G(fake_x), y),  # G(F(y)) ≈ y
        }
        if identity:
            generators["identity_y"] = identity * reconstruction(self.G(y), y)
            generators["identity_x"] = identity * reconstruction(self.F(x), x)
        minimize("generators", generators)

        past_x, past_y = self.past_x(fake_x), self.past_y(fake_y)
        discriminators = {  # halved, on buffered fakes (Secs. 4, 7.1)
            "D_X": 0.5 * self.gan.discriminator(D_X(x), D_X(past_x)),
            "D_Y": 0.5 * self.gan.discriminator(D_Y(y), D_Y(past_y)),
        }
        discriminators |= self._penalties("X", D_X, x, past_x) | self._penalties("Y", D_Y, y, past_y)
        minimize("discriminators", discriminators)
        self.round += 1
        return generators | discriminators

    def _augmented(self, discriminator: nn.Module) -> Judge:
        """A discriminator of augmented images: whatever it is shown, each time anew."""
        return lambda images: discriminator(augment(images, self.config.augment))

    def _penalties(self, side: str, discriminator: Judge, real: AnyImages, past: AnyImages) -> Losses:
        """On the slopes of a discriminator."""
        config = self.config
        found: Losses = {}
        if config.lambda_r1 and int(self.round) % config.r1_every == 0:
            found[f"r1_{side}"] = config.lambda_r1 * config.r1_every * r1_penalty(discriminator, real)
        if config.gradient_penalty:  # halved like the game it belongs to
            found[f"gp_{side}"] = 0.5 * config.gradient_penalty * slope_penalty(discriminator, between(real, past))
        return found

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        """Both directions of the cycle and the identity, and how the game stands."""
        x, y = batch
        G, F = self.x_to_y.translate, self.y_to_x.translate
        fake_y, fake_x = G(x), F(y)
        pictures = {
            "x_to_y": {"x": x, "G(x)": fake_y, "F(G(x))": F(fake_y)},
            "y_to_x": {"y": y, "F(y)": fake_x, "G(F(y))": G(fake_x)},
        }
        if x.shape[1] == y.shape[1]:  # else there is no identity
            pictures["x_to_y"]["F(x)"], pictures["y_to_x"]["G(y)"] = F(x), G(y)
        health = self._health(x, y, fake_x, fake_y)
        return Preview(pictures, health, translations={"G(x)": (x, fake_y), "F(y)": (y, fake_x)})

    def _health(self, x: AnyImages, y: AnyImages, fake_x: AnyImages, fake_y: AnyImages) -> dict[str, float]:
        """How real the discriminators find images, 0 to 1, of which a critic's scores say nothing."""
        with evaluating(self):  # in training mode a spectral norm would refine its vectors, which are state
            scores = {
                "D_X real": self.D_X(x),
                "D_X fake": self.D_X(fake_x),
                "D_Y real": self.D_Y(y),
                "D_Y fake": self.D_Y(fake_y),
            }
        realness = self.gan.realness
        if realness is None:
            return {f"{name}, score": float(score.mean()) for name, score in scores.items()}
        return {name: float(realness(score).mean()) for name, score in scores.items()}


def _distance(name: str) -> Distance:
    """Of a reconstruction; LPIPS stays outside of the method's state, as it never changes."""
    if name != "lpips":
        return {"l1": reconstruction, "ms-ssim": structural_reconstruction}[name]
    lpips = Lpips()
    return lambda image, target: reconstruction(image, target) + lpips.to(image.device)(image, target).mean()
