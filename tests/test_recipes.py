"""A recipe for two folders: what is chosen for whom, and that it is understood, shown, kept and trained."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cyclegan import cli
from cyclegan.commands.suggest_config import choose
from cyclegan.config import dump, parse
from cyclegan.data.validate import ImageInfo, Report
from cyclegan.errors import UserError
from cyclegan.experiment import Experiment

X, Y = Path("photos"), Path("paintings")


def report(counts: tuple[int, int], side: int = 300) -> Report:
    def look(path: Path) -> ImageInfo:
        flat = np.zeros(1024)
        return ImageInfo(path=path, width=2 * side, height=side, mode="RGB", transparent=False, grey=False, shape=flat)

    looks = {
        str(folder): [look(folder / f"{i}.png") for i in range(count)]
        for folder, count in zip((X, Y), counts, strict=True)
    }
    return Report(folders=(X, Y), counts={}, looks=looks, bad=())


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("counts", [(2, 2), (40, 40), (40, 7000), (900, 800)])
@pytest.mark.parametrize("side", [20, 100, 256, 3000])
def test_every_recipe_is_an_experiment_with_its_reasons(device, counts, side):
    recipe, reasons = choose(report(counts, side), X, Y, device)
    experiment = Experiment(name="cyclegan", **recipe._asdict())
    assert parse(dump(experiment), Experiment, "dumped") == experiment
    assert reasons
    assert (experiment.data.x, experiment.data.y) == (X, Y)


def test_a_gpu_gets_the_papers_networks_and_a_cpu_small_ones():
    on_gpu, on_cpu = (choose(report((500, 500)), X, Y, device)[0] for device in ("cuda", "cpu"))
    assert (on_gpu.method.generator.base_channels, on_gpu.data.crop_size) == (64, 256)
    assert (on_cpu.method.generator.base_channels, on_cpu.data.crop_size) == (16, 64)


@pytest.mark.parametrize(("count", "steps"), [(40, 40_000), (1_000, 200_000), (7_000, 400_000)])
def test_a_gpu_sees_the_larger_side_two_hundred_times_within_bounds(count, steps):
    assert choose(report((40, count)), X, Y, "cuda")[0].training.steps == steps


def test_pictures_are_kept_aside_only_where_there_are_enough():
    assert choose(report((49, 500)), X, Y, "cpu")[0].data.validation == 0
    assert choose(report((50, 500)), X, Y, "cpu")[0].data.validation == 0.1


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_few_pictures_are_shown_anew_each_time_to_discriminators_that_are_kept_smooth(device):
    few, many = (choose(report((count, 500)), X, Y, device)[0].method for count in (49, 50))
    assert (few.augment, few.lambda_r1, few.discriminator.norm) == (("translation", "cutout"), 0.1, "spectral")
    assert many.augment == ()
    assert many.discriminator.norm != "spectral"


@pytest.mark.parametrize(("counts", "named"), [((1, 9), X), ((9, 0), Y)])
def test_a_folder_without_pictures_is_named(counts, named):
    with pytest.raises(UserError, match=f"^{named}: . readable pictures found, at least 2 are needed"):
        choose(report(counts), X, Y, "cpu")


TINY = [
    "training.steps=2",
    "method.generator.base_channels=4",
    "method.generator.blocks=1",
    "method.discriminator.base_channels=4",
]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with photos of many kinds and paintings in it."""
    random = np.random.default_rng(0)
    for side, count in (("photos", 4), ("paintings", 4)):
        (tmp_path / side / "more").mkdir(parents=True)
        for i in range(count):
            noise = Image.fromarray(random.integers(256, size=(6, 8, 3), dtype=np.uint8))
            noise.resize((90 + 10 * i, 70), Image.Resampling.BICUBIC).save(tmp_path / side / "more" / f"{i}.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(tmp_path / "photos/more/0.png").save(tmp_path / "photos/sideways.jpg", exif=exif)
    Image.open(tmp_path / "photos/more/1.png").convert("L").save(tmp_path / "photos/grey.webp")
    (tmp_path / "photos" / "torn.jpg").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*more: str) -> int:
    settings = [part for setting in (*TINY, *more) for part in ("--set", setting)]
    return cli.main(["train", "--x", "photos", "--y", "paintings", *settings])


def test_two_folders_are_looked_at_trained_on_and_translated(place, capsys):
    assert train() == 0
    said = capsys.readouterr().out
    assert "photos and paintings: 10 of 11 pictures can be read" in said
    assert "bad: photos/torn.jpg: not a readable picture" in said
    assert "left out  1 of the pictures" in said
    assert "# no GPU: small networks" in said or "# a GPU" in said
    recipe = place / "runs" / "photos2paintings" / "recipe.yaml"
    assert f"saved as {recipe.relative_to(place)}" in said
    assert recipe.read_text() in said
    command = shlex.split(said.splitlines()[-1])
    assert command[:2] == ["cyclegan", "translate"]

    assert cli.main(command[1:]) == 2  # it names the torn one, too
    assert capsys.readouterr().err.startswith("error: photos/torn.jpg: ")
    translated = [path.relative_to(place / "translated") for path in (place / "translated").rglob("*.*")]
    assert {str(path) for path in translated} == {
        *(f"more/{i}.png" for i in range(4)),
        *("sideways.jpg", "grey.webp"),
    }
    with Image.open(place / "translated" / "sideways.jpg") as upright:
        assert upright.size == (70, 90)
    evaluation = (place / "runs/photos2paintings/cyclegan/evaluation/evaluation.md").read_text()
    assert "1 test images are nearly training images" in evaluation  # grey.webp is 1.png


