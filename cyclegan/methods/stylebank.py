"""StyleBank: an auto-encoder whose features each style filters by a bank of its own.

Paper      Chen, Yuan, Liao, Yu, Hua, StyleBank: an explicit representation for neural image style transfer,
           CVPR 2017, arXiv:1703.09210.
Idea       Separate content from style: encoder and decoder reproduce any image, and all that is a style's is
           one convolution between them.
Computes   O_s = D(K_s ∗ E(x)); O = D(E(x)).
Objective  L_K = α L_c(O_s) + β L_s(O_s) + γ L_tv(O_s), which E, D and the banks of a batch learn;
           L_I = mean (O − x)², which E and D alone learn.
Steps      T on L_K, then one on L_I, whose gradient is scaled to λ ‖∇L_K‖ of the latest step on L_K, the norm
           over E and D. Each bank has moments of its own in Adam, which move only in steps that use it.
New style  `extends` names a run whose E, D and banks are kept to the bit; only the banks of the styles after its
           own are learned, on L_K alone. Draws of older styles count for new ones.
Mixtures   by weights, Σ_s w_s K_s, and by regions, Σ_s K_s ∗ (M_s E(x)).
Images     float32 (n, 3, h, w) in [−1, 1]; training: h and w multiples of 4; stylizing: any h and w.
Weights    of losses: the authors' code was never released, and the β = 100 of the paper, whose form of Gram
           matrices is not said, gives too weak a style. Here 1e6 a layer in the mean form, for torchvision's
           weights, as in a public port; α = 1; γ = 1e-5 for Σ of squared differences of images in 0…1.
Differs    from the paper: one Adam for both objectives, without which the scaled gradient would have no effect;
           an exponential average of the network is kept.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.nn.utils import get_total_norm

from cyclegan import distributed
from cyclegan.data.batches import IndexedBatch
from cyclegan.data.spec import DataSpec
from cyclegan.methods.checks import check_checkpointing, check_crop, check_rgb, check_schedule, check_whole_steps
from cyclegan.methods.loss_network import LossNetworkConfig
from cyclegan.methods.older_styles import replace_older
from cyclegan.methods.several_styles import SeveralStyles
from cyclegan.networks.network_config import Upsampling, at_least, at_most
from cyclegan.networks.style_bank import StyleBankNet
from cyclegan.protocols import Images, Losses, Minimize, Preview
from cyclegan.training.training_config import TrainingConfig

STRIDE, SMALLEST = 4, 16  # px
TINY = 1e-30  # keeps the ratio of norms finite
PORT_LOSS = LossNetworkConfig(
    weights="torchvision",
    content_layers={"relu4_2": 1.0},
    style_layers=dict.fromkeys(("relu1_2", "relu2_2", "relu3_2", "relu4_2"), 1e6),
    tv_weight=2e-5 / 255**2,
)


@dataclass(frozen=True, kw_only=True)
class StyleBankConfig:
    """Settings of StyleBank; networks and steps are the paper's, the weights of losses those of a public port."""

    learns_from: ClassVar = ("styles",)
    remedies: ClassVar = {
        "memory": "begin another run (--set name=...) with a smaller data.batch_size or data.crop_size",
    }

    name: Literal["stylebank"] = "stylebank"
    base_channels: int = 32  # width after the first layer
    upsampling: Upsampling = "transposed"
    loss: LossNetworkConfig = PORT_LOSS  # L_K, with α, β and γ
    stylizing_steps: int = 2  # T: steps on L_K before each on L_I
    lambda_reconstruction: float = 1.0  # λ: norm of the gradient of L_I, in units of that of L_K
    extends: Path | None = None  # run or release whose styles are kept: only the banks of further styles are learned

    def __post_init__(self) -> None:
        at_least(1, self, "base_channels", "stylizing_steps")
        at_most(1024, self, "base_channels")
        if not self.lambda_reconstruction > 0:
            raise ValueError("lambda_reconstruction: must be above 0")

    def check(self, spec: DataSpec, training: TrainingConfig, processes: int = 1) -> None:
        """Raise ValueError for crops, channels or training that do not fit."""
        check_rgb(spec, self.name)
        check_crop(spec, STRIDE, SMALLEST)
        check_checkpointing(training, None)
        check_whole_steps(training)
        check_schedule(spec, training)

    def build(self, spec: DataSpec, train: bool = True) -> "StyleBank":
        """Build the network, untrained or with the weights that it extends, and the loss network."""
        return StyleBank(self, spec, train)


