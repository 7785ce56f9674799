"""Adaptive style transfer: one style, learned from a set of paintings, with a content loss that the style shapes.

Paper      Sanakoyeu, Kotovenko, Lang, Ommer, A style-aware content loss for real-time HD style transfer, ECCV
           2018, arXiv:1807.10201.
Idea       What of a photograph is content depends on the style: compare photograph and result in the code of
           the style's own encoder, and as blurred images. D decides between paintings and results.
Computes   G(x) = decoder(E(x)), see networks/sanakoyeu.py
Objective  G: λ_c L_c + λ_t L_t + λ_gan Σ_k BCE(D_k(G(x)), 1), D has several scales k
           L_c = a distance of E(x) and E(G(x)), L_t = mean (P(x) − P(G(x)))², P pools 10×10 pixels
           D: Σ_k BCE(D_k(y), 1) + BCE(D_k(G(x)), 0), and BCE(D_k(x), 0) where `photos_are_fake`
           BCE: a mean over the scores of a scale. L_c differentiates both codes.
Balance    Each step updates one network: G where a ≥ 0.8, else D. a follows the success of D by 5 % at each step,
           from 0.8: the share of the scores that are right where D learns; of G's that are not fooled by where G
           learns. Shares are means over the scales.
Images     x, y (n, c, h, w), float32 in [−1, 1]; h and w multiples of 2^downsamplings.
Presets    Release (default), as the authors' code: λ 100, 100, 1; L_c = mean |Δ|; P an average; photographs
           count as fake for D; a norm of the image; a ReLU within residual blocks. Paper: λ 1, 1, 0.001;
           L_c = mean Δ²; P learned with G, of weights that sum to 1; none of the others.
Differs    from the authors' code: photographs are only resized, cropped and mirrored (there also rotated, sheared
           and changed in color, after an enlargement by 2); the kernel of the learned P is that of the code's
           average, as the paper does not give it; 3 or 2 downsamplings and fewer scales for small images; parts
           of a batch (training.accumulate) are steps of their own for the balance; an exponential average of G
           is kept.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss, softplus

from cyclegan import distributed
from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.methods.checks import check_checkpointing, check_crop, check_schedule
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.network_config import at_least, at_most
from cyclegan.networks.sanakoyeu import (
    AveragePooling,
    LearnedPooling,
    ScaleDiscriminator,
    StyleGenerator,
    smallest_side,
)
from cyclegan.protocols import AnyImages, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig

Scores: TypeAlias = list[Float[Tensor, "n 1 _ _"]]  # of each scale


@dataclass(frozen=True, kw_only=True)
class AdaptiveStyleTransferConfig:
    """Settings of adaptive style transfer, with the values of the authors' code as defaults."""

    learns_from: ClassVar = ("unpaired",)  # X are photographs, Y the paintings of one style
    remedies: ClassVar = {
        "change": "lower lambda_features and lambda_transformed, or raise lambda_gan",
        "diversity": "go back to an earlier checkpoint, or lower the learning rate",
        "checkerboard": "train longer",
        "overfit": "use more paintings, or set discriminator_layers lower in a new run",
        "saturation": "lower success_threshold, so that the generator is updated more often",
        "memory": "set training.accumulate to a divisor of data.batch_size in a new run (--set name=...), or a smaller "
        "data.crop_size or base_channels",
    }

    name: Literal["adaptive_style_transfer"] = "adaptive_style_transfer"
    base_channels: int = 32  # g, of the generator
    blocks: int = 9
    downsamplings: int = 4  # 4, 3 or 2; fewer for small images
    input_norm: bool = True  # of the image, by the encoder
    block_relu: bool = True  # within residual blocks
    discriminator_channels: int = 128  # d
    discriminator_layers: int = 7  # 1 … 7; the last map must have 2×2 positions or more
    photos_are_fake: bool = True  # for the discriminator
    transformer: Literal["average", "learned"] = "average"  # P
    feature_distance: Literal["l1", "mse"] = "l1"  # of L_c
    lambda_gan: float = 1.0
    lambda_transformed: float = 100.0  # λ_t
    lambda_features: float = 100.0  # λ_c
    success_threshold: float = 0.8  # the generator is updated where the discriminator has at least this success
    success_momentum: float = 0.95  # of the average of the success
    success_start: float = 0.8

    def __post_init__(self) -> None:
        at_least(1, self, "base_channels", "discriminator_channels", "discriminator_layers")
        at_least(0, self, "blocks", "lambda_gan", "lambda_transformed", "lambda_features", "success_start")
        at_most(1024, self, "base_channels", "discriminator_channels")
        at_most(100, self, "blocks")
        at_most(7, self, "discriminator_layers")
        at_most(1, self, "success_threshold", "success_start")
        at_least(0, self, "success_threshold", "success_momentum")
        if self.downsamplings not in (2, 3, 4):
            raise ValueError("downsamplings: must be 2, 3 or 4")
        if not self.success_momentum < 1:
            raise ValueError("success_momentum: must lie in 0…1, 1 excluded")
        if not self.lambda_gan + self.lambda_transformed + self.lambda_features:
            raise ValueError("lambda_gan: must be above 0 where the other weights are 0, or nothing is learned")

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for crops, channels or training that do not fit."""
        x, y = spec.channels("x", "y")
        if x != y:
            raise ValueError(f"data: {x} and {y} channels differ; {self.name} encodes both, take the same for both")
        smallest = max(smallest_side(self.downsamplings), 2**self.discriminator_layers + 1)
        check_crop(spec, 2**self.downsamplings, smallest)
        check_checkpointing(training, None)
        check_schedule(spec, training)

    def build(self, spec: DataSpec, train: bool = True) -> "AdaptiveStyleTransfer":
        """Build generator, discriminator and pooling, untrained."""
        return AdaptiveStyleTransfer(self, spec)


class AdaptiveStyleTransfer(nn.Module):
    """Generator G: X → Y, discriminator D, pooling P, and the running success of D."""

    charts: ClassVar = {"generator": ["features", "transformed", "gan"], "discriminator": ["D"]}  # losses it may have
    success: Tensor

    def __init__(self, config: AdaptiveStyleTransferConfig, spec: DataSpec) -> None:
        super().__init__()
        channels, _ = spec.channels("x", "y")
        self.config, self.target = config, spec.names["y"]
        self.G = StyleGenerator(
            channels,
            base_channels=config.base_channels,
            blocks=config.blocks,
            downsamplings=config.downsamplings,
            input_norm=config.input_norm,
            block_relu=config.block_relu,
        )
        self.D = ScaleDiscriminator(
            channels, base_channels=config.discriminator_channels, layers=config.discriminator_layers
        )
        self.P = LearnedPooling(channels) if config.transformer == "learned" else AveragePooling()
        self.register_buffer("success", torch.tensor(config.success_start))

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of the generator with the pooling, and of the discriminator."""
        return {"generator": chain(self.G.parameters(), self.P.parameters()), "discriminator": self.D.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the generator, which is released."""
        return {"G": self.G}

    @property
    def translators(self) -> Mapping[str, NetworkTranslator]:
        """Translators by the name of their target: G for Y."""
        translator = NetworkTranslator(self.G, self.G.stride, self.G.smallest, local=False)  # norms of padded maps
        return {self.target: translator}

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        """Update the generator or the discriminator, by the success of the discriminator so far."""
        if generator_learns(float(self.success), self.config.success_threshold):
            losses, success = self.generator_losses(batch.x)
            minimize("generator", losses)
        else:
            losses, success = self.discriminator_loss(batch)
            minimize("discriminator", losses)
        everyones = distributed.all_reduce_mean({"success": success})["success"]
        self.success.copy_(moving_average(self.success, everyones, self.config.success_momentum))
        return losses

    def generator_losses(self, x: AnyImages) -> tuple[Losses, Tensor]:
        """Return the terms of G's objective, and the share of its scores that D is not fooled by."""
        config, code = self.config, self.G.encoder(x)
        fake = self.G.decode(code)
        distance = l1_loss if config.feature_distance == "l1" else mse_loss
        scores = self.D(fake)
        losses = {
            "features": config.lambda_features * distance(self.G.encoder(fake).float(), code.float()),
            "transformed": config.lambda_transformed * mse_loss(self.P(fake).float(), self.P(x).float()),
            "gan": config.lambda_gan * cross_entropy(scores, real=True),
        }
        return losses, share_right(scores, real=False)

    def discriminator_loss(self, batch: UnpairedBatch) -> tuple[Losses, Tensor]:
        """Return D's objective, and the share of the scores that are right."""
        x, y = batch
        with torch.no_grad():
            fake = self.G(x)
        scored = [(self.D(y), True), (self.D(fake), False)]
        if self.config.photos_are_fake:
            scored.append((self.D(x), False))
        loss = torch.stack([cross_entropy(scores, real) for scores, real in scored]).sum()
        right = torch.stack([share_right(scores, real) for scores, real in scored]).mean()
        return {"D": loss}, right

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        """Return photographs, translations and what P leaves of both, the scores, and the success of D."""
        x, y = batch
        fake = self.G(x)
        scores = {"D": (probability_real(self.D(y)), probability_real(self.D(fake)))}
        numbers = {
            "success of D": float(self.success),
            "transformed, held out": float(mse_loss(self.P(fake), self.P(x))),
        }
        pictures = {"x_to_y": {"x": x, "G(x)": fake}}
        return Preview(pictures, scores, numbers, {"G(x)": (x, fake)})


def generator_learns(success: float, threshold: float) -> bool:
    """Return whether this step updates the generator, by the success of the discriminator in 0 … 1."""
    return success >= threshold


def moving_average(average: Tensor, value: Tensor, momentum: float) -> Tensor:
    """Compute momentum · average + (1 − momentum) · value."""
    return momentum * average + (1 - momentum) * value


def cross_entropy(scores: Scores, real: bool) -> Float[Tensor, ""]:
    """Compute the binary cross-entropy of logits with a label: the sum over the scales of means over positions."""
    return torch.stack([softplus(-score if real else score).mean() for score in scores]).sum()


@torch.no_grad()
def share_right(scores: Scores, real: bool) -> Float[Tensor, ""]:
    """Compute the share of logits on the right side of 0, the mean over the scales."""
    return torch.stack([((score > 0) == real).float().mean() for score in scores]).mean()


def probability_real(scores: Scores) -> float:
    """Compute the mean probability of being real, the mean over the scales."""
    return float(torch.stack([score.sigmoid().mean() for score in scores]).mean())
