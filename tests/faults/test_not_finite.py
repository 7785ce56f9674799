"""NaN and infinity, put into every place that a step reads: nothing moves any more, and it is told why."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from building import build, held_out, unpaired_stream
from PIL import Image
from toy import Interrupted, launch

from cyclegan.data.data_config import UnpairedConfig
from cyclegan.data.stream import Stream
from cyclegan.errors import NotFiniteError
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.checkpoint import list_checkpoints, read_tensors, verify
from cyclegan.training.nan_report import write_nan_report

NAN, INF = float("nan"), float("inf")
SETTINGS = {"steps": 6, "save_every": 2, "sample_every": 6}
STEP = 4  # the one that goes wrong; those up to 2 are saved
NANO = CycleGANConfig(
    generator=GeneratorConfig(base_channels=4, blocks=1),
    discriminator=DiscriminatorConfig(base_channels=4, layers=2),
    buffer_size=8,
)
READING = UnpairedConfig(x=Path("x"), y=Path("y"), load_size=None, crop_size=32, batch_size=2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[list[Path]]:
    sides = []
    for side, count in (("x", 7), ("y", 5)):
        folder = tmp_path_factory.mktemp(side)
        for i in range(count):
            pixels = torch.randint(256, (40, 44, 3), generator=torch.Generator().manual_seed(i), dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(folder / f"{i}.png")
        sides.append(sorted(folder.iterdir()))
    return sides


@pytest.fixture(scope="module")
def start(pictures) -> Callable[..., None]:
    """One launch of a small CycleGAN."""
    return partial(launch, build=lambda: build(NANO), held_out=held_out(*pictures, READING, count=2), **SETTINGS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, start, pictures) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    start(folder, unpaired_stream(*pictures, READING, seed=0))
    return newest(folder)


def newest(folder: Path) -> Path:
    return list_checkpoints(folder / "checkpoints")[-1]


Fault = Callable[[pytest.MonkeyPatch, Any, Stream], object]


def a_loss(name: str, value: float) -> Fault:
    def event(patch: pytest.MonkeyPatch, method: Any, batches: Stream) -> None:
        loss = getattr(method.gan, name)
        patch.setattr(method, "gan", method.gan._replace(**{name: lambda *scores: loss(*scores) * value}))

    return event


def a_gradient(name: str, value: float) -> Fault:
    def event(patch: pytest.MonkeyPatch, method: Any, batches: Stream) -> None:
        method.get_parameter(name).register_hook(lambda gradient: gradient.index_fill(0, torch.tensor(0), value))

    return event


def a_weight(name: str, value: float) -> Fault:
    def event(patch: pytest.MonkeyPatch, method: Any, batches: Stream) -> None:
        with torch.no_grad():
            method.get_parameter(name)[0] = value

    return event


def a_picture(side: int, value: float) -> Fault:
    def event(patch: pytest.MonkeyPatch, method: Any, batches: Stream) -> None:
        batch = batches.batch_at(STEP - 1)
        batch[side][1, 2, 20, 20] = value
        patch.setattr(batches, "batch_at", lambda step: batch)

    return event


PLACES: dict[str, tuple[Fault, set[str], str]] = {  # what, who moves in that step all the same, what is said
    "NaN in a generator's loss": (a_loss("generator", NAN), set(), "gan_G = nan, gan_F = nan"),
    "inf in a discriminator's loss": (a_loss("discriminator", INF), {"generators"}, "D_X = inf, D_Y = inf"),
    "NaN in a gradient of F": (a_gradient("F.layers.1.weight", NAN), set(), r"1 of the 32 gradients of generators"),
    "inf in a gradient of D_Y": (
        a_gradient("D_Y.layers.4.weight", INF),
        {"generators"},
        "1 of the 16 gradients of discriminators",
    ),
    "NaN in a weight of F": (a_weight("F.layers.1.weight", NAN), set(), "gan_F = nan"),
    "inf in a bias of G, which tanh hides": (a_weight("G.layers.10.bias", INF), set(), "weights of generators"),
    "NaN in a picture of X": (a_picture(0, NAN), set(), "gan_G = nan"),
    "inf in a picture of Y": (a_picture(1, INF), set(), "gan_F = nan"),
}


def weights(method: Any) -> dict[str, list[torch.Tensor]]:
    return {
        player: [weight.detach().clone() for weight in owned] for player, owned in method.parameter_groups().items()
    }


def test_nothing_moves_on_what_is_not_finite_and_it_is_written_down(
    tmp_path, start, whole, pictures, is_same, first_difference, figure
):
    stopped = continued = 0
    for number, (place, (fault, movers, said)) in enumerate(PLACES.items()):
        folder, batches, seen = tmp_path / str(number), unpaired_stream(*pictures, READING, seed=0), []

        def happen(seen=seen, fault=fault, batches=batches) -> None:
            fault(patch, seen[0], batches)
            seen.append(weights(seen[0]))

        with pytest.MonkeyPatch.context() as patch, pytest.raises(NotFiniteError, match=said) as caught:
            start(folder, Interrupted(batches, STEP, happen), before=seen.append)
        assert str(caught.value).startswith(f"after step {STEP - 1}: ")
        assert caught.value.exit_code == 3
        method, before = seen
        moved = {player for player, now in weights(method).items() if not is_same(now, before[player])}
        assert moved == movers, place
        stopped += 1

        assert_told(folder, method, str(caught.value), pictures)
        assert newest(folder).name == "step-00000002"
        verify(newest(folder))
        state, _ = read_tensors(newest(folder) / "state.safetensors")
        assert all(torch.isfinite(tensor).all() for tensor in state.values())

        start(folder, unpaired_stream(*pictures, READING, seed=0))
        continued += first_difference(whole, newest(folder)) is None
    assert (stopped, continued) == (len(PLACES), len(PLACES))
    figure(
        "N1", f"{len(PLACES)} places, {stopped} stopped before the optimizer moved, {continued} continued to the bit"
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_of_several_processes_only_the_first_writes_it_down(tmp_path, monkeypatch, rank):
    monkeypatch.setattr("cyclegan.distributed.rank", lambda: rank)
    write_nan_report(tmp_path, 3, build(NANO), {"x": [], "y": []}, NotFiniteError("gan_G = nan"))
    assert len(list(tmp_path.iterdir())) == (rank == 0)


def assert_told(folder: Path, method: Any, said: str, pictures: list[list[Path]]) -> None:
    """By not-finite.json: the step, the names, and the pictures that were read for it."""
    report = json.loads((folder / "not-finite.json").read_text())
    assert report["step"] == STEP
    assert said == f"after step {STEP - 1}: {report['said']}"
    for kind, tensors in (("weights", lambda weight: weight), ("gradients", lambda weight: weight.grad)):
        found = {name: tensors(weight) for name, weight in method.named_parameters()}
        assert report[kind] == [name for name, each in found.items() if each is not None and not each.isfinite().all()]
    assert report["pictures"] == unpaired_stream(*pictures, READING, seed=0).names_at(STEP - 1)