def test_the_command_at_the_end_names_the_run_that_was_trained_and_works_with_spaces(place, capsys):
    (place / "photos").rename(place / "my photos")
    settings = [f"--set={each}" for each in (*TINY, "name=another")]
    assert cli.main(["train", "--x", "my photos", "--y", "paintings", *settings]) == 0
    command = capsys.readouterr().out.splitlines()[-1].strip()
    assert command == "cyclegan translate 'runs/my photos2paintings/another' 'my photos' --out translated"
    (place / "my photos" / "torn.jpg").unlink()
    assert cli.main(shlex.split(command)[1:]) == 0


def test_the_same_command_continues_with_the_same_recipe(place, capsys):
    assert train() == 0
    recipe = (place / "runs/photos2paintings/recipe.yaml").read_text()
    capsys.readouterr()
    assert train("training.steps=2") == 0
    assert "chosen before, and kept" in capsys.readouterr().out
    assert (place / "runs/photos2paintings/recipe.yaml").read_text() == recipe


def test_the_recipe_can_be_changed_and_the_command_beneath_it_trains_another_run(place, capsys):
    assert train() == 0
    said = capsys.readouterr().out.splitlines()
    (saved,) = (number for number, line in enumerate(said) if line.startswith("saved as "))
    recipe = place / "runs/photos2paintings/recipe.yaml"
    recipe.write_text(recipe.read_text().replace("seed: 0", "seed: 5"))
    command = shlex.split(said[saved + 1])
    assert command[0] == "cyclegan"
    assert cli.main([*command[1:], *(f"--set={each}" for each in TINY)]) == 0
    assert "seed: 5\n" in (place / "runs/photos2paintings/other/config.yaml").read_text()


def test_with_fewer_pictures_the_same_command_is_refused(place, capsys):
    assert train() == 0
    (place / "photos" / "more" / "3.png").unlink()
    assert train() == 2
    assert "holds other pictures than this run has learned from" in capsys.readouterr().err


def elsewhere(place: Path) -> list[str]:
    """Move the photos; the arguments that say so."""
    (place / "else where").mkdir()
    (place / "photos").rename(place / "else where" / "photos")
    return ["train", "--x", "else where/photos", "--y", "paintings", *(f"--set={each}" for each in TINY)]


def test_folders_that_have_moved_are_trained_on_further(place, capsys, monkeypatch):
    monkeypatch.setattr("cyclegan.commands.evaluate.evaluate_run", lambda *_, **__: {})
    assert train() == 0
    arguments = elsewhere(place)
    capsys.readouterr()
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert "chosen before, and kept" in said
    assert "moved     data.x: 'photos' → 'else where/photos': the same pictures, by name and size" in said
    assert "x: else where/photos\n" in (place / "runs/photos2paintings/cyclegan/config.yaml").read_text("utf-8")
    command = shlex.split(said.splitlines()[-1])
    assert command[3] == "else where/photos"

    next(path for path in (place / "else where/photos/more").iterdir()).unlink()
    assert cli.main(arguments) == 2
    assert "error: photos: holds other pictures than this run has learned from: " in capsys.readouterr().err


def test_other_folders_of_the_same_names_are_not_taken_for_the_old_ones_without_a_checkpoint(place, capsys):
    assert train("training.steps=0") == 2
    recipe = place / "runs/photos2paintings/recipe.yaml"
    assert recipe.exists()
    capsys.readouterr()
    assert cli.main(elsewhere(place)) == 2
    said = capsys.readouterr().err
    assert "runs/photos2paintings/recipe.yaml: is for photos and paintings, and no checkpoint tells whether" in said
    assert "rename one of the folders, change data.x and data.y there, or remove it" in said
    (place / "photos").symlink_to(place / "else where" / "photos")
    assert train("training.steps=0") == 2
    assert "is for" not in capsys.readouterr().err


def test_a_folder_in_a_format_that_is_not_read_is_told_what_to_do(place, capsys):
    for path in [path for path in (place / "photos").rglob("*") if path.is_file()]:
        path.rename(path.with_suffix(".JP2"))
    assert train() == 2
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "error: photos: 0 readable pictures found, at least 2 are needed; hundreds are better; "
        "skipped: 7 .jp2 (convert images to JPEG or PNG)"
    ]
    assert "skipped: 7 .jp2 (convert images to JPEG or PNG)\n" in said.out


def test_the_same_folder_twice_is_refused_in_one_line(place, capsys):
    assert cli.main(["train", "--x", "photos", "--y", str(place / "photos")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: photos and {place / 'photos'}: are the same folder; give one for each side"
    ]
    assert not (place / "runs").exists()


@pytest.mark.parametrize("sides", [("photos", ""), ("", "paintings"), ("", "")])
def test_an_empty_name_is_not_this_folder(place, capsys, sides):
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--x", sides[0], "--y", sides[1]])
    assert ended.value.code == 2
    assert "is empty; name a folder of images" in capsys.readouterr().err
    assert not (place / "runs").exists()


def test_a_side_may_hold_the_parts_of_a_data_set(place, capsys):
    (place / "photos/more").rename(place / "photos/trainA")
    assert train() == 0
    assert "photos and paintings: 10 of 11 pictures can be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["--x", "photos"], ["a.yaml", "--x", "photos", "--y", "paintings"], ["a.yaml", "--y", "b"]]
)
def test_a_file_or_two_folders_are_asked_for(arguments, capsys):
    assert cli.main(["train", *arguments]) == 2
    assert "give either the YAML file of an experiment, or two folders" in capsys.readouterr().err
