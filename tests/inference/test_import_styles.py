"""import: style networks of pytorch/examples paint here what a plain forward pass of their weights paints."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, instance_norm, interpolate, pad

from cyclegan import load
from cyclegan.cli import main
from cyclegan.errors import UserError
from cyclegan.export.import_transformer_net import convert_style, read_transformer_net, recognizes
from cyclegan.images.rgb8 import read_picture
from cyclegan.networks.transform_net import TransformNet


def weights(width: int = 4, blocks: int = 2, statistics: bool = False) -> dict[str, Tensor]:
    """A state dictionary of TransformerNet, with gains and offsets that matter."""
    generator, state = torch.Generator().manual_seed(0), {}

    def layer(conv: str, norm: str | None, given: int, made: int, kernel: int) -> None:
        state[f"{conv}.conv2d.weight"] = torch.randn(made, given, kernel, kernel, generator=generator) / kernel
        state[f"{conv}.conv2d.bias"] = torch.randn(made, generator=generator)
        if norm is not None:
            state[f"{norm}.weight"] = torch.rand(made, generator=generator) + 0.5
            state[f"{norm}.bias"] = torch.randn(made, generator=generator)
            if statistics:
                state[f"{norm}.running_mean"] = torch.full([made], 3.0)
                state[f"{norm}.running_var"] = torch.full([made], 0.1)

    layer("conv1", "in1", 3, width, 9)
    layer("conv2", "in2", width, 2 * width, 3)
    layer("conv3", "in3", 2 * width, 4 * width, 3)
    for block in range(1, blocks + 1):
        for k in (1, 2):
            layer(f"res{block}.conv{k}", f"res{block}.in{k}", 4 * width, 4 * width, 3)
    layer("deconv1", "in4", 4 * width, 2 * width, 3)
    layer("deconv2", "in5", 2 * width, width, 3)
    layer("deconv3", None, width, 3, 9)
    state["deconv3.conv2d.weight"] *= 4
    state["deconv3.conv2d.bias"] += 120
    return state


def plain(state: dict[str, Tensor], levels: Tensor) -> Tensor:
    """The forward pass of TransformerNet on levels 0…255, written from its description."""

    def conv(features: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.conv2d.weight"]
        side = weight.shape[-1] // 2
        return conv2d(pad(features, [side] * 4, "reflect"), weight, state[f"{name}.conv2d.bias"], stride)

    def norm(features: Tensor, name: str) -> Tensor:
        return instance_norm(features, weight=state[f"{name}.weight"], bias=state[f"{name}.bias"], eps=1e-5)

    features = levels
    for i, stride in ((1, 1), (2, 2), (3, 2)):
        features = norm(conv(features, f"conv{i}", stride), f"in{i}").relu()
    block = 1
    while f"res{block}.in1.weight" in state:
        inside = norm(conv(features, f"res{block}.conv1"), f"res{block}.in1").relu()
        features = features + norm(conv(inside, f"res{block}.conv2"), f"res{block}.in2")
        block += 1
    for i in (1, 2):
        features = norm(conv(interpolate(features, scale_factor=2), f"deconv{i}"), f"in{i + 3}").relu()
    return conv(features, "deconv3")


def save(state: dict[str, Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize(("width", "blocks"), [(4, 2), (2, 5), (3, 1)])
def test_a_style_network_paints_what_it_paints_there(tmp_path, width, blocks):
    state = weights(width, blocks)
    config, network = read_transformer_net(save(state, tmp_path / "candy.pth"))
    assert (config.base_channels, config.blocks) == (width, blocks)
    images = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        levels = (network.eval()(images) + 1) * 127.5
        expected = plain(state, (images + 1) * 127.5)
    assert ((expected > 0) & (expected < 255)).float().mean() > 0.2  # it is not all clamped
    assert torch.allclose(levels, expected.clamp(0, 255), atol=0.02)


def test_the_published_size_fits(tmp_path):
    _, network = read_transformer_net(save(weights(32, 5), tmp_path / "mosaic.pth"))
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_679_235


@pytest.mark.parametrize("prefix", ["", "module."])
def test_running_statistics_of_old_files_are_dropped_and_wrappers_removed(tmp_path, prefix):
    old = {prefix + key: tensor for key, tensor in weights(statistics=True).items()}
    new = read_transformer_net(save(weights(), tmp_path / "new.pth"))[1].state_dict()
    found = read_transformer_net(save(old, tmp_path / "old.pth"))[1].state_dict()
    assert found.keys() == new.keys()
    assert all(torch.equal(found[name], new[name]) for name in new)


def test_an_import_is_a_release_that_paints_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = weights()
    save(state, Path("candy.pth"))
    assert main(["import", "candy.pth", "--out", "candy.safetensors"]) == 0
    said = "candy.safetensors: photo → candy, a style network with 2 blocks of 4 channels\n"
    assert capsys.readouterr().out == said
    levels = np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)
    Image.fromarray(levels).save("photo.png")
    assert main(["translate", "candy.safetensors", "photo.png", "--out", "out"]) == 0
    with torch.no_grad():
        theirs = plain(state, torch.from_numpy(levels).permute(2, 0, 1)[None].float()).clamp(0, 255)
    expected = theirs[0].permute(1, 2, 0).numpy()
    assert np.abs(read_picture(Path("out/photo.png")).astype(float) - expected).max() < 0.6
    loaded = load("candy.safetensors", "cpu")
    assert (loaded.targets, loaded.source()) == (["candy"], "photo")
    assert isinstance(loaded.networks["G"], TransformNet)


def without(name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in weights().items() if key != name}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (without("res2.in1.bias"), r"lacks 'res2\.in1\.bias'"),
        (weights() | {"extra.weight": torch.ones(1)}, r"has 'extra\.weight'"),
        (weights() | {"conv2.conv2d.weight": torch.zeros(8, 5, 3, 3)}, "do not fit each other"),
        (weights() | {"in1.bias": torch.full([4], torch.nan)}, r"'in1\.bias' is no tensor of finite numbers"),
        (weights() | {"conv1.conv2d.weight": torch.zeros(4)}, "is no TransformerNet"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, state, said):
    file = save(state, tmp_path / "candy.pth")
    assert recognizes(file)
    with pytest.raises(UserError, match=said):
        read_transformer_net(file)


def test_names_that_cannot_be_told_apart_and_other_suffixes_are_refused(tmp_path):
    file = save(weights(), tmp_path / "photo.pth")
    with pytest.raises(UserError, match="name contents and style differently"):
        convert_style(file, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="is no name for a release"):
        convert_style(file, tmp_path / "a.bin", style="candy")
