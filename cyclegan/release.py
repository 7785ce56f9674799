"""Description of a released model, stored in its file: format 2, and a reader of format 1.

Format 2   format, library, commit, step, seed, ema · method: its settings as YAML · data: the kind of data ·
           spec: the DataSpec it was built for · targets: name -> {from, takes, gives}, with pixel formats ·
           domain: name of the data, or null · networks: names of those in the file; all, if absent ·
           training_images: name -> count.
Format 1   had the sides x and y and their pixel formats `kinds` instead of data, spec and targets.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cyclegan import __version__
from cyclegan.data.spec import DataSpec, format_as_json, format_from_json, spec_from_json
from cyclegan.errors import UserError

FORMAT = 2  # raised when an older library could no longer read a release
REQUIRED = {"format": int, "method": str, "data": str, "spec": Mapping, "targets": Mapping, "step": int}


class BadDescriptionError(UserError):
    """A description that is incomplete or contradicts itself."""


def describe(spec: DataSpec, targets: Iterable[str], **more: Any) -> dict[str, Any]:
    """Build the description of a model for data of this spec that translates to these targets."""
    return {
        "format": FORMAT,
        "library": __version__,
        "data": spec.kind,
        "spec": spec.as_json(),
        "targets": {target: _target(spec, target) for target in targets},
        **more,
    }


def _target(spec: DataSpec, target: str) -> dict[str, Any]:
    source, result = spec.direction(target)
    takes, gives = (format_as_json(spec.formats[field]) for field in (source, result))
    return {"from": spec.names[source], "takes": takes, "gives": gives}


def read_description(about: Any, name: object) -> Mapping[str, Any]:
    """Check a description and convert it to format 2; `name` stands for the file in messages.

    Raises UserError for a file without a description or of a newer format, BadDescriptionError for an
    incomplete description.
    """
    if not isinstance(about, Mapping) or "format" not in about:
        raise UserError(
            f"{name}: does not describe itself; give a run folder or the release.safetensors of a checkpoint"
        )
    if type(about["format"]) is int and about["format"] > FORMAT:
        written_by = f"cyclegan {about.get('library')} in format {about['format']}"
        raise UserError(f"{name}: was written by {written_by}, newer than this library; update cyclegan")
    if about["format"] == 1:
        about = _from_format_1(about, name)
    wrong = [key for key, kind in REQUIRED.items() if not isinstance(about.get(key), kind) or about.get(key) is True]
    if wrong:
        raise BadDescriptionError(f"{name}: its description lacks {', '.join(wrong)}; take another checkpoint")
    return about


def read_spec(about: Mapping[str, Any]) -> DataSpec:
    """Read the spec of the data that a model was built for.

    Raises ValueError for a contradictory description.
    """
    spec = spec_from_json(about["spec"])
    unknown = [target for target in about["targets"] if target not in spec.targets]
    if unknown:
        raise ValueError(f"targets: {unknown[0]} is not one of {', '.join(spec.targets)}")
    return spec


def _from_format_1(about: Mapping[str, Any], name: object) -> Mapping[str, Any]:
    """Convert sides x and y to the targets y (from x) and x (from y), if the file holds their networks."""
    lacking = [key for key in ("x", "y") if not isinstance(about.get(key), str)]
    if lacking:
        raise BadDescriptionError(f"{name}: its description lacks {', '.join(lacking)}; take another checkpoint")
    sides = about.get("kinds") or {"x": {}, "y": {}}
    try:
        formats = {side: format_from_json(sides[side]) for side in ("x", "y")}
    except (ValueError, TypeError, KeyError) as error:
        raise BadDescriptionError(
            f"{name}: its description is contradictory ({error}); take another checkpoint"
        ) from error
    spec = DataSpec(names={side: about[side] for side in ("x", "y")}, formats=formats)
    networks = about.get("networks") or ["G", "F"]
    targets = [
        about[side] for side, network in (("y", "G"), ("x", "F")) if network in networks or "decoder" in networks
    ]
    kept = {key: value for key, value in about.items() if key not in ("format", "library", "x", "y", "kinds")}
    return {**describe(spec, targets), "library": about.get("library"), **kept}
