"""The description of a release: format 2 tells data and targets by name, and format 1 is read as format 2."""

import json
from typing import Any

import pytest

from cyclegan.data.spec import DataSpec
from cyclegan.errors import UserError
from cyclegan.images.pixel_format import RGB, PixelFormat
from cyclegan.release import FORMAT, BadDescriptionError, describe, read_description, read_spec

SIDES = DataSpec(names={"x": "photo", "y": "depth"}, formats={"x": RGB, "y": PixelFormat(channels=1)})
STYLES = DataSpec(kind="styles", names={"content": "photo"}, formats={"content": RGB}, styles=("la_muse", "mosaic"))
FORMAT_1 = {
    "format": 1,
    "library": "0.1.0",
    "domain": "photo2painting",
    "x": "photo",
    "y": "painting",
    "method": "name: cyclegan\n",
    "seed": 0,
    "step": 20,
}


def read(about: Any) -> Any:
    """As a file has it."""
    return read_description(json.loads(json.dumps(about)), "it.safetensors")


def test_targets_tell_where_they_come_from_and_in_which_pixel_formats():
    about = read(describe(SIDES, ["depth", "photo"], method="name: cyclegan\n", step=7, domain=None))
    assert (about["format"], about["data"], about["step"], about["domain"]) == (FORMAT, "unpaired", 7, None)
    rgb, grey = ({"channels": count, "type": "uint8", "range": [0.0, 255.0]} for count in (3, 1))
    assert about["targets"] == {
        "depth": {"from": "photo", "takes": rgb, "gives": grey},
        "photo": {"from": "depth", "takes": grey, "gives": rgb},
    }
    assert read_spec(about) == SIDES


def test_styles_are_targets_of_one_source():
    about = read(describe(STYLES, STYLES.styles, method="name: toy\n", step=0))
    assert list(about["targets"]) == ["la_muse", "mosaic"]
    assert {target["from"] for target in about["targets"].values()} == {"photo"}
    assert read_spec(about) == STYLES


@pytest.mark.parametrize(
    ("networks", "targets"),
    [(None, ["painting", "photo"]), (["G", "F"], ["painting", "photo"]), (["G"], ["painting"]), (["F"], ["photo"])],
)
def test_format_1_has_the_targets_that_its_networks_go_to(networks, targets):
    about = read(FORMAT_1 | ({"networks": networks} if networks else {}))
    assert list(about["targets"]) == targets
    assert (about["format"], about["data"], about["library"]) == (FORMAT, "unpaired", "0.1.0")
    assert (about["step"], about["seed"], about["domain"]) == (20, 0, "photo2painting")
    assert read_spec(about) == DataSpec(names={"x": "photo", "y": "painting"})


def test_format_1_of_a_decoder_translates_to_y_alone():
    about = read(FORMAT_1 | {"method": "name: adain\n", "networks": ["decoder"]})
    assert next(iter(about["targets"])) == "painting"


def test_format_1_keeps_the_pixel_formats_of_its_sides():
    kinds = {
        "x": {"channels": 1, "type": "uint16", "range": [0, 65535]},
        "y": {"channels": 2, "type": "int16", "range": [-9, 9]},
    }
    spec = read_spec(read(FORMAT_1 | {"kinds": kinds}))
    assert spec.formats == {
        "x": PixelFormat(channels=1, type="uint16"),
        "y": PixelFormat(channels=2, type="int16", range=(-9.0, 9.0)),
    }


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (None, "does not describe itself; give a run folder or the release.safetensors"),
        ([], "does not describe itself"),
        ({}, "does not describe itself"),
        ({"format": 3, "library": "9.0"}, "was written by cyclegan 9.0 in format 3, newer than this library"),
    ],
)
def test_what_is_no_release_of_this_library_is_named(about, said):
    with pytest.raises(UserError, match=rf"^it\.safetensors: {said}") as refused:
        read(about)
    assert not isinstance(refused.value, BadDescriptionError)


@pytest.mark.parametrize("key", ["method", "data", "spec", "targets", "step"])
@pytest.mark.parametrize("damage", ["absent", None, True])
def test_what_a_description_lacks_is_named(key, damage):
    about = describe(SIDES, ["depth"], method="name: cyclegan\n", step=7)
    about = {**about, key: damage} if damage != "absent" else {k: v for k, v in about.items() if k != key}
    with pytest.raises(BadDescriptionError, match=rf"it\.safetensors: its description lacks {key}; take another"):
        read(about)


@pytest.mark.parametrize("change", [{"x": None}, {"y": 7}])
def test_format_1_without_its_sides_lacks_them(change):
    with pytest.raises(BadDescriptionError, match=f"its description lacks {next(iter(change))}; take another"):
        read(FORMAT_1 | change)


@pytest.mark.parametrize(
    "kinds",
    [5, {"x": {}}, {"x": {"channels": 0}, "y": {}}, {"x": {"depth": 3}, "y": {}}, {"x": {"type": "f4"}, "y": {}}],
)
def test_impossible_pixel_formats_of_format_1_are_contradictory(kinds):
    with pytest.raises(BadDescriptionError, match="its description is contradictory"):
        read(FORMAT_1 | {"kinds": kinds})


def test_a_target_that_the_data_do_not_have_is_contradictory():
    about = describe(SIDES, ["depth"], method="name: cyclegan\n", step=7)
    about["targets"]["monet"] = about["targets"].pop("depth")
    with pytest.raises(ValueError, match="monet is not one of depth, photo"):
        read_spec(read(about))


def test_an_unknown_style_is_no_target():
    about = describe(STYLES, ["mosaic"], method="name: toy\n", step=7)
    about["targets"]["wave"] = about["targets"].pop("mosaic")
    with pytest.raises(ValueError, match="wave is not one of la_muse, mosaic"):
        read_spec(read(about))
