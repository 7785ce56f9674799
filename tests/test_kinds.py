"""Models of other kinds than 8-bit RGB, from two folders to translated files, through the command line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from building import unpaired_stream
from kinds import fill, save_npy, save_tiff, train, waves
from PIL import Image
from tifffile import imread

from cyclegan.cli import main
from cyclegan.data.data_config import UnpairedConfig
from cyclegan.images.pixel_format import PixelFormat
from cyclegan.images.rgb8 import read_picture
from cyclegan.images.tensors import false_color
from cyclegan.model.load import load

RUN = Path("runs", "x2y", "kinds")
NO_IDENTITY = {"lambda_identity": 0.0}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def translate(source: Path, *options: str) -> int:
    return main(["translate", str(RUN), str(source), "--out", "out", *options])


def save_png(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path.with_suffix(".png"))


def test_grey_tiff_of_16_bits_gives_grey_tiff_of_16_bits_over_the_same_range(place):
    for side, seed in (("x", 0), ("y", 7)):
        fill(place / side, save_tiff, lambda i, seed=seed: waves((30, 25), i + seed, 0, 65535, "uint16"))
    assert train(place, {"channels_x": 1, "channels_y": 1}) == 0
    assert translate(place / "x") == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.tif", "1.tif", "2.tif", "3.tif"]
    found = imread("out/0.tif")
    assert (found.dtype, found.shape) == (np.uint16, (30, 25))
    assert len(np.unique(found)) > 256
    loaded = load(RUN, device="cpu")
    source = torch.from_numpy(imread(place / "x" / "0.tif").astype(np.float64))[None, None]
    expected = loaded(source / 32767.5 - 1)[0, 0].add(1).mul(32767.5).numpy()
    assert np.abs(found - expected).max() < 2  # of 65,536 levels


def test_arrays_of_five_channels_become_arrays_of_two_and_come_back(place):
    fill(place / "x", save_npy, lambda i: waves((22, 30, 5), i, -3, 9, "float32"))
    fill(place / "y", save_npy, lambda i: waves((22, 30, 2), i, -1000, 2000, "int16"))
    data = {"channels_x": 5, "range_x": [-3, 9], "channels_y": 2, "range_y": [-1000, 2000]}
    assert train(place, data, method=NO_IDENTITY) == 0
    assert translate(place / "x") == 0
    there = np.load("out/1.npy", allow_pickle=False)
    assert (there.dtype, there.shape) == (np.int16, (22, 30, 2))
    assert there.min() >= -1000
    assert there.max() <= 2000
    assert there.max() - there.min() > 300
    assert main(["translate", str(RUN), "out", "--out", "back", "--to", "x"]) == 0
    back = np.load("back/1.npy", allow_pickle=False)
    assert (back.dtype, back.shape) == (np.float32, (22, 30, 5))
    assert load(RUN, device="cpu").formats_to("y")[:2] == (
        PixelFormat(channels=5, type="float32", range=(-3.0, 9.0)),
        PixelFormat(channels=2, type="int16", range=(-1000.0, 2000.0)),
    )


def test_grey_jpeg_to_rgb_changes_the_channels_and_nothing_else(place):
    fill(place / "x", save_png, lambda i: waves((30, 25), i, 0, 255, "uint8"))
    fill(place / "y", save_png, lambda i: waves((30, 25, 3), i, 0, 255, "uint8"))
    assert train(place, {"channels_x": 1}, method=NO_IDENTITY) == 0
    Image.fromarray(waves((45, 31), 3, 0, 255, "uint8")).save(place / "grey.jpg")
    assert translate(place / "grey.jpg") == 0
    with Image.open("out/grey.jpg") as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (31, 45))
    assert main(["translate", str(RUN), "out/grey.jpg", "--out", "back", "--to", "x"]) == 0
    with Image.open("back/grey.jpg") as picture:
        assert (picture.mode, picture.size) == ("L", (31, 45))


def test_a_format_without_room_for_the_other_side_becomes_tiff(place):
    fill(place / "x", save_png, lambda i: waves((30, 25, 3), i, 0, 255, "uint8"))
    fill(place / "y", save_npy, lambda i: waves((30, 25), i, 0, 80, "float32"))
    assert train(place, {"channels_y": 1, "range_y": [0, 80]}, method=NO_IDENTITY) == 0
    assert translate(place / "x") == 0
    found = imread("out/2.tif")
    assert (found.dtype, found.shape) == (np.float32, (30, 25))


def test_four_channels_are_four_and_not_three_and_alpha(place):
    for side in "xy":
        fill(place / side, save_png, lambda i: waves((30, 25, 4), i, 0, 255, "uint8"))
    assert train(place, {"channels_x": 4, "channels_y": 4}) == 0
    assert translate(place / "x") == 0
    with Image.open("out/0.png") as found, Image.open(place / "x" / "0.png") as source:
        assert found.mode == "RGBA"
        assert not np.array_equal(np.asarray(found)[..., 3], np.asarray(source)[..., 3])


@pytest.mark.parametrize("tile", [[], ["--tile", "16"]])
def test_tiles_hold_other_numbers_of_channels(place, tile):
    fill(place / "x", save_npy, lambda i: waves((40, 50), i, 0, 65535, "uint16"))
    fill(place / "y", save_npy, lambda i: waves((40, 50, 5), i, 0, 255, "uint8"))
    assert train(place, {"channels_x": 1, "channels_y": 5}, method=NO_IDENTITY) == 0
    assert translate(place / "x" / "0.npy", *tile) == 0
    assert np.load("out/0.npy").shape == (40, 50, 5)


def test_training_says_the_kinds_shows_false_colors_and_skips_the_scores(place, capsys):
    fill(place / "x", save_npy, lambda i: waves((22, 30), i, 0, 65535, "uint16"))
    fill(place / "y", save_npy, lambda i: waves((22, 30, 6), i, 0, 1, "float32"))
    data = {"channels_x": 1, "channels_y": 6, "range_y": [0, 1]}
    assert train(place, data, method=NO_IDENTITY) == 0
    said = capsys.readouterr().out
    assert "x 1 channel of uint16 in 0…65535, y 6 channels of float32 in 0…1; samples in false color" in said
    assert "no scores, as all metrics compare 8-bit RGB" in said
    sheets = sorted((RUN / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == ["step-00000002-x_to_y.png", "step-00000002-y_to_x.png"]
    assert read_picture(sheets[0]).shape[1] == 2 + 3 * (16 + 2)  # no column of an identity
    assert main(["show", str(RUN)]) == 0
    assert "steps of (1, 1, 16, 16) + (1, 6, 16, 16)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("channels", "shown"), [(1, (0, 0, 0)), (2, (0, 1, None)), (3, (0, 1, 2)), (4, (0, 1, 2)), (9, (0, 1, 2))]
)
def test_false_colors_are_the_first_three_channels(channels, shown):
    images = torch.rand(2, channels, 4, 5)
    found = false_color(images)
    for color, channel in enumerate(shown):
        expected = torch.full_like(images[:, 0], -1.0) if channel is None else images[:, channel]
        assert torch.equal(found[:, color], expected)


@pytest.mark.parametrize("kind", ["float32", "uint16"])
def test_batches_of_arrays_are_the_same_from_files_from_the_cache_and_from_memory(place, kind):
    for side in "xy":
        fill(
            place / side, save_npy, lambda i: (waves((22, 30, 5), i, -9, 9, "float32") > 0).astype(kind) * 60000
        )  # edges
    side = PixelFormat(channels=5, type=kind, range=(0.0, 60000.0))
    config = {"x": place / "x", "y": place / "y", "load_size": 20, "crop_size": 16, "batch_size": 3}
    paths = sorted((place / "x").iterdir()), sorted((place / "y").iterdir())
    batches = []
    for how in ({"cache_mb": 0}, {"cache_mb": 9}, {"cache_folder": place / "cache"}, {"cache_folder": place / "cache"}):
        data = unpaired_stream(*paths, UnpairedConfig(**config, **how), seed=0, formats=(side, side))
        batches.append([data.batch_at(step) for step in range(4)])
    assert len(list((place / "cache").iterdir())) == 8
    assert batches[0][0].x.shape == (3, 5, 16, 16)
    assert -1 <= batches[0][0].x.min() < -0.5 < 0.5 < batches[0][0].x.max() <= 1
    for other in batches[1:]:
        for one, two in zip(batches[0], other, strict=True):
            assert torch.equal(one.x, two.x)
            assert torch.equal(one.y, two.y)


def test_a_run_on_arrays_continues_to_the_bit(place, first_difference, monkeypatch):
    fill(place / "x", save_npy, lambda i: waves((22, 30, 5), i, -3, 9, "float32"))
    fill(place / "y", save_npy, lambda i: waves((22, 30), i, 0, 65535, "uint16"))
    data = {"channels_x": 5, "range_x": [-3, 9], "channels_y": 1}
    folders = []
    for way, stops in (("whole", [4]), ("continued", [2, 4])):
        (place / way).mkdir()
        monkeypatch.chdir(place / way)
        for steps in stops:
            assert train(place, data, f"training.steps={steps}", "training.keep_checkpoints=9", method=NO_IDENTITY) == 0
            if steps == 2:  # the number of steps is a setting of consequence for the schedule; here it is constant
                config = RUN / "config.yaml"
                config.write_text(config.read_text().replace("steps: 2", "steps: 4"))
        folders.append(place / way / RUN / "checkpoints" / "step-00000004")
    assert first_difference(*folders) is None


@pytest.mark.parametrize(
    ("data", "method", "said"),
    [
        ({"channels_x": 1}, {}, "1 and 3 channels differ, so there is no G(y); set method.lambda_identity to 0"),
        (
            {"channels_x": 1},
            {**NO_IDENTITY, "generator": {"residual_output": True}},
            "1 and 3 channels differ; set method.generator.residual_output to false",
        ),
        ({"channels_x": 4, "channels_y": 4}, {"augment": ["color"]}, "not RGB, as method.augment color has it"),
        (
            {"channels_x": 4, "channels_y": 4, "load_size": 64, "crop_size": 64},
            {"cycle": "lpips"},
            "not RGB, as method.cycle lpips has it",
        ),
        ({"channels_x": 0}, {}, "channels_x: must lie in 1…512"),
        ({"range_x": [5, 5]}, {}, "range_x: give two finite numbers, the smaller one first"),
        ({"range_x": [0, 4095], "validation": 0.5}, {}, "validation: compares 8-bit RGB; set it to 0"),
        ({"range_x": [0, 4095], "on_bad_image": "skip"}, {}, "on_bad_image: skip checks 8-bit RGB"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line_with_its_remedy(place, capsys, data, method, said):
    assert train(place, data, method=method) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_range_that_nobody_knows_has_to_be_declared(place, capsys):
    for side in "xy":
        fill(place / side, save_npy, lambda i: waves((22, 30), i, 0, 1, "float32"))
    assert train(place, {"channels_x": 1, "channels_y": 1}) == 2
    error = capsys.readouterr().err
    assert "0.npy: holds float32, whose range is unknown; declare it, as in data.range_x: [0, 1]" in error
    assert not RUN.joinpath("checkpoints").exists()


def test_a_file_of_another_number_of_channels_is_named(place, capsys):
    fill(place / "x", save_npy, lambda i: waves((22, 30, 5) if i else (22, 30, 6), i, 0, 255, "uint8"))
    fill(place / "y", save_npy, lambda i: waves((22, 30, 5), i, 0, 255, "uint8"))
    assert train(place, {"channels_x": 5, "channels_y": 5, "batch_size": 4}) == 2
    error = capsys.readouterr().err
    assert f"{place / 'x' / '0.npy'}: not a readable picture (6 channels, where 5 are expected)" in error


def test_what_only_rgb_has_is_refused_for_other_kinds(place, capsys):
    for side in "xy":
        fill(place / side, save_npy, lambda i: waves((22, 30), i, 0, 9, "float32"))
    data = {"channels_x": 1, "channels_y": 1, "range_x": [0, 9], "range_y": [0, 9]}
    assert train(place, data) == 0
    capsys.readouterr()
    for arguments, said in (
        (
            ["export", str(RUN), "--out", "graph.onnx"],
            "graph.onnx: is 8-bit RGB, and this model translates 1 channel of",
        ),
        (
            ["translate", str(RUN), str(place / "x"), "--out", "out", "--bits", "8"],
            "--bits: this model gives 1 channel of",
        ),
    ):
        assert main(arguments) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(Exception, match="a picture: is 8-bit RGB"):
        load(RUN, device="cpu")(place / "x" / "0.npy")
    assert main(["export", str(RUN), "--out", "release.safetensors"]) == 0
    assert load("release.safetensors", device="cpu").formats_to().source.range == (0.0, 9.0)


def test_an_older_release_without_kinds_is_rgb(save_run, tmp_path):
    loaded = load(save_run(tmp_path / "run"), device="cpu")
    assert loaded.formats_to().source == loaded.formats_to().target == PixelFormat()


@pytest.mark.parametrize(
    "kinds",
    [5, {"x": {}}, {"x": {"channels": 0}, "y": {}}, {"x": {"depth": 3}, "y": {}}, {"x": {"type": "f4"}, "y": {}}],
)
def test_a_description_of_impossible_kinds_is_damage(save_run, tmp_path, capsys, kinds):
    run = save_run(tmp_path / "run", kinds=kinds)
    assert main(["translate", str(run), str(run), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "its description is contradictory" in error
    assert error.count("\n") == 1
