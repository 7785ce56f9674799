"""DataSpec: everything that a method is built for, as JSON and back, and the directions that it has."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nano_methods import NANO_DATA, nano_data

from cyclegan.data.spec import DataSpec, spec_from_json
from cyclegan.images.pixel_format import HIGHEST, TYPES, PixelFormat

numbers = st.floats(-1e6, 1e6, allow_nan=False)
ranges = st.tuples(numbers, numbers).filter(lambda pair: pair[0] < pair[1])


@st.composite
def formats(draw) -> PixelFormat:
    type = draw(st.sampled_from(TYPES))
    range = draw(ranges if type not in HIGHEST else st.none() | ranges)
    return PixelFormat(channels=draw(st.integers(1, 512)), type=type, range=range)


@st.composite
def specs(draw) -> DataSpec:
    fields = draw(st.lists(st.sampled_from(["x", "y", "content", "style", "target"]), min_size=1, unique=True))
    return DataSpec(
        kind=draw(st.sampled_from(["unpaired", "paired", "styles", "glyphs"])),
        names={field: draw(st.text(max_size=8)) for field in fields},
        formats={field: draw(formats()) for field in fields},
        crop_size=draw(st.integers(1, 1024)),
        styles=tuple(draw(st.lists(st.text(max_size=5), max_size=4))),
        references=draw(st.integers(0, 20)),
        validated=draw(st.booleans()),
    )


@settings(deadline=None)
@given(specs())
def test_a_spec_survives_the_way_through_json(spec):
    assert spec_from_json(json.loads(json.dumps(spec.as_json()))) == spec


@pytest.mark.parametrize("kind", NANO_DATA)
def test_the_spec_of_every_kind_of_data_survives_it_too(kind):
    spec = nano_data(kind).spec
    assert spec.kind == kind
    assert spec_from_json(json.loads(json.dumps(spec.as_json()))) == spec


@pytest.mark.parametrize(
    "damage",
    [
        {"formats": None},
        {"formats": {"x": {"channels": 0}}},
        {"formats": {"x": {"depth": 3}}},
        {"formats": {"x": {"type": "f4"}}},
        {"styles": None},
        {"color": "blue"},
    ],
)
def test_anything_else_is_refused(damage):
    with pytest.raises(ValueError, match=r"."):
        spec_from_json({**DataSpec().as_json(), **damage})


def test_two_sides_have_two_directions_and_no_other():
    spec = DataSpec(names={"x": "photo", "y": "monet"})
    assert (spec.direction("monet"), spec.direction("photo")) == (("x", "y"), ("y", "x"))
    with pytest.raises(ValueError, match="targets: cezanne is not one of photo, monet"):
        spec.direction("cezanne")


def test_channels_are_told_by_field():
    spec = DataSpec(formats={"x": PixelFormat(channels=1), "y": PixelFormat(channels=4)})
    assert (spec.channels(), spec.channels("y", "x"), spec.is_rgb8) == ((1, 4), (4, 1), False)
    assert DataSpec().is_rgb8
