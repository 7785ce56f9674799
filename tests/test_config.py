"""Strict YAML: every kind of mistake is one line that says where and what; what is accepted survives a round trip."""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Union

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cyclegan.config import MAX_BYTES, MAX_DEPTH, difference, dump, load, parse
from cyclegan.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Adam:
    name: Literal["adam"] = "adam"
    lr: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)

    def __post_init__(self):
        if self.lr <= 0:
            raise ValueError("lr: must be positive")
        if self.betas[0] > self.betas[1]:
            raise ValueError("the first beta is the smaller one")


@dataclass(frozen=True, kw_only=True)
class Sgd:
    name: Literal["sgd", "momentum"] = "sgd"
    lr: float
    nesterov: bool = False


@dataclass(frozen=True, kw_only=True)
class Crop:
    size: int = 256
    pad: int = 0

    def __post_init__(self):
        if self.pad > self.size:
            raise ValueError(f"pad: {self.pad} is more than size {self.size}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    seed: int
    flip: bool = True
    share: float = 0.5
    title: str = "untitled"
    root: Path = Path("data")
    mode: Literal["fast", "exact", 3] = "fast"
    load_size: int | None = 286
    layers: tuple[int, ...] = (64, 128)
    weights: dict[str, float] = field(default_factory=dict)
    crop: Crop = Crop(size=128)
    second_crop: Crop | None = None
    crops: tuple[Crop, ...] = ()
    optimizer: Adam | Sgd = Adam()
    fixed: Union[Adam] = Adam()  # noqa: UP007  (a union of one, before its second member is written)


KEYS = ", ".join(item.name for item in dataclasses.fields(Settings))
FILE = "exp.yaml"


def mistake(text, overrides=()):
    with pytest.raises(ConfigError) as caught:
        parse(text, Settings, FILE, overrides)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    return message


UNSUPPORTED = "aliases, anchors and tags (* & !) are not supported; quote it if it is text"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # keys
        ("seed: 1\nflop: true", "2:1: flop: unknown key; did you mean 'flip'?"),
        ("seed: 1\nqqq: true", f"2:1: qqq: unknown key; the keys are {KEYS}"),
        ("seed: 1\ncrop:\n  sise: 5", "3:3: crop.sise: unknown key; did you mean 'size'?"),
        ("seed: 1\ncrop: {size: 5, Pad: 0}", "2:17: crop.Pad: unknown key; did you mean 'pad'?"),
        ("flip: true", "1:1: seed: missing"),
        ("seed: 1\noptimizer:\n  name: sgd", "3:3: optimizer.lr: missing"),
        ("seed: 1\nflip: true\nseed: 2", "3:1: seed: given twice (first at line 1)"),
        ("seed: 1\nweights:\n  a: 1\n  a: 1", "4:3: weights.a: given twice (first at line 3)"),
        ("seed: 1\n5: 2", "2:1: a key must be text, got 5"),
        ("seed: 1\nweights: {true: 2}", "2:11: weights: a key must be text, got true"),
        ("seed: 1\n~: 2", "2:1: a key must be text, got ~"),
        ("seed: 1\n[a, b]: 2", "2:1: a key must be text, got a list of 2"),
        ("seed: 1\ncrop:\n  ? [a, b]\n  : *c", f"4:5: crop: {UNSUPPORTED}"),
        ("seed: 1\n? {a: b}\n: 2", "2:3: a key must be text, got a mapping of 1"),
        # scalars
        ("seed: one", "1:7: seed: expected a whole number, got 'one'"),
        ("seed: true", "1:7: seed: expected a whole number, got true"),
        ("seed: 1.0", "1:7: seed: expected a whole number, got 1.0"),
        ("seed: 1e3", "1:7: seed: expected a whole number, got 1e3"),
        ("seed: '1'", "1:7: seed: expected a whole number, got '1'"),
        ("seed: 08", "1:7: seed: expected a whole number, got '08'"),
        ("seed: 0x1F", "1:7: seed: expected a whole number, got '0x1F'"),
        ("seed: 1:30", "1:7: seed: expected a whole number, got '1:30'"),
        ("seed:", "1:6: seed: expected a whole number, got null"),
        ("seed: [1]", "1:7: seed: expected a whole number, got a list of 1"),
        ("seed: {a: 1}", "1:7: seed: expected a whole number, got a mapping of 1"),
        ("seed: 9223372036854775808", "1:7: seed: 9223372036854775808 is too large"),
        ("seed: -9223372036854775809", "1:7: seed: -9223372036854775809 is too large"),
        ("seed: " + "9" * 5000, f"1:7: seed: {'9' * 60}… is too large"),
        ("seed: 1\nflip: no", "2:7: flip: expected true or false, got 'no'"),
        ("seed: 1\nflip: True", "2:7: flip: expected true or false, got 'True'"),
        ("seed: 1\nflip: 1", "2:7: flip: expected true or false, got 1"),
        ("seed: 1\nshare: half", "2:8: share: expected a number, got 'half'"),
        ("seed: 1\nshare: false", "2:8: share: expected a number, got false"),
        ("seed: 1\nshare: .nan", "2:8: share: expected a number, got '.nan'"),
        ("seed: 1\nshare: -.inf", "2:8: share: expected a number, got '-.inf'"),
        ("seed: 1\nshare: nan", "2:8: share: expected a number, got 'nan'"),
        ("seed: 1\nshare: -1e400", "2:8: share: -1e400 is too large"),
        ("seed: 1\nshare: 1" + "0" * 400, f"2:8: share: 1{'0' * 59}… is too large"),
        ("seed: 1\ntitle: 2", "2:8: title: expected text, got 2; put it in quotes"),
        ("seed: 1\ntitle: 2e-4", "2:8: title: expected text, got 2e-4; put it in quotes"),
        ("seed: 1\ntitle: ~", "2:8: title: expected text, got ~"),
        ("seed: 1\nroot: 2024", "2:7: root: expected a path, got 2024; put it in quotes"),
        ("seed: 1\nroot: [a, b]", "2:7: root: expected a path, got a list of 2"),
        ('seed: 1\ntitle: "\\ud800"', "2:8: title: contains a character that no file can hold"),
        ('seed: 1\nroot: "a\\0b"', "2:7: root: contains a character that no file can hold"),
        ("seed: 1\nload_size: Null", "2:12: load_size: expected a whole number, got 'Null'"),
        ("seed: 1\nload_size: big", "2:12: load_size: expected a whole number, got 'big'"),
        ("seed: 1\nmode: slow", "2:7: mode: 'slow' is not one of fast, exact, 3"),
        ("seed: 1\nmode: '3'", "2:7: mode: '3' is not one of fast, exact, 3"),
        ("seed: 1\nmode: 3.0", "2:7: mode: 3.0 is not one of fast, exact, 3"),
        ("seed: 1\nmode: [fast]", "2:7: mode: a list of 1 is not one of fast, exact, 3"),
        # collections
        ("seed: 1\nlayers: 64", "2:9: layers: expected a list [a, b], got 64"),
        ("seed: 1\nlayers: {a: 1}", "2:9: layers: expected a list [a, b], got a mapping of 1"),
        ("seed: 1\nlayers: [64, 1.5]", "2:14: layers.1: expected a whole number, got 1.5"),
        ("seed: 1\noptimizer: {name: adam, betas: [1]}", "2:32: optimizer.betas: expected 2 values, got 1"),
        ("seed: 1\nweights: [1]", "2:10: weights: expected a mapping (key: value), got a list of 1"),
        ("seed: 1\nweights:\n  lpips: heavy", "3:10: weights.lpips: expected a number, got 'heavy'"),
        ("seed: 1\ncrop: 5", "2:7: crop: expected a mapping (key: value), got 5"),
        ("seed: 1\ncrop:", "2:6: crop: expected a mapping (key: value), got null"),
        ("seed: 1\ncrops:\n- size: 2\n- size: x", "4:9: crops.1.size: expected a whole number, got 'x'"),
        # unions
        ("seed: 1\noptimizer:\n  lr: 1\n  name: adm", "4:9: optimizer.name: 'adm' is not one of adam, sgd, momentum"),
        ("seed: 1\noptimizer: {name: [adam]}", "2:19: optimizer.name: a list of 1 is not one of adam, sgd, momentum"),
        ("seed: 1\noptimizer: adam", "2:12: optimizer: expected a mapping (key: value), got 'adam'"),
        (
            "seed: 1\noptimizer: {name: sgd, beta: 1}",
            "2:24: optimizer.beta: unknown key; the keys are name, lr, nesterov",
        ),
        ("seed: 1\nfixed: {name: sgd}", "2:15: fixed.name: 'sgd' is not one of adam"),
        # what a dataclass itself refuses
        ("seed: 1\nfixed:\n  betas: [0.5, 0.6]\n  lr: -1", "4:7: fixed.lr: must be positive"),
        ("seed: 1\nfixed:\n  betas: [0.9, 0.5]", "3:3: fixed: the first beta is the smaller one"),
        ("seed: 1\ncrop:\n  size: 5\n  pad: 6", "4:8: crop.pad: 6 is more than size 5"),
        # what we leave out of YAML
        ("seed: &a 1\nload_size: *a", f"1:7: seed: {UNSUPPORTED}"),
        ("seed: 1\ntitle: *.jpg", "2:9: title: not YAML: expected alphabetic or numeric character, but found '.'"),
        ("seed: !!int 1", f"1:7: seed: {UNSUPPORTED}"),
        ("seed: 1\ncrop: !crop {}", f"2:7: crop: {UNSUPPORTED}"),
        ("seed: 1\nlayers: [1, !!python/object/apply:os.system [ls]]", f"2:13: layers.1: {UNSUPPORTED}"),
        ("seed: 1\ncrop:\n  <<: {size: 1}", "3:3: crop: the merge key << is not supported; write its keys out"),
        ("seed: " + "[" * 10_000, f"1:27: seed{'.0' * 20}: nested deeper than {MAX_DEPTH} levels"),
        ("seed: 1\n" + "- " * 10_000, "2:1: not YAML: expected <block end>, but found '-'"),
        # what is no YAML, or no settings
        ("", "1:1: is empty"),
        ("# seed: 1\n", "1:1: is empty"),
        ("- seed: 1", "1:1: expected a mapping (key: value), got a list of 1"),
        ("seed", "1:1: expected a mapping (key: value), got 'seed'"),
        ("seed: 1\ncrop:\n\tsize: 5", "3:1: crop: not YAML: found character '\\t' that cannot start any token"),
        ("seed: 1\ntitle: a: b", "2:9: not YAML: mapping values are not allowed here"),
        ("seed: 1\nlayers: [1, 2", "2:14: layers: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("seed: 1\ntitle: 'a", "2:10: title: not YAML: found unexpected end of stream"),
        ("seed: 1\n---\nseed: 2", "2:1: not YAML: but found another document"),
        ('seed: 1\ntitle: "\\UFFFFFFFF"', "2:11: title: not YAML: the number is too large"),
        (f"%YAML {'9' * 5000}.1\n---\nseed: 1", "1:7: not YAML: the number is too large"),
        ("seed: 1\ntitle: a\0b", "2:9: '\\x00' is no character of a text file saved as UTF-8"),
        ("seed: 1\ntitle: \ud800", "2:8: '\\ud800' is no character of a text file saved as UTF-8"),
        ("#" * (MAX_BYTES + 1), "1:1: larger than 200,000 bytes; this is no settings file"),
        ('seed: 1\n"a\\nb\\e": 1', f"2:1: a\\nb\\x1b: unknown key; the keys are {KEYS}"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_path(text, message):
    assert mistake(text) == f"{FILE}:{message}"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sead=1", "sead: unknown key; did you mean 'seed'?"),
        ("crop.sise=1", "crop.sise: unknown key; did you mean 'size'?"),
        ("crop.size=big", "crop.size: expected a whole number, got 'big'"),
        ("second_crop.size=x", "second_crop.size: expected a whole number, got 'x'"),
        ("crop=5", "crop: expected a mapping (key: value), got 5"),
        ("seed.a=5", "seed.a: there is no a in 1"),
        ("title.a.b=5", "title.a.b: there is no a in 'horse'"),
        ("layers.2=5", "layers.2: there is no 2 in a list of 2, counted from 0"),
        ("layers.first=5", "layers.first: there is no first in a list of 2, counted from 0"),
        ("layers.1=x", "layers.1: expected a whole number, got 'x'"),
        ("load_size=", "load_size: no value; if none is meant, --set load_size=null"),
        ("load_size= ", "load_size: no value; if none is meant, --set load_size=null"),
        ("load_size=# no", "load_size: is empty"),
        ("seed", "expected key=value, as in --set training.steps=100"),
        ("=5", "expected key=value, as in --set training.steps=100"),
        ("crop..size=5", "expected key=value, as in --set training.steps=100"),
        ("layers=[1, 2", "layers: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("layers=*a", f"layers: {UNSUPPORTED}"),
        ("crop={size: 1, size: 2}", "crop.size: given twice (first at line 1)"),
        ("optimizer.name=adm", "optimizer.name: 'adm' is not one of adam, sgd, momentum"),
        ("optimizer.name=sgd", "optimizer.lr: missing"),
        ("fixed.lr=-1", "fixed.lr: must be positive"),
    ],
)
def test_a_mistake_in_an_override_names_the_override(override, message):
    text = "seed: 1\ntitle: horse\nlayers: [1, 2]"
    assert mistake(text, [override]) == f"--set {override}: {message}"


def test_an_override_with_a_long_or_deep_key_is_one_short_line():
    assert mistake("seed: 1", [".".join("a" * 2000) + "=1"]).endswith("as in --set training.steps=100")
    assert len(mistake("seed: 1", ["a" * 100_000 + "=\n1"])) < 1000


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


# Dump and difference

BIG = 2**63 - 1
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
looks_like_something_else = st.sampled_from(
    [
        "no",
        "null",
        "~",
        "",
        "1",
        "1_000",
        "08",
        "2e-4",
        ".nan",
        "true",
        "<<",
        "=",
        "1:30",
        "2001-01-01",
        "*a",
        "&a",
        "!a",
    ]
)
crops = st.builds(Crop, size=st.integers(0, BIG), pad=st.just(0))
adams = st.builds(Adam, lr=st.floats(1e-300, 1e300), betas=st.tuples(st.floats(0, 0.5), st.floats(0.5, 1)))
configs = st.builds(
    Settings,
    seed=st.integers(-BIG - 1, BIG),
    flip=st.booleans(),
    share=numbers,
    title=texts | looks_like_something_else,
    root=st.builds(Path, texts),
    mode=st.sampled_from(["fast", "exact", 3]),
    load_size=st.none() | st.integers(0, BIG),
    layers=st.lists(st.integers(-BIG, BIG)).map(tuple),
    weights=st.dictionaries(texts | looks_like_something_else, numbers),
    crop=crops,
    second_crop=st.none() | crops,
    crops=st.lists(crops, max_size=3).map(tuple),
    optimizer=adams | st.builds(Sgd, name=st.sampled_from(["sgd", "momentum"]), lr=numbers, nesterov=st.booleans()),
    fixed=adams,
)


@settings(deadline=None, max_examples=60)
@given(configs)
@example(Settings(seed=1, title="\n", weights={"\x85": 0.0}))  # which PyYAML itself writes so that it reads a space
def test_a_dump_is_read_back_as_it_was(config):
    assert parse(dump(config), Settings, FILE) == config


@settings(deadline=None, max_examples=60)
@given(numbers)
@example(1e16)
@example(5e-324)
@example(1.7976931348623157e308)
@example(-0.0)
def test_floats_are_read_back_to_the_last_bit(number):
    share = parse(dump(Settings(seed=1, share=number)), Settings, FILE).share
    assert share.hex() == number.hex()


def test_a_dump_spells_every_field_out_in_the_order_of_the_dataclass():
    lines = dump(Settings(seed=1)).splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith((" ", "-"))] == KEYS.split(", ")
    assert dump(Settings(seed=1, layers=(1, 2), crops=(Crop(),))) == dump(
        parse("{seed: 1, layers: [1, 2], crops: [{}]}", Settings, FILE)
    )


def test_a_dump_leaves_letters_and_long_lines_readable():
    title = "größer 馬 " * 50 + "."
    assert f"title: {title}\n" in dump(Settings(seed=1, title=title))


def test_a_dump_has_no_aliases_for_what_two_fields_share():
    layers, adam = (1, 2), Adam()
    assert "&" not in dump(Settings(seed=1, layers=layers, crops=(Crop(), Crop()), optimizer=adam, fixed=adam))


def test_difference_lists_what_changed_what_came_and_what_went():
    old = Settings(seed=1, layers=(1, 2), weights={"a": 1.0}, optimizer=Adam())
    new = Settings(seed=2, layers=(1, 3), weights={}, load_size=None, optimizer=Sgd(lr=2e-4))
    assert difference(dump(old), dump(new)) == [
        "seed: 1 → 2",
        "load_size: 286 → null",
        "layers.1: 2 → 3",
        "weights.a: 1.0 → absent",
        "optimizer.name: 'adam' → 'sgd'",
        "optimizer.betas.0: 0.5 → absent",
        "optimizer.betas.1: 0.999 → absent",
        "weights: absent → a mapping of 0",
        "optimizer.nesterov: absent → false",
    ]


def test_difference_looks_at_the_end_of_long_texts_too():
    assert len(difference(f"a: {'x' * 500}y", f"a: {'x' * 500}z")) == 1


@given(configs)
@settings(deadline=None, max_examples=30)
def test_nothing_differs_from_itself(config):
    assert difference(dump(config), dump(config)) == []


# Any text at all

FULL = dump(
    Settings(
        seed=1, title="a: 'b' #c", weights={"x": 1.0, "no": 2.0}, crops=(Crop(), Crop(pad=1)), optimizer=Sgd(lr=0.1)
    )
)
signs = [*"\t\n \0\x85\u2028[]{}'\"\\#|>", "- ", "? ", ": ", "*a", "&a ", "!a ", "<<: ", "---", "...", "\n\n  "]
words = ["%YAML 9", r'"\U99999999"', r'"\ud800"', "1e999", ".nan", "~", "null", "name", "9" * 5000]
fragments = st.sampled_from(signs + words)


@st.composite
def mutated(draw):
    """A good file with some pieces cut out, doubled, or replaced."""
    text = FULL
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = start + draw(st.integers(0, 20))
        text = text[:start] + draw(fragments | st.text(max_size=5) | st.just(text[start:stop] * 2)) + text[stop:]
    return text


def survives(text, overrides=()):
    """A config that can be dumped and read back, or an error of one line with its place."""
    try:
        config = parse(text, Settings, FILE, overrides)
    except ConfigError as error:
        return str(error).isprintable() and re.match(rf"({FILE}:\d+:\d+|--set .*): .", str(error))
    return parse(dump(config), Settings, FILE) == config


@settings(deadline=None, max_examples=150)
@given(mutated() | st.text())
def test_any_text_is_a_config_or_a_config_error(text):
    assert survives(text)


@settings(deadline=None, max_examples=80)
@given(st.sampled_from(["seed", "crop", "layers.0", "optimizer.name", "crops.1.pad", ""]), fragments | st.text())
def test_any_override_gives_a_config_or_a_config_error(key, value):
    assert survives(FULL, [f"{key}={value}"])
