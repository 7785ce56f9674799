"""Cards, domains, and the folder where the pictures of a domain lie."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from cyclegan.config import parse
from cyclegan.data import builtin as embedded
from cyclegan.data import cards
from cyclegan.data.cards import DataMissingError, all_cards, all_domains, find_domain, folders, list_domains, locate
from cyclegan.errors import ConfigError, UserError

OFFICIAL = {
    "apple2orange", "cezanne2photo", "cityscapes", "facades", "horse2zebra", "iphone2dslr_flower", "maps",
    "monet2photo", "summer2winter_yosemite", "ukiyoe2photo", "vangogh2photo",
}  # fmt: skip
ARCHIVE = {"urls": ["https://example.org/fruit.zip"], "bytes": 2_000_000, "sha256": "0" * 64}
FRUIT = {
    "name": "fruit",
    "title": "Apples and pears",
    "license": "none",
    "source": "https://example.org",
    "sides": {"A": "apple", "B": "pear"},
    "counts": {"trainA": 3, "trainB": 4, "testA": 1, "testB": 2},
    "archive": ARCHIVE,
}
MADE = {"archive": None, "made": {"maker": "tint", "sha256": "1" * 64}}


@pytest.fixture
def datasets(tmp_path, monkeypatch) -> Path:
    """A folder of cards of our own."""
    monkeypatch.setattr(cards, "DATASETS", tmp_path / "datasets")
    monkeypatch.delenv("CYCLEGAN_DATA", raising=False)
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def write_card(datasets: Path, **changes: object) -> None:
    card = FRUIT | changes
    (datasets / f"{card['name']}.yaml").write_text(yaml.safe_dump(card))


def place_pictures(root: Path) -> Path:
    for name in cards.FOLDERS:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (2, 2)).save(root / name / "a.png")
    return root


# The cards of the repository


def test_the_archives_of_the_paper_all_have_a_card():
    assert {card.name for card in all_cards()} >= OFFICIAL


def test_no_two_cards_share_the_name_of_a_domain():
    assert len(all_domains()) == 2 * len(all_cards())


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_an_official_archive_is_pinned_and_has_several_mirrors(name):
    archive = cards.read_card(name).archive
    assert archive.bytes > 30_000_000
    assert len(archive.urls) == 3
    assert archive.urls[0].startswith("https://")
    assert all(url.endswith(f"/{name}.zip") for url in archive.urls)


def test_photo2monet_is_monet2photo_from_b_to_a():
    forth, back = find_domain("monet2photo"), find_domain("photo2monet")
    assert (back.x, back.y, back.x_side, back.y_side) == ("photo", "monet", "B", "A")
    assert (forth.x, forth.y, forth.x_side, forth.y_side) == ("monet", "photo", "A", "B")
    assert forth.card == back.card


def test_the_card_in_the_readme_is_a_good_one():
    example = (cards.DATASETS / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    assert parse(example, cards.Card, "README.md").sides == {"A": "summer", "B": "autumn"}


# Reading cards


def test_cards_come_in_the_order_of_their_names(datasets):
    for name, sides in (("b", "kl"), ("c", "mn"), ("a", "op")):
        write_card(datasets, name=name, sides=dict(zip("AB", sides, strict=True)))
    assert [card.name for card in all_cards()] == ["a", "b", "c"]
    assert list(all_domains()) == ["k2l", "l2k", "m2n", "n2m", "o2p", "p2o"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"sides": {"A": "apple"}}, "sides: must be two"),
        ({"sides": {"A": "apple", "B": "apple"}}, "sides: must be two"),
        ({"sides": {"A": "apple", "C": "pear"}}, "sides: must be two"),
        ({"sides": {"A": "b2b", "B": "pear"}}, "sides: small letters"),
        ({"counts": {"trainA": 3}}, "counts: must be those of trainA trainB testA testB"),
        ({"counts": FRUIT["counts"] | {"testA": -1}}, "counts: must be those of"),
        ({"paired_test": True}, "paired_test: testA and testB do not hold the same number"),
        ({"margin": -1}, "margin: must be at least 0"),
        ({"archive": None}, "archive: give either"),
        ({"made": MADE["made"]}, "archive: give either"),
        ({"archive": ARCHIVE | {"sha256": "0" * 63}}, "archive.sha256: must be 64"),
        ({"archive": ARCHIVE | {"urls": []}}, "archive.urls: at least one"),
        ({"archive": ARCHIVE | {"urls": ["file:///etc/passwd"]}}, "archive.urls: .* must start with"),
        ({"archive": None, "made": {"maker": "chance", "sha256": "1" * 64}}, "maker: "),
        ({"licnce": "mine"}, "licnce: unknown key"),
    ],
)
def test_a_wrong_card_is_refused_by_file_and_key(datasets, changes, complaint):
    write_card(datasets, **changes)
    with pytest.raises(ConfigError, match=rf"fruit\.yaml.*{complaint}"):
        all_cards()


def test_a_card_is_called_like_its_file(datasets):
    write_card(datasets)
    (datasets / "fruit.yaml").rename(datasets / "vegetables.yaml")
    with pytest.raises(UserError, match=r"vegetables\.yaml: name: 'fruit' should be 'vegetables'"):
        all_cards()


def test_two_cards_with_one_domain_are_refused(datasets):
    write_card(datasets)
    write_card(datasets, name="other", sides={"A": "pear", "B": "apple"})
    with pytest.raises(UserError, match=r"other\.yaml: sides: pear2apple is a domain of fruit\.yaml"):
        all_domains()


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("apple2pera", "did you mean apple2pear\\? "),
        ("fruit", "did you mean apple2pear or pear2apple\\? "),
        ("zzz", ""),
    ],
)
def test_an_unknown_domain_is_answered_with_the_known_ones(datasets, typed, hint):
    write_card(datasets)
    with pytest.raises(UserError, match=f"^domain: '{typed}' is unknown; {hint}known are apple2pear, pear2apple$"):
        find_domain(typed)


def test_a_place_without_cards_says_so(datasets):
    with pytest.raises(UserError, match=f"known are none in {datasets}"):
        find_domain("apple2pear")


# Finding pictures


def test_the_pictures_are_looked_for_in_cyclegan_data_first(datasets, tmp_path, monkeypatch):
    write_card(datasets)
    beside = place_pictures(datasets / "fruit")
    assert locate(find_domain("apple2pear")) == beside

    monkeypatch.setenv("CYCLEGAN_DATA", str(tmp_path / "disk"))
    assert locate(find_domain("apple2pear")) == beside

    chosen = place_pictures(tmp_path / "disk" / "fruit")
    assert locate(find_domain("apple2pear")) == chosen


def test_a_tilde_in_cyclegan_data_is_the_home(datasets, tmp_path, monkeypatch):
    write_card(datasets)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CYCLEGAN_DATA", "~/pictures")
    root = place_pictures(tmp_path / "home" / "pictures" / "fruit")
    assert locate(find_domain("apple2pear")) == root


def test_missing_pictures_are_three_lines_of_what_where_and_how(datasets, tmp_path, monkeypatch):
    write_card(datasets)
    monkeypatch.setenv("CYCLEGAN_DATA", str(tmp_path / "disk"))
    with pytest.raises(DataMissingError) as caught:
        locate(find_domain("pear2apple"))
    what, fetch, by_hand = str(caught.value).splitlines()
    assert what == f"fruit: there is no {tmp_path}/disk/fruit or {datasets}/fruit"
    assert "cyclegan data fetch pear2apple (2 MB)" in fetch
    for part in ("https://example.org/fruit.zip", f"{tmp_path}/disk/fruit.zip", *cards.FOLDERS, "CYCLEGAN_DATA"):
        assert part in by_hand


@pytest.mark.parametrize("name", cards.FOLDERS)
def test_a_missing_folder_is_named(datasets, name):
    write_card(datasets)
    root = place_pictures(datasets / "fruit")
    (root / name / "a.png").unlink()
    (root / name).rmdir()
    with pytest.raises(UserError, match=f"{root}: has no folder {name};"):
        locate(find_domain("apple2pear"))


@pytest.mark.parametrize("name", ["trainA", "trainB"])
def test_a_side_without_pictures_is_named(datasets, name):
    write_card(datasets)
    root = place_pictures(datasets / "fruit")
    (root / name / "a.png").rename(root / name / "a.psd")
    with pytest.raises(UserError, match=f"{root / name}: holds no picture"):
        locate(find_domain("apple2pear"))


def test_an_embedded_domain_is_made_beside_its_card_and_verified_ever_after(datasets, tmp_path, monkeypatch):
    asked = []

    def make(*order):
        asked.append(order)
        if not order[1].exists():
            place_pictures(order[1])

    monkeypatch.setattr(embedded, "make", make)
    monkeypatch.setenv("CYCLEGAN_DATA", str(tmp_path / "disk"))  # may be read-only
    write_card(datasets, **MADE)
    expected = datasets / "fruit"
    assert [locate(find_domain("apple2pear")), locate(find_domain("pear2apple"))] == [expected, expected]
    assert asked == [("tint", expected, "1" * 64, False)] * 2


def test_an_embedded_domain_is_used_where_it_already_is(datasets, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "make", lambda *order: None)
    monkeypatch.setenv("CYCLEGAN_DATA", str(tmp_path / "disk"))
    write_card(datasets, **MADE)
    present = place_pictures(tmp_path / "disk" / "fruit")
    assert locate(find_domain("apple2pear")) == present


def test_the_folders_of_a_domain_are_named_by_x_and_y(datasets):
    write_card(datasets)
    assert folders(find_domain("pear2apple"), Path("root")) == {
        "train_x": Path("root/trainB"),
        "train_y": Path("root/trainA"),
        "test_x": Path("root/testB"),
        "test_y": Path("root/testA"),
    }


def test_the_list_tells_direction_counts_and_what_is_here(datasets):
    write_card(datasets)
    write_card(datasets, name="drawn", sides={"A": "photo", "B": "drawing"}, **MADE)
    place_pictures(place_pictures(datasets / "zoo").parent / "zoo2")
    write_card(datasets, name="zoo", sides={"A": "cat", "B": "dog"})
    rows = {line.split()[0]: line for line in list_domains().splitlines()}
    assert "pear → apple" in rows["pear2apple"]
    assert "4 + 3" in rows["pear2apple"]
    assert "2 + 1" in rows["pear2apple"]
    assert rows["pear2apple"].endswith("2 MB to download")
    assert rows["photo2drawing"].endswith("made on first use")
    assert rows["cat2dog"].endswith(f"in {datasets / 'zoo'}")
    assert list(rows) == ["domain", *sorted(list(rows)[1:])]


def test_data_sets_are_listed_fetched_and_checked_without_pytorch():
    heavy = "{'torch', 'scipy', 'skimage'}"
    code = f"import sys, cyclegan.data.fetch, cyclegan.data.validate; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
