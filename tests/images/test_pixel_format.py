"""Kind: values of a type and range ↔ [-1, 1]."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclegan.images.pixel_format import PixelFormat


@pytest.mark.parametrize("type", ["uint8", "uint16"])
def test_every_level_survives_the_way_to_the_network_and_back(type):
    every = np.arange(np.iinfo(type).max + 1, dtype=type)[None, :, None]
    kind = PixelFormat(channels=1, type=type)
    levels = kind.levels(every)
    assert (levels.dtype, levels.min(), levels.max()) == (np.float32, -1, 1)
    assert np.array_equal(kind.values(levels), every)


@given(low=st.floats(-1e3, 1e3), span=st.floats(1, 1e4), share=st.floats(0, 1))
def test_a_declared_range_becomes_minus_one_to_one(low, span, share):
    kind = PixelFormat(channels=1, type="float32", range=(low, low + span))
    value = np.full((1, 1, 1), low + share * span, np.float32)
    assert kind.levels(value).item() == pytest.approx(2 * share - 1, abs=1e-2)
    assert kind.values(kind.levels(value)).item() == pytest.approx(value.item(), abs=1e-6 * (span + abs(low)) + 1e-9)


def test_what_lies_beyond_a_declared_range_is_its_end():
    kind = PixelFormat(channels=1, type="int16", range=(-100.0, 100.0))
    assert kind.levels(np.array([[[-3000], [0], [101]]], np.int16)).ravel().tolist() == [-1, 0, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_no_level(value):
    with pytest.raises(ValueError, match="not finite"):
        PixelFormat(channels=1, type="float32", range=(0.0, 1.0)).levels(np.full((1, 1, 1), value, np.float32))


@pytest.mark.parametrize(
    "settings", [{"channels": 0}, {"channels": 513}, {"type": "float32"}, {"type": "float64"}, {"range": (1.0, 0.0)}]
)
def test_an_impossible_kind_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings)) if settings != {"type": "float32"} else "range"):
        PixelFormat(**settings)
