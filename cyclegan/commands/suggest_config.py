"""Recipe for two folders of images, chosen by their number, their size and the device.

The differences between the recipes were measured on the embedded domain and on photo2monet: see
experiments/README.md.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.validate import Report
from cyclegan.errors import UserError
from cyclegan.images.find import describe_skipped
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.training_config import OptimizerConfig, TrainingConfig

FEW = 50  # images of a side; discriminators memorize fewer than these
ENOUGH_TO_VALIDATE = 50
MOST_BAD = 0.25  # share of damaged images; the report has named them all
EPOCHS = 200  # of the larger side, as in the paper …
STEPS = (40_000, 400_000)  # … within these bounds
CPU_STEPS = 6_000  # about six minutes on two cores


class Recipe(NamedTuple):
    """Settings of an experiment, except for its name."""

    method: CycleGANConfig
    data: UnpairedConfig
    training: TrainingConfig


def choose(report: Report, x: Path, y: Path, device: str) -> tuple[Recipe, list[str]]:
    """Choose settings for the images of a report on two folders, and give the reasons.

    `device` is cpu, cuda or mps.
    """
    counts = [len(report.looks[str(side)]) for side in (x, y)]
    for side, count in zip((x, y), counts, strict=True):
        if count < 2:
            skipped = describe_skipped(report.skipped.get(str(side), Counter()))
            few = f"{count} readable pictures found, at least 2 are needed; hundreds are better"
            raise UserError(f"{side}: {'; '.join(filter(None, [few, skipped]))}")
    shorter = round(median(min(look.width, look.height) for look in report.all_looks))
    folders = UnpairedConfig(x=x, y=y, resize="shorter_side", on_bad_image="skip", max_bad_fraction=MOST_BAD)
    recipe, reasons = _small(folders, shorter) if device == "cpu" else _paper(folders, shorter, max(counts))
    if min(counts) < FEW:
        recipe = recipe._replace(method=_guarded(recipe.method))
        reasons.append("few pictures: shown to discriminators moved and cut (DiffAugment), with spectral norms and R1")
    if min(counts) >= ENOUGH_TO_VALIDATE:
        recipe = recipe._replace(data=replace(recipe.data, validation=0.1))
        reasons.append("one picture in ten is kept aside to choose the best weights by")
    return recipe, reasons


def _guarded(method: CycleGANConfig) -> CycleGANConfig:
    """Return the method with discriminators that take longer to memorize few images."""
    discriminator = replace(method.discriminator, norm="spectral")
    return replace(method, discriminator=discriminator, augment=("translation", "cutout"), lambda_r1=0.1)


def _small(folders: UnpairedConfig, side: int) -> tuple[Recipe, list[str]]:
    """Recipe for a CPU: the settings of photo2painting.yaml, at the learning rate that photo2monet needed."""
    load_size = max(64, min(128, side))
    recipe = Recipe(
        method=CycleGANConfig(
            generator=GeneratorConfig(
                base_channels=16, blocks=4, downsamplings=1, stem="shuffle", residual_output=True, norm="none"
            ),
            discriminator=DiscriminatorConfig(base_channels=32, norm="none"),
            lambda_cycle=3.0,
            lambda_identity=0.0,
            lambda_r1=0.1,
        ),
        data=replace(folders, load_size=load_size, crop_size=64, batch_size=4),
        training=TrainingConfig(
            steps=CPU_STEPS, optimizer=OptimizerConfig(lr=2e-4), ema=0.995, precision="auto", log_every=200
        ),
    )
    return recipe, [f"no GPU: small networks, crops of 64 px of pictures of {load_size} px; minutes on two cores"]


def _paper(folders: UnpairedConfig, side: int, count: int) -> tuple[Recipe, list[str]]:
    """Recipe for a GPU: the settings of the paper, at the size of the images."""
    crop = 256 if side >= 256 else 128
    fewest, most = STEPS
    steps = min(max(EPOCHS * count, fewest), most)
    recipe = Recipe(
        method=CycleGANConfig(generator=GeneratorConfig(blocks=9 if crop == 256 else 6)),
        data=replace(folders, load_size=crop * 9 // 8, crop_size=crop),
        training=TrainingConfig(steps=steps, precision="auto", sample_every=2_000, save_every=2_000),
    )
    return recipe, [f"a GPU: the paper's networks, crops of {crop} px, {steps:,} steps"]
