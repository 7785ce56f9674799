"""load: a run, a checkpoint or a released file becomes a callable that needs no flag."""

import numpy as np
import pytest
import torch
from building import build
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from photos import LAB, SRGB
from PIL import Image
from safetensors.torch import save_file

from cyclegan import load
from cyclegan.config import dump
from cyclegan.data.batches import UnpairedBatch
from cyclegan.errors import ResourceError, UserError
from cyclegan.images.rgb8 import write_picture
from cyclegan.images.tensors import from_bytes, to_bytes
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig, UnetConfig
from cyclegan.training.checkpoint import Checkpoint, CorruptCheckpointError, read_release, write_release
from cyclegan.training.ema import EMA
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig

ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (30, 45, 3), dtype=np.uint8)


def damage(checkpoint):
    with (checkpoint / "release.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")


def test_it_describes_itself(painter):
    assert (painter.source(), painter.to, painter.step) == ("photo", "painting", 20)
    assert painter.about["library"] == "0.1.0"
    assert painter.damages == ()


def test_run_checkpoints_checkpoint_and_file_are_the_same_model(run, noise):
    paths = [run.folder, run.folder / "checkpoints", run.newer, run.file, str(run.folder)]
    pictures = [np.asarray(load(path, device="cpu")(Image.fromarray(noise))) for path in paths]
    assert all(np.array_equal(picture, pictures[0]) for picture in pictures)
    older = load(run.older, device="cpu")
    assert older.step == 10
    assert not np.array_equal(np.asarray(older(Image.fromarray(noise))), pictures[0])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"device": "cuda"}, "device: no CUDA device here; use cpu or auto"),
        ({"device": "cuda:9"}, "device: no CUDA device here; use cpu or auto"),
        ({"device": "mps"}, "device: no MPS device here; use cpu or auto"),
        ({"device": "gpu"}, "device: 'gpu' is unknown; use auto, cpu, cuda, cuda:1 "),
        ({"precision": "float16"}, "precision: 'float16' is unknown; use float32, bfloat16 or auto"),
    ],
)
@pytest.mark.parametrize("path", ["runs/a", "a.safetensors", "a.onnx", "a.yaml"])
def test_a_device_or_precision_that_is_not_here_is_said_before_the_file_is_looked_at(path, asked, said, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"^{said}") as refused:
        load(path, **asked)
    assert not isinstance(refused.value, CorruptCheckpointError)


def test_a_device_without_room_is_not_a_damaged_file(run, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(torch.Tensor, "to", full)
    with pytest.raises(ResourceError, match=r"release\.safetensors: cpu has no memory for it; make room there, or use"):
        load(run.folder, device="cpu")


def test_each_side_is_reached_by_its_name_and_y_by_default(painter, method, noise):
    images = from_bytes(noise)
    painting, photo = method.x_to_y.translate(images), method.y_to_x.translate(images)
    assert not torch.allclose(painting, photo, atol=0.1)
    assert torch.equal(painter(images, to="painting"), painting)
    assert torch.equal(painter(images, to="photo"), photo)
    assert torch.equal(painter(images), painting)


@pytest.mark.parametrize(
    ("side", "hint"),
    [("paintings", "; did you mean 'painting'?"), ("Photo", "; did you mean 'photo'?"), ("B", "")],
)
def test_a_wrong_side_is_answered_with_both_names(painter, side, hint):
    with pytest.raises(UserError) as caught:
        painter.translator(side)
    assert str(caught.value) == f"'{side}': this model translates to 'painting' or 'photo'{hint}"


def test_path_picture_and_tensor_give_the_same(painter, tmp_path, noise):
    write_picture(tmp_path / "noise.png", noise)
    from_path = np.asarray(painter(tmp_path / "noise.png"))
    from_picture = np.asarray(painter(Image.fromarray(noise)))
    from_tensor = to_bytes(painter(from_bytes(noise)))[0].numpy()
    assert np.array_equal(from_path, from_picture)
    assert np.array_equal(from_path, from_tensor)
    assert np.array_equal(from_path, np.asarray(painter(str(tmp_path / "noise.png"))))
    assert from_path.std() > 10
    assert not np.array_equal(from_path, noise)


@given(height=st.integers(1, 40), width=st.integers(1, 40))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_size_comes_out(painter, height, width):
    assert painter(Image.new("RGB", (width, height), "teal")).size == (width, height)
    assert painter(torch.zeros(3, height, width)).shape == (3, height, width)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I;16", "I"])
def test_any_mode_of_pillow_is_translated_to_rgb(painter, mode):
    painted = painter(Image.new(mode, (7, 5)))
    assert (painted.mode, painted.size) == ("RGB", (7, 5))


def test_a_picture_turned_by_exif_comes_out_upright(painter, noise):
    turned = Image.fromarray(noise).transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[ORIENTATION] = 6
    assert np.array_equal(np.asarray(painter(turned)), np.asarray(painter(Image.fromarray(noise))))
    assert painter(turned).getexif().get(ORIENTATION) is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize(("profile", "kept"), [(SRGB, SRGB), (LAB, None), (None, None)])
def test_a_picture_keeps_its_color_profile(painter, tmp_path, noise, suffix, profile, kept):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(noise).save(path, icc_profile=profile)
    with Image.open(path) as picture:
        for painted in (painter(path), painter(picture)):
            assert painted.info.get("icc_profile") == kept
            painted.save(tmp_path / "painted.png")
            with Image.open(tmp_path / "painted.png") as saved:
                assert saved.info.get("icc_profile") == kept


@pytest.mark.parametrize("shape", [(3, 20, 30), (1, 3, 20, 30), (2, 3, 17, 19)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_a_tensor_keeps_its_shape_and_type(painter, shape, dtype):
    images = torch.rand(shape, dtype=dtype) * 2 - 1
    painted = painter(images)
    assert (painted.shape, painted.dtype) == (images.shape, dtype)
    assert painted.abs().max() <= 1
    assert not painted.requires_grad


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(20, 30), r"shape \(20, 30\).*give floats of shape"),
        (torch.zeros(20, 30, 3), r"shape \(20, 30, 3\)"),
        (torch.zeros(1, 1, 3, 20, 30), r"shape \(1, 1, 3, 20, 30\)"),
        (torch.zeros(3, 0, 30), r"shape \(3, 0, 30\)"),
        (torch.zeros(3, 20, 30, dtype=torch.uint8), "type torch.uint8"),
        (torch.full((3, 4, 4), 255.0), r"from 255 to 255: scale it to \[-1, 1\]"),
        (torch.full((3, 4, 4), torch.nan), "from nan to nan"),
    ],
)
def test_a_tensor_that_is_no_image_is_refused(painter, tensor, message):
    with pytest.raises(UserError, match=message):
        painter(tensor)


