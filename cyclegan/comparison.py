"""From the file of a comparison to what is compared: every translator built, with the facts that the table prints."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from cyclegan.errors import UserError
from cyclegan.evaluation.compare import (
    UNTRAINED,
    Comparison,
    Entry,
    Facts,
    Targets,
    Unavailable,
    color_transfer,
    locate_images,
)
from cyclegan.evaluation.compare import compare as compare_entries
from cyclegan.evaluation.rivals import Identity
from cyclegan.evaluation.settings import (
    CheckpointConfig,
    ColorTransferConfig,
    CompareConfig,
    IdentityConfig,
    MethodFileConfig,
    RunConfig,
    TranslatorConfig,
)
from cyclegan.images import to_bytes
from cyclegan.inference.load import load
from cyclegan.inference.loaded import Loaded
from cyclegan.precision import choose_device
from cyclegan.protocols import Images, Translator
from cyclegan.training.run import training_hours


def compare(config: CompareConfig) -> Comparison:
    """Build every translator, then run them all on the same pictures."""
    device = choose_device(config.device)
    images = locate_images(config.images, config.count)
    entries = {name: _entry(translator, images, config.device) for name, translator in config.translators.items()}
    targets = Targets(*(locate_images(places) if places else [] for places in (config.targets, config.held_out)))
    return compare_entries(entries, images, device, config.size, config.timed, config.metrics, targets, config.fetch)


def _entry(config: TranslatorConfig, images: Sequence[Path], device: str) -> Entry:
    """A translator that cannot be built stands in the table with its error."""
    try:
        return _built(config, images, device)
    except UserError as error:
        return Entry(Unavailable(error))


def _built(config: TranslatorConfig, images: Sequence[Path], device: str) -> Entry:
    match config:
        case IdentityConfig():
            return Entry(Identity(), UNTRAINED)
        case ColorTransferConfig():
            styles = locate_images(config.style)
            return Entry(color_transfer(images, styles, config.flatten), replace(UNTRAINED, style_images=len(styles)))
        case RunConfig():
            loaded = load(config.folder, device)
            loaded.require_rgb("a comparison", config.to)
            return Entry(loaded.translator(config.to), _facts(loaded, 0, config.folder))
        case CheckpointConfig() | MethodFileConfig():
            path = config.path if isinstance(config, CheckpointConfig) else config.file
            styles = locate_images(config.style, config.count)
            groups = [styles] if config.several == "mixed" else [[style] for style in styles]
            bound = [load(path, device, group) for group in groups]
            return Entry(SharedOut([one.translator() for one in bound]), _facts(bound[0], len(styles), path))


@dataclass(frozen=True)
class SharedOut:
    """One of several translators for each image, the same one whenever the image is the same."""

    translators: Sequence[Translator]

    def translate(self, images: Images) -> Images:
        """(n, 3, h, w) → (n, 3, h, w)."""
        return torch.cat([self._of(image).translate(image) for image in images.split(1)])

    def _of(self, image: Images) -> Translator:
        digest = hashlib.sha256(to_bytes(image).numpy().tobytes()).digest()
        return self.translators[int.from_bytes(digest[:8]) % len(self.translators)]


def _facts(loaded: Loaded, styles: int, path: Path) -> Facts:
    """As far as the description of a release tells them; how long a training took stands in the log of its run."""
    seen = loaded.about.get("training_images")
    return Facts(
        parameters=sum(p.numel() for network in loaded.networks.values() for p in network.parameters()),
        training_images=sum(seen.values()) if seen else 0,
        training_hours=training_hours(path if path.is_dir() else path.parent) if seen else 0.0,
        style_images=styles or (seen or {}).get(loaded.y),
        weights=tuple(_weights(loaded.pretrained)),
    )


def _weights(pretrained: Mapping[str, str]) -> Iterator[str]:
    if pretrained:
        yield f"VGG-19 ({pretrained['name']})"
    if "decoder" in pretrained:
        yield f"AdaIN's decoder ({pretrained['decoder']})"
