"""Fast style transfer: a network for one style, trained on perceptual losses, paints in one pass.

Paper      Johnson, Alahi, Fei-Fei, Perceptual losses for real-time style transfer and super-resolution, ECCV
           2016, arXiv:1603.08155.
Idea       Train a network to minimize for all images what Gatys et al. minimize for each anew.
Objective  W* = arg min_W E_x λ_c ℓ_feat(f_W(x), x) + λ_s ℓ_style(f_W(x), y_s) + λ_TV ℓ_TV(f_W(x))      (Eq. 5)
           ℓ_feat: relu2_2 (Eq. 2); ℓ_style: Gram matrices of relu1_2, 2_2, 3_3, 4_3 (Eqs. 3, 4); VGG-16.
Images     contents (n, 3, h, w) in [−1, 1], h and w multiples of 4 and, with padding start, above 40.
Presets    paper (default; experiments/johnson/paper.yaml): 32-64-128 channels, batch norms, 150 tanh, content
           relu2_2 · release (…/release.yaml): fast-neural-style, 16-32-64 channels, instance norms, content
           relu3_3 · pytorch-examples (…/pytorch-examples.yaml): torchvision's weights, 1e5 / 1e10, levels in
           and out · johnson-cpu: VGG-19 to relu4_1 instead of VGG-16, small crops and a small network.
Style      The size of the style image decides the size of the strokes: data.style_size.
Differs    from fast-neural-style: losses are means over the images of a batch, total variation as well; there,
           it is a sum, so that its 1e-6 at batch 4 is 4e-6 here. No median filter follows the network. An
           exponential average of the network is kept and used for samples and release. Also see
           cyclegan.networks.transform_net.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch

from cyclegan.data.batches import IndexedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.methods.loss_network import LossNetworkConfig
from cyclegan.methods.one_style import OneStyle, check_one_style
from cyclegan.networks.build import build_transform_net
from cyclegan.networks.network_config import TransformNetConfig
from cyclegan.protocols import Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig

LOCAL = ("reflect", "replicate", "zero")  # paddings with which a part of an image becomes what it becomes in the whole


@dataclass(frozen=True, kw_only=True)
class JohnsonConfig:
    """Settings of fast style transfer, with the paper's values as defaults."""

    learns_from: ClassVar = ("styles",)
    remedies: ClassVar = {
        "change": "raise the weights of loss.style_layers",
        "diversity": "raise the weights of loss.content_layers",
        "checkerboard": "take generator.upsampling=resize, or raise loss.tv_weight",
        "memory": "begin another run (--set name=...) with a smaller data.crop_size, data.batch_size or "
        "generator.base_channels",
    }

    name: Literal["johnson"] = "johnson"
    generator: TransformNetConfig = field(default_factory=TransformNetConfig)
    loss: LossNetworkConfig = field(default_factory=LossNetworkConfig)

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for styles, crops, training or processes that do not fit."""
        check_one_style(self, spec, training, processes)

    def build(self, spec: DataSpec, train: bool = True) -> "Johnson":
        """Build the untrained network and, to train it, the loss network."""
        return Johnson(self, spec, train)


class Johnson(OneStyle):
    """Network G: content → painted in the one style."""

    config: JohnsonConfig

    def __init__(self, config: JohnsonConfig, spec: DataSpec, train: bool = True) -> None:
        super().__init__(build_transform_net(config.generator), config, spec, train)

    @property
    def local(self) -> bool:
        """Return whether the padding lets a part of an image become what it becomes in the whole."""
        return self.config.generator.padding in LOCAL

    def training_step(self, batch: IndexedBatch, minimize: Minimize) -> Losses:
        """Minimize Eq. (5) once."""
        losses = self.loss_network(self.G(batch.content), batch.content)
        minimize("generator", losses)
        return losses

    @torch.no_grad()
    def preview(self, batch: IndexedBatch) -> Preview:
        """Return contents and paintings, and the losses of the paintings and of the contents themselves."""
        painted = self.translators[self.style].translate(batch.content)
        numbers = {f"{name}, held out": loss for name, loss in self.loss_network(painted, batch.content).items()}
        return Preview(
            {"stylized": {"content": batch.content, "G(content)": painted}},
            numbers={name: float(value) for name, value in numbers.items()},
            translations={"G(content)": (batch.content, painted)},
        )
