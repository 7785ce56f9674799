"""Styles data: crops of contents with the index of a style, whose file names are the names of the targets."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.data.data_config import StylesConfig
from cyclegan.data.dataset import open_dataset
from cyclegan.errors import UserError
from cyclegan.images.rgb8 import write_picture

CROP = 8


def config(**settings: Any) -> StylesConfig:
    return StylesConfig(**{"load_size": None, "crop_size": CROP, "workers": 1, **settings})


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Any]:
    """Ten contents whose red tells their number, and two styles of 20 × 30 px."""
    root = tmp_path_factory.mktemp("styles")
    for i in range(10):
        write_picture(root / "photos" / f"{i}.png", np.full((12, 12, 3), (i, 0, 0), np.uint8))
    for name, level in (("la_muse", 0), ("mosaic", 255)):
        write_picture(root / f"{name}.png", np.full((20, 30, 3), level, np.uint8))
    return {"contents": root / "photos", "styles": (root / "la_muse.png", root / "mosaic.png")}


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**33), steps=st.lists(st.integers(0, 50), min_size=1, max_size=5))
def test_a_batch_is_a_function_of_seed_and_step_alone(files, seed, steps):
    one, other = (open_dataset(config(**files, batch_size=3, workers=w), seed).stream for w in (1, 3))
    expected = {step: one.batch_at(step) for step in sorted(set(steps))}
    for step in steps:
        assert all(map(torch.equal, other.batch_at(step), expected[step]))


def test_contents_come_in_passes_and_styles_uniformly(files):
    stream = open_dataset(config(**files, batch_size=8), seed=0).stream
    batches = [stream.batch_at(step) for step in range(20)]
    contents = [round(float(image[0, 0, 0] + 1) * 127.5) for batch in batches for image in batch.content]
    for start in range(0, 160, 8):
        assert len(set(contents[start : start + 8])) == 8
    styles = Counter(torch.cat([batch.style for batch in batches]).tolist())
    assert set(styles) == {0, 1}
    assert min(styles.values()) > 60
    assert batches[0].style.dtype == torch.int64


def test_names_tell_the_file_and_the_style(files):
    stream = open_dataset(config(**files, batch_size=4), seed=0).stream
    batch, names = stream.batch_at(7), stream.names_at(7)
    assert names["style"] == [("la_muse", "mosaic")[index] for index in batch.style]
    reds = [round(float(image[0, 0, 0] + 1) * 127.5) for image in batch.content]
    assert [Path(name).stem for name in names["content"]] == [str(red) for red in reds]


def test_every_style_is_a_target_scored_beside_its_image(files):
    dataset = open_dataset(config(**files), seed=0)
    assert dataset.spec.styles == ("la_muse", "mosaic")
    assert dataset.spec.direction("mosaic") == ("content", "content")
    first, second = dataset.tasks()
    assert (first.name, first.to, second.to) == ("photos2la_muse", "la_muse", "mosaic")
    assert second.references == [files["styles"][1]]
    assert second.examples == [[files["styles"][1]]] * len(second.sources)
    assert dataset.tasks("validation") == []


def test_held_out_contents_take_the_styles_in_turn(files):
    batch = open_dataset(config(**files), seed=0).held_out("train", 4)
    assert batch.style.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(("size", "shape"), [(None, (20, 30)), (15, (10, 15)), (60, (20, 30))])
def test_style_images_are_reduced_to_their_size(files, size, shape):
    styles = open_dataset(config(**files, style_size=size), seed=0).styles()
    assert {name: tuple(image.shape) for name, image in styles.items()} == {
        "la_muse": (1, 3, *shape),
        "mosaic": (1, 3, *shape),
    }
    assert (float(styles["la_muse"].max()), float(styles["mosaic"].min())) == (-1, 1)


def test_a_run_is_named_after_its_style_or_its_number(files):
    assert open_dataset(config(**files), seed=0).name == "photos2style"
    assert open_dataset(config(**files | {"styles": files["styles"][:1]}), seed=0).name == "photos2la_muse"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"styles": (Path("gone.png"),)}, r"gone\.png: no such file; data\.styles names style images"),
        ({"contents": Path("gone")}, r"gone: no such folder; data\.contents names a folder of content images"),
    ],
)
def test_missing_files_are_named(files, change, said):
    with pytest.raises(UserError, match=said):
        open_dataset(config(**files | change), seed=0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"styles": ()}, "styles: give one image or more"),
        ({"styles": (Path("a/muse.png"), Path("b/muse.jpg"))}, "styles: give one image or more, each with a name of"),
        ({"domain": "photo2monet"}, "domain: give either a domain or a folder of contents"),
        ({"style_size": 0}, "style_size: must be at least 1"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        config(**{"contents": Path("photos"), "styles": (Path("muse.png"),), **settings})
