"""How much memory a picture needs, how much is free, and how large tiles may be."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.inference_copy import inference_copy
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.translate import fit_memory as memory
from cyclegan.translate import memory_estimate as room
from cyclegan.translate.fit_memory import translate_in_memory
from cyclegan.translate.memory_estimate import needed
from cyclegan.translate.tiles import TiledTranslator

WHOLE = NetworkTranslator(ResnetGenerator(base_channels=16, blocks=1), 4)


def system(root: Path, files: dict[str, str]) -> None:
    """What it says of itself: 1.2 GB available, and of control groups."""
    meminfo = "MemTotal:       8000000 kB\nMemFree:  10 kB\nMemAvailable:    1234567 kB\n"
    for name, text in {"proc/meminfo": meminfo, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def begun(image: torch.Tensor, *there: int) -> list[int]:
    """The sides of the tiles that are begun with, 0 for a whole picture; so much is free at each question."""
    sides, answers = [], [*there]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "free", lambda device: answers.pop(0) if len(answers) > 1 else answers[0])
        patch.setattr(NetworkTranslator, "translate", lambda self, images: sides.append(0) or images)
        patch.setattr(TiledTranslator, "translate", lambda self, images: sides.append(self.side) or images)
        translate_in_memory(WHOLE, image, [Path("large.png")])
    return sides


def test_the_need_of_a_generator_is_counted_once_and_grows_with_pictures_and_precision():
    network = ResnetGenerator(base_channels=16, blocks=1)
    images, calls = torch.zeros(1, 3, 512, 512), []
    network.layers[0].register_forward_hook(lambda *_: calls.append(1))
    need = needed(NetworkTranslator(network, 4), images)
    wide = needed(NetworkTranslator(ResnetGenerator(base_channels=32, blocks=1), 4), images)
    half = needed(NetworkTranslator(inference_copy(network, torch.bfloat16), 4), images)
    assert needed(NetworkTranslator(network, 4), torch.zeros(2, 3, 512, 1024)) == pytest.approx(4 * need, rel=1e-6)
    assert calls == [1, 1]  # of the network and of its frozen copy
    assert wide == pytest.approx(2 * need, rel=0.1)
    assert half == pytest.approx(need / 2, rel=0.1)
    assert 3 * 16 * 4 * 512**2 < need < 6 * 16 * 4 * 512**2  # its widest features, a few times


def test_the_system_is_asked_for_free_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "ROOT", tmp_path)
    assert room.free(torch.device("cpu")) is None
    system(tmp_path, {})
    assert room.free(torch.device("cpu")) == 1234567 * 1024
    assert room.free(torch.device("mps")) is None


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"
UNLIMITED = "9223372036854771712\n"


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({f"{V2}/memory.max": "500\n", f"{V2}/memory.current": "200\n"}, 1234567 * 1024),  # in no group
        ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "500\n", f"{V2}/memory.current": "200\n"}, 300),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "max\n", f"{V2}/memory.current": "2\n"}, 1234567 * 1024),
        ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "200\n", f"{V2}/memory.current": "201\n"}, 0),
        (
            {
                "proc/self/cgroup": "0::/slurm/job_1/step\n",
                f"{V2}/slurm/memory.max": "max\n",
                f"{V2}/slurm/memory.current": "900\n",
                f"{V2}/slurm/job_1/memory.max": "700\n",
                f"{V2}/slurm/job_1/memory.current": "600\n",
                f"{V2}/slurm/job_1/memory.stat": "anon 7\ninactive_file 50\nactive_file 9\n",
                f"{V2}/slurm/job_1/step/memory.max": "5000\n",
                f"{V2}/slurm/job_1/step/memory.current": "500\n",
            },
            150,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu:/docker/ab\n4:memory:/docker/ab\n0::/\n",  # mounted as the root of its own
                f"{V1}/memory.limit_in_bytes": "800\n",
                f"{V1}/memory.usage_in_bytes": "300\n",
                f"{V1}/memory.stat": "inactive_file 10\ntotal_inactive_file 100\n",
            },
            600,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/job:7\n",
                f"{V1}/memory.limit_in_bytes": UNLIMITED,
                f"{V1}/memory.usage_in_bytes": "300\n",
                f"{V1}/job:7/memory.limit_in_bytes": "800\n",
                f"{V1}/job:7/memory.usage_in_bytes": "100\n",
            },
            700,
        ),
    ],
)
def test_no_more_is_free_than_a_container_or_a_job_may_use(tmp_path, monkeypatch, files, free):
    monkeypatch.setattr(room, "ROOT", tmp_path)
    system(tmp_path, files)
    assert room.free(torch.device("cpu")) == free


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0, 0.999), height=st.integers(400, 3000), width=st.integers(400, 3000))
def test_tiles_are_as_large_as_free_memory_allows(share, height, width):
    picture = torch.zeros(1, 3, 1, 1).expand(1, 3, height, width)
    there = int(share * needed(WHOLE, picture))
    (side,) = begun(picture, there)
    assert side % 4 == 0
    assert 96 <= side < max(height, width)
    assert side == 96 or needed(TiledTranslator(WHOLE, side), picture) <= there // 2
    assert needed(TiledTranslator(WHOLE, side + 4), picture) > there // 2


def test_tiles_need_room_for_the_whole_picture_and_its_translation_as_well():
    little, large = (torch.zeros(1, 3, 1, 1).expand(1, 3, 1000, width) for width in (1000, 9000))
    tiled = TiledTranslator(WHOLE, 96)
    assert needed(tiled, large) - needed(tiled, little) == 2 * 3 * 4 * 1000 * 8000


def test_a_picture_just_too_large_is_cut_into_few_tiles():
    picture = torch.zeros(1, 3, 400, 2000)
    need = needed(WHOLE, picture)
    (side,) = begun(picture, need - 1)
    assert 2000 / 5 <= side < 2000
    assert begun(picture, need) == [0]


def test_memory_that_shrinks_after_the_tiles_were_chosen_does_not_shrink_them():
    picture = torch.zeros(1, 3, 600, 900)
    there = needed(WHOLE, picture) // 2
    assert begun(picture, there, there, there // 2) == begun(picture, there)
