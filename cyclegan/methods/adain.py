"""AdaIN: one network for any style, which gives the features of a content the statistics of those of a style.

Paper      Huang, Belongie, ICCV 2017, arXiv:1703.06868.
Idea       The style of an image is the mean and the deviation of each channel of its features: exchange them,
           decode.
Computes   t = AdaIN(f(c), f(s)),  T(c, s) = g(t);  f: VGG-19 to relu4_1, frozen; g: the decoder (Eqs. 9, 10)
           T(c, s, α) = g((1 − α) f(c) + α t)                                                   (Eq. 14)
           T(c, s₁…s_K, w) = g(Σ_k w_k AdaIN(f(c), f(s_k)))                                     (Eq. 15)
Objective  L = L_c + λ L_s, see cyclegan.losses.adain_losses; only g learns.                       (Eq. 11)
Images     float32 (n, 3, h, w) in [−1, 1]; training: h and w multiples of 8; stylizing: any h and w.
Differs    from the authors' code: nothing is added to the variance of the content, so that t has exactly the
           statistics of f(s); masks may be soft, and the content stays where there is no mask; a style of
           fewer than 4 positions of f is enlarged; an exponential average of the decoder is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from cyclegan.data.batches import UnpairedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.device import choose_precision
from cyclegan.errors import UserError
from cyclegan.functional.adain_regions import Statistics, adain_in_regions, mix_statistics, shares_of_styles
from cyclegan.functional.color import match_colors
from cyclegan.functional.statistics import TINY, adain, match_mean_std, mean_std
from cyclegan.losses.adain_losses import LAMBDA_STYLE, adain_content_loss, adain_style_loss
from cyclegan.methods.checks import check_checkpointing, check_crop, check_rgb, check_schedule
from cyclegan.methods.pixel_optimizer import resize
from cyclegan.methods.translator import NetworkTranslator, require_fitting_controls
from cyclegan.networks.adain_decoder import AdaINDecoder, load_decoder
from cyclegan.networks.network_config import at_least
from cyclegan.networks.vgg import VGGFeatures, load_vgg
from cyclegan.protocols import Images, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig

TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
TARGET = "relu4_1"  # f: what is normalized and decoded
STRIDE = 8  # pixels of a side for one position of f
POSITIONS = 4  # of f, which a style must have at least
ENLARGED = 64  # px: the shorter side of a style that has fewer, once it is enlarged

Style: TypeAlias = Float[Tensor, "_ 3 _ _"]  # one image for all contents, or one for each
Features: TypeAlias = Float[Tensor, "n 512 h w"]


@dataclass(frozen=True, kw_only=True)
class AdaINConfig:
    """Settings of AdaIN (Huang & Belongie 2017)."""

    learns_from: ClassVar = ("unpaired",)  # X are the contents, Y the styles
    remedies: ClassVar = {
        "change": "raise lambda_style or alpha",
        "diversity": "go back to an earlier checkpoint, or lower the learning rate",
        "checkerboard": "train longer",
        "memory": "set training.accumulate to a divisor of data.batch_size in a new run (--set name=...), or a smaller "
        "data.crop_size",
    }

    name: Literal["adain"] = "adain"
    encoder: Literal["normalised", "normalised_torchvision", "torchvision", "caffe", "random"] = "normalised"
    decoder: Literal["untrained", "public"] = "untrained"  # to start from; public: a released one, ready to stylize
    loss: Literal["original", "port"] = "original"  # style loss: sum over the channels, λ 1e-2; or mean over them, λ 10
    lambda_style: float | None = None  # λ of Eq. (11); null: that of the loss
    alpha: float = 1.0  # default strength of the style: 0 … 1 (Eq. 14)
    keep_color: bool = False  # recolor the styles first, to the mean and covariance of the content's colors
    precision: Literal["float32", "bfloat16", "auto"] = "auto"  # of stylizing; auto: bfloat16 where it is native

    def __post_init__(self) -> None:
        if self.lambda_style is not None:
            at_least(0, self, "lambda_style")
        if not 0 <= self.alpha <= 1:
            raise ValueError("alpha: must lie in 0…1")

    @property
    def untrained(self) -> str:
        """Return a remedy where the settings give a decoder that has to be trained; random weights are meant."""
        untrained = self.decoder == "untrained" and self.encoder != "random"
        return "give the folder of a run, or set decoder to public" if untrained else ""

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for crops, channels or training that do not fit."""
        check_rgb(spec, self.name)
        check_crop(spec, STRIDE, 2 * STRIDE)
        check_checkpointing(training, None)
        check_schedule(spec, training, validates=False)

    def build(self, spec: DataSpec, train: bool = True) -> "AdaIN":
        """Build the frozen encoder and a decoder: the public one, or an untrained one."""
        return AdaIN(self, released=not train)


