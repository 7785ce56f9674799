"""Settings of training, with CycleGAN's values as defaults (Zhu et al. 2017, Sec. 7.1); free of PyTorch."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Settings of the Adam optimizers."""

    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    lr_factors: dict[str, float] = field(default_factory=dict)  # parameter group: times lr (TTUR, Heusel et al. 2017)
    update_every: dict[str, int] = field(default_factory=dict)  # parameter group: update it every n-th step (n_critic)

    def __post_init__(self) -> None:
        if not all(factor > 0 for factor in self.lr_factors.values()):
            raise ValueError("lr_factors: must be above 0")
        if not all(count >= 1 for count in self.update_every.values()):
            raise ValueError("update_every: must be at least 1")
        if self.lr <= 0:
            raise ValueError("lr: must be above 0")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("betas: must lie in 0…1, 1 excluded")


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of training; the unit of time is the step, one batch of each side.

    An epoch of the paper is max(|X|, |Y|) / batch_size steps.
    """

    steps: int
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Literal["linear", "cosine", "step", "plateau", "inverse", "constant"] = "linear"  # inverse: as AdaIN
    constant_fraction: float = 0.5  # of the steps at the full rate, which then falls to 0; step: from drop to drop
    decay: float = 0.1  # step, plateau: what the rate is multiplied by at each drop
    patience: int = 5  # plateau: drops after so many looks (sample_every) in a row without a better validation
    warmup_steps: int = 0  # at first, over which the rate rises linearly to what the schedule says
    ema: float = 0.999  # decay of the average of the weights; ours, the paper keeps the last weights
    precision: Literal["float32", "bfloat16", "auto"] = "float32"  # auto: bfloat16 where the device computes in it
    compile: bool = False  # networks as a whole, by TorchInductor: a minute at the start, then faster
    cuda_graphs: bool = False  # compiled networks are recorded and replayed: for GPUs and small batches
    accumulate: int = 1  # parts that a batch is worked on in: the gradient of the whole, in a part of the memory
    activation_checkpointing: bool = False  # residual blocks are computed twice: less memory, more time
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    log_every: int = 100
    sample_every: int = 1000
    save_every: int = 1000
    keep_checkpoints: int = 2  # newest checkpoints kept

    def __post_init__(self) -> None:
        for name in ("steps", "patience", "accumulate", "log_every", "sample_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1")
        if self.warmup_steps < 0:
            raise ValueError("warmup_steps: must be at least 0")
        if self.keep_checkpoints < 2:
            raise ValueError(
                "keep_checkpoints: must be at least 2, so that a damaged checkpoint has an older one to fall back on"
            )
        if not 0 <= self.constant_fraction <= 1:
            raise ValueError("constant_fraction: must lie in 0…1")
        if self.schedule == "step" and not self.constant_fraction:
            raise ValueError("constant_fraction: must be above 0 for schedule step, which drops the rate after each")
        if not 0 < self.decay < 1:
            raise ValueError("decay: must lie between 0 and 1")
        if self.cuda_graphs and not self.compile:
            raise ValueError("cuda_graphs: are made of compiled networks; set compile to true as well")
        if not 0 <= self.ema < 1:
            raise ValueError("ema: must lie in 0…1, 1 excluded")
