"""Cards of data sets and their domains, from a name such as `photo2monet` to four folders; no PyTorch.

Card       datasets/<card>.yaml: the names of the sides A and B, the expected numbers of images, their source.
Domain     a card and a direction. The card monet2photo, where A is monet, also gives the domain photo2monet
           with X = photo = side B.
On disk    trainA trainB testA testB in <root>/<card>/, where <root> is $CYCLEGAN_DATA or the folder of the
           cards.
"""

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cyclegan
from cyclegan.config import load
from cyclegan.errors import UserError
from cyclegan.images.find import find_images

DATASETS = Path(cyclegan.__file__).parents[1] / "datasets"
FOLDERS = ("trainA", "trainB", "testA", "testB")
SHA256 = re.compile(r"[0-9a-f]{64}")


class DataMissingError(UserError):
    """Error for images that are not on this machine.

    Its three lines say what is missing, how to fetch it, and where to put it by hand.
    """


@dataclass(frozen=True, kw_only=True)
class Archive:
    """Downloadable zip."""

    urls: tuple[str, ...]  # mirrors, the best first; http is as safe as https, since the hash is known
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not self.urls or not all(url.startswith(("https://", "http://")) for url in self.urls):
            raise ValueError("urls: at least one is needed, and each must start with https:// or http://")
        _require_sha256(self.sha256)


@dataclass(frozen=True, kw_only=True)
class Made:
    """Data set that is computed on this machine (cyclegan.data.builtin)."""

    maker: Literal["painting", "palette", "tint"]
    sha256: str  # over names and pixels

    def __post_init__(self) -> None:
        _require_sha256(self.sha256)


