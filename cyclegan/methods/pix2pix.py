"""pix2pix: image-to-image translation with conditional adversarial networks, learned from pairs.

Paper      Isola, Zhu, Zhou, Efros, CVPR 2017, arXiv:1611.07004.
Idea       Learn G: X → Y from pairs (x, y); D receives the pair, so that G(x) must not only resemble Y but
           also fit its x.
Objective  G* = arg min_G max_D L_cGAN(G, D) + λ L_L1(G)                                             (Eq. 4)
           L_cGAN(G, D) = E[log D(x, y)] + E[log(1 − D(x, G(x)))]                                  (Eq. 1)
           L_L1(G)      = E‖y − G(x)‖₁, a mean over pixels here, λ = 100                            (Eq. 3)
           G minimizes −log D(x, G(x)) instead of log(1 − D(x, G(x)))                               (Sec. 3.3)
Noise      dropout of G, in tests as well (Sec. 3.1); its draws are the same for every image and every call.
Tests      as published, with the batch statistics of the one image (Sec. 3.3). With `norm: instance` in G,
           statistics in training and in tests are the same at batch 1, and larger batches are safe: the
           robust choice. `test_time: eval` gives running statistics and no dropout, with which published code
           gives poor images at batch 1.
Images     x (n, c_x, h, w) and y (n, c_y, h, w), float32 in [−1, 1]; h and w multiples of 2^downsamplings.
Presets    PyTorch (default): discriminator_weight 0.5, no bias before a batch norm, learning rate constant,
           then linear to 0. Torch: discriminator_weight 1, `bias: always` in both networks, learning rate
           constant.
Differs    from the Torch code: G's update uses the updated D, by a new forward pass; there, D's earlier
           output is propagated back through the updated weights. From both: an exponential average of G is
           kept and used for samples, evaluation and release.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from cyclegan.data.batches import PairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.losses.adversarial import GAN_LOSSES, read_scores
from cyclegan.losses.reconstruction import reconstruction
from cyclegan.methods.checks import check_batches, check_checkpointing, check_crop, check_schedule
from cyclegan.methods.translator import NetworkTranslator, evaluating
from cyclegan.networks.build import build_discriminator, build_generator
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig, UnetConfig, at_least
from cyclegan.protocols import AnyImages, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Pix2PixConfig:
    """Settings of pix2pix, with the paper's values as defaults."""

    learns_from: ClassVar = ("paired",)
    remedies: ClassVar = {
        "change": "lower lambda_l1, and see whether D learns",
        "diversity": "go back to an earlier checkpoint, or lower the learning rate",
        "checkerboard": "train longer, or take generator.upsampling=resize",
        "overfit": "use more pairs, or give D fewer layers",
        "saturation": "lower the learning rate, lower discriminator_weight, or give D fewer layers",
        "memory": "begin another run (--set name=...) with a smaller data.batch_size or generator.base_channels",
    }

    name: Literal["pix2pix"] = "pix2pix"
    generator: UnetConfig | GeneratorConfig = UnetConfig(norm="batch", dropout=0.5)
    discriminator: DiscriminatorConfig = DiscriminatorConfig(norm="batch")
    gan: Literal["lsgan", "vanilla", "nonsaturating", "minimax", "hinge"] = "vanilla"  # losses/adversarial.py
    lambda_gan: float = 1.0  # 0: L1 alone; D is neither used nor updated then
    lambda_l1: float = 100.0  # λ of Eq. (4)
    discriminator_weight: float = 0.5  # of D's loss, which slows D down relative to G
    test_time: Literal["train", "eval"] = "train"  # train: dropout and statistics of the image, as published

    def __post_init__(self) -> None:
        at_least(0, self, "lambda_gan", "lambda_l1")
        if not self.lambda_gan and not self.lambda_l1:
            raise ValueError("lambda_l1: must be above 0 where lambda_gan is 0, or nothing is learned")
        if not self.discriminator_weight > 0:
            raise ValueError("discriminator_weight: must be above 0")

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for crops, training or processes that do not fit."""
        check_crop(spec, self.generator.stride, max(self.generator.smallest, self.discriminator.smallest))
        check_batches(training, processes, self.generator, self.discriminator)
        check_checkpointing(training, self.generator)
        check_schedule(spec, training)

    def build(self, spec: DataSpec, train: bool = True) -> "Pix2Pix":
        """Build generator and conditional discriminator, untrained."""
        return Pix2Pix(self, spec)


class Pix2Pix(nn.Module):
    """Generator G: X → Y and discriminator D, which scores pairs."""

    charts: ClassVar = {"generator": ["l1", "gan"], "discriminator": ["D"]}  # losses it may have

    def __init__(self, config: Pix2PixConfig, spec: DataSpec) -> None:
        super().__init__()
        c_x, c_y = spec.channels("x", "y")
        self.config = config
        self.target = spec.names["y"]
        self.gan = GAN_LOSSES[config.gan]
        self.G = build_generator(config.generator, c_x, c_y)
        self.D = build_discriminator(config.discriminator, c_x + c_y)

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of generator and discriminator."""
        return {"generator": self.G.parameters(), "discriminator": self.D.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the generator, which is released."""
        return {"G": self.G}

    @property
    def translators(self) -> Mapping[str, NetworkTranslator]:
        """Translators by the name of their target: G for Y."""
        published = self.config.test_time == "train"
        local = not isinstance(self.config.generator, UnetConfig)  # the innermost layer of a U-Net sees all of an image
        return {self.target: NetworkTranslator(self.G, self.G.stride, self.G.smallest, local, published)}

    def training_step(self, batch: PairedBatch, minimize: Minimize) -> Losses:
        """Minimize Eq. (4) once: update the discriminator, then the generator."""
        x, y = batch
        config = self.config

        fake = self.G(x)
        discriminator = {}
        if config.lambda_gan:
            losses = self.gan.discriminator(self.scores(x, y), self.scores(x, fake.detach()))
            discriminator = {"D": config.discriminator_weight * losses}
            minimize("discriminator", discriminator)

        generator = {"l1": config.lambda_l1 * reconstruction(fake, y)}
        if config.lambda_gan:
            generator["gan"] = config.lambda_gan * self.gan.generator(self.scores(x, fake))
        minimize("generator", generator)
        return generator | discriminator

    def scores(self, x: AnyImages, y: AnyImages) -> Tensor:
        """Compute D(x, y): one score per patch of a pair."""
        return self.D(torch.cat([x, y], dim=1))

    @torch.no_grad()
    def preview(self, batch: PairedBatch) -> Preview:
        """Return source, translation, truth, and the scores of the discriminator."""
        x, y = batch
        fake = self.translators[self.target].translate(x)
        with evaluating(self):  # in training mode batch norms would update their statistics, which are state
            scores = {"D": (self.scores(x, y), self.scores(x, fake))}
        pictures = {"x_to_y": {"x": x, "G(x)": fake, "y": y}}
        translations = {"G(x)": (x, fake)}
        return Preview(pictures, **read_scores(scores, self.gan.probability_real), translations=translations)
