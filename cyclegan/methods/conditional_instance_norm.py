"""Conditional instance normalization: many styles in one network, each a row of scales and shifts.

Paper      Dumoulin, Shlens, Kudlur, A learned representation for artistic style, ICLR 2017, arXiv:1610.07629.
Idea       Styles have so much in common that they can share all convolutions: a style s is no more than the
           scales γ_s and shifts β_s of the norms, 3,206 numbers.
Computes   z = γ_s (x − μ) / σ + β_s after every convolution                                         (Eq. 5)
           mixtures of styles by Σ_s w_s (γ_s, β_s)                                              (Sec. 3.3)
Objective  min_T λ_c L_c(T(c, s)) + λ_s L_s(T(c, s)), a style s for every image of a batch       (Eqs. 1–4)
           L_c at relu3_3 and L_s at relu1_2, 2_2, 3_3, 4_3 of VGG-16 with average pooling; all are means, of
           products F Fᵀ / (h w) in L_s; λ_c = 1, λ_s = 1e-4 a layer, as in Magenta's code.
New style  `extends` names a run whose weights are kept to the bit; only the rows of the styles after its own
           are learned, from γ = 1 and β = 0 on. Draws of older styles count for new ones.
Images     float32 (n, 3, h, w) in [−1, 1]; training: h and w multiples of 4; stylizing: any h and w.
Differs    from the authors' code: mixtures by regions, too; an exponential average of the network is kept. As
           there, the rows that a batch does not use still move with the momentum that Adam has left of them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn.functional import one_hot

from cyclegan.data.batches import IndexedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.methods.checks import check_checkpointing, check_crop, check_rgb, check_schedule
from cyclegan.methods.loss_network import LossNetworkConfig
from cyclegan.methods.older_styles import replace_older
from cyclegan.methods.several_styles import SeveralStyles
from cyclegan.networks.conditional_norm import ConditionalNormNet
from cyclegan.networks.network_config import at_least, at_most
from cyclegan.protocols import Images, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig

STRIDE, SMALLEST = 4, 16  # px
STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
PAPER_LOSS = LossNetworkConfig(
    pooling="average_unscaled",
    form="sum",
    content_layers={"relu3_3": 1.0},
    style_layers=dict.fromkeys(STYLE_LAYERS, 1e-4),
    tv_weight=0.0,
)


@dataclass(frozen=True, kw_only=True)
class CINConfig:
    """Settings of conditional instance normalization, with the values of the authors' code as defaults."""

    learns_from: ClassVar = ("styles",)
    remedies: ClassVar = {
        "memory": "set training.accumulate to a divisor of data.batch_size in a new run (--set name=...), or a smaller "
        "data.crop_size",
    }

    name: Literal["cin"] = "cin"
    base_channels: int = 32  # width after the first layer
    blocks: int = 5  # residual blocks
    loss: LossNetworkConfig = PAPER_LOSS
    style_factors: dict[str, float] = field(default_factory=dict)  # style -> times its style loss; 1 where not named
    extends: Path | None = None  # run or release whose styles are kept: only the rows of further styles are learned

    def __post_init__(self) -> None:
        at_least(1, self, "base_channels", "blocks")
        at_most(1024, self, "base_channels")
        at_most(100, self, "blocks")
        for style, factor in self.style_factors.items():
            if not factor > 0:
                raise ValueError(f"style_factors: {style}: must be above 0")

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for crops, channels, styles or training that do not fit."""
        check_rgb(spec, self.name)
        check_crop(spec, STRIDE, SMALLEST)
        check_checkpointing(training, None)
        check_schedule(spec, training)
        for style in self.style_factors:
            if style not in spec.styles:
                raise ValueError(f"method: style_factors: {style} is not one of {', '.join(spec.styles)}")

    def build(self, spec: DataSpec, train: bool = True) -> "CIN":
        """Build the network, untrained or with the weights that it extends, and the loss network."""
        return CIN(self, spec, train)


class CIN(SeveralStyles):
    """Network T(c, s), whose styles are targets, and the loss network it learns from."""

    charts: ClassVar = {"network": ["content", "style", "tv"]}  # losses it may have
    factors: Tensor

    def __init__(self, config: CINConfig, spec: DataSpec, train: bool = True) -> None:
        network = ConditionalNormNet(len(spec.styles), config.base_channels, config.blocks)
        super().__init__(network, spec.styles)
        if train:
            self.begin_training(config.loss, config.extends, config.name)
            factors = torch.tensor([config.style_factors.get(style, 1.0) for style in self.styles])
            self.register_buffer("factors", factors, persistent=False)

    def training_step(self, batch: IndexedBatch, minimize: Minimize) -> Losses:
        """Minimize content and style loss once; every content is stylized after the style of its index."""
        style = replace_older(batch.style, self.older, len(self.styles))
        losses = self.loss(self.stylize(batch.content, style), batch.content, style, self.factors)
        minimize("network", losses)
        return losses

    def stylize(self, content: Images, style: Int64[Tensor, " n"]) -> Images:
        """Compute T(c, s): contents (n, 3, h, w) and the index (n,) of the style of each."""
        return self.network(content, one_hot(style, len(self.styles)).to(content)[:, :, None, None])

    @torch.no_grad()
    def preview(self, batch: IndexedBatch) -> Preview:
        """Return each content stylized after the style of its index, and the losses."""
        stylized = self.stylize(batch.content, batch.style)
        losses = self.loss(stylized, batch.content, batch.style, self.factors)
        numbers = {f"{name}, held out": float(value) for name, value in losses.items()}
        return Preview({"stylized": {"c": batch.content, "T(c, s)": stylized}}, numbers=numbers)
