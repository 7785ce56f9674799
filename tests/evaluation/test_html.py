"""The page: well-formed, with everything inside it, and nothing that would be fetched."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from cyclegan.evaluation.html import data_uri, messages, numbers, page, paragraphs, pictures, scatter

VOID = {"meta", "img"}


class Outline(HTMLParser):
    """What is in a page; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.cells: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and self.open:
            self.texts.append((self.open[-1], data))

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]

    def said_in(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=(12, 10 + seed, 3), dtype=np.uint8)


COLUMNS = {"source": [picture(0), picture(1)], "G & <F>": [picture(2), picture(3)]}
TABLE = [["", "s per image"], ["G & <F>", "< 0.001"], ["lost", "failed"]]


@pytest.fixture
def text() -> str:
    failed, said = messages(["lost failed: no <file>"]), paragraphs(["On a CPU."])
    return page("monet", numbers(TABLE), failed, said, pictures(COLUMNS, ["café", 'the "sea"']))


def decoded(attributes: dict) -> np.ndarray:
    head, data = attributes["src"].split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))


def test_it_shows_the_table_and_names_what_failed(text):
    outline = Outline(text)
    assert outline.said_in("h1") == outline.said_in("title") == ["monet"]
    assert outline.said_in("th") == ["s per image", "G & <F>", "lost", "source", "G & <F>"]
    assert outline.said_in("td") == ["< 0.001", "failed"]
    assert outline.said_in("p") == ["lost failed: no <file>", "On a CPU."]


def test_its_pictures_are_inside_it_row_by_row_to_the_last_bit(text):
    shown = Outline(text).of("img")
    expected = [COLUMNS["source"][0], COLUMNS["G & <F>"][0], COLUMNS["source"][1], COLUMNS["G & <F>"][1]]
    for attributes, wanted in zip(shown, expected, strict=True):
        assert np.array_equal(decoded(attributes), wanted)
        assert (attributes["height"], attributes["width"]) == tuple(map(str, wanted.shape[:2]))
    assert [attributes["alt"] for attributes in shown] == [
        *("café: source", "café: G & <F>"),
        *('the "sea": source', 'the "sea": G & <F>'),
    ]


def test_it_needs_no_network_no_other_file_and_no_script(text):
    outline = Outline(text)
    assert not {tag for tag, _ in outline.tags} & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
    }
    addresses = [
        value for tag, attrs in outline.tags for key, value in attrs.items() if key in ("src", "srcset", "href")
    ]
    assert len(addresses) == 4
    assert all(address.startswith("data:") for address in addresses)
    outside = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|//|url\(|@import", outside)


def test_it_knows_light_and_dark_and_says_its_encoding(text):
    assert "color-scheme: light dark" in text
    assert "prefers-color-scheme: dark" in text
    assert {"charset": "utf-8"} in Outline(text).of("meta")


def test_an_address_holds_the_picture_without_loss():
    assert np.array_equal(decoded({"src": data_uri(picture(5))}), picture(5))


def test_a_plot_names_every_point_and_puts_what_is_better_up_and_to_the_right():
    points = {"worse": (0.2, 3.0), "better": (0.9, 1.0), "not a <number>": (float("nan"), 1.0)}
    outline = Outline(scatter("MS-SSIM", "KID", points))
    assert outline.said_in("text")[-4:] == ["worse", "better", "MS-SSIM: more is kept →", "KID: nearer →"]
    worse, better = ((float(c["cx"]), float(c["cy"])) for c in outline.of("circle"))
    assert better[0] > worse[0]
    assert better[1] < worse[1]


def test_without_points_there_is_no_plot():
    assert scatter("", "", {}) == ""
