"""The settings of every method, with the paper's values as defaults; free of PyTorch, so that mistakes show at once."""

import math
import re
from dataclasses import dataclass, field
from typing import Literal, SupportsInt

from cyclegan.networks.settings import DiscriminatorConfig, GeneratorConfig, UnetConfig, at_least, at_most

SMALLEST = {"l1": 1, "lpips": 32, "ms-ssim": 11}  # px of a side that a distance of images can compare
FINALS = ("lambda_cycle_final", "lambda_identity_final")
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def _towards(value: float, final: float | None, share: float) -> float:
    return value if final is None else (1 - share) * value + share * final


def _require_fitting(crop_size: int, generator: GeneratorConfig | UnetConfig, smallest: int) -> None:
    stride, smallest = generator.stride, max(generator.smallest, smallest)
    if crop_size % stride or crop_size < smallest:
        needs = f"a multiple of {stride} and at least {smallest}"
        raise ValueError(f"data: crop_size {crop_size} does not fit these networks; make it {needs}")


@dataclass(frozen=True, kw_only=True)
class CycleGANConfig:
    """CycleGAN (Zhu et al. 2017)."""

    name: Literal["cyclegan"] = "cyclegan"
    generator: GeneratorConfig | UnetConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    gan: Literal["lsgan", "vanilla", "nonsaturating", "minimax", "hinge", "wgan-gp"] = "lsgan"  # losses/adversarial.py
    cycle: Literal["l1", "lpips", "ms-ssim"] = "l1"  # how far F(G(x)) is from x; lpips: L1 + LPIPS
    lambda_cycle: float = 10.0  # λ of Eq. (3)
    lambda_identity: float = 0.5  # times λ; 0 switches the term off (Sec. 5.2)
    lambda_cycle_final: float | None = None  # where λ goes in the rounds of `ramp`; not in the paper
    lambda_identity_final: float | None = None  # likewise; 0 switches the term off then
    ramp: tuple[int, int] | None = None  # rounds between which they change linearly; [n, n]: at once, after n rounds
    lambda_gp: float | None = None  # WGAN-GP's penalty on the discriminators; null: 10 for wgan-gp, 0 for the others
    lambda_r1: float = 0.0  # R1 penalty on the discriminators; not in the paper
    r1_every: int = 16  # rounds between two penalties, which then count as many times
    buffer_size: int = 50  # past fakes shown to the discriminators (Sec. 4)
    augment: tuple[Literal["color", "translation", "cutout"], ...] = ()  # DiffAugment of all that discriminators see

    def __post_init__(self) -> None:
        at_least(1, self, "r1_every")
        at_least(0, self, "lambda_cycle", "lambda_identity", "lambda_r1", "buffer_size")
        at_least(0, self, *(name for name in (*FINALS, "lambda_gp") if getattr(self, name) is not None))
        self._require_whole_ramp()
        if self.gan == "wgan-gp" and self.lambda_gp == 0:
            raise ValueError("lambda_gp: must be above 0 with wgan-gp, which is nothing without its penalty")

    def _require_whole_ramp(self) -> None:
        given = [name for name in FINALS if getattr(self, name) is not None]
        if self.ramp is None and given:
            raise ValueError(f"{given[0]}: is never reached; say between which rounds, as in ramp: [0, 10000]")
        if self.ramp is not None and not given:
            raise ValueError(f"ramp: changes nothing; give {' or '.join(FINALS)} with it")
        if self.ramp is not None and not 0 <= self.ramp[0] <= self.ramp[1]:
            raise ValueError("ramp: must be two numbers of rounds, the first at least 0 and not above the second")

    def weights_in(self, played: SupportsInt) -> tuple[float, float]:
        """λ, and the weight of the identity loss, when so many rounds have been played."""
        cycle, identity = self.lambda_cycle, self.lambda_identity
        if self.ramp is not None:
            (begin, end), now = self.ramp, int(played)
            share = 1.0 if now >= end else max(0.0, (now - begin) / max(1, end - begin))
            cycle = _towards(cycle, self.lambda_cycle_final, share)
            identity = _towards(identity, self.lambda_identity_final, share)
        return cycle, cycle * identity

    @property
    def gradient_penalty(self) -> float:
        """λ of WGAN-GP, with its paper's value where nothing is said."""
        if self.lambda_gp is not None:
            return self.lambda_gp
        return 10.0 if self.gan == "wgan-gp" else 0.0

    def require_fitting(self, crop_size: int) -> None:
        """Raise ValueError for crops that the networks cannot take or judge."""
        _require_fitting(crop_size, self.generator, max(self.discriminator.smallest, SMALLEST[self.cycle]))

    def require_channels(self, x: int, y: int) -> None:
        """Raise ValueError for channels of X and Y between which this is not defined."""
        if x != y and (self.lambda_identity or self.lambda_identity_final):
            raise ValueError(f"data: {x} and {y} channels differ, so there is no G(y); set method.lambda_identity to 0")
        if x != y and isinstance(self.generator, GeneratorConfig) and self.generator.start == "identity":
            raise ValueError(f"data: {x} and {y} channels differ; set method.generator.start to noise")
        if (x, y) != (3, 3):
            for name, wants in (("cycle", "lpips"), ("augment", "color")):
                if wants in getattr(self, name):
                    raise ValueError(
                        f"data: {x} and {y} channels are not RGB, as method.{name} {wants} has it; take it out"
                    )

    @property
    def mixes_images(self) -> bool:
        """Whether what becomes of an image depends on the others of its batch."""
        return "batch" in (self.generator.norm, self.discriminator.norm)


