"""CycleGAN: unpaired image-to-image translation with cycle-consistent adversarial networks.

Paper      Zhu, Park, Isola, Efros, ICCV 2017, arXiv:1703.10593.
Idea       Learn G: X → Y without pairs; require F: Y → X to map every translation back to its source.
Objective  L(G, F, D_X, D_Y) = L_GAN(G, D_Y, X, Y) + L_GAN(F, D_X, Y, X) + λ L_cyc(G, F)     (Eq. 3)
           L_cyc(G, F)       = E‖F(G(x)) − x‖₁ + E‖G(F(y)) − y‖₁                              (Eq. 2)
           L_GAN in the least-squares form of Sec. 4; L_identity of Sec. 5.2, weighted ½ λ.
Images     float32 (n, c, h, w) in [−1, 1], c = 3 unless data say otherwise; h and w multiples of the stride
           (4).
Differs    from the paper: the identity loss is on for every domain, as in the authors' code (the paper names
           it for paintings and flowers). Options of ours, off by default: adversarial losses other than least
           squares (losses/adversarial.py), cycle distances other than L1, weights that change, the penalties,
           DiffAugment, spectral norm and the generator's `stem` and `residual_output`.
           From the authors' code: every side iterates over shuffled passes of its own (there, Y is drawn with
           replacement); an epoch is a number of steps; an exponential average of both generators is kept and
           used for samples, evaluation and release (the raw weights stay in the checkpoint).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal, SupportsInt, TypeAlias

import torch
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.buffer import ImageBuffer
from cyclegan.data.spec import DataSpec
from cyclegan.functional.augment import augment
from cyclegan.losses.adversarial import GAN_LOSSES, Scores, read_scores
from cyclegan.losses.reconstruction import reconstruction, structural_reconstruction
from cyclegan.losses.regularization import gradient_penalty, interpolate, r1_penalty
from cyclegan.methods.checks import LESS_MEMORY, check_batches, check_checkpointing, check_crop, check_schedule
from cyclegan.methods.translator import NetworkTranslator, evaluating
from cyclegan.networks.build import build_discriminator, build_generator
from cyclegan.networks.lpips import Lpips
from cyclegan.networks.network_config import (
    DiscriminatorConfig,
    GeneratorConfig,
    UnetConfig,
    at_least,
)
from cyclegan.protocols import AnyImages, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig

Critic: TypeAlias = Callable[[AnyImages], Tensor]  # images → scores
Distance: TypeAlias = Callable[[AnyImages, AnyImages], Tensor]  # images and what they should be → scalar


SMALLEST = {"l1": 1, "lpips": 32, "ms-ssim": 11}  # px of a side that a distance of images can compare
FINALS = ("lambda_cycle_final", "lambda_identity_final")


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig:
    """Settings of CycleGAN, with the paper's values as defaults."""

    learns_from: ClassVar = ("unpaired",)
    remedies: ClassVar = {
        "change": "lower lambda_identity or lambda_cycle, and see whether D learns",
        "luma": "raise lambda_identity from the start, take generator.residual_output=true, or begin again with "
        "another seed",
        "diversity": "go back to an earlier checkpoint, lower the learning rate, or raise lambda_cycle",
        "checkerboard": "train longer, or take generator.upsampling=resize, and generator.stem=conv7 where that is "
        "shuffle",
        "overfit": "set method.augment, raise lambda_r1, or give it more images",
        "saturation": "raise lambda_r1, lower the learning rate, or give D fewer layers",
        "memory": LESS_MEMORY,
    }

    name: Literal["cyclegan"] = "cyclegan"
    generator: GeneratorConfig | UnetConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    gan: Literal["lsgan", "vanilla", "nonsaturating", "minimax", "hinge", "wgan-gp"] = "lsgan"  # losses/adversarial.py
    cycle: Literal["l1", "lpips", "ms-ssim"] = "l1"  # how far F(G(x)) is from x; lpips: L1 + LPIPS
    lambda_cycle: float = 10.0  # λ of Eq. (3)
    lambda_identity: float = 0.5  # times λ; 0 switches the term off (Sec. 5.2)
    lambda_cycle_final: float | None = None  # value that λ reaches in the iterations of `anneal`; not in the paper
    lambda_identity_final: float | None = None  # the same for lambda_identity; 0 switches the term off then
    anneal: tuple[int, int] | None = None  # iterations between which they change linearly; [n, n]: at once
    lambda_gp: float | None = None  # WGAN-GP's penalty on the discriminators; null: 10 for wgan-gp, 0 for the others
    lambda_r1: float = 0.0  # R1 penalty on the discriminators; not in the paper
    r1_every: int = 16  # iterations from one penalty to the next, which then counts as many times
    buffer_size: int = 50  # past fakes shown to the discriminators (Sec. 4)
    augment: tuple[Literal["color", "translation", "cutout"], ...] = ()  # DiffAugment of all that discriminators see

    def __post_init__(self) -> None:
        at_least(1, self, "r1_every")
        at_least(0, self, "lambda_cycle", "lambda_identity", "lambda_r1", "buffer_size")
        at_least(0, self, *(name for name in (*FINALS, "lambda_gp") if getattr(self, name) is not None))
        self._require_whole_anneal()
        if self.gan == "wgan-gp" and self.lambda_gp == 0:
            raise ValueError("lambda_gp: must be above 0 with wgan-gp, which is nothing without its penalty")

    def _require_whole_anneal(self) -> None:
        given = [name for name in FINALS if getattr(self, name) is not None]
        if self.anneal is None and given:
            raise ValueError(f"{given[0]}: is never reached; say between which iterations, as in anneal: [0, 10000]")
        if self.anneal is not None and not given:
            raise ValueError(f"anneal: changes nothing; give {' or '.join(FINALS)} with it")
        if self.anneal is not None and not 0 <= self.anneal[0] <= self.anneal[1]:
            raise ValueError("anneal: must be two numbers of iterations, the first at least 0 and not above the second")

    def loss_weights(self, done: SupportsInt) -> tuple[float, float]:
        """Return λ and the weight of the identity loss after this number of iterations."""
        cycle, identity = self.lambda_cycle, self.lambda_identity
        if self.anneal is not None:
            (begin, end), now = self.anneal, int(done)
            share = 1.0 if now >= end else max(0.0, (now - begin) / max(1, end - begin))
            cycle = _towards(cycle, self.lambda_cycle_final, share)
            identity = _towards(identity, self.lambda_identity_final, share)
        return cycle, cycle * identity

    @property
    def gradient_penalty(self) -> float:
        """Weight λ of WGAN-GP's penalty; its paper's value where lambda_gp is not set."""
        if self.lambda_gp is not None:
            return self.lambda_gp
        return 10.0 if self.gan == "wgan-gp" else 0.0

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for crops, channels, training or processes that do not fit."""
        x, y = spec.channels("x", "y")
        stride, smallest = self.generator.stride, max(self.generator.smallest, self.discriminator.smallest)
        check_crop(spec, stride, max(smallest, SMALLEST[self.cycle]))
        if x != y and (self.lambda_identity or self.lambda_identity_final):
            raise ValueError(f"data: {x} and {y} channels differ, so there is no G(y); set method.lambda_identity to 0")
        if x != y and isinstance(self.generator, GeneratorConfig) and self.generator.residual_output:
            raise ValueError(f"data: {x} and {y} channels differ; set method.generator.residual_output to false")
        for name, wants in (("cycle", "lpips"), ("augment", "color")):
            if (x, y) != (3, 3) and wants in getattr(self, name):
                raise ValueError(
                    f"data: {x} and {y} channels are not RGB, as method.{name} {wants} has it; take it out"
                )
        check_batches(training, processes, self.generator, self.discriminator)
        check_checkpointing(training, self.generator)
        check_schedule(spec, training)

    def build(self, spec: DataSpec, train: bool = True) -> "CycleGAN":
        """Build both generators and both discriminators, untrained."""
        return CycleGAN(self, spec, train)


class CycleGAN(nn.Module):
    """Generators G: X → Y and F: Y → X with their discriminators D_Y and D_X, coupled by the cycle loss."""

    charts: ClassVar = {  # parameter group -> patterns of the losses it may have, whatever the settings
        "generators": ["gan_.", "cycle_.", "identity_."],
        "discriminators": ["D_.", "r1_.", "gp_."],
    }
    iteration: Tensor  # number of iterations done

    def __init__(self, config: CycleGANConfig, spec: DataSpec, train: bool = True) -> None:
        super().__init__()
        c_x, c_y = spec.channels("x", "y")
        self.config = config
        self.spec = spec
        self.gan = GAN_LOSSES[config.gan]
        self.G = build_generator(config.generator, c_x, c_y)
        self.F = build_generator(config.generator, c_y, c_x)
        self.D_X = build_discriminator(config.discriminator, c_x)
        self.D_Y = build_discriminator(config.discriminator, c_y)
        self.fake_pool_x = ImageBuffer(config.buffer_size)
        self.fake_pool_y = ImageBuffer(config.buffer_size)
        self.distance = _distance(config.cycle if train else "l1")
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of generators and discriminators; each group has its own optimizer."""
        return {
            "generators": chain(self.G.parameters(), self.F.parameters()),
            "discriminators": chain(self.D_X.parameters(), self.D_Y.parameters()),
        }

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the generators, which are released."""
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
        """Translators by the name of their target: G for Y, F for X."""
        return {self.spec.names["y"]: self.x_to_y, self.spec.names["x"]: self.y_to_x}

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        """Minimize Eq. (3) once: update the generators, then the discriminators."""
        x, y = batch
        D_X, D_Y = self._augmented(self.D_X), self._augmented(self.D_Y)
        cycle, identity = self.config.loss_weights(self.iteration)  # λ and, by default, ½ λ

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

        past_x, past_y = self.fake_pool_x(fake_x), self.fake_pool_y(fake_y)
        discriminators = {  # halved, on buffered fakes (Secs. 4, 7.1)
            "D_X": 0.5 * self.gan.discriminator(D_X(x), D_X(past_x)),
            "D_Y": 0.5 * self.gan.discriminator(D_Y(y), D_Y(past_y)),
        }
        discriminators |= self._penalties("X", D_X, x, past_x) | self._penalties("Y", D_Y, y, past_y)
        minimize("discriminators", discriminators)
        self.iteration += 1
        return generators | discriminators

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Restore what state_dict returned; names of older versions are accepted."""
        present = {_present_name(key): value for key, value in state_dict.items()}
        return super().load_state_dict(present, strict, assign)

    def _augmented(self, discriminator: nn.Module) -> Critic:
        """Return a discriminator that augments every batch of images first, with new draws each time."""
        kinds = self.config.augment
        return (lambda images: discriminator(augment(images, kinds))) if kinds else discriminator

    def _penalties(self, side: str, discriminator: Critic, real: AnyImages, past: AnyImages) -> Losses:
        """Compute the penalties on the gradients of a discriminator."""
        config = self.config
        found: Losses = {}
        if config.lambda_r1 and int(self.iteration) % config.r1_every == 0:
            found[f"r1_{side}"] = config.lambda_r1 * config.r1_every * r1_penalty(discriminator, real)
        if config.gradient_penalty:  # halved like the adversarial loss that it belongs to
            found[f"gp_{side}"] = (
                0.5 * config.gradient_penalty * gradient_penalty(discriminator, interpolate(real, past))
            )
        return found

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        """Return both directions of the cycle, the identity, and the scores of the discriminators."""
        x, y = batch
        G, F = self.x_to_y.translate, self.y_to_x.translate
        fake_y, fake_x = G(x), F(y)
        pictures = {
            "x_to_y": {"x": x, "G(x)": fake_y, "F(G(x))": F(fake_y)},
            "y_to_x": {"y": y, "F(y)": fake_x, "G(F(y))": G(fake_x)},
        }
        if x.shape[1] == y.shape[1]:  # otherwise there is no identity loss
            pictures["x_to_y"]["F(x)"], pictures["y_to_x"]["G(y)"] = F(x), G(y)
        scores = self._scores(x, y, fake_x, fake_y)
        translations = {"G(x)": (x, fake_y), "F(y)": (y, fake_x)}
        return Preview(pictures, **read_scores(scores, self.gan.probability_real), translations=translations)

    def _scores(self, x: AnyImages, y: AnyImages, fake_x: AnyImages, fake_y: AnyImages) -> Scores:
        """Compute the scores of real and of translated images."""
        with evaluating(self):  # in training mode a spectral norm would refine its vectors, which are state
            return {"D_X": (self.D_X(x), self.D_X(fake_x)), "D_Y": (self.D_Y(y), self.D_Y(fake_y))}


def _distance(name: str) -> Distance:
    """Return the distance of a reconstruction.

    LPIPS is not part of the method's state, as it never changes.
    """
    if name != "lpips":
        return {"l1": reconstruction, "ms-ssim": structural_reconstruction}[name]
    lpips = Lpips()
    return lambda image, target: reconstruction(image, target) + lpips.to(image.device)(image, target).mean()


def _present_name(key: str) -> str:
    return "iteration" if key == "round" else key.replace("past_", "fake_pool_")


def _towards(value: float, final: float | None, share: float) -> float:
    return value if final is None else (1 - share) * value + share * final
