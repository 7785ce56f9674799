"""The documentation is true: its links lead somewhere, and its commands run, at smoke size."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from published import published, save

from cyclegan import cli

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "experiments" / "README.md"]
SERVERS = ("tensorboard", "notebook", "demo", "serve")  # run until somebody ends them: tried elsewhere
SUITES = ("test", "test-all", "faults", "bench", "docs", "lint")  # this is one of them
ELSEWHERE = ("figure", "compare")  # test_papers_figures.py, test_comparison.py; compiling and torchrun have theirs
SMALL = {  # what makes a training a matter of seconds, by method
    "cyclegan": ["method.generator.base_channels=4", "method.discriminator.base_channels=4"],
    "cut": ["method.generator.base_channels=4", "method.discriminator.base_channels=4", "method.head_width=8"],
    "adain": ["data.crop_size=32", "data.load_size=null"],
}
TRAINING = ["training.steps=2", "data.batch_size=2", "data.load_size=80", "data.crop_size=64", "data.resize=square"]


def headings(page: Path) -> set[str]:
    """The anchors of a page."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@pytest.mark.slow
def test_the_site_is_built_without_a_dead_link(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=200, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    settings = (tmp_path / "site" / "settings" / "index.html").read_text()
    assert "lambda_cycle" in settings
    assert ":::" not in settings


def commands() -> Iterator[str]:
    """Every line of the pages that is typed, without its comment; what goes on in the next line is one."""
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                command = " ".join(shlex.split(line, comments=True)) and re.sub(r"\s+# .*", "", line).strip()
                if command:
                    yield command


def typed() -> list[str]:
    """Those that are tried here, each once."""
    skipped = re.compile(
        rf"make ({'|'.join((*SERVERS, *SUITES, *ELSEWHERE))})\b|cyclegan (serve|compare)|torchrun|srun"
    )
    return sorted({command for command in commands() if not skipped.match(command)})


def test_the_pages_hold_commands_and_all_are_of_a_known_kind():
    assert len(typed()) > 35
    for command in typed():
        assert without_environment(command)[0] in ("make", "cyclegan"), command


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder in which everything lies that the pages speak of."""
    place = tmp_path_factory.mktemp("place")
    random = np.random.default_rng(0)

    def picture(path: str) -> None:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        noise = Image.fromarray(random.integers(256, size=(9, 12, 3), dtype=np.uint8))
        noise.resize((96, 72), Image.Resampling.BICUBIC).save(place / path)

    for folder in ("photos", "paintings", "frames", "monets"):
        for i in range(3):
            picture(f"{folder}/{i}.png")
    for part in ("trainA", "trainB", "testA", "testB"):
        for i in range(3):
            for name in ("monet2photo", "horse2zebra"):
                picture(f"data/{name}/{part}/{i}.jpg")
    shutil.copytree(place / "data/monet2photo/testB", place / "their-results")
    for name in ("photo", "painting", "one", "two", "sky", "land", "up", "down", "panorama"):
        picture(f"{name}.jpg")
        picture(f"{name}.png")
    for name in ("experiments", "datasets"):
        (place / name).symlink_to(ROOT / name)
    film(place / "film.mp4")
    return place


def film(path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 60 * level, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def runs(place) -> Path:
    """The runs that the pages speak of, trained for two steps."""
    with pytest.MonkeyPatch.context() as patch:
        enter(place, patch)
        for domain in ("photo2painting", "photo2monet"):
            file = f"experiments/cyclegan/{domain}.yaml"
            assert cli.main(["train", file, *small(file)]) == 0
        save(published(), place / "latest_net_G_A.pth")

    return place


def enter(place: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(place)
    patch.setenv("CYCLEGAN_DATA", str(place / "data"))


def without_environment(command: str) -> list[str]:
    """The words, from the program on."""
    words = shlex.split(command)
    return words[next(i for i, word in enumerate(words) if "=" not in word) :]


def spelt_out(command: str) -> list[list[str]]:
    """The arguments of `cyclegan` that a command comes down to."""
    words = without_environment(command)
    if words[0] == "cyclegan":
        return [words[1:]]
    shown = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return [shlex.split(line)[1:] for line in shown.stdout.splitlines() if "/cyclegan " in line]


def small(file: str) -> list[str]:
    """Settings that make a training a matter of a second."""
    method = next((name for name in SMALL if f"/{name}" in file), "cyclegan")
    return [f"--set={each}" for each in (*TRAINING, *SMALL[method])]


def quickly(arguments: list[str], name: str) -> list[str]:
    """The same, in a second; trainings in a run of their own."""
    verb, first = arguments[:2]
    if verb == "train":
        return [*arguments, *small(first), f"--set=name={name}"]
    if verb == "show":
        return [*arguments, *small(first)]
    if verb == "translate" and "/gatys/" in first:
        return [
            *arguments,
            *(f"--set={each}" for each in ("weights=random", "steps=60", "refine_steps=1", "coarsest=32")),
        ]
    return arguments


@pytest.mark.slow
@pytest.mark.parametrize("command", typed())
def test_every_command_of_the_pages_runs(command, runs, monkeypatch, capsys):
    if "adain" in command and "CYCLEGAN_WEIGHTS" not in os.environ:
        pytest.skip("CYCLEGAN_WEIGHTS names no folder of weights")
    enter(runs, monkeypatch)
    every = spelt_out(command)
    assert every
    for arguments in every:
        assert cli.main(quickly(arguments, f"try-{typed().index(command)}")) == 0, capsys.readouterr().err