class StyleBank(SeveralStyles):
    """Auto-encoder with a bank for each style, which is a target, and the loss network they learn from."""

    charts: ClassVar = {"network": ["content", "style", "tv", "reconstruction"]}  # losses it may have
    whole_steps: ClassVar = True  # a batch is not worked on in parts
    done: Tensor
    norm: Tensor

    def __init__(self, config: StyleBankConfig, spec: DataSpec, train: bool = True) -> None:
        super().__init__(StyleBankNet(len(spec.styles), config.base_channels, config.upsampling), spec.styles)
        self.config = config
        if train:
            self.begin_training(config.loss, config.extends, config.name)
            self.register_buffer("done", torch.zeros((), dtype=torch.int64))  # steps
            self.register_buffer("norm", torch.zeros(()))  # ‖∇L_K‖ over E and D, of the latest step on L_K

    def training_step(self, batch: IndexedBatch, minimize: Minimize) -> Losses:
        """Minimize L_K, T times out of T + 1, or L_I; a run that extends another minimizes L_K alone."""
        turn = int(self.done) % (self.config.stylizing_steps + 1)
        self.done += 1
        if turn == self.config.stylizing_steps and not self.older:
            return self.reconstruct(batch.content, minimize)
        style = replace_older(batch.style, self.older, len(self.styles))
        used = distributed.all_gather(style).unique()  # in all processes, which average the gradients of the same banks
        losses = self.loss(self.stylize(batch.content, style, used), batch.content, style)
        minimize("network", losses)
        gradients = [parameter.grad for parameter in self.shared() if parameter.grad is not None]
        if gradients:
            self.norm.copy_(get_total_norm(gradients))
        return losses

    def reconstruct(self, content: Images, minimize: Minimize) -> Losses:
        """Minimize L_I once, with a gradient of norm λ ‖∇L_K‖; the loss that is returned is not scaled."""
        loss = mse_loss(self.network.autoencode(content), content)
        gradients = torch.autograd.grad(loss, self.shared(), retain_graph=True)
        distributed.all_reduce_mean_(gradients)
        scale = self.config.lambda_reconstruction * self.norm / get_total_norm(gradients).clamp(min=TINY)
        minimize("network", {"reconstruction": scale * loss})
        return {"reconstruction": loss}

    def stylize(self, content: Images, style: Int64[Tensor, " n"], used: Int64[Tensor, " k"] | None = None) -> Images:
        """Compute O_s: contents (n, 3, h, w) and the index (n,) of the style of each.

        used  Indices of the banks that take part, by default those of `style`; all others get no gradient.
        """
        used = style.unique() if used is None else used
        weights = (style[:, None] == used).to(content)
        return self.network(content, weights[:, :, None, None], used.tolist())

    def shared(self) -> list[nn.Parameter]:
        """List the parameters of E and D."""
        return [*self.network.encoder.parameters(), *self.network.decoder.parameters()]

    @torch.no_grad()
    def preview(self, batch: IndexedBatch) -> Preview:
        """Return each content stylized after the style of its index and reproduced, the losses and the accuracy."""
        content, style = batch
        stylized, copied = self.stylize(content, style).clamp(-1, 1), self.network.autoencode(content).clamp(-1, 1)
        numbers = {f"{name}, held out": value for name, value in self.loss(stylized, content, style).items()}
        numbers["PSNR x, D(E(x))"] = 10 * torch.log10(4 / mse_loss(copied, content))
        pictures = {"x": content, "D(K ∗ E(x))": stylized, "D(E(x))": copied}
        return Preview({"stylized": pictures}, numbers={name: float(value) for name, value in numbers.items()})
