"""translate: what an optimization is told by its controls, and leaves beside its picture."""

from pathlib import Path

import numpy as np
import pytest
from folders import files_below
from little import write_adain, write_gatys
from photos import difference, draw
from PIL import Image

from cyclegan import __version__
from cyclegan.cli import main
from cyclegan.errors import UserError
from cyclegan.images.files import read_raster, write_raster
from cyclegan.images.pillow import flattened
from cyclegan.images.pixel_format import RGB
from cyclegan.images.raster import Raster
from cyclegan.images.rgb8 import read_picture, write_picture
from cyclegan.images.tensors import read
from cyclegan.model.load import load
from cyclegan.translate.image_files import translate
from cyclegan.translate.options import Options

DESCRIPTION = 0x010E


@pytest.fixture
def gatys(tmp_path) -> Path:
    return write_gatys(tmp_path, steps=4)


def test_random_weights_are_stated_in_the_picture(gatys, photos, out):
    path = draw(photos / "photo.png")
    (painted,) = translate(load(gatys, "cpu", [path]), [photos], out).done
    with Image.open(painted) as picture:
        said = picture.getexif()[DESCRIPTION]
    assert said == f"cyclegan {__version__}; gatys; VGG-19 with random weights, seed 0"


def test_snapshots_of_an_optimization_lie_beside_its_result(gatys, photos, out):
    path = draw(photos / "sub" / "photo.png")
    translate(load(gatys, "cpu", [draw(photos / "style.png")]), [path], out, how=Options(every=2))
    assert files_below(out).keys() == {"photo.png", "photo/step-00002.png", "photo/step-00004.png"}
    snapshots = [read_picture(out / "photo" / f"step-0000{step}.png") for step in (2, 4)]
    assert difference(*snapshots) > 0
    with Image.open(out / "photo" / "step-00002.png") as picture:
        assert "step 2 of 4: content " in picture.getexif()[DESCRIPTION]


def test_pictures_of_one_stem_have_snapshots_of_their_own(gatys, photos, out):
    paths = [draw(photos / name) for name in ("sea.png", "sea.jpg", "sky.png")]
    translate(load(gatys, "cpu", [draw(photos / "style.png")]), paths, out, how=Options(every=4))
    folders = ("sea-png", "sea-jpg", "sky")
    assert files_below(out).keys() == {p.name for p in paths} | {f"{f}/step-00004.png" for f in folders}
    for path, folder in zip(paths, folders, strict=True):
        last = read_picture(out / folder / "step-00004.png")
        assert difference(read_picture(out / path.name), last) <= (60 if path.suffix == ".jpg" else 3)


def test_snapshots_that_would_share_a_folder_are_refused(gatys, photos, out):
    paths = [draw(photos / name) for name in ("sea.png", "sea.jpg", "sea-png.png")]
    with pytest.raises(UserError, match=r"snapshots of 2 images would go to .*sea-png; rename one of these"):
        translate(load(gatys, "cpu", [paths[0]]), paths, out, how=Options(every=4))
    assert len(translate(load(gatys, "cpu", [paths[0]]), paths, out).done) == 3


def test_snapshots_keep_alpha_and_bits(gatys, photos, out):
    random = np.random.default_rng(0)
    values, alpha = (random.integers(0, 65536, (18, 24, c), dtype=np.uint16) for c in (3, 1))
    write_raster(photos / "deep.png", Raster(values=values, alpha=alpha[..., 0]), "")
    translate(load(gatys, "cpu", [draw(photos / "style.png")]), [photos / "deep.png"], out, how=Options(every=4))
    last, result = (read_raster(out / name, RGB) for name in ("deep/step-00004.png", "deep.png"))
    assert last.values.dtype == np.uint16
    assert difference(flattened(last), flattened(result)) < 3  # on white: faint colors tell little
    assert len(np.unique(last.values)) > 256
    assert np.array_equal(last.alpha, alpha[..., 0])


def test_a_network_has_no_pictures_on_the_way(painter, photos, out):
    draw(photos / "photo.png")
    with pytest.raises(UserError, match="--every: this model translates in one pass"):
        translate(painter, [photos], out, how=Options(every=2))


def test_weights_and_masks_say_how_much_of_each_style_and_where(gatys, photos):
    path, one, other = (draw(photos / f"{name}.png", (32, 32)) for name in ("photo", "blue", "red"))
    write_picture(one, np.full((32, 32, 3), (0, 0, 255), dtype=np.uint8))
    write_picture(other, np.full((32, 32, 3), (255, 0, 0), dtype=np.uint8))
    left = np.zeros((32, 32, 3), dtype=np.uint8)
    left[:, :16] = 255
    write_picture(photos / "left.png", left), write_picture(photos / "right.png", 255 - left)
    strong = ["steps=60", "style_weight=1e4", "learning_rate=0.1"]

    def paint(**controls) -> np.ndarray:
        return np.asarray(load(gatys, "cpu", [one, other], overrides=strong, **controls)(path)).astype(int)

    blueness = {w: (p[..., 2] - p[..., 0]).mean() for w in (1, 9) for p in [paint(weights=[w, 10 - w])]}
    assert blueness[9] > blueness[1] + 20
    regions = paint(masks=[photos / "left.png", photos / "right.png"])
    blue_left, blue_right = ((half[..., 2] - half[..., 0]).mean() for half in np.split(regions, 2, axis=1))
    assert blue_left > blue_right + 20


@pytest.mark.parametrize(
    ("controls", "said"),
    [
        ({"weights": [1.0]}, "weights: 1 given for 2 styles"),
        ({"weights": [-1.0, 2.0]}, "none may be negative"),
        ({"weights": [float("nan"), 2.0]}, "none may be negative and one must be above 0"),
        ({"overrides": ["alpha=2"]}, "alpha"),
    ],
)
def test_controls_that_cannot_be_meant_are_refused(gatys, photos, controls, said):
    path = draw(photos / "photo.png")
    with pytest.raises(UserError, match=said):
        load(gatys, "cpu", [path, path], **controls)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (24, 8)])
def test_a_tiny_style_of_adain_is_enlarged_and_that_is_noted_with_its_name(photos, tmp_path, size):
    tiny, usual = draw(photos / "tiny.png", size), draw(photos / "usual.png", (32, 32))
    loaded = load(write_adain(tmp_path), "cpu", [usual, tiny])
    width, height = (64 * side // min(size) for side in size)
    said = f"{size[0]}×{size[1]} px is too small for a style; enlarged to {width}×{height} px"
    assert loaded.notes == (f"{tiny}: {said}",)
    assert loaded(usual).size == (32, 32)


def test_a_tiny_style_is_noted_on_the_command_line(photos, tmp_path, out, capsys):
    tiny, usual = draw(photos / "tiny.png", (8, 8)), draw(photos / "usual.png", (32, 32))
    assert main(["translate", str(write_adain(tmp_path)), str(usual), "--style", str(tiny), "--out", str(out)]) == 0
    assert f"note: {tiny}: 8×8 px is too small" in capsys.readouterr().err


@pytest.mark.parametrize("write", [write_adain, lambda folder: write_gatys(folder, steps=2)])
def test_tiny_contents_and_styles_keep_their_size(photos, tmp_path, write):
    method, usual = load(write(tmp_path), "cpu"), draw(photos / "usual.png", (16, 24))
    for size in ((1, 1), (1, 9), (3, 2), (8, 8)):
        tiny = draw(photos / "tiny.png", size)
        for content, style in ((tiny, usual), (usual, tiny), (tiny, tiny)):
            with Image.open(content) as picture:
                assert method.with_style(read(style))(content).size == picture.size
