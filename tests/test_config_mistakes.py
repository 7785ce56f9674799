"""Strict YAML: every kind of mistake is one line that says where and what."""

import pytest
from every_kind import FILE, KEYS, Settings

from cyclegan.config import MAX_BYTES, MAX_DEPTH, parse
from cyclegan.errors import ConfigError


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
