"""translate: files and folders in, translated files of the same names, tree and sizes out."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from folders import files_below
from PIL import Image
from tifffile import imread

from cyclegan import __version__
from cyclegan.errors import NoSpaceError, UserError
from cyclegan.images import read, to_bytes
from cyclegan.inference.load import Loaded, load
from cyclegan.inference.original import read_original, write_like
from cyclegan.inference.tiles import TiledTranslator
from cyclegan.inference.translate import translate
from cyclegan.methods.bind import NetworkTranslator
from cyclegan.pictures import read_picture, write_picture

translating = sys.modules[translate.__module__]  # the function hides its module
ORIENTATION = 0x0112  # the EXIF tag
DESCRIPTION = 0x010E


@pytest.fixture
def painter(run) -> Loaded:
    return load(run.folder, device="cpu")


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "paintings"


def draw(path: Path, size: tuple[int, int] = (24, 18)) -> Path:
    """A smooth picture, different for each name."""
    phase = sum(path.name.encode())
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    waves = np.stack([np.sin(x / 5 + phase), np.cos(y / 4), np.sin((x + y) / 6)], axis=-1)
    write_picture(path, (127.5 + 127.5 * waves).astype(np.uint8))
    return path


def difference(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.abs(a.astype(int) - b).max())


def test_names_and_tree_are_kept_and_none_is_left_out(painter, photos, out):
    names = {f"{i}.png" for i in range(60)} | {"sub/0.png", "sub/deep/er/0.png", "with space/ü.PNG"}
    for name in names:
        draw(photos / name, (4, 4))
    report = translate(painter, [photos], out)
    assert files_below(out).keys() == names
    assert {path.relative_to(out).as_posix() for path in report.done} == names
    assert report.bad == []


@pytest.mark.parametrize("size", [(450, 301), (1, 1), (3, 200)])
def test_any_size_comes_out_as_it_went_in(painter, photos, out, size):
    draw(photos / "photo.png", size)
    translate(painter, [photos], out)
    with Image.open(out / "photo.png") as painting:
        assert (painting.size, painting.mode) == (size, "RGB")


@pytest.mark.parametrize(("to", "direction"), [("painting", "x_to_y"), ("photo", "y_to_x"), (None, "x_to_y")])
def test_a_file_becomes_what_the_network_makes_of_its_image(painter, method, photos, out, to, direction):
    path = draw(photos / "photo.png", (61, 43))
    translate(painter, [path], out, to)
    expected = to_bytes(getattr(method, direction).translate(read(path)))[0].numpy()
    assert difference(read_picture(out / "photo.png"), expected) <= 1
    assert difference(expected, read_picture(path)) > 50


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".jpg", "JPEG"),
        (".JPEG", "JPEG"),
        (".png", "PNG"),
        (".webp", "WEBP"),
        (".tif", "TIFF"),
        (".tiff", "TIFF"),
        (".bmp", "BMP"),
    ],
)
def test_every_format_is_written_as_it_was_read(painter, photos, out, suffix, kind):
    path = draw(photos / f"photo{suffix}", (64, 48))
    (target,) = translate(painter, [path], out).done
    with Image.open(target) as painting:
        assert painting.format == kind
    assert target == out / path.name
    assert difference(read_picture(target), np.asarray(painter(path))) <= (40 if kind == "JPEG" else 0)


def test_whatever_cameras_scanners_and_programs_write_is_translated(painter, photos, out):
    ramp = np.linspace(0, 255, 24 * 18).round().reshape(18, 24) * 257
    glass = Image.new("RGBA", (24, 18), (255, 0, 0, 255))
    glass.paste((0, 0, 0, 0), (4, 4, 9, 9))
    Image.new("CMYK", (24, 18), (0, 255, 255, 0)).save(photos / "print.jpg")
    Image.fromarray(ramp.astype(np.uint16)).save(photos / "scan.png")
    glass.quantize().save(photos / "sprite.png")
    report = translate(painter, [photos], out)
    assert [path.name for path in report.done] == ["print.jpg", "scan.png", "sprite.png"]
    for target in report.done:
        with Image.open(target) as painting:
            assert (painting.mode, painting.size) == ("RGBA" if target.name == "sprite.png" else "RGB", (24, 18))
            pixels = np.asarray(painting)[..., :3]
        assert difference(pixels, np.asarray(painter(photos / target.name))) <= 40


def test_a_photo_turned_by_exif_is_written_upright(painter, photos, out):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    upright = Image.fromarray(read_picture(draw(photos / "upright.png", (24, 40))))
    upright.transpose(Image.Transpose.ROTATE_90).save(photos / "turned.png", exif=exif)
    translate(painter, [photos], out)
    with Image.open(out / "turned.png") as painting:
        assert painting.size == (24, 40)
        assert ORIENTATION not in painting.getexif()
    assert np.array_equal(read_picture(out / "turned.png"), read_picture(out / "upright.png"))


def test_bad_pictures_are_named_and_the_others_done(painter, photos, out):
    for name in ("a.jpg", "c.jpg", "e.png"):
        draw(photos / name)
    (photos / "b.jpg").write_bytes((photos / "a.jpg").read_bytes()[:200])
    (photos / "d.png").write_text("not a picture")
    report = translate(painter, [photos], out)
    assert files_below(out).keys() == {"a.jpg", "c.jpg", "e.png"}
    assert len(report.done) == 3
    assert [str(bad).split(":")[0] for bad in report.bad] == [str(photos / "b.jpg"), str(photos / "d.png")]
    assert all("not a readable picture" in str(bad) for bad in report.bad)


def test_a_file_in_a_format_that_is_not_written_is_named(painter, photos, out):
    path = draw(photos / "photo.png").rename(photos / "photo.dat")
    report = translate(painter, [path], out)
    assert report.done == []
    assert "cannot write '.dat'; use one of" in str(report.bad[0])


def test_files_and_folders_can_be_mixed(painter, photos, out):
    draw(photos / "sub" / "a.png")
    single = draw(photos / "b.png")
    translate(painter, [photos / "sub", single], out)
    assert files_below(out).keys() == {"a.png", "b.png"}


def test_a_picture_given_twice_is_translated_once(painter, photos, out, monkeypatch):
    single = draw(photos / "a.png")
    monkeypatch.chdir(photos)
    assert translate(painter, [photos, single, Path("a.png")], out).done == [out / "a.png"]


def test_it_can_be_run_again(painter, photos, out):
    draw(photos / "a.png")
    first = translate(painter, [photos], out)
    assert translate(painter, [photos], out) == first


def test_two_sources_of_one_name_are_refused(painter, photos, out):
    one, two = draw(photos / "one" / "a.png"), draw(photos / "two" / "a.png")
    with pytest.raises(UserError) as caught:
        translate(painter, [photos / "one", photos / "two"], out)
    assert str(caught.value).startswith(f"{one} and {two}: both would become {out / 'a.png'}; give each")
    assert not out.exists()


def test_a_source_is_never_written_over(painter, photos, tmp_path):
    path = draw(photos / "a.png")
    draw(photos / "sub" / "a.png")
    (tmp_path / "link").symlink_to(photos)
    before = path.read_bytes()
    for sources, out in (
        ([photos], photos),
        ([path], photos),
        ([photos], tmp_path / "link"),
        ([photos], photos / "sub"),
    ):
        with pytest.raises(UserError, match=r"a\.png: is a source and would be written over; give another --out"):
            translate(painter, sources, out)
    assert path.read_bytes() == before
    assert files_below(photos).keys() == {"a.png", "sub/a.png"}


def test_nothing_to_translate_is_an_error(painter, photos, out):
    (photos / "notes.txt").touch()
    with pytest.raises(UserError, match=r"photos: no pictures there; a picture ends in one of \.jpg"):
        translate(painter, [photos], out)
    with pytest.raises(UserError, match=r"photo\.jpg: does not exist; give picture files or folders"):
        translate(painter, [photos / "photo.jpg"], out)


def test_a_wrong_side_is_refused_before_anything_is_read(painter, photos, out):
    with pytest.raises(UserError, match=r"'paintin': .* did you mean 'painting'"):
        translate(painter, [photos / "missing"], out, "paintin")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to …"),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
def test_a_picture_too_large_for_the_memory_is_named_with_its_size(painter, photos, out, monkeypatch, error):
    def fail(*_):
        raise error

    draw(photos / "huge.png", (24, 18))
    monkeypatch.setattr(NetworkTranslator, "translate", fail)
    monkeypatch.setattr(TiledTranslator, "translate", fail)
    with pytest.raises(NoSpaceError, match=r"huge\.png: 24×18 pixels need more memory than there is; make the picture"):
        translate(painter, [photos], out)


def test_a_bug_is_not_taken_for_lack_of_memory(painter, photos, out, monkeypatch):
    def fail(*_):
        raise RuntimeError("an illegal memory access was encountered")

    draw(photos / "photo.png")
    monkeypatch.setattr(NetworkTranslator, "translate", fail)
    with pytest.raises(RuntimeError, match="illegal"):
        translate(painter, [photos], out)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_is_said(painter, photos, out):
    draw(photos / "photo.png")
    out.mkdir()
    (out / "photo.png").symlink_to("/dev/full")
    with pytest.raises(NoSpaceError, match=r"photo\.png: cannot be written \(No space left on device\)"):
        translate(painter, [photos], out)


def test_an_output_that_is_a_file_is_refused(painter, photos, out):
    draw(photos / "photo.png")
    out.touch()
    with pytest.raises(UserError, match=r"paintings.photo\.png: cannot be written"):
        translate(painter, [photos], out)


def test_16_bits_become_a_tiff_that_holds_more_than_8(painter, method, photos, out):
    path = draw(photos / "sub" / "photo.jpg", (40, 30))
    report = translate(painter, [photos], out, bits=16)
    assert report.done == [out / "sub" / "photo.tif"]
    levels = imread(report.done[0])
    assert (levels.dtype, levels.shape) == (np.uint16, (30, 40, 3))
    expected = method.x_to_y.translate(read(path))[0].permute(1, 2, 0).add(1).div(2).numpy()
    assert np.abs(levels / 65535 - expected).max() < 1e-4  # a level of 8 bits is 4e-3
    assert difference(read_picture(report.done[0]), to_bytes(read(report.done[0]))[0].numpy()) == 0


def test_two_pictures_that_become_one_tiff_are_refused(painter, photos, out):
    draw(photos / "photo.jpg"), draw(photos / "photo.png")
    with pytest.raises(UserError, match=r"both would become .*photo\.tif"):
        translate(painter, [photos], out, bits=16)


@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.webp", "photo.tif"])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_picture_says_what_made_it(painter, photos, out, name, bits):
    draw(photos / name)
    (painted,) = translate(painter, [photos], out, bits=bits).done
    with Image.open(painted) as picture:
        assert picture.getexif()[DESCRIPTION] == f"cyclegan {__version__}; cyclegan; None, 20 steps"


GATYS = """
name: gatys
weights: random
content_layers: {relu1_1: 1.0}
style_layers: {relu1_1: 1.0}
coarsest: null
steps: 4
precision: float32
"""


@pytest.fixture
def gatys(tmp_path) -> Path:
    (tmp_path / "gatys.yaml").write_text(GATYS)
    return tmp_path / "gatys.yaml"


def test_random_weights_are_stated_in_the_picture(gatys, photos, out):
    path = draw(photos / "photo.png")
    (painted,) = translate(load(gatys, "cpu", [path]), [photos], out).done
    with Image.open(painted) as picture:
        said = picture.getexif()[DESCRIPTION]
    assert said == f"cyclegan {__version__}; gatys; VGG-19 with random weights, seed 0"


def test_snapshots_of_an_optimization_lie_beside_its_result(gatys, photos, out):
    path = draw(photos / "sub" / "photo.png")
    translate(load(gatys, "cpu", [draw(photos / "style.png")]), [path], out, every=2)
    assert files_below(out).keys() == {"photo.png", "photo/step-00002.png", "photo/step-00004.png"}
    snapshots = [read_picture(out / "photo" / f"step-0000{step}.png") for step in (2, 4)]
    assert difference(*snapshots) > 0
    with Image.open(out / "photo" / "step-00002.png") as picture:
        assert "step 2 of 4: content " in picture.getexif()[DESCRIPTION]


def test_a_network_has_no_pictures_on_the_way(painter, photos, out):
    draw(photos / "photo.png")
    with pytest.raises(UserError, match="--every: this model paints in one go"):
        translate(painter, [photos], out, every=2)


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


def test_what_does_not_fit_into_memory_is_done_in_smaller_and_smaller_tiles(painter, photos, out, monkeypatch):
    source = draw(photos / "large.png", (90, 70))
    expected = to_bytes(painter.translator().translate(read(source)))[0].numpy()
    tried: list[int] = []
    in_tiles = TiledTranslator.translate

    def whole(self, images):
        tried.append(0)
        raise RuntimeError("CUDA out of memory")

    def tiled(self, images):
        tried.append(self.side)
        if self.side > 96:
            raise RuntimeError("CUDA out of memory")
        return in_tiles(self, images)

    monkeypatch.setattr(NetworkTranslator, "translate", whole)
    monkeypatch.setattr(TiledTranslator, "translate", tiled)
    report = translate(painter, [photos], out)
    assert tried == [0, 384, 192, 96]
    assert report.done == [out / source.name]
    assert np.abs(read_picture(out / "large.png").astype(int) - expected).max() <= 1  # where rounding decides


def test_what_looks_at_the_whole_picture_is_never_cut_into_tiles(photos, out, tmp_path, monkeypatch):
    source, style = draw(photos / "photo.png", (90, 70)), draw(tmp_path / "style.png")
    (tmp_path / "adain.yaml").write_text("name: adain\nencoder: random\n")
    adain = load(tmp_path / "adain.yaml", "cpu", [style])
    with pytest.raises(UserError, match="--tile: is for trained generators; this model looks at the whole picture"):
        translate(adain, [source], out, tile=96)

    def full(self, images):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(NetworkTranslator, "translate", full)
    with pytest.raises(NoSpaceError, match=r"photo\.png: 90×70 pixels need more memory than there is"):
        translate(adain, [source], out)


def test_pictures_of_one_size_go_through_the_network_together(painter, photos, out, tmp_path, monkeypatch):
    sizes = [(24, 18), (24, 18), (24, 18), (16, 12), (24, 18), (24, 18), (16, 12)]
    for i, size in enumerate(sizes):
        draw(photos / f"{i}.png", size)
    (photos / "3 is bad.png").write_bytes(b"nothing")
    alone = translate(painter, [photos], out)
    seen, translate_all = [], NetworkTranslator.translate
    monkeypatch.setattr(
        NetworkTranslator, "translate", lambda self, images: seen.append(len(images)) or translate_all(self, images)
    )
    together = translate(painter, [photos], tmp_path / "together", batch=2)
    assert seen == [2, 1, 1, 2, 1]
    assert [path.name for path in together.done] == [path.name for path in alone.done] == [f"{i}.png" for i in range(7)]
    assert ["3 is bad.png" in str(bad) for bad in together.bad] == [True]
    for path in alone.done:
        assert difference(read_picture(path), read_picture(tmp_path / "together" / path.name)) <= 1


def test_the_next_picture_is_read_and_the_last_one_written_while_one_is_translated(painter, photos, out, monkeypatch):
    for i in range(3):
        draw(photos / f"{i}.png")
    has_read, has_written = [threading.Event() for _ in range(3)], threading.Event()

    def reading(path, kind):
        original = read_original(path, kind)
        has_read[int(path.stem)].set()
        return original

    def writing(*arguments):
        write_like(*arguments)
        has_written.set()

    waited, paint = [], NetworkTranslator.translate

    def painting(self, images):
        turn = len(waited)
        waited.append(has_read[min(turn + 1, 2)].wait(20) and (turn == 0 or has_written.wait(20)))
        return paint(self, images)

    monkeypatch.setattr(translating, "read_original", reading)
    monkeypatch.setattr(translating, "write_like", writing)
    monkeypatch.setattr(NetworkTranslator, "translate", painting)
    translate(painter, [photos], out)
    assert waited == [True, True, True]


def test_a_batch_that_does_not_fit_into_memory_is_done_one_by_one(painter, photos, out, monkeypatch):
    for i in range(2):
        draw(photos / f"{i}.png")
    paint = NetworkTranslator.translate

    def small_ones_only(self, images):
        if len(images) > 1:
            raise RuntimeError("CUDA out of memory")
        return paint(self, images)

    monkeypatch.setattr(NetworkTranslator, "translate", small_ones_only)
    assert len(translate(painter, [photos], out, batch=2).done) == 2


def test_tiles_can_be_asked_for_and_give_the_same_picture(painter, photos, tmp_path):
    draw(photos / "photo.png", (90, 70))
    translate(painter, [photos], tmp_path / "whole")
    translate(painter, [photos], tmp_path / "tiled", tile=8)
    whole, tiled = (read_picture(tmp_path / way / "photo.png").astype(int) for way in ("whole", "tiled"))
    assert np.abs(whole - tiled).max() <= 1