def test_the_networks_hold_the_average_in_evaluation_mode(painter, run):
    tensors, _ = read_release(run.file)
    loaded = {f"{name}.{key}": p for name, net in painter.networks.items() for key, p in net.state_dict().items()}
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)
    assert not any(network.training for network in painter.networks.values())


def test_no_random_weights_are_drawn(run):
    before = torch.get_rng_state()
    load(run.folder, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_damaged_newest_checkpoint_is_passed_over_and_named(run):
    damage(run.newer)
    painter = load(run.folder, device="cpu")
    assert painter.step == 10
    (passed_over,) = painter.damages
    assert "step-00000020" in str(passed_over)


def test_a_run_without_a_whole_checkpoint_is_refused(run):
    damage(run.newer)
    damage(run.older)
    with pytest.raises(CorruptCheckpointError, match=r"checkpoints: no checkpoint is whole \(.*step-00000020"):
        load(run.folder)


@pytest.mark.parametrize("lost", ["manifest.json", "release.safetensors", "state.safetensors"])
def test_a_checkpoint_that_lacks_a_file_is_refused(run, lost):
    (run.newer / lost).unlink()
    with pytest.raises(CorruptCheckpointError, match="step-00000020"):
        load(run.newer)


def test_a_damaged_checkpoint_asked_for_by_name_is_refused(run):
    damage(run.newer)
    with pytest.raises(CorruptCheckpointError, match=r"release\.safetensors: not the bytes that were saved"):
        load(run.newer)


def test_what_is_not_there_is_said_with_what_could_be(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: does not exist; give a run folder, a checkpoint folder or"):
        load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no checkpoint; give the folder of a run"):
        load(tmp_path)


def test_the_state_of_training_is_not_taken_for_a_release(run):
    with pytest.raises(UserError, match=r"state\.safetensors: does not describe itself; give .* release\.safetensors"):
        load(run.newer / "state.safetensors")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"PK\x03\x04" * 20)
    with pytest.raises(UserError, match=r"weights\.pth: not a readable checkpoint"):
        load(tmp_path / "weights.pth")


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(UserError, match=r"foreign\.safetensors: does not describe itself"):
        load(tmp_path / "foreign.safetensors")


def test_a_newer_format_asks_for_a_newer_library(tmp_path, save_run):
    with pytest.raises(UserError, match=r"written by cyclegan 9\.0 in format 3, newer than this library; update"):
        load(save_run(tmp_path / "future", format=3, library="9.0"))


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_weights_that_do_not_fit_the_description_are_refused(run, tmp_path, change):
    tensors, about = read_release(run.file)
    name = next(iter(tensors))
    if change == "missing":
        del tensors[name]
    else:
        tensors[name if change == "shape" else "H.weight"] = torch.zeros(5)
    write_release(tmp_path / "odd.safetensors", tensors, about)
    with pytest.raises(CorruptCheckpointError, match=r"odd\.safetensors: its weights do not fit the method"):
        load(tmp_path / "odd.safetensors")


NETWORKS = [
    {"generator": GeneratorConfig(base_channels=2, blocks=1, norm="batch")},
    {"generator": GeneratorConfig(base_channels=2, blocks=1, norm="group", upsampling="blur", downsampling="blur")},
    {"generator": UnetConfig(base_channels=2, downsamplings=3, norm="batch", dropout=0.5, upsampling="shuffle")},
    {"generator": UnetConfig(base_channels=2, downsamplings=3, init="orthogonal")},
]


@pytest.mark.parametrize("networks", NETWORKS, ids=lambda networks: networks["generator"].name)
def test_a_released_network_of_any_kind_translates_as_it_did_in_training(tmp_path, noise, networks):
    config = CycleGANConfig(discriminator=DiscriminatorConfig(base_channels=2, layers=1, scales=2), **networks)
    torch.manual_seed(0)
    method = build(config)
    optimizers, ema = Optimizers(method.parameter_groups(), OptimizerConfig(lr=0.01)), EMA(method.networks(), 0.5)
    for _ in range(3):
        method.training_step(UnpairedBatch(*(torch.rand(2, 3, 16, 16) * 2 - 1 for _ in "xy")), optimizers.minimize)
        ema.update()
    about = {"format": 1, "library": "0.1.0", "method": dump(config), "x": "photo", "y": "painting"}
    Checkpoint(tmp_path, 2, ema.average, about, method=method, ema=ema).save(3)
    images = from_bytes(noise)
    with ema.applied():
        expected = method.x_to_y.translate(images)
    assert torch.equal(load(tmp_path, device="cpu")(images), expected)
    assert not torch.equal(method.x_to_y.translate(images), expected)
