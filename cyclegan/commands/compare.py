"""`cyclegan compare`: run the same images through many translators; one image grid, one table.

Modules that are slow to import are imported inside functions, so that --help needs none of them.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan.commands.arguments import add_overrides, print_skipped
from cyclegan.errors import UserError, expanded
from cyclegan.evaluation.compare_config import (
    CheckpointConfig,
    ColorTransferConfig,
    CompareConfig,
    IdentityConfig,
    MethodFileConfig,
    RunConfig,
    TranslatorConfig,
)

if TYPE_CHECKING:
    from cyclegan.evaluation.comparison import Comparison, Cost, Entry
    from cyclegan.model.model import Model


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan compare`."""
    verb.add_argument("comparison", type=expanded, help="experiments/compare/baselines.yaml")
    add_overrides(verb)
    verb.set_defaults(run=lambda options: run(options.comparison, options.set))


def run(path: Path, overrides: Sequence[str]) -> int:
    """Compare and write the report; name the translators that fail, and continue with the others."""
    from cyclegan.config import dump, load
    from cyclegan.experiment import RUNS
    from cyclegan.training.provenance import environment

    config = load(path, CompareConfig, overrides)

    from cyclegan.evaluation.comparison_report import failed, save_comparison, summary

    comparison = compare(config)
    print_skipped([*config.images, *config.targets, *config.held_out])
    folder = RUNS / "compare" / path.stem
    save_comparison(folder, comparison, {"settings": dump(config), **environment()})
    print(summary(comparison))
    for failure in failed(comparison):
        print(f"error: {failure}", file=sys.stderr)
    print(f"\ntables and images: {folder / 'index.html'} and {folder / 'grid.png'}")
    return UserError.exit_code if failed(comparison) else 0


def compare(config: CompareConfig) -> "Comparison":
    """Build every translator, then run all on the same images."""
    from cyclegan.data.task import Task
    from cyclegan.device import choose_device
    from cyclegan.evaluation.comparison import compare_translators, locate_images
    from cyclegan.evaluation.evaluator import EvaluationOptions

    images = locate_images(config.images, config.count)
    entries = {name: _entry(translator, images, config.device) for name, translator in config.translators.items()}
    references, held_out = (locate_images(places) if places else [] for places in (config.targets, config.held_out))
    metrics = None if "all" in config.metrics else config.metrics
    task = Task(name="comparison", to="", sources=images, references=references, held_out=held_out)
    device = choose_device(config.device)
    options = EvaluationOptions(metrics, size=config.size, fetch=config.fetch, device=device)
    return compare_translators(entries, task, options, config.timed)


def _entry(config: TranslatorConfig, images: Sequence[Path], device: str) -> "Entry":
    """Build a translator; one that cannot be built is listed in the table with its error."""
    from cyclegan.evaluation.comparison import Entry, Unavailable

    try:
        return _build(config, images, device)
    except UserError as error:
        return Entry(Unavailable(error))


def _build(config: TranslatorConfig, images: Sequence[Path], device: str) -> "Entry":
    from cyclegan.evaluation.baselines import Identity
    from cyclegan.evaluation.comparison import UNTRAINED, Entry, OneStylePerImage, color_transfer, locate_images
    from cyclegan.model.load import load

    match config:
        case IdentityConfig():
            return Entry(Identity(), UNTRAINED)
        case ColorTransferConfig():
            styles = locate_images(config.style)
            return Entry(color_transfer(images, styles, config.flatten), replace(UNTRAINED, style_images=len(styles)))
        case RunConfig():
            loaded = load(config.folder, device)
            loaded.require_rgb("a comparison", config.to)
            return Entry(loaded.translator(config.to), _cost(loaded, config.folder, config.to))
        case CheckpointConfig() | MethodFileConfig():
            path = config.path if isinstance(config, CheckpointConfig) else config.file
            styles = locate_images(config.style, config.count)
            groups = [styles] if config.several == "mixed" else [[style] for style in styles]
            bound = [load(path, device, group) for group in groups]
            translator = OneStylePerImage([one.translator() for one in bound])
            return Entry(translator, replace(_cost(bound[0], path), style_images=len(styles)))


def _cost(loaded: "Model", path: Path, to: str | None = None) -> "Cost":
    """Return the cost as far as a release describes it; hours of training come from the log of the run."""
    from cyclegan.evaluation.comparison import Cost
    from cyclegan.training.run_log import training_hours

    seen = loaded.about.get("training_images") or {}
    return Cost(
        parameters=sum(p.numel() for network in loaded.networks.values() for p in network.parameters()),
        training_images=sum(seen.values()),
        training_hours=training_hours(path if path.is_dir() else path.parent) if seen else 0.0,
        style_images=seen.get(to or loaded.to),
        weights=tuple(_weights(loaded.pretrained)),
    )


def _weights(pretrained: Mapping[str, str]) -> Iterator[str]:
    if pretrained:
        yield f"VGG-19 ({pretrained['name']})"
    if "decoder" in pretrained:
        yield f"AdaIN's decoder ({pretrained['decoder']})"
