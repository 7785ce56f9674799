"""The documentation is true: its commands and its scripts run, at smoke size."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from little import write_gatys
from pages import ROOT, TESTS, commands, scripts, typed
from PIL import Image
from published import published, save

from cyclegan import cli

SERVERS = {  # they run until somebody ends them; with what makes them smoke size: a port that is free, and no window
    "tensorboard": ["--port=0"],
    "cyclegan serve": ["--port=0"],
    "jupyter lab": ["--port=0", "--no-browser", "--allow-root"],
}
TIMEOUT = 240  # seconds that nothing here should ever take
SMALL = {  # what makes a training a matter of seconds, by method
    "cyclegan": ["method.generator.base_channels=4", "method.discriminator.base_channels=4"],
    "cut": ["method.generator.base_channels=4", "method.discriminator.base_channels=4", "method.head_width=8"],
    "fastcut": ["method.generator.base_channels=4", "method.discriminator.base_channels=4", "method.head_width=8"],
    "adain": ["data.crop_size=32", "data.load_size=null"],
    "cin": ["method.base_channels=4", "method.loss.weights=random"],
    "stylebank": ["method.base_channels=4", "method.loss.weights=random"],
    "pix2pix": ["method.generator.base_channels=4", "method.discriminator.base_channels=4"],
}
TRAINING = ["training.steps=2", "data.batch_size=2", "data.load_size=80", "data.crop_size=64", "data.resize=square"]


def test_the_pages_hold_commands_and_all_are_of_a_known_kind():
    assert len(typed()) > 45
    assert TESTS in commands()
    for command in typed():
        assert without_environment(command)[0] in ("make", "cyclegan", "torchrun", "srun"), command


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
    for name in ("experiments", "datasets", "notebooks"):
        (place / name).symlink_to(ROOT / name)
    film(place / "film.mp4")
    shutil.copy(ROOT / "experiments/smoke/cyclegan.yaml", place / "FILE.yaml")
    write_gatys(place, steps=30)
    cluster(place / "bin")
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


def cluster(programs: Path) -> None:
    """What SLURM gives to a job: every node is this machine."""
    programs.mkdir()
    (programs / "scontrol").write_text("#!/bin/sh\necho localhost\necho localhost\n")
    (programs / "srun").write_text('#!/bin/sh\nshift 4\n"$@" & first=$!\n"$@" && wait $first\n')
    for program in programs.iterdir():
        program.chmod(0o755)


@pytest.fixture(scope="module")
def runs(place) -> Path:
    """The runs that the pages speak of, trained for two steps."""
    with pytest.MonkeyPatch.context() as patch:
        enter(place, patch)
        for run in ("cyclegan/photo2painting", "cyclegan/photo2monet", "cyclegan-cpu/photo2monet"):
            assert cli.main(["train", f"experiments/{run}.yaml", *small(run)]) == 0
        if "CYCLEGAN_WEIGHTS" in os.environ:
            assert cli.main(["train", "experiments/adain-cpu/photo2monet.yaml", *small("/adain")]) == 0
        save(published(), place / "latest_net_G_A.pth")
    for other in ("photos2paintings/cyclegan", "photo2painting/many"):
        shutil.copytree(place / "runs/photo2painting/cyclegan", place / "runs" / other)
    return place


def enter(place: Path, patch: pytest.MonkeyPatch) -> None:
    patch.chdir(place)
    patch.setenv("CYCLEGAN_DATA", str(place / "data"))


def without_environment(command: str) -> list[str]:
    """The words, from the program on."""
    words = shlex.split(command)
    return words[next(i for i, word in enumerate(words) if "=" not in word) :]


def spelt_out(command: str) -> list[list[str]]:
    """The programs, with their arguments, that a command comes down to."""
    words = without_environment(command)
    if words[0] != "make":
        return [words]
    shown = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    lines = [re.sub(r"^\w+=\S+ ", "", line) for line in shown.stdout.splitlines()]
    programs = [shlex.split(line) for line in lines if re.match(r"\S*/(cyclegan|python|tensorboard|jupyter) ", line)]
    return [[Path(program).name, *rest] for program, *rest in programs if "pip" not in rest]


@pytest.mark.parametrize(
    ("target", "given", "understood"),
    [
        ("translate", {"IN": "my photos", "OUT": "an out", "TO": "a b"}, "translate RUN IN --out OUT --to TO"),
        (
            "stylize",
            {"CONTENT": "a b.jpg", "STYLE": "c d.jpg", "OUT": "an out", "METHOD": "adain"},
            "translate experiments/adain/public.yaml CONTENT --style STYLE --out OUT",
        ),
        ("evaluate", {}, "evaluate RUN"),
        ("demo", {}, "serve RUN"),
        ("figure", {}, "experiments/figures/readme.py RUN"),
        ("figure", {"NAME": "trust"}, "experiments/figures/trust.py RUN"),
        ("train", {"X": "my photos", "Y": "my paintings"}, "train --x X --y Y"),
    ],
)
def test_make_hands_on_names_with_spaces(target, given, understood):
    given = {"RUN": "runs/my photos2paintings/it", **given}
    asked = shlex.join(["make", target, *(f"{name}={value}" for name, value in given.items())])
    ((_, *arguments),) = spelt_out(asked)
    assert arguments == [given.get(word, word) for word in understood.split()]


@pytest.mark.parametrize("given", ["X=photos", "Y=paintings"])
def test_make_refuses_one_folder_without_the_other(given):
    quiet = ["--no-print-directory", "--old-file=nowhere/.ready"]  # also within another make; no environment is set up
    words = ["make", *quiet, "VENV=nowhere", "train", given]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: make train X=photos Y=paintings: give both\n")


def small(file: str) -> list[str]:
    """Settings that make a training a matter of a second."""
    method = next((name for name in SMALL if f"/{name}" in file), "cyclegan")
    return [f"--set={each}" for each in (*TRAINING, *SMALL[method])]


def quickly(words: list[str], name: str) -> list[str]:
    """The same, in a second; trainings in a run of their own."""
    program, verb, first = words[:3]
    if program == "python" and verb.endswith("papers.py"):
        return [*words, "--size=32", "--steps=12", "--set=weights=random"]
    if verb == "train":
        return [*words, *small(first), f"--set=name={name}"]
    if verb == "show":
        return [*words, *small(first)]
    if verb == "evaluate":
        return [*words, "--count=4"]
    if verb == "compare":
        few = ["count=1", "timed=[32]", "metrics=[ssim]", "translators.Gatys.file=gatys.yaml"]
        return [*words, *(f"--set={each}" for each in few)]
    if verb == "translate" and "/gatys/" in first:
        return [*words, *(f"--set={each}" for each in ("weights=random", "steps=60", "refine_steps=1", "coarsest=32"))]
    return words


def is_server(command: str) -> bool:
    return any(" ".join(words).startswith(tuple(SERVERS)) for words in spelt_out(command))


def is_many(command: str) -> bool:
    """Of many processes."""
    return command.startswith(("torchrun", "srun"))


def started(words: Sequence[str], place: Path, **options: object) -> subprocess.Popen[str]:
    """A process of its own, as in an environment that is active, whose programs are those of this one."""
    path = os.pathsep.join((str(place / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
    chosen = {"PATH": path, "PYTHONPATH": str(ROOT), "CYCLEGAN_DATA": str(place / "data"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, cwd=place, env=os.environ | chosen, text=True, start_new_session=True, **options)


@pytest.mark.slow
@pytest.mark.parametrize("command", [each for each in typed() if not is_server(each) and not is_many(each)])
def test_every_command_of_the_pages_runs(command, runs, monkeypatch, capsys):
    if re.search("adain|compare", command) and "CYCLEGAN_WEIGHTS" not in os.environ:
        pytest.skip("CYCLEGAN_WEIGHTS names no folder of weights")
    enter(runs, monkeypatch)
    every = spelt_out(command)
    assert every
    for words in every:
        program, *arguments = quickly(words, f"try-{typed().index(command)}")
        if program == "cyclegan" and "compile" not in command:  # which checks of types are in the way of
            assert cli.main(arguments) == 0, capsys.readouterr().err
        else:
            with started([program, *arguments], runs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
                said, _ = process.communicate(timeout=TIMEOUT)
            assert process.returncode == 0, said


def test_the_pages_hold_scripts():
    assert [page for page, _ in scripts()] == ["README.md", "own-data.md"]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "script"), [pytest.param(*each, id=each[0]) for each in scripts()])
def test_every_script_of_the_pages_runs(page, script, runs, monkeypatch):
    enter(runs, monkeypatch)
    saved = [runs / name for name in re.findall(r'\.save\("([^"]+)"\)', script)]
    assert saved
    for path in saved:
        path.touch()
        os.utime(path, (0, 0))
    known = {"x": torch.rand(2, 3, 64, 96) * 2 - 1, "y": torch.rand(2, 3, 64, 96) * 2 - 1}
    exec(compile(script.replace("experiments/gatys/best.yaml", "gatys.yaml"), page, "exec"), known)
    for path in saved:
        assert path.stat().st_mtime > 0
        with Image.open(path) as picture:
            assert picture.size == (96, 72)
    for tensor in (known["y"], known.get("x_again", known["y"])):
        assert tensor.shape == known["x"].shape
        assert tensor.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("command", [each for each in typed() if is_server(each)])
def test_every_server_of_the_pages_answers_and_hears_ctrl_c(command, runs, tmp_path):
    if re.search("adain|gatys", command) and "CYCLEGAN_WEIGHTS" not in os.environ:
        pytest.skip("CYCLEGAN_WEIGHTS names no folder of weights")
    (words,) = spelt_out(command)
    smoke = next(more for name, more in SERVERS.items() if " ".join(words).startswith(name))
    output = tmp_path / "output.txt"
    with output.open("w") as file:
        # Ctrl-C is heard also where the tests run in the background
        hear = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
        server = started([*words, *smoke], runs, stdout=file, stderr=file, preexec_fn=hear)
    try:
        deadline = time.monotonic() + TIMEOUT
        while not (found := re.search(r"http://\S+", output.read_text())):
            assert server.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        with urllib.request.urlopen(found[0], timeout=TIMEOUT) as answer:
            assert b"<html" in answer.read()
        server.send_signal(signal.SIGINT)
        server.wait(TIMEOUT)
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("command", [each for each in typed() if is_many(each)])
def test_every_command_of_many_processes_makes_one_run(command, runs):
    name = f"try-{typed().index(command)}"
    fewer = [each for each in small(command) if "batch_size" not in each]  # a batch is shared out
    *words, last = shlex.split(command)
    if words[0] == "srun":  # a script, which becomes longer
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = str(free.getsockname()[1])
        script = last.replace("--nproc-per-node 8", "--nproc-per-node 1").replace("29500", port)
        words = [*words, f"{script} {shlex.join(fewer)} --set name={name}"]
    else:
        words = [*words, last, *fewer, f"--set=name={name}"]
    with started(words, runs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        said, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, said
    assert len(list((runs / "runs").glob(f"*/{name}/checkpoints/step-00000002"))) == 1, said
