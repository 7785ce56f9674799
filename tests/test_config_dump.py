"""What is dumped is read back as it was, whatever it holds; and any text at all is settings or one line."""

import re
from pathlib import Path

from every_kind import FILE, KEYS, Adam, Crop, Settings, Sgd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cyclegan.config import difference, dump, parse
from cyclegan.errors import ConfigError

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
