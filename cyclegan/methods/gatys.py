"""Gatys: optimize an image until its features have the content of one image and the style of another.

Paper      Gatys, Ecker, Bethge, Image style transfer using convolutional neural networks, CVPR 2016.
Objective  L(x) = α L_content(x, p) + β L_style(x, a)   (Eq. 7),   L_style = Σ_l w_l E_l   (Eq. 5)
           L_content and E_l as in losses/perceptual.py, at the `content_layers` and `style_layers` of VGG-19.
Controls   Gatys et al., Controlling perceptual factors in neural style transfer, CVPR 2017: colors of the
           content (by its chroma, or by a linear map of the style's colors), regions by masks (guided Gram
           matrices), style scale.
Images     p (1, 3, h, w) of any size, a (1, 3, hs, ws) of any other; RGB in [-1, 1].
Memory     VGG-19 up to relu5_1 keeps about 2.5 kB a pixel in float32 for the backward pass, half of it in
           bfloat16.
Forms      sum: the paper's. mean: means instead of sums, independent of the size. relative: as mean, with
           every distance divided by that between the target and features that are 0, so that the weights mean
           the same for every network, layer and image.
Differs    from the paper by default: see GatysConfig; experiments/gatys/paper.yaml has the paper's settings.
           In every setting the style image keeps its aspect ratio when it is resized: to the content's area,
           not to its sides.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from cyclegan.data.spec import DataSpec
from cyclegan.device import choose_precision
from cyclegan.functional.color import luma, match_colors, match_luma, with_luma
from cyclegan.methods.gatys_objective import Example, Features, Objective, Picture
from cyclegan.methods.pixel_optimizer import LBFGS, Adam, Descent, IterationState, Size, Watch, pyramid, resize
from cyclegan.methods.translator import require_fitting_controls
from cyclegan.networks.network_config import at_least
from cyclegan.networks.vgg import load_vgg
from cyclegan.protocols import Images
from cyclegan.training.training_config import TrainingConfig

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@dataclass(frozen=True, kw_only=True)
class GatysConfig:
    """Settings of Gatys, Ecker, Bethge 2016; by default not the paper's but those with the best results."""

    learns_from: ClassVar = ()
    remedies: ClassVar[dict[str, str]] = {}

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
    style_scale: float = 1.0  # side of the style image; 1: as many pixels as the content
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

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError: there is nothing to train."""
        raise ValueError("method: gatys learns nothing; translate with experiments/gatys/best.yaml and --style instead")

    def build(self, spec: DataSpec, train: bool = True) -> "Gatys":
        """Build the method: VGG-19 with its weights."""
        return Gatys(self)


class Gatys:
    """Optimization of pixels with the features of a frozen VGG-19, as a Stylizer."""

    examples_are = "mixed"

    def __init__(self, config: GatysConfig) -> None:
        self.config = config
        taps = sorted(config.content_layers.keys() | config.style_layers.keys())
        self.vgg = load_vgg(config.weights, taps, pooling=config.pooling, padding=config.padding)

    def stylize(self, content: Images, style: Float[Tensor, "n 3 hs ws"]) -> Images:
        """Stylize every content image in its own style, one after the other."""
        pairs = zip(content.split(1), style.split(1), strict=True)
        return torch.cat([self.paint(p, [Example(a)]) for p, a in pairs])

    def bind(
        self,
        *styles: Picture,
        weights: Sequence[float | int] | None = None,
        masks: Float[Tensor, "_ _ _"] | None = None,
    ) -> "BoundGatys":
        """Return a Translator to one style, to several mixed, or to one for each region."""
        require_fitting_controls(len(styles), weights, masks)
        shares = [1.0] * len(styles) if weights is None else weights
        regions = [None] * len(styles) if masks is None else masks[:, None, None].unbind()
        return BoundGatys(self, [Example(*example) for example in zip(styles, shares, regions, strict=True)])

    @property
    def pretrained(self) -> Mapping[str, str]:
        """Pretrained weights in use: those of VGG-19."""
        return self.vgg.description

    @torch.enable_grad()
    def paint(
        self, content: Picture, examples: Sequence[Example], *, watch: Watch | None = None, every: int = 50
    ) -> Picture:
        """Stylize one image in several styles.

        Styles without a region are mixed; each other style is applied to its region only. Every `every` steps
        `watch` receives the losses, the time left and the image.
        """

        def show(glance: IterationState) -> None:
            if watch:
                watch(glance._replace(image=self._finished(glance.image, content)))

        self.prepare(content.device)
        p, examples = self._in_its_colors(content, examples)
        image = self._start(p, examples)
        sizes = pyramid((p.shape[2], p.shape[3]), self.config.coarsest)
        descent = Descent(self._optimizer(), self._steps(sizes), watch and show, every)
        for size in sizes:
            objective = Objective(self.config, self.features, resize(p, size), examples)
            moved = descent.run(objective, resize(image, size))
            image = moved if descent.value_at_start else image  # all losses were 0: keep the image, and its detail
        return self._finished(image, content)

    def _optimizer(self) -> LBFGS | Adam:
        config = self.config
        return LBFGS() if config.optimizer == "lbfgs" else Adam(config.learning_rate, config.averaging)

    def _steps(self, sizes: Sequence[Size]) -> dict[Size, int]:
        """Return the number of steps at each size."""
        return {size: self.config.refine_steps for size in sizes} | {sizes[0]: self.config.steps}

    def prepare(self, device: torch.device) -> None:
        """Move the network to a device, in the precision used there."""
        self.vgg = self.vgg.to_inference(choose_precision(self.config.precision, device), device)

    def features(self, images: Images) -> Features:
        """Compute the taps that the losses need, in float32 whatever the precision of the network."""
        return {layer: features.float() for layer, features in self.vgg(images).items()}

    def _in_its_colors(self, content: Picture, examples: Sequence[Example]) -> tuple[Picture, Sequence[Example]]:
        """Return content and styles for a result that keeps the colors of the content."""
        match self.config.color:
            case "style":
                return content, examples
            case "luminance":
                pictures = [match_luma(example.picture, content).clamp(-1, 1) for example in examples]
                content = luma(content).unsqueeze(1).expand_as(content)
            case mode:
                pictures = [match_colors(example.picture, content, mode) for example in examples]
        return content, [e._replace(picture=picture) for e, picture in zip(examples, pictures, strict=True)]

    def _start(self, content: Picture, examples: Sequence[Example]) -> Picture:
        match self.config.init:
            case "content":
                return content
            case "style":
                return resize(examples[0].picture, (content.shape[2], content.shape[3]))
        noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(self.config.seed))
        return (2 * noise - 1).to(content)

    def _finished(self, image: Picture, content: Picture) -> Picture:
        """Add the chroma of the content where only luminance was transferred."""
        if self.config.color != "luminance":
            return image
        return with_luma(resize(content, (image.shape[2], image.shape[3])), luma(image)).clamp(-1, 1)


@dataclass(frozen=True)
class BoundGatys:
    """Translator to fixed styles, which optimizes every image separately and can be watched."""

    method: Gatys
    examples: Sequence[Example]
    watch: Watch | None = None
    every: int = 50

    def translate(self, images: Images) -> Images:
        """Stylize images: (n, 3, h, w) → (n, 3, h, w)."""
        examples = [example._replace(picture=example.picture.to(images)) for example in self.examples]
        painted = [self.method.paint(p, examples, watch=self.watch, every=self.every) for p in images.split(1)]
        return torch.cat(painted)

    def with_callback(self, watch: Watch, every: int) -> "BoundGatys":
        """Return a copy that passes a Glance to `watch` every `every` steps."""
        return replace(self, watch=watch, every=every)
