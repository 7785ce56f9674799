"""What the tests share: a tiny run, two checkpoints compared to the bit, a run's TensorBoard read back,
weights of our own, a browser."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from building import build
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from torch import nn

from cyclegan.config import dump
from cyclegan.methods.cyclegan import CycleGAN, CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.networks.pretrained import SOURCES, Source
from cyclegan.training.checkpoint import Checkpoint, _unflatten, read_tensors
from cyclegan.training.ema import EMA
from cyclegan.training.progress import Progress

CONFIG = CycleGANConfig(
    generator=GeneratorConfig(base_channels=2, blocks=1), discriminator=DiscriminatorConfig(base_channels=2, layers=1)
)

# Files of events that one process begins in one second are read in the order of this number, as text: 10 before 9.
event_file_writer._global_uid = event_file_writer.AtomicCounter(10**6)


@pytest.fixture
def method() -> CycleGAN:
    """G and F differ, and both change a picture visibly."""
    torch.manual_seed(0)
    method = build(CONFIG)
    for network in method.networks().values():
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.2)
    return method


@pytest.fixture
def save_run(method) -> Callable[..., Path]:
    """Saves a run, described as given, with the checkpoints of steps 10 and 20; the later one holds `method`."""

    def save(folder: Path, **described: object) -> Path:
        about = {"format": 1, "library": "0.1.0", "method": dump(CONFIG), "x": "photo", "y": "painting", **described}
        ema, progress = EMA(method.networks(), 0.999), Progress()
        checkpoint = Checkpoint(
            folder / "checkpoints", 2, ema.average, about, method=method, ema=ema, progress=progress
        )
        for step, shift in ((10, 0.05), (20, 0.0)):
            for key, live in ema.live.items():
                ema.average[key].copy_(live.detach() + shift)
            progress.step = step
            checkpoint.save(step)
        return folder

    return save


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Everything that is not a dictionary or a list, with its place."""
    if not isinstance(value, dict | list):
        yield at, value
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield from leaves(item, f"{at}.{key}" if at else str(key))


def same(one: Any, other: Any) -> bool:
    """Equal to the bit and of one kind; 0.0 and -0.0 are not the same."""
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return type(one) is type(other) and repr(one) == repr(other)
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))


@pytest.fixture(scope="session")
def is_same() -> Callable[[Any, Any], bool]:
    """Whether two nested states are equal to the bit."""

    def compare(one: Any, other: Any) -> bool:
        ones, others = dict(leaves(one)), dict(leaves(other))
        return ones.keys() == others.keys() and all(same(ones[key], others[key]) for key in ones)

    return compare


@pytest.fixture(scope="session")
def first_difference() -> Callable[[Path, Path], str | None]:
    """Names the first thing in which two checkpoint folders differ, None if they are the same to the last bit."""

    def compare(one: Path, other: Path) -> str | None:
        for name in ("state.safetensors", "release.safetensors"):
            ones, others = everything_in(one / name), everything_in(other / name)
            for key in sorted(ones | others):
                if key not in ones or key not in others or not same(ones[key], others[key]):
                    return f"{name}: {key}: {ones.get(key, 'absent')} | {others.get(key, 'absent')}"
            if (one / name).read_bytes() != (other / name).read_bytes():
                return f"{name}: the same content in other bytes"
        return None

    return compare


def everything_in(file: Path) -> dict[str, Any]:
    """All that a file of a checkpoint holds, by name."""
    tensors, metadata = read_tensors(file)
    state = _unflatten(metadata["tree"], tensors) if "tree" in metadata else {"weights": tensors, **metadata}
    return dict(leaves(state))


@pytest.fixture(scope="session")
def read_records() -> Callable[[Path], SimpleNamespace]:
    """Reads what a run has recorded: the lines of log.jsonl, and everything that TensorBoard would show."""

    def read(run: Path) -> SimpleNamespace:
        events = EventAccumulator(str(run), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
        events.Reload()
        tags = events.Tags()
        return SimpleNamespace(
            log=[json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()],
            scalars={tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags["scalars"]},
            images={tag: events.Images(tag) for tag in tags["images"]},
            tensors={tag: events.Tensors(tag) for tag in tags["tensors"]},
        )

    return read


@pytest.fixture
def provide(tmp_path, monkeypatch) -> Callable[[str, dict[str, torch.Tensor]], str]:
    """Puts a file of weights where they are looked for, and makes it the known one of a source."""

    def put(name: str, tensors: dict[str, torch.Tensor]) -> str:
        path = tmp_path / f"{name}.pth"
        torch.save(tensors, path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        source = Source(files={path.name: sha256}, url=f"https://example.org/{path.name}", license="ours")
        monkeypatch.setitem(SOURCES, name, source)
        monkeypatch.setenv("CYCLEGAN_WEIGHTS", str(tmp_path))
        return sha256

    return put


CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a test picture; nobody is asked
QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium that is installed on this machine."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs an installed chromium or google-chrome")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", *QUIET, *CAMERA]
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()
