"""Files of weights: looked for, fetched, compared with their SHA-256, and only then parsed."""

import hashlib
import pickle
import re
import urllib.request
from http.client import HTTPMessage
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from cyclegan.errors import UserError
from cyclegan.networks import weights as module
from cyclegan.networks.pretrained import SOURCES, Source
from cyclegan.networks.weights import (
    WeightsMissingError,
    WrongWeightsError,
    find_weights,
    hash_file,
    load_weights,
    read_tensors,
)

TENSORS = {"a.weight": torch.arange(4.0), "a.bias": torch.zeros(1)}
URL = "https://example.org/models/good.pth"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> SimpleNamespace:
    """A machine without weights and without network."""
    folders = SimpleNamespace(
        chosen=tmp_path / "chosen", cache=tmp_path / "cache", hub=tmp_path / "hub" / "checkpoints"
    )
    folders.chosen.mkdir()
    folders.hub.mkdir(parents=True)
    monkeypatch.setattr(module, "CACHE", folders.cache)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("CYCLEGAN_WEIGHTS", str(folders.chosen))
    answer_with(None, monkeypatch)
    return folders


def answer_with(content: bytes | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the network says, and the list of what it was asked."""
    asked = []

    def urlopen(request: urllib.request.Request, timeout: float) -> BytesIO:
        assert timeout
        asked.append(request.full_url)
        if content is None:
            raise URLError("no network")
        answer = BytesIO(content)
        answer.length, answer.headers = len(content), HTTPMessage()
        return answer

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked


def saved(path: Path, tensors: object = TENSORS) -> str:
    """Writes a file and returns its SHA-256."""
    path.parent.mkdir(exist_ok=True)
    torch.save(tensors, path)
    return hash_file(path)


def register(monkeypatch: pytest.MonkeyPatch, **files: str) -> None:
    """Makes `ours` a source with files of these names and digits."""
    named = {f"{name}.pth": digits for name, digits in files.items()}
    monkeypatch.setitem(SOURCES, "ours", Source(files=named, url=URL, license="ours"))


@pytest.mark.parametrize("place", ["chosen", "cache", "hub"])
def test_a_file_is_found_where_it_may_lie(elsewhere, monkeypatch, place):
    path = getattr(elsewhere, place) / "good.pth"
    register(monkeypatch, good=saved(path))
    assert find_weights("ours") == path
    assert torch.equal(load_weights("ours").tensors["a.weight"], TENSORS["a.weight"])


def test_the_chosen_folder_is_looked_in_first_and_the_best_file_before_the_others(elsewhere, monkeypatch):
    digits = {name: saved(elsewhere.cache / f"{name}.pth") for name in ("good", "small")}
    register(monkeypatch, **digits)
    assert find_weights("ours") == elsewhere.cache / "good.pth"
    saved(elsewhere.chosen / "small.pth")
    assert find_weights("ours") == elsewhere.chosen / "small.pth"
    monkeypatch.delenv("CYCLEGAN_WEIGHTS")
    assert find_weights("ours") == elsewhere.cache / "good.pth"


@pytest.mark.parametrize("known", [64, 8, 0])
def test_what_is_known_of_the_hash_is_compared_and_said(elsewhere, monkeypatch, known):
    sha256 = saved(elsewhere.chosen / "good.pth")
    register(monkeypatch, good=sha256[:known])
    found = load_weights("ours")
    assert (found.file, found.sha256, found.known) == ("good.pth", sha256, known)


@pytest.mark.parametrize("known", [64, 8])
def test_a_file_with_another_hash_is_refused_before_it_is_parsed(elsewhere, monkeypatch, known):
    saved(elsewhere.chosen / "good.pth")
    register(monkeypatch, good="0" * known)
    monkeypatch.setattr(module, "read_tensors", lambda path: pytest.fail("was parsed"))
    with pytest.raises(WrongWeightsError) as caught:
        load_weights("ours")
    assert str(elsewhere.chosen / "good.pth") in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(WrongWeightsError):
        find_weights("ours")


def test_without_file_and_network_one_line_names_file_url_and_folder(elsewhere, monkeypatch):
    register(monkeypatch, good="0" * 64)
    with pytest.raises(WeightsMissingError) as caught:
        find_weights("ours")
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert all(part in message for part in ("'ours'", "no network", "good.pth", URL, str(elsewhere.cache), "CYCLEGAN_"))
    assert "\n" not in message
    assert not list(elsewhere.cache.rglob("*"))


def test_what_is_nowhere_is_fetched_once_and_kept(elsewhere, monkeypatch, tmp_path):
    sha256 = saved(tmp_path / "original.pth")
    register(monkeypatch, good=sha256)
    asked = answer_with((tmp_path / "original.pth").read_bytes(), monkeypatch)
    for _ in range(2):
        assert load_weights("ours").sha256 == sha256
        assert find_weights("ours") == elsewhere.cache / "good.pth"
    assert asked == [URL]
    assert [path.name for path in elsewhere.cache.iterdir()] == ["good.pth"]


@pytest.mark.parametrize("content", [b"", b"<html>Sorry</html>"])
def test_what_is_fetched_and_is_not_the_file_is_not_kept(elsewhere, monkeypatch, content):
    register(monkeypatch, good="0" * 64)
    answer_with(content, monkeypatch)
    with pytest.raises(WeightsMissingError, match=re.escape(hashlib.sha256(content).hexdigest())):
        find_weights("ours")
    assert not list(elsewhere.cache.iterdir())


def test_a_chosen_folder_that_is_none_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("CYCLEGAN_WEIGHTS", str(tmp_path / "typo"))
    with pytest.raises(UserError, match=r"CYCLEGAN_WEIGHTS: .*typo is no folder"):
        find_weights("caffe")


def test_safetensors_and_pth_hold_the_same(tmp_path):
    saved(tmp_path / "one.pth")
    save_file(TENSORS, tmp_path / "two.safetensors")
    for name in ("one.pth", "two.safetensors"):
        found = read_tensors(tmp_path / name)
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(found[key], tensor) for key, tensor in TENSORS.items())


class Harmful:
    """Creates a file when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_code_in_a_file_is_not_run(tmp_path, write):
    write({"a": Harmful(tmp_path / "harm")}, tmp_path / "bad.pth")
    with pytest.raises(WrongWeightsError, match=r"bad\.pth: not a file of weights"):
        read_tensors(tmp_path / "bad.pth")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("name", ["bad.pth", "bad.safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"<html>Sorry</html>", "half"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, name, content):
    path = tmp_path / name
    if content == "half":
        saved(path) if path.suffix == ".pth" else save_file(TENSORS, path)
        content = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(content)
    with pytest.raises(WrongWeightsError, match=r"bad\.\w+: not a file of weights") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1.0, 2.0], {"epoch": 3}, torch.zeros(2)])
def test_a_file_with_something_else_than_named_tensors_is_refused(tmp_path, content):
    saved(tmp_path / "other.pth", content)
    with pytest.raises(WrongWeightsError, match="something else than named tensors"):
        read_tensors(tmp_path / "other.pth")


def test_every_source_has_a_url_to_its_best_file_and_a_license():
    for source in SOURCES.values():
        assert source.url.startswith("https://")
        assert source.url.endswith(next(iter(source.files)))
        assert source.license
        assert all(re.fullmatch(r"([0-9a-f]{64}|[0-9a-f]{8}|)", digits) for digits in source.files.values())
