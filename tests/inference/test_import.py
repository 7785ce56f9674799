"""import: generators of the authors' PyTorch code give here what they give there."""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from published import Published, PublishedUnet, drawn, published, relative, save
from torch import nn

from cyclegan import load
from cyclegan.cli import main
from cyclegan.export.import_junyanz import convert, read_generator
from cyclegan.images.rgb8 import read_picture
from cyclegan.training.checkpoint import read_release
from cyclegan.training.provenance import commit

DESCRIPTION = 0x010E  # the EXIF tag
NORMS = [nn.InstanceNorm2d, nn.BatchNorm2d, nn.Identity]


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1


@given(
    blocks=st.integers(1, 3),
    channels=st.integers(1, 6),
    dropout=st.booleans(),
    norm=st.sampled_from(NORMS),
    spread=st.booleans(),
    zipped=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_generator_gives_what_it_gives_there(
    tmp_path, images, blocks, channels, dropout, norm, spread, zipped, seed
):
    network = published(seed, channels=channels, blocks=blocks, norm=norm, dropout=dropout)
    prefix = "module." if spread else ""
    file = save(network, tmp_path / "a.pth", prefix, _use_new_zipfile_serialization=zipped)
    config, ours = read_generator(file)
    assert (config.blocks, config.base_channels) == (blocks, channels)
    with torch.no_grad():
        assert torch.allclose(ours.eval()(images), network(images), atol=1e-5, rtol=0)


@given(
    depth=st.integers(2, 5),
    channels=st.integers(1, 3),
    norm=st.sampled_from(NORMS),
    spread=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_unet_gives_what_it_gives_there(tmp_path, depth, channels, norm, spread, seed):
    torch.manual_seed(seed)
    network = drawn(PublishedUnet(channels, depth, norm))
    config, ours = read_generator(save(network, tmp_path / "a.pth", "module." if spread else ""))
    assert (config.name, config.downsamplings, config.base_channels) == ("unet", depth, channels)
    images = torch.rand(2, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(ours.eval()(images), network(images), atol=1e-5, rtol=0)


def test_counters_that_old_batch_norms_have_not_are_not_missed(tmp_path, images):
    network = published(norm=nn.BatchNorm2d)
    state = {key: tensor for key, tensor in network.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "old.pth")
    with torch.no_grad():
        assert torch.allclose(
            read_generator(tmp_path / "old.pth")[1].eval()(images), network(images), atol=1e-5, rtol=0
        )


@pytest.mark.slow
def test_the_published_unet_fits_and_translates(tmp_path):
    network = drawn(PublishedUnet(64, 8, nn.BatchNorm2d))
    convert(save(network, tmp_path / "label2facade.pth"), tmp_path / "a.safetensors")
    loaded = load(tmp_path / "a.safetensors", "cpu")
    assert sum(p.numel() for p in loaded.networks["G"].parameters()) == 54_413_955
    images = torch.rand(1, 3, 256, 256) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(loaded(images), network(images), atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [6, 9])
def test_the_published_sizes_fit(tmp_path, blocks):
    network = published(channels=64, blocks=blocks)
    _, ours = read_generator(save(network, tmp_path / "a.pth"))
    assert sum(p.numel() for p in ours.parameters()) == {6: 7_837_699, 9: 11_378_179}[blocks]
    images = torch.rand(1, 3, 256, 256) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(ours.eval()(images), network(images), atol=1e-5, rtol=0)


def test_running_statistics_of_old_files_are_dropped_as_that_code_did_not_look_at_them(tmp_path, images):
    network = published()
    state = network.state_dict()
    for name, layer in network.named_modules():
        if isinstance(layer, nn.InstanceNorm2d):
            state[f"{name}.running_mean"] = torch.full([layer.num_features], 3.0)
            state[f"{name}.running_var"] = torch.full([layer.num_features], 0.1)
            state[f"{name}.num_batches_tracked"] = torch.tensor(7)
    torch.save(state, tmp_path / "old.pth")
    with torch.no_grad():
        assert torch.allclose(
            read_generator(tmp_path / "old.pth")[1].eval()(images), network(images), atol=1e-5, rtol=0
        )


def test_half_precision_is_read_as_it_is(tmp_path, images):
    network = published().half()
    _, ours = read_generator(save(network, tmp_path / "a.pth"))
    with torch.no_grad():
        assert torch.allclose(ours.eval()(images), network.float()(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize("out", ["zebra.safetensors", "zebra"])
def test_an_import_is_a_release_that_translates_like_theirs(tmp_path, monkeypatch, capsys, out):
    monkeypatch.chdir(tmp_path)
    network = published()
    file = save(network, Path("latest_net_G_A.pth"))
    assert main(["import", str(file), "--x", "horse", "--y", "zebra", "--out", out]) == 0
    assert capsys.readouterr().out == f"{out}: horse → zebra, a ResNet with 2 blocks of 4 channels at full size\n"
    levels = np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)
    Image.fromarray(levels).save("horse.png")
    assert main(["translate", out, "horse.png", "--out", "out"]) == 0
    assert "1 of 1 pictures translated to zebra" in capsys.readouterr().out
    with torch.no_grad():
        theirs = network(torch.from_numpy(levels).permute(2, 0, 1)[None] / 127.5 - 1)
    expected = (theirs[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(read_picture(Path("out/horse.png")) - expected).max() <= 0.5 + 1e-3
    with Image.open("out/horse.png") as picture:
        assert "weights of latest_net_G_A.pth, sha256 " in picture.getexif()[DESCRIPTION]


def test_an_import_says_where_it_comes_from(tmp_path):
    file = save(published(), tmp_path / "horse2zebra.pth")
    convert(file, tmp_path / "a.safetensors")
    about = read_release(tmp_path / "a.safetensors")[1]
    assert {target: each["from"] for target, each in about["targets"].items()} == {"zebra": "horse"}
    assert (about["networks"], about["commit"]) == (["G"], commit())
    assert about["imported"]["file"] == "horse2zebra.pth"
    assert len(about["imported"]["sha256"]) == 64
    loaded = load(tmp_path / "a.safetensors", "cpu")
    assert (loaded.to, list(loaded.translators), list(loaded.networks)) == ("zebra", ["zebra"], ["G"])
    convert(file, tmp_path / "hub", x="zebra", y="horse")
    card = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    assert "converted from `horse2zebra.pth`" in card
    assert "License of the training pictures" not in card  # they may be any pictures of horses
    assert load(tmp_path / "hub", "cpu").to == "horse"


RELATIVES = [
    {"block": "conv_block", "blurs_down": True, "up": "filter"},
    {"block": "conv_block", "blurs_down": True, "up": "transposed"},
    {"block": "conv_block", "blurs_down": False, "up": "filter"},
    {"block": "block", "blurs_down": False, "up": "repeat"},
]


@pytest.mark.parametrize("structure", RELATIVES, ids=["CUT", "CUT, no blur up", "CUT, no blur down", "PyTorch-GAN"])
def test_relatives_give_what_they_give_there_up_to_the_borders(tmp_path, images, structure):
    network = relative(**structure)
    torch.save(network.state, tmp_path / "a.pth")
    _, ours = read_generator(tmp_path / "a.pth")
    with torch.no_grad():
        assert torch.allclose(ours.eval()(images), network(images), atol=3e-5, rtol=0)


@pytest.mark.parametrize(
    "build", [lambda: Published(io=1), lambda: PublishedUnet(depth=3, io=1)], ids=["ResNet", "U-Net"]
)
def test_a_generator_of_one_channel_translates_gray_pictures(tmp_path, monkeypatch, capsys, build):
    monkeypatch.chdir(tmp_path)
    network = drawn(build())
    assert main(["import", str(save(network, Path("ct2mr.pth"))), "--out", "mr.safetensors"]) == 0
    assert "from images of 1 to images of 1 channels" in capsys.readouterr().out
    levels = np.random.default_rng(0).integers(0, 256, (40, 24), dtype=np.uint8)
    Image.fromarray(levels).save("ct.png")
    assert main(["translate", "mr.safetensors", "ct.png", "--out", "out"]) == 0
    with torch.no_grad():
        expected = (network(torch.from_numpy(levels)[None, None] / 127.5 - 1)[0, 0].numpy() + 1) * 127.5
    with Image.open("out/ct.png") as picture:
        assert picture.mode == "L"
        assert np.abs(np.asarray(picture, float) - expected).max() <= 0.5 + 1e-3


def test_a_generator_may_take_other_channels_than_it_gives(tmp_path):
    state = published().state_dict()
    state["model.1.weight"] = state["model.1.weight"][:, :1].clone()
    torch.save(state, tmp_path / "gray2color.pth")
    convert(tmp_path / "gray2color.pth", tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors", "cpu")(torch.zeros(1, 1, 20, 30)).shape == (1, 3, 20, 30)


WRAPPED = [
    ("module.", []),
    ("_orig_mod.", []),
    ("module._orig_mod.", []),
    ("_orig_mod.module.", []),
    ("netG.", []),
    ("", ["model"]),
    ("netG_A._orig_mod.", ["state_dict"]),
    ("", ["module", "G"]),
]


@pytest.mark.parametrize(("prefix", "outer"), WRAPPED, ids=str)
@pytest.mark.parametrize("build", [published, lambda: drawn(PublishedUnet(depth=3))], ids=["ResNet", "U-Net"])
def test_the_only_generator_of_a_file_is_found_however_it_is_wrapped(tmp_path, build, prefix, outer):
    network, other = build(), nn.Sequential(nn.Conv2d(3, 4, 4))
    content = {prefix + name: tensor for name, tensor in network.state_dict().items()}
    if outer or prefix == "netG.":
        content |= {f"netD.{name}": tensor for name, tensor in other.state_dict().items()} if prefix else {}
    for name in reversed(outer):
        content = {name: content, "epoch": 3, "optimizers": [{"state": {0: torch.zeros(2)}}]}
    torch.save(content, tmp_path / "a.pth")
    images = torch.rand(1, 3, 16, 24) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(read_generator(tmp_path / "a.pth")[1].eval()(images), network(images), atol=1e-5, rtol=0)


def test_of_several_generators_one_is_chosen_by_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    networks = {"netG_A": published(0), "netG_B": published(1, blocks=3)}
    state = {f"{name}.{key}": t for name, net in networks.items() for key, t in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, "a2b.pth")
    for arguments, said in (
        ([], "holds 2 generators; choose one with --key: state_dict.netG_A, state_dict.netG_B"),
        (["--key", "netG"], "has no generator 'netG'; choose one with --key: state_dict.netG_A, state_dict.netG_B"),
    ):
        assert main(["import", "a2b.pth", "--out", "a", *arguments]) == 2
        assert capsys.readouterr().err == f"error: a2b.pth: {said}\n"
    for key, blocks in (("netG_B", 3), ("state_dict.netG_A", 2), ("module.netG_A", 2)):
        assert main(["import", "a2b.pth", "--key", key, "--out", f"{key}.safetensors"]) == 0
        assert f"a ResNet with {blocks} blocks" in capsys.readouterr().out


def endless() -> dict[str, object]:
    content: dict[str, object] = {"a": torch.zeros(1)}
    content |= {"b": content, "c": content}
    content["d"] = content
    return content


def blurred() -> dict[str, torch.Tensor]:
    return relative(**RELATIVES[0]).state


def changed(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Saves the published weights after this change to them."""

    def make(path: Path) -> None:
        state = published().state_dict()
        change(state)
        torch.save(state, path)

    return make


def holding(name: str, tensor: torch.Tensor) -> Callable[[Path], None]:
    """Saves the published weights with this tensor under this name."""
    return changed(lambda state: state.update({name: tensor}))


ODD = {
    "empty": (lambda path: path.write_bytes(b""), "not a file of weights"),
    "text": (lambda path: path.write_text("weights"), "not a file of weights"),
    "a folder": (lambda path: path.mkdir(), "does not exist"),
    "absent": (lambda path: None, "does not exist"),
    "cut short": (lambda path: path.write_bytes(save(published(), path).read_bytes()[:-500]), "not a file of weights"),
    "the whole model": (lambda path: torch.save(published(), path), "not loaded); save net.state_dict() and give that"),
    "TorchScript": (
        lambda path: torch.jit.save(torch.jit.script(nn.ReLU()), path),
        "not loaded); save net.state_dict() and give that",
    ),
    "a pickle that would run": (lambda path: path.write_bytes(pickle.dumps(Runs())), "not a file of weights"),
    "a list": (lambda path: torch.save([torch.zeros(1)], path), "something else than named tensors"),
    "no generator inside": (lambda path: torch.save({"net": {"a": torch.zeros(1)}}, path), "is no generator of"),
    "a dictionary of itself": (lambda path: torch.save(endless(), path), "is no generator of"),
    "no tensors": (lambda path: torch.save({"net": {"a": [1]}}, path), "something else than named tensors"),
    "wrapped and not": (holding("module.model.1.weight", torch.zeros(4, 3, 7, 7)), "holds 'model.1.weight' twice"),
    "another filter": (
        lambda path: torch.save(blurred() | {"model.7.filt": torch.ones(8, 1, 3, 3) / 9}, path),
        "has another filter in model.7.filt than [1 2 1] of CUT",
    ),
    "gray of PyTorch-GAN": (
        lambda path: torch.save(relative(block="block", blurs_down=False, up="repeat", io=1).state, path),
        "takes images of 1 channels, for which PyTorch-GAN pads",
    ),
    "too wide": (holding("model.1.weight", torch.zeros(1025, 3, 1, 1)), "base_channels: must be at most 1024"),
    "nothing": (lambda path: torch.save({}, path), "is no generator of"),
    "numbers for names": (lambda path: torch.save({0: torch.zeros(1)}, path), "something else than named tensors"),
    "a discriminator": (lambda path: save(nn.Sequential(nn.Conv2d(3, 4, 4)), path), "is no generator of"),
    "a U-Net of one layer": (
        lambda path: torch.save({"model.model.0.weight": torch.zeros(4, 3, 4, 4)}, path),
        "is no generator of",
    ),
    "a U-Net without its middle": (
        lambda path: torch.save(
            {key: value for key, value in PublishedUnet(depth=3).state_dict().items() if ".3.model.3." not in key}, path
        ),
        "lacks model.model.1.model.3.model.3.weight",
    ),
    "no last layer": (changed(lambda state: state.pop("model.19.weight")), "lacks model.19.weight"),
    "a bias missing": (changed(lambda state: state.pop("model.4.bias")), "lacks model.4.bias"),
    "the first bias missing": (changed(lambda state: state.pop("model.1.bias")), "lacks model.1.bias;"),
    "a name of two lines": (holding("a\nb", torch.zeros(1)), r"has 'a\nb', which is no part"),
    "a block missing": (
        changed(lambda state: [state.pop(k) for k in list(state) if k.startswith("model.10.")]),
        "is no generator of",
    ),
    "one too many": (holding("model.5.filt", torch.zeros(1)), "has 'model.5.filt', which is no part"),
    "a layer of another size": (
        holding("model.4.weight", torch.zeros(4, 1, 7, 7)),
        "its layers do not fit each other (size mismatch for layers.4.0.weight",
    ),
    "a number for the first": (holding("model.1.weight", torch.tensor(1.0)), "is no generator of"),
    "no channels": (holding("model.1.weight", torch.zeros(0, 3, 7, 7)), "is no generator of"),
    "NaN": (
        changed(lambda state: state["model.4.weight"].fill_(torch.nan)),
        "'model.4.weight' is no tensor of finite numbers",
    ),
    "integers": (
        holding("model.4.bias", torch.zeros(8, dtype=torch.int64)),
        "'model.4.bias' is no tensor of finite numbers",
    ),
    "sparse": (holding("model.4.bias", torch.zeros(8).to_sparse()), "not a file of weights"),
}


class Runs:
    """What a hostile file is made of."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("it-ran"),)


@pytest.mark.filterwarnings("ignore:Validating sparse tensor", "ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_gives_one_line_and_leaves_nothing(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make, said = ODD[kind]
    make(Path("a2b.pth"))
    assert main(["import", "a2b.pth", "--out", "out/a.safetensors"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: a2b.pth: ")
    assert said in line
    assert not list(tmp_path.glob("out/*"))
    assert not Path("it-ran").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["latest_net_G.pth"], "name what goes in and what comes out: --x horse --y zebra"),
        (["latest_net_G.pth", "--x", "horse"], "name what goes in"),
        (["horse2zebra.pth", "--y", "zebra"], "name what goes in"),
        (["a.pth", "--x", "horse", "--y", "horse"], "name what goes in"),
        (["horse2zebra.pth", "--out", "a.onnx"], "is no name for a release"),
        (["horse2zebra.pth", "--out", "there.safetensors"], "weights are not written over"),
    ],
)
def test_what_cannot_be_meant_gives_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    save(published(), Path("horse2zebra.pth"))
    Path("there.safetensors").write_bytes(b"mine")
    assert main(["import", "--out", "new.safetensors", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert Path("there.safetensors").read_bytes() == b"mine"


def test_a_dictionary_in_order_is_read_too(tmp_path):
    torch.save(OrderedDict(published().state_dict()), tmp_path / "a.pth")
    assert read_generator(tmp_path / "a.pth")[0].blocks == 2