@dataclass(frozen=True, kw_only=True)
class CUTConfig:
    """CUT (Park et al. 2020); FastCUT has lambda_nce 10, lambda_identity 0 and flip true."""

    name: Literal["cut"] = "cut"
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    gan: Literal["lsgan", "vanilla", "nonsaturating", "minimax", "hinge"] = "lsgan"  # losses/adversarial.py
    lambda_nce: float = 1.0  # λ_X of Eq. (5)
    lambda_identity: float = 1.0  # λ_Y; 0 switches the term off
    patches: int = 256  # places of each layer that are compared
    head_width: int = 256  # of the MLPs H
    temperature: float = 0.07  # τ
    flip: bool = False  # mirror x at random and what is seen of G(x) back: flip-equivariance, of FastCUT

    def __post_init__(self) -> None:
        at_least(0, self, "lambda_nce", "lambda_identity")
        at_least(1, self, "head_width")
        at_least(2, self, "patches")
        at_most(16384, self, "head_width", "patches")
        if not self.temperature > 0:
            raise ValueError("temperature: must be above 0")
        if self.generator.blocks < 1:
            raise ValueError("generator: blocks must be at least 1, as patches are compared there")

    def require_channels(self, x: int, y: int) -> None:
        """Raise ValueError for other channels than X has: the encoder of G looks at both sides."""
        if x != y:
            raise ValueError(
                f"data: {x} and {y} channels differ; cut takes the same for both, cyclegan does not need it"
            )

    def require_fitting(self, crop_size: int) -> None:
        """Raise ValueError for crops that the networks cannot take or judge."""
        _require_fitting(crop_size, self.generator, self.discriminator.smallest)

    @property
    def mixes_images(self) -> bool:
        """Whether what becomes of an image depends on the others of its batch."""
        return "batch" in (self.generator.norm, self.discriminator.norm)


def _require_rgb(method: str, x: int, y: int) -> None:
    if (x, y) != (3, 3):
        raise ValueError(f"data: {x} and {y} channels are not RGB, which {method} needs, as it looks through VGG")


@dataclass(frozen=True, kw_only=True)
class AdaINConfig:
    """AdaIN (Huang & Belongie 2017)."""

    name: Literal["adain"] = "adain"
    encoder: Literal["normalised", "normalised_torchvision", "torchvision", "caffe", "random"] = "normalised"
    decoder: Literal["untrained", "public"] = "untrained"  # to start from; public: a released one, ready to stylize
    loss: Literal["original", "port"] = "original"  # style loss: sum over the channels, λ 1e-2; or mean over them, λ 10
    lambda_style: float | None = None  # λ of Eq. (11); null: that of the loss
    alpha: float = 1.0  # how much style, where nothing else is asked for: 0 … 1 (Eq. 14)
    keep_color: bool = False  # recolor the styles first, to the mean and covariance of the content's colors
    precision: Literal["float32", "bfloat16", "auto"] = "auto"  # of stylizing; auto: bfloat16 where it is native

    def __post_init__(self) -> None:
        if self.lambda_style is not None:
            at_least(0, self, "lambda_style")
        if not 0 <= self.alpha <= 1:
            raise ValueError("alpha: must lie in 0…1")

    def require_channels(self, x: int, y: int) -> None:
        """Raise ValueError for what is not RGB."""
        _require_rgb(self.name, x, y)

    def require_fitting(self, crop_size: int) -> None:
        """Raise ValueError for crops that the encoder cannot take."""
        if crop_size % 8 or crop_size < 16:
            raise ValueError(f"data: crop_size {crop_size} does not fit VGG; make it a multiple of 8 and at least 16")


