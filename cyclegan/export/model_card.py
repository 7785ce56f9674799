"""Releases: averaged weights with their description, as one .safetensors file or a folder for the model hub.

Folder     model.safetensors, config.json (the description again, for people and the hub) and README.md, the
           model card.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from cyclegan.data.cards import find_domain
from cyclegan.errors import UserError, quoted
from cyclegan.model.load import WEIGHTS
from cyclegan.training.checkpoint import write_release

SHOWN = {  # kind of data -> what a model has seen of right translations
    "unpaired": "It was never shown what the right translation of a picture is. ",
    "paired": "It was shown the right translations of its training pictures, and of no others. ",
    "styles": "It was shown the style images alone, and no picture translated to their style. ",
}


def save_release(path: Path, networks: Mapping[str, nn.Module], about: Mapping[str, Any], evaluation: str = "") -> None:
    """Write a release as a file, or as a folder if the path has no suffix."""
    tensors = nn.ModuleDict(dict(networks)).state_dict()
    if path.suffix:
        write_release(path, tensors, about)
        return
    path.mkdir()
    write_release(path / WEIGHTS, tensors, about)
    (path / "config.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (path / "README.md").write_text(model_card(about, evaluation), encoding="utf-8")


def evaluation_beside(checkpoint: Path, step: int) -> str:
    """Return the evaluation tables of a checkpoint's run, if they were made with the same weights."""
    for folder in (checkpoint, *checkpoint.absolute().parents[:3]):
        tables, numbers = (folder / "evaluation" / f"evaluation.{suffix}" for suffix in ("md", "json"))
        if tables.is_file() and numbers.is_file():
            return tables.read_text(encoding="utf-8") if _is_of(numbers, step) else ""
    return ""


def _is_of(numbers: Path, step: int) -> bool:
    """Return whether the last weights that were evaluated are those of a step."""
    try:
        return json.loads(numbers.read_bytes())["provenance"]["step"] == step
    except (ValueError, KeyError, TypeError):
        return False


def model_card(about: Mapping[str, Any], evaluation: str) -> str:
    """Return the text of README.md: front matter for the hub, usage, training data, quality and limits."""
    targets = about["targets"]
    target = next(iter(targets))
    source = targets[target]["from"]
    both = list(targets) == [target, source]
    head = {
        "license": "unknown",
        "library_name": "cyclegan",
        "pipeline_tag": "image-to-image",
        "tags": ["cyclegan", "image-to-image", about["data"], "style-transfer", source, *targets],
    }
    back = f"\npainter('translated.png', to={source!r}).save('back.png')" if both else ""
    names = " or ".join(f"*{name}*" for name in targets if name != source)
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---",
        f"# {source} ↔ {target}" if both else f"# {source} → {', '.join(targets)}",
        f"A model for image-to-image translation, learned from {about['data']} data: pictures of *{source}* become "
        f"pictures of {names}" + (", and back." if both else "."),
        "## Use",
        "```python\nfrom cyclegan import load\npainter = load('path/to/this/folder')\n"
        f"painter('picture.jpg', to={target!r}).save('translated.png'){back}\n```",
        f"or `cyclegan translate path/to/this/folder pictures/ --to {quoted(target)} --out translated`. "
        "Any size goes in and comes out; tensors are (n, channels, h, w) in [-1, 1], RGB unless it says otherwise.",
        "## Training",
        "\n".join(f"- {line}" for line in _training(about)),
        f"```yaml\n{about['method'].strip()}\n```",
        *_evaluation(evaluation, [f"{each['from']}2{name}" for name, each in targets.items()]),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(about, source)),
    ]
    return "\n\n".join(parts) + "\n"


def _evaluation(text: str, directions: Sequence[str]) -> list[str]:
    """Return the sections of the directions that are released."""
    sections = [section.strip() for section in re.split(r"^## ", text, flags=re.MULTILINE)]
    released = [f"### {section}" for section in sections if section.partition("\n")[0] in directions]
    return ["## Evaluation", *released] if released else []


def _training(about: Mapping[str, Any]) -> list[str]:
    """Describe what is known of the origin of the weights."""
    lines = [f"Written by cyclegan {about['library']}, commit {about.get('commit') or 'unknown'}."]
    if imported := about.get("imported"):
        return [*lines, f"Trained by others: converted from `{imported['file']}`, sha256 `{imported['sha256']}`."]
    counts = " and ".join(f"{count:,} ({side})" for side, count in about.get("training_images", {}).items())
    lines.append(f"{about['step']:,} steps with seed {about.get('seed')}; pictures: {counts or 'unknown'}.")
    lines.append(f"These weights are an exponential average over the steps, with decay {about.get('ema')}.")
    try:
        card = find_domain(str(about.get("domain"))).card
    except UserError:  # folders of the user's own
        return lines
    return [*lines, f"They are: {card.title} ({card.source})."]


def _limits(about: Mapping[str, Any], source: str) -> list[str]:
    lines = [
        f"{SHOWN.get(about['data'], '')}It may invent what was not there and drop what was: measure, diagnose and "
        "prove nothing by its pictures.",
        f"Pictures unlike those of {source} that it has learned from, in subject or in the size of their detail, "
        "mostly change their colors only.",
        "`license: unknown` above is for the publisher of these weights to replace: say there what others may do with "
        "them.",
    ]
    try:
        return [*lines, f"License of the training pictures: {find_domain(str(about.get('domain'))).card.license}."]
    except UserError:
        return lines
