"""UnpairedConfig refuses what cannot become a batch, and names the field."""

from pathlib import Path

import pytest

from cyclegan.data.data_config import UnpairedConfig

FOLDERS = {"x": Path("photos"), "y": Path("paintings")}


@pytest.mark.parametrize("sides", [{"domain": "photo2monet"}, FOLDERS], ids=["domain", "folders"])
def test_a_domain_or_two_folders_will_do(sides):
    assert UnpairedConfig(**sides).crop_size == 256


@pytest.mark.parametrize(
    "sides",
    [
        {},
        {"x": Path("photos")},
        {"y": Path("paintings")},
        {"domain": "a2b", "x": Path("b")},
        {"domain": "a2b", **FOLDERS},
    ],
    ids=["nothing", "only x", "only y", "domain and x", "all"],
)
def test_anything_else_is_refused(sides):
    with pytest.raises(ValueError, match="domain: give either a domain or both folders x and y"):
        UnpairedConfig(**sides)


@pytest.mark.parametrize("field", ["crop_size", "batch_size", "workers", "load_size"])
def test_sizes_and_counts_start_at_one(field):
    with pytest.raises(ValueError, match=f"{field}: must be at least 1"):
        UnpairedConfig(domain="photo2monet", **{field: 0})


def test_the_crop_must_fit_into_the_resized_picture():
    with pytest.raises(ValueError, match="crop_size: 256 does not fit into load_size 255"):
        UnpairedConfig(domain="photo2monet", load_size=255)
    assert UnpairedConfig(domain="photo2monet", load_size=256).load_size == 256


def test_nobody_waits_for_a_batch_for_no_time_at_all():
    with pytest.raises(ValueError, match="timeout: must be above 0"):
        UnpairedConfig(domain="photo2monet", timeout=0.0)
