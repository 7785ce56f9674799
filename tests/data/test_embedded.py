"""The embedded domains: their split, their pairs, and their checksum."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from cyclegan.data import builtin as embedded
from cyclegan.data.painting import paint
from cyclegan.errors import UserError
from cyclegan.images.find import find_images
from cyclegan.images.rgb8 import read_picture, write_picture

CARDS = {
    path.stem: yaml.safe_load(path.read_text()) for path in (Path(__file__).parents[2] / "datasets").glob("*.yaml")
}
EMBEDDED = [name for name, card in CARDS.items() if "made" in card]


def made(name: str, folder: Path) -> Path:
    card = CARDS[name]
    embedded.make(card["made"]["maker"], folder, card["made"]["sha256"], card.get("paired", False))
    return folder


@pytest.fixture(scope="module")
def photo2painting(tmp_path_factory) -> Path:
    return made("photo2painting", tmp_path_factory.mktemp("datasets") / "photo2painting")


def block(path: Path) -> tuple[str, ...]:
    return tuple(path.stem.rsplit("_", 2))


def test_the_four_cards_are_there():
    assert sorted(EMBEDDED) == ["photo2painting", "photo2palette", "photo2tint", "scene2canvas"]


@pytest.mark.parametrize("name", ["photo2painting", "photo2palette", "photo2tint", "scene2canvas"])
def test_what_is_made_has_the_checksum_and_the_counts_of_its_card(name, tmp_path):
    folder = made(name, tmp_path / "deep" / name)
    assert embedded.checksum(folder) == CARDS[name]["made"]["sha256"]
    assert {side.name: len(find_images(side)) for side in folder.iterdir()} == CARDS[name]["counts"]
    assert [path.name for path in folder.parent.iterdir()] == [name]  # no temporary folder is left


def test_blocks_are_80_pixels_and_no_block_has_two_roles(photo2painting):
    roles = {side: {block(p) for p in find_images(photo2painting / side)} for side in ("trainA", "trainB", "testA")}
    assert sum(len(blocks) for blocks in roles.values()) == len(set.union(*roles.values())) == 200
    assert {read_picture(path).shape for path in find_images(photo2painting)} == {(80, 80, 3)}


def test_every_picture_serves_every_role(photo2painting):
    for side in ("trainA", "trainB", "testA", "testB"):
        assert {block(path)[0] for path in find_images(photo2painting / side)} == {
            Path(name).stem for name in embedded.PHOTOGRAPHS
        }


def test_test_blocks_are_pairs(photo2painting):
    photos, paintings = (find_images(photo2painting / side) for side in ("testA", "testB"))
    assert [p.name for p in photos] == [p.name for p in paintings]
    for photo, painting in zip(photos, paintings, strict=True):
        repainted = (paint(read_picture(photo) / 255) * 255).round()
        inside = np.s_[12:-12, 12:-12]  # beyond it, the neighbors in the whole picture are felt
        assert np.array_equal(repainted[inside], read_picture(painting)[inside])


def test_roles_are_laid_out_as_documented(photo2painting):
    # Picture 0: block (i, j) has role X, Y, X, Y, test at (2i + j) mod 5.
    for name, sides in {"0_0": "trainA", "0_1": "trainB", "0_4": "testA", "1_2": "testB", "1_3": "trainA"}.items():
        assert (photo2painting / sides / f"astronaut_{name}.png").exists()
    assert (photo2painting / "trainB" / "chelsea_0_0.png").exists()


def test_making_again_changes_nothing(photo2painting):
    before = {path: path.stat().st_mtime_ns for path in photo2painting.rglob("*")}
    made("photo2painting", photo2painting)
    assert before == {path: path.stat().st_mtime_ns for path in photo2painting.rglob("*")}


@pytest.mark.parametrize("damage", ["a pixel", "a name", "a file less", "a file more"])
def test_a_changed_folder_is_noticed_and_left_alone(damage, tmp_path):
    folder = made("photo2tint", tmp_path / "photo2tint")
    victim = find_images(folder / "trainB")[7]
    pixels = read_picture(victim).copy()
    match damage:
        case "a pixel":
            pixels[3, 4, 1] ^= 1
            write_picture(victim, pixels)
        case "a name":
            victim.rename(victim.with_name("other.png"))
        case "a file less":
            victim.unlink()
        case "a file more":
            write_picture(folder / "trainA" / "more.png", pixels)
    found, wanted = embedded.checksum(folder), CARDS["photo2tint"]["made"]["sha256"]
    with pytest.raises(UserError) as error:
        made("photo2tint", folder)
    assert all(word in str(error.value) for word in (str(folder), found, wanted))
    assert embedded.checksum(folder) == found


def test_what_would_differ_from_its_card_is_not_put_in_place(tmp_path):
    with pytest.raises(UserError, match="0123"):
        embedded.make("tint", tmp_path / "photo2tint", "0123")
    assert not list(tmp_path.iterdir())


def test_an_unknown_maker_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="'oil' is not one of painting, palette, tint"):
        embedded.make("oil", tmp_path / "photo2oil", "0")


def test_a_race_lost_to_another_process_is_no_error(tmp_path, monkeypatch):
    folder, sha256 = tmp_path / "photo2tint", CARDS["photo2tint"]["made"]["sha256"]
    write_blocks = embedded._write_blocks

    def slowly(painter: embedded.Painter, built: Path, roles: object) -> None:
        write_blocks(painter, built, roles)
        write_blocks(painter, folder, roles)

    monkeypatch.setattr(embedded, "_write_blocks", slowly)
    embedded.make("tint", folder, sha256)
    assert [path.name for path in tmp_path.iterdir()] == ["photo2tint"]
