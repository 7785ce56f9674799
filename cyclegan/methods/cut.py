"""CUT: one-sided unpaired translation, which keeps the content by contrasting patches instead of by a cycle.

Paper      Park, Efros, Zhang, Zhu, Contrastive learning for unpaired image-to-image translation, ECCV 2020.
Idea       A patch of G(x) should be more similar to the patch of x at the same position than to the other
           patches of x, in features of the first half of G itself.
Objective  L(G, D, H) = L_GAN(G, D, X, Y) + λ_X L_PatchNCE(G, H, X) + λ_Y L_PatchNCE(G, H, Y)        (Eq. 5)
           L_GAN is Eq. 1 in its least-squares form, L_PatchNCE is Eq. 3. The last term, on G(y) and y, has
           the purpose of CycleGAN's identity loss. CUT: λ_X = λ_Y = 1. FastCUT: λ_X = 10, λ_Y = 0, and
           `flip`.
Images     float32 (n, c, h, w) in [−1, 1], c = 3 unless data say otherwise; h and w multiples of the stride
           (4).
Patches    256 positions of each of: the image, every down-sampling of G, its first residual block and the
           middle one, which is the fifth of nine. Negatives are the other positions of the same image.
Differs    from the paper: L_PatchNCE is the mean over layers and positions, as in the authors' code, not
           their sum.
           From the authors' code: there the sum of both NCE terms is halved when λ_Y is used, here it is Eq.
           5; features of a down-sampling are taken after its norm and ReLU, not before; the average of the
           weights is kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.losses.adversarial import GAN_LOSSES, read_scores
from cyclegan.losses.contrastive import patch_nce
from cyclegan.methods.checks import LESS_MEMORY, check_batches, check_checkpointing, check_crop, check_schedule
from cyclegan.methods.translator import NetworkTranslator, evaluating
from cyclegan.networks.build import build_discriminator, build_resnet
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig, at_least, at_most
from cyclegan.networks.projection_head import ProjectionHead
from cyclegan.protocols import AnyImages, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class CUTConfig:
    """Settings of CUT (Park et al. 2020); FastCUT has lambda_nce 10, lambda_identity 0 and flip true."""

    learns_from: ClassVar = ("unpaired",)
    remedies: ClassVar = {
        "change": "lower lambda_nce or lambda_identity, and see whether D learns",
        "luma": "raise lambda_nce, take generator.residual_output=true, or begin again with another seed",
        "diversity": "go back to an earlier checkpoint, lower the learning rate, or raise lambda_nce",
        "checkerboard": "train longer, or take generator.upsampling=resize",
        "overfit": "give it more images, or D fewer layers",
        "saturation": "lower the learning rate, or give D fewer layers",
        "memory": LESS_MEMORY,
    }

    name: Literal["cut"] = "cut"
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    gan: Literal["lsgan", "vanilla", "nonsaturating", "minimax", "hinge"] = "lsgan"  # losses/adversarial.py
    lambda_nce: float = 1.0  # λ_X of Eq. (5)
    lambda_identity: float = 1.0  # λ_Y; 0 switches the term off
    patches: int = 256  # places of each layer that are compared
    head_width: int = 256  # of the MLPs H
    temperature: float = 0.07  # τ
    flip: bool = False  # mirror x at random, and the features of G(x) back: FastCUT's flip-equivariance

    def __post_init__(self) -> None:
        at_least(0, self, "lambda_nce", "lambda_identity")
        at_least(1, self, "head_width")
        at_least(2, self, "patches")
        at_most(16384, self, "head_width", "patches")
        if not self.temperature > 0:
            raise ValueError("temperature: must be above 0")
        if self.generator.blocks < 1:
            raise ValueError("generator: blocks must be at least 1, as patches are compared there")

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for crops, channels, training or processes that do not fit."""
        x, y = spec.channels("x", "y")
        if x != y:  # the encoder of G is applied to both sides
            raise ValueError(
                f"data: {x} and {y} channels differ; cut takes the same for both, cyclegan does not need it"
            )
        check_crop(spec, self.generator.stride, max(self.generator.smallest, self.discriminator.smallest))
        check_batches(training, processes, self.generator, self.discriminator)
        check_checkpointing(training, self.generator)
        check_schedule(spec, training)

    def build(self, spec: DataSpec, train: bool = True) -> "CUT":
        """Build generator, discriminator and heads, untrained."""
        return CUT(self, spec)


class CUT(nn.Module):
    """Generator G: X → Y, discriminator D, and heads H, which project features of the encoder of G."""

    charts: ClassVar = {"generator": ["gan", "nce_."], "discriminator": ["D"]}  # losses it may have

    def __init__(self, config: CUTConfig, spec: DataSpec) -> None:
        super().__init__()
        channels = spec.channels("x", "y")
        self.config = config
        self.spec = spec
        self.gan = GAN_LOSSES[config.gan]
        self.G = build_resnet(config.generator, *channels)
        self.D = build_discriminator(config.discriminator, channels[1])
        self.H = nn.ModuleList(ProjectionHead(channels, config.head_width) for channels in self.G.feature_channels)

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of the generator with the heads, and of the discriminator."""
        return {"generator": chain(self.G.parameters(), self.H.parameters()), "discriminator": self.D.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the generator, which is released."""
        return {"G": self.G}

    @property
    def translators(self) -> Mapping[str, NetworkTranslator]:
        """Translators by the name of their target: G for Y."""
        return {self.spec.names["y"]: NetworkTranslator(self.G, self.G.stride, self.G.smallest)}

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        """Minimize Eq. (5) once: update the discriminator, then generator and heads."""
        x, y = batch
        lambda_x, lambda_y = self.config.lambda_nce, self.config.lambda_identity
        mirrored = self.config.flip and bool(torch.rand(()) < 0.5)

        fake = self.G(x.flip(3) if mirrored else x)
        discriminator = {"D": 0.5 * self.gan.discriminator(self.D(y), self.D(fake.detach()))}
        minimize("discriminator", discriminator)

        generator = {
            "gan": self.gan.generator(self.D(fake)),
            "nce_x": lambda_x * self.patch_nce(fake, x, mirrored),
        }
        if lambda_y:
            generator["nce_y"] = lambda_y * self.patch_nce(self.G(y), y)
        minimize("generator", generator)
        return generator | discriminator

    def patch_nce(self, translated: AnyImages, source: AnyImages, mirrored: bool = False) -> Tensor:
        """Compute L_PatchNCE, the mean over layers.

        mirrored  Compare a mirrored translation with the source at the mirrored positions.
        """
        queries = [features.flip(3) if mirrored else features for features in self.G.encode(translated)]
        with torch.no_grad():
            keys = self.G.encode(source)
        losses = []
        for head, query, key in zip(self.H, queries, keys, strict=True):
            places = torch.randperm(query[0, 0].numel())[: self.config.patches].to(query.device)
            losses.append(patch_nce(head(query, places), head(key, places), self.config.temperature))
        return torch.stack(losses).mean()

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        """Return the translation, G of targets, and the scores of the discriminator."""
        x, y = batch
        translate = self.translators[self.spec.names["y"]].translate
        fake = translate(x)
        pictures = {"x_to_y": {"x": x, "G(x)": fake}, "identity": {"y": y, "G(y)": translate(y)}}
        with evaluating(self):  # in training mode a spectral norm would refine its vectors, which are state
            scores = {"D": (self.D(y), self.D(fake))}
        translations = {"G(x)": (x, fake)}
        return Preview(pictures, **read_scores(scores, self.gan.probability_real), translations=translations)