@dataclass(frozen=True, kw_only=True)
class Card:
    """Description of a data set."""

    name: str  # of the card, the archive and the folder
    title: str
    license: str
    source: str  # the page that describes it
    sides: dict[str, str]  # A: monet, B: photo
    counts: dict[str, int]  # images in trainA trainB testA testB
    paired: bool = False  # the training images of the two sides correspond by file name
    paired_test: bool = False  # the test images of the two sides correspond by file name
    margin: int = 0  # pixels of border not scored
    archive: Archive | None = None
    made: Made | None = None

    def __post_init__(self) -> None:
        if list(self.sides) != ["A", "B"] or len(set(self.sides.values())) < 2:
            raise ValueError("sides: must be two different names, A and B")
        if not all(re.fullmatch(r"[a-z][a-z_]*", side) for side in self.sides.values()):
            raise ValueError("sides: small letters and _ only, for they are joined by 2 to name the domains")
        if set(self.counts) != set(FOLDERS) or min(self.counts.values()) < 0:
            raise ValueError(f"counts: must be those of {' '.join(FOLDERS)}")
        for name, part in (("paired", "train"), ("paired_test", "test")):
            if getattr(self, name) and self.counts[f"{part}A"] != self.counts[f"{part}B"]:
                raise ValueError(f"{name}: {part}A and {part}B do not hold the same number of pictures")
        if self.margin < 0:
            raise ValueError("margin: must be at least 0")
        if (self.archive is None) == (self.made is None):
            raise ValueError("archive: give either an archive or made")


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Card with a direction: G translates X to Y."""

    card: Card
    x_side: Literal["A", "B"]

    @property
    def y_side(self) -> Literal["A", "B"]:
        """Side of the card that is Y."""
        return "B" if self.x_side == "A" else "A"

    @property
    def x(self) -> str:
        """Name of X."""
        return self.card.sides[self.x_side]

    @property
    def y(self) -> str:
        """Name of Y."""
        return self.card.sides[self.y_side]

    @property
    def name(self) -> str:
        """Name that users type, such as photo2monet."""
        return f"{self.x}2{self.y}"


def read_card(name: str) -> Card:
    """Read the card datasets/<name>.yaml."""
    path = DATASETS / f"{name}.yaml"
    card = load(path, Card)
    if card.name != name:
        raise UserError(f"{path}: name: '{card.name}' should be '{name}', as the file is called")
    return card


def all_cards() -> list[Card]:
    """Return every card, sorted by name."""
    return [read_card(path.stem) for path in sorted(DATASETS.glob("*.yaml"))]


def all_domains() -> dict[str, Domain]:
    """Return both directions of every card, by name."""
    found: dict[str, Domain] = {}
    for domain in [Domain(card=card, x_side=side) for card in all_cards() for side in ("A", "B")]:
        if domain.name in found:
            other = found[domain.name].card.name
            raise UserError(f"{domain.card.name}.yaml: sides: {domain.name} is a domain of {other}.yaml; rename a side")
        found[domain.name] = domain
    return dict(sorted(found.items()))


def find_domain(name: str) -> Domain:
    """Return the domain of a name."""
    known = all_domains()
    if name not in known:
        of_card = [domain.name for domain in known.values() if domain.card.name == name]
        near = of_card or difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UserError(f"domain: '{name}' is unknown; {hint}known are {', '.join(known) or f'none in {DATASETS}'}")
    return known[name]


def places(card: Card) -> list[Path]:
    """Return the folders in which a data set may be stored, the preferred one first."""
    chosen = os.environ.get("CYCLEGAN_DATA")
    roots = [Path(chosen).expanduser()] if chosen else []
    return [root / card.name for root in [*roots, DATASETS]]


def locate(domain: Domain) -> Path:
    """Return the folder of the domain's images.

    A built-in domain is made on first use and verified on every later one.
    """
    card = domain.card
    found = next((place for place in places(card) if place.exists()), None)
    if card.made is not None:
        from cyclegan.data.builtin import make  # imported here, because SciPy is slow to import

        found = found or DATASETS / card.name  # CYCLEGAN_DATA may be read-only
        make(card.made.maker, found, card.made.sha256, card.paired)
    if found is None:
        raise missing(domain)
    _require_pictures(found)
    return found


def folders(domain: Domain, root: Path) -> dict[str, Path]:
    """Return the four folders below the root, named by X and Y: train_x, train_y, test_x, test_y."""
    sides = {"x": domain.x_side, "y": domain.y_side}
    return {f"{part}_{name}": root / f"{part}{side}" for part in ("train", "test") for name, side in sides.items()}


def missing(domain: Domain, reason: str = "") -> DataMissingError:
    """Return the error for missing images, with everything that a user can do about them."""
    card = domain.card
    home, looked = places(card)[0], " or ".join(map(str, places(card)))
    return DataMissingError(
        f"{card.name}: there is no {looked}{reason and f', and the download failed: {reason}'}\n"
        f"With a network: cyclegan data fetch {domain.name} ({_size_text(card)})\n"
        f"Without: put {card.archive.urls[0] if card.archive else card.source} as {home}.zip and run the same, or its "
        f"folders {' '.join(FOLDERS)} into {home}; CYCLEGAN_DATA chooses another place than {home.parent}"
    )


def list_domains() -> str:
    """List all domains as a table: name, direction, numbers of images of X and Y, and their folders."""
    rows = [("domain", "X → Y", "train", "test", "pictures")]
    for domain in all_domains().values():
        card, sides = domain.card, (domain.x_side, domain.y_side)
        train, test = (" + ".join(str(card.counts[part + side]) for side in sides) for part in ("train", "test"))
        rows.append((domain.name, f"{domain.x} → {domain.y}", train, test, _state(card)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _size_text(card: Card) -> str:
    return f"{card.archive.bytes / 1e6:,.0f} MB" if card.archive else "nothing to download"


def _state(card: Card) -> str:
    present = [str(place) for place in places(card) if place.exists()]
    absent = "made on first use" if card.made else f"{_size_text(card)} to download"
    return f"in {present[0]}" if present else absent


def _require_pictures(root: Path) -> None:
    """Require training images of both sides, so that a missing side is found before training."""
    for name in FOLDERS:
        if not (root / name).is_dir():
            raise UserError(f"{root}: has no folder {name}; it needs {' '.join(FOLDERS)}, or delete it to start anew")
    for name in ("trainA", "trainB"):
        if not find_images(root / name):
            raise UserError(f"{root / name}: holds no picture; place some there, or delete {root} to start anew")


def _require_sha256(text: str) -> None:
    if not SHA256.fullmatch(text):
        raise ValueError("sha256: must be 64 digits 0-9 a-f")
