"""Strict YAML: what a file and its overrides give."""

import dataclasses
import re
from pathlib import Path

import pytest
from every_kind import FILE, Adam, Crop, Settings, Sgd

from cyclegan.config import MAX_BYTES, load, parse
from cyclegan.errors import ConfigError

# What is accepted


def test_a_file_gives_what_it_says_and_the_defaults_for_the_rest():
    text = """
        seed: 1_0_00_
        share: 2e-4
        title: no
        root: runs/a
        mode: 3
        load_size: null
        layers: []
        weights: {a: 1, b: 1e3, on: .5}
        crops: [{pad: 1}, {}]
        optimizer: {name: momentum, lr: 1, nesterov: true}
    """
    assert parse(text, Settings, FILE) == Settings(
        seed=1000,
        share=0.0002,
        title="no",
        root=Path("runs/a"),
        mode=3,
        load_size=None,
        layers=(),
        weights={"a": 1.0, "b": 1000.0, "on": 0.5},
        crops=(Crop(pad=1), Crop()),
        optimizer=Sgd(name="momentum", lr=1.0, nesterov=True),
    )


def test_a_whole_number_for_a_float_becomes_a_float():
    assert type(parse("{seed: 1, share: 1}", Settings, FILE).share) is float


def test_a_partly_given_dataclass_takes_the_rest_from_the_default_it_replaces():
    assert parse("{seed: 1, crop: {pad: 3}}", Settings, FILE).crop == Crop(size=128, pad=3)
    assert parse("{seed: 1, second_crop: {pad: 3}}", Settings, FILE).second_crop == Crop(size=256, pad=3)
    assert parse("{seed: 1, optimizer: {lr: 3}}", Settings, FILE).optimizer == Adam(lr=3.0)


def test_a_default_of_another_member_of_the_union_is_forgotten():
    assert parse("{seed: 1, optimizer: {name: sgd, lr: 3}}", Settings, FILE).optimizer == Sgd(lr=3.0)


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("seed=2", {"seed": 2}),
        ("share=1e-3", {"share": 0.001}),
        ("title=a=b", {"title": "a=b"}),
        ("load_size=null", {"load_size": None}),
        ("layers.0=5", {"layers": (5, 128)}),
        ("layers=[1, 2, 3]", {"layers": (1, 2, 3)}),
        ("crop.size=5", {"crop": Crop(size=5)}),
        ("second_crop.size=5", {"second_crop": Crop(size=5)}),
        ("crops.0.size=5", {"crops": (Crop(size=5),)}),
        ("weights.lpips=2", {"weights": {"fid": 1.0, "lpips": 2.0}}),
        ("fixed.betas=[0.1, 0.2]", {"fixed": Adam(betas=(0.1, 0.2))}),
        ("optimizer.lr=1", {"optimizer": Sgd(name="momentum", lr=1.0)}),
        ("optimizer.name=adam", {"optimizer": Adam(lr=0.1)}),
        ("optimizer={name: adam}", {"optimizer": Adam()}),
    ],
)
def test_an_override_changes_what_it_names(override, changed):
    text = "{seed: 1, layers: [64, 128], crops: [{}], weights: {fid: 1}, optimizer: {name: momentum, lr: 0.1}}"
    before = parse(text, Settings, FILE)
    assert parse(text, Settings, FILE, [override]) == dataclasses.replace(before, **changed)


def test_an_override_switches_a_union_that_the_file_leaves_to_its_default():
    settings_ = parse("seed: 1", Settings, FILE, ["optimizer.name=sgd", "optimizer.lr=1", "optimizer.lr=2"])
    assert settings_.optimizer == Sgd(lr=2.0)


# Files


def test_load_reads_a_file_and_names_it(tmp_path):
    path = tmp_path / "horse2zebra.yaml"
    path.write_bytes("\ufeffseed: 1\r\ntitle: größer 馬\r\n".encode())
    assert load(path, Settings, ["seed=2"]) == Settings(seed=2, title="größer 馬")
    path.write_text("seed: one\n")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}:1:7: seed: expected a whole number, got 'one'$"):
        load(path, Settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "1:1: is empty"),
        (b"seed: 1\ntitle: \xff\xfe", "2:8: '\\udcff' is no character of a text file saved as UTF-8"),
        ("seed: 1\n".encode("utf-16"), "1:1: '\\udcff' is no character of a text file saved as UTF-8"),
        (bytes(range(256)), "1:1: '\\x00' is no character of a text file saved as UTF-8"),
        ("ü".encode() * MAX_BYTES, "1:1: larger than 200,000 bytes; this is no settings file"),
        (b"\xff" * (MAX_BYTES + 1), "1:1: larger than 200,000 bytes; this is no settings file"),
    ],
)
def test_a_file_that_is_no_text_is_one_line(tmp_path, content, message):
    path = tmp_path / "exp.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path, Settings)
    assert str(caught.value) == f"{path}:{message}"


def test_a_missing_file_is_answered_with_those_of_a_similar_name(tmp_path):
    for name in ("horse2zebra.yaml", "monet.yaml"):
        (tmp_path / name).write_text("seed: 1")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "horse2zebr.yaml", Settings)
    there = tmp_path / "horse2zebra.yaml"
    assert str(caught.value) == f"{tmp_path}/horse2zebr.yaml: No such file or directory; did you mean {there}?"


def test_a_missing_file_like_no_other_and_a_folder_are_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"no/such: No such file or directory; give the path of a YAML file$"):
        load(tmp_path / "no" / "such", Settings)
    with pytest.raises(ConfigError, match=r": Is a directory; give the path of a YAML file$"):
        load(tmp_path, Settings)


# Keys that have been renamed


@dataclasses.dataclass(frozen=True)
class Renamed:
    """Settings under their present names."""

    stem: str = "conv7"
    residual_output: bool = False


def test_an_older_key_is_read_and_its_present_name_is_told_in_a_line(capsys):
    assert parse("ends: shuffle", Renamed, FILE) == Renamed(stem="shuffle")
    assert "ends is now called stem" in capsys.readouterr().err


@pytest.mark.parametrize(("older", "present"), [("identity", True), ("noise", False), ("true", True)])
def test_older_values_of_a_renamed_key_are_read(older, present):
    assert parse(f"start: {older}", Renamed, FILE) == Renamed(residual_output=present)


def test_an_unknown_value_of_a_renamed_key_is_refused():
    with pytest.raises(ConfigError, match="residual_output"):
        parse("start: sideways", Renamed, FILE)


def test_an_older_key_beside_its_present_name_is_refused():
    with pytest.raises(ConfigError, match="stem: given twice"):
        parse("ends: shuffle\nstem: conv7", Renamed, FILE)