@dataclass(frozen=True, kw_only=True)
class GatysConfig:
    """Gatys, Ecker, Bethge 2016; the defaults are not the paper's but those that look best."""

    name: Literal["gatys"] = "gatys"
    weights: Literal["torchvision", "caffe", "normalised", "normalised_torchvision", "random"] = "torchvision"
    pooling: Literal["max", "average"] = "max"
    padding: Literal["zero", "reflect", "replicate"] = "replicate"

    content_layers: dict[str, float] = field(default_factory=lambda: {"relu4_2": 1.0})
    style_layers: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STYLE_LAYERS, 0.2))  # w_l of Eq. (5)
    content_weight: float = 1.0  # α of Eq. (7)
    style_weight: float = 10.0  # β of Eq. (7)
    tv_weight: float = 0.0  # total variation; not in the paper
    style_loss: Literal["gram", "wasserstein"] = "wasserstein"
    form: Literal["sum", "mean", "relative"] = "relative"  # relative: distances in units of the target's from 0

    init: Literal["content", "style", "noise"] = "content"
    optimizer: Literal["lbfgs", "adam"] = "adam"
    learning_rate: float = 0.02  # Adam's, of a range of 2
    averaging: float = 0.99  # of Adam's iterates; 0: the last one
    coarsest: int | None = 128  # px of the longer side at the first size, each next √2 larger; null: one size
    steps: int = 500  # at the first size
    refine_steps: int = 250  # at each later one

    color: Literal["style", "luminance", "cholesky", "pca", "sym"] = "style"  # all others keep the content's colors
    style_scale: float = 1.0  # side of the style picture; 1: as many pixels as the content
    precision: Literal["float32", "bfloat16", "auto"] = "auto"  # of the network; losses are in float32
    seed: int = 0  # of the noise

    def __post_init__(self) -> None:
        at_least(0, self, "content_weight", "style_weight", "tv_weight", "averaging")
        at_least(1, self, "steps", "refine_steps")
        for layers in ("content_layers", "style_layers"):
            unknown = [tap for tap in getattr(self, layers) if not re.fullmatch(r"relu([12]_[12]|[345]_[1-4])", tap)]
            if unknown or not getattr(self, layers):
                raise ValueError(f"{layers}: {unknown[0] if unknown else 'none'} is no layer; use relu1_1 … relu5_4")
            for layer, weight in getattr(self, layers).items():
                if not 0 <= weight < math.inf:
                    raise ValueError(f"{layers}: {layer}: must be at least 0 and finite")
        if self.coarsest is not None:
            at_least(16, self, "coarsest")
        if not self.learning_rate > 0:
            raise ValueError("learning_rate: must be above 0")
        if not self.style_scale > 0:
            raise ValueError("style_scale: must be above 0")
        if self.averaging >= 1:
            raise ValueError("averaging: must be below 1")
        if self.style_loss == "wasserstein" and self.form == "sum":
            raise ValueError("form: sum is defined for style_loss gram only; use mean")

    def require_channels(self, x: int, y: int) -> None:
        """Raise ValueError for what is not RGB."""
        _require_rgb(self.name, x, y)

    def require_fitting(self, crop_size: int) -> None:
        """Raise ValueError: there is nothing to train."""
        raise ValueError("method: gatys learns nothing; translate with experiments/gatys/best.yaml and --style instead")


DirectedConfig = CycleGANConfig | CUTConfig  # of methods that learn to translate to one side or to both
MethodConfig = DirectedConfig | AdaINConfig | GatysConfig