class AdaIN(nn.Module):
    """The frozen encoder f and the decoder g, as a Stylizer."""

    examples_are = "mixed"

    def __init__(self, config: AdaINConfig, released: bool = False) -> None:
        """Build the networks; `released`: the weights of the decoder are loaded afterwards."""
        super().__init__()
        self.config = config
        self.lambda_style = LAMBDA_STYLE[config.loss] if config.lambda_style is None else config.lambda_style
        self.decoder = AdaINDecoder()
        if config.decoder == "public" and not released:
            self.decoder = load_decoder()
        with torch.device("cpu"):  # no checkpoint holds these weights
            self.encoder = load_vgg(config.encoder, TAPS, padding="reflect", ceil=True)

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of the decoder, the only network that learns."""
        return {"decoder": self.decoder.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the decoder; the encoder is identified by the settings."""
        return {"decoder": self.decoder}

    def state_dict(self) -> dict[str, Any]:  # type: ignore[override]
        """Return the state of the decoder; the encoder never changes."""
        return {"decoder": self.decoder.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Load a state that state_dict has returned."""
        self.decoder.load_state_dict(state["decoder"])

    def training_step(self, batch: UnpairedBatch, minimize: Minimize) -> Losses:
        """Minimize Eq. (11) once: the decoded image must have the features with exchanged statistics."""
        with torch.no_grad():
            style = self.encode(batch.y)
            t = adain(self.encode(batch.x)[TARGET], style[TARGET])
        found = self.encode(self.decoder(t))
        losses = {
            "content": adain_content_loss(found[TARGET], t),  # f(g(t)) ≈ t
            "style": self.lambda_style * adain_style_loss(found, style, self.config.loss),
        }
        minimize("decoder", losses)
        return losses

    @torch.no_grad()
    def preview(self, batch: UnpairedBatch) -> Preview:
        """Return each content stylized and copied (α = 0), the losses, and the accuracy of the copies."""
        content, style = batch
        copy = self.stylize(content, style, alpha=0.0)
        pictures = {"c": content, "s": style, "T(c, s)": self.stylize(content, style), "g(f(c))": copy}
        numbers = {
            **{f"{name}, held out": loss for name, loss in self.training_step(batch, _no_update).items()},
            "PSNR c, g(f(c))": 10 * torch.log10(4 / mse_loss(copy, content)),
        }
        return Preview({"stylized": pictures}, numbers={name: float(value) for name, value in numbers.items()})

    def stylize(
        self,
        content: Images,
        style: Style | Sequence[Style],
        *,
        alpha: float | None = None,
        weights: Sequence[float | int] | None = None,
        masks: Float[Tensor, "_ _ _"] | None = None,
        keep_color: bool | None = None,
    ) -> Images:
        """Return T(c, s) of the same shape as the content, (n, 3, h, w); the controls are those of `bind`."""
        styles = (style,) if isinstance(style, Tensor) else style
        bound = self.bind(*styles, alpha=alpha, weights=weights, masks=masks, keep_color=keep_color)
        return bound.translate(content)

    def bind(
        self,
        *styles: Style,
        alpha: float | None = None,
        weights: Sequence[float | int] | None = None,
        masks: Float[Tensor, "_ _ _"] | None = None,
        keep_color: bool | None = None,
    ) -> NetworkTranslator:
        """Encode the styles once, for any number of contents.

        weights, masks  As for every Stylizer.
        alpha           0 … 1: from a copy of the content to the full style (Eq. 14).
        keep_color      Recolor the styles first, to the mean and covariance of the content's colors (CORAL).
        """
        alpha = self.config.alpha if alpha is None else alpha
        keep_color = self.config.keep_color if keep_color is None else keep_color
        device = next(self.decoder.parameters()).device  # a loaded decoder may be on another device than the encoder
        dtype = choose_precision(self.config.precision, device)
        encoder = self.encoder.to_inference(dtype, device)
        decoder = deepcopy(self.decoder).to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network = BoundAdaIN(encoder, decoder, styles, alpha, weights, masks, keep_color)
        return AdaINTranslator(network, STRIDE, local=False)

    @property
    def pretrained(self) -> Mapping[str, str]:
        """Pretrained weights in use: those of the encoder, and the public decoder if it is chosen."""
        return self.encoder.description | ({"decoder": "public"} if self.config.decoder == "public" else {})

    def enlarged(self, style: Style) -> Style:
        """Enlarge a style with fewer than 4 positions of f to 64 px; return any other style unchanged.

        Statistics over so few positions carry no information.
        """
        return enlarged(style)

    def encode(self, images: Images) -> dict[str, Tensor]:
        """Compute the features at all taps; f(c) is the last."""
        return self.encoder(images.contiguous(memory_format=torch.channels_last))  # a fifth faster on a CPU


class AdaINTranslator(NetworkTranslator):
    """AdaIN bound to its styles, which scales α (Eq. 14) instead of blending pixels."""

    network: "BoundAdaIN"

    def scaled(self, strength: float) -> "AdaINTranslator":
        """Return a Translator whose α is multiplied by the strength."""
        return replace(self, network=self.network.scaled(strength))


class BoundAdaIN(nn.Module):
    """T(·, s₁…s_K): a network from images to images, whose sides are multiples of 8 and at least 16."""

    def __init__(
        self,
        encoder: VGGFeatures,
        decoder: nn.Module,
        styles: Sequence[Style],
        alpha: float,
        weights: Sequence[float | int] | None,
        masks: Float[Tensor, "k _ _"] | None,
        keep_color: bool,
    ) -> None:
        super().__init__()
        require_fitting_controls(len(styles), weights, masks)
        if not 0 <= alpha <= 1:
            raise UserError(f"alpha: {alpha:g} does not lie in 0…1, from a copy of the content to the full style")
        device = next(decoder.parameters()).device
        self.encoder, self.decoder = encoder, decoder
        self.alpha = alpha
        weights = [1.0] * len(styles) if weights is None else weights
        self.weights = [weight / sum(weights) for weight in weights]
        self.masks = None if masks is None else masks.to(device, torch.float32)
        self.styles = [enlarged(style.to(device)) for style in styles]
        self.statistics = None if keep_color else [self.statistics_of(style) for style in self.styles]

    def forward(self, images: Images) -> Images:
        """Stylize images: (n, 3, h, w) → (n, 3, h, w)."""
        features = self.encoder(images)[TARGET]
        styles = self.statistics or [self.statistics_of(_recolored(style, images)) for style in self.styles]
        if self.masks is None:
            t = match_mean_std(features, *mix_statistics(styles, self.weights))
        else:
            t = adain_in_regions(features, styles, shares_of_styles(self.masks, features))
        return self.decoder(features.lerp(t, self.alpha)).clamp(-1, 1).to(images.dtype)

    def scaled(self, strength: float) -> "BoundAdaIN":
        """Return a copy whose α is multiplied by the strength (Eq. 14)."""
        scaled = copy(self)
        scaled.alpha = strength * self.alpha
        return scaled

    @torch.no_grad()
    def statistics_of(self, style: Style) -> Statistics:
        """Compute the statistics of f(s)."""
        return Statistics(*mean_std(self.encoder(style)[TARGET], eps=TINY))


def enlarged(style: Style) -> Style:
    """Enlarge a style with fewer than 4 positions of f bicubically to 64 px; return any other unchanged.

    Statistics over so few positions carry no information.
    """
    height, width = style.shape[-2:]
    if ceil(height / STRIDE) * ceil(width / STRIDE) >= POSITIONS:
        return style
    factor = ENLARGED / min(height, width)
    return resize(style, (round(height * factor), round(width * factor)))


def _recolored(style: Style, contents: Images) -> Style:
    """Return the style in the colors of each content."""
    pairs = zip(style.expand(len(contents), -1, -1, -1).split(1), contents.split(1), strict=True)
    return torch.cat([match_colors(one, content, "pca") for one, content in pairs])


def _no_update(group: str, losses: Losses) -> None:
    """Leave the parameters as they are."""
