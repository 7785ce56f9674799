"""Texture networks: generators of textures from noise, and of stylized images, with batch or instance norms.

Papers     Ulyanov, Lebedev, Vedaldi, Lempitsky, Texture networks, ICML 2016, arXiv:1603.03417;
           Ulyanov, Vedaldi, Lempitsky, Improved texture networks: maximizing quality and diversity in
           feed-forward stylization and texture synthesis, CVPR 2017, arXiv:1701.02096.
Idea       Train a generator on the losses of Gatys et al.; 2017: normalize each image by itself, and reward
           what differs among the images of a batch.
Objective  min E_z L_style(g(z)), or E_{x,z} L_style(g(x, z)) + α L_content(g(x, z), x)
           − diversity · D/B Σ_i log min_{j≠i} ‖x_i − x_j‖²                                        (2017)
Images     (n, 3, h, w) in [−1, 1]; h and w multiples of the generator's stride. `generator.image: false` makes
           textures: contents then give only the size, in training and in translation.
Presets    default: stylized images of 2016. experiments/texture_nets: texture and style (2016: pyramid, batch
           norms, circular padding, VGG-19 with relu5_1, relu4_2) and improved (2017: TransformNet with replicate
           padding, instance norms, batch 1). experiments/texture_nets-cpu: a texture of five levels to relu4_1.
           Learning rates of 0.1 go with pyramid and batch norms only.
Norms      Batch norms use running statistics in translation; instance norms do the same in training and after.
           At batch 1 a batch norm is an instance norm: compare the two at batch 4 or more.
Differs    from the authors' code: gradients are not normalized; diversity is for the pyramid, whose input has
           noise; the noise of a translation is fixed; losses are means over images; an exponential average of
           the generator is kept. The paper of 2016 gives no form of the Gram loss beyond Gatys'; the code's
           mean form is used. Also see cyclegan.networks.pyramid_net and transform_net.
"""

from dataclasses import dataclass, field
from math import prod
from typing import ClassVar, Literal

import torch

from cyclegan import distributed
from cyclegan.data.batches import IndexedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.errors import UserError
from cyclegan.losses.regularization import julesz_entropy
from cyclegan.methods.loss_network import LossNetworkConfig
from cyclegan.methods.one_style import OneStyle, check_one_style
from cyclegan.networks.build import build_pyramid_net, build_transform_net
from cyclegan.networks.network_config import PyramidConfig, TransformNetConfig, at_least
from cyclegan.networks.pyramid_net import PyramidNet
from cyclegan.networks.vgg import HALF_RANGE
from cyclegan.protocols import Images, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig


def style_loss_2016() -> LossNetworkConfig:
    """Return the settings of the loss network for stylized images in the code of 2016."""
    style = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 1e3)
    return LossNetworkConfig(architecture="vgg19", content_layers={"relu4_2": 0.6}, style_layers=style, tv_weight=0.0)


@dataclass(frozen=True, kw_only=True)
class TextureNetsConfig:
    """Settings of texture networks, by default those of 2016 for stylized images."""

    learns_from: ClassVar = ("styles",)
    remedies: ClassVar = {
        "change": "raise the weights of loss.style_layers",
        "diversity": "raise the weights of loss.content_layers, stop earlier, or lower the learning rate",
        "checkerboard": "raise loss.tv_weight",
        "memory": "begin another run (--set name=...) with a smaller data.crop_size or data.batch_size",
    }

    name: Literal["texture_nets"] = "texture_nets"
    generator: PyramidConfig | TransformNetConfig = field(default_factory=PyramidConfig)
    loss: LossNetworkConfig = field(default_factory=style_loss_2016)
    diversity: float = 0.0  # weight of the entropy of a batch; 2017: 1e4, for losses that are sums

    def __post_init__(self) -> None:
        at_least(0, self, "diversity")
        if not self.image and self.loss.content_layers:
            raise ValueError("loss: content_layers must be {} where generator.image is false: a texture has none")
        if self.diversity and not getattr(self.generator, "noise", 0):
            raise ValueError("diversity: needs a generator with noise; take generator pyramid with noise 3")

    @property
    def image(self) -> bool:
        """Return whether images are stylized, rather than textures made."""
        return getattr(self.generator, "image", True)

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for styles, crops, training or processes that do not fit."""
        check_one_style(self, spec, training, processes)
        if self.diversity and (training.accumulate > 1 or processes > 1):
            raise ValueError("method: diversity compares the images of a whole batch; take accumulate 1, one process")

    def build(self, spec: DataSpec, train: bool = True) -> "TextureNets":
        """Build the untrained generator and, to train it, the loss network."""
        return TextureNets(self, spec, train)


class TextureNets(OneStyle):
    """Generator G of one texture, for which an image gives only the size, or of images in one style."""

    config: TextureNetsConfig
    charts: ClassVar = {"generator": [*OneStyle.charts["generator"], "diversity"]}

    def __init__(self, config: TextureNetsConfig, spec: DataSpec, train: bool = True) -> None:
        chosen = config.generator
        G = build_pyramid_net(chosen) if isinstance(chosen, PyramidConfig) else build_transform_net(chosen)
        super().__init__(G, config, spec, train)

    def generate(self, images: Images) -> Images:
        """Generate an image for each, with new noise: (n, 3, h, w) → (n, 3, h, w)."""
        if not isinstance(self.G, PyramidNet):
            return self.G(images)
        shapes = self.G.noise_shapes(*images.shape[2:])
        noise = [distributed.rand(len(images), prod(shape)).view(-1, *shape).to(images) for shape in shapes]
        return self.G(images, noise)

    def training_step(self, batch: IndexedBatch, minimize: Minimize) -> Losses:
        """Minimize the objective once."""
        losses = self.losses(self.generate(batch.content), batch.content)
        minimize("generator", losses)
        return losses

    def losses(self, generated: Images, content: Images) -> Losses:
        """Compute the losses of generated images."""
        losses = self.loss_network(generated, content if self.config.image else None)
        if self.config.diversity:
            if len(generated) < 2:
                raise UserError("data: diversity compares images; set batch_size to 2 or more")
            losses["diversity"] = -self.config.diversity * julesz_entropy(HALF_RANGE * generated)
        return losses

    @torch.no_grad()
    def preview(self, batch: IndexedBatch) -> Preview:
        """Return contents and generated images, and the losses of these."""
        generated = self.translators[self.style].translate(batch.content)
        losses = self.loss_network(generated, batch.content if self.config.image else None)
        return Preview(
            {"generated": {"content": batch.content, "G": generated}},
            numbers={f"{name}, held out": float(loss) for name, loss in losses.items()},
            translations={"G": (batch.content, generated)} if self.config.image else {},
        )
