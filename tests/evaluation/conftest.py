"""The embedded domain, built once for the tests of the evaluation."""

from pathlib import Path

import pytest
import yaml

from cyclegan.data import builtin as embedded
from cyclegan.images.find import find_images

DATASETS = Path(__file__).parents[2] / "datasets"


@pytest.fixture(scope="session")
def photo2painting(tmp_path_factory) -> dict[str, list[Path]]:
    """Its files by folder: trainA, trainB, testA, testB."""
    folder = tmp_path_factory.mktemp("datasets") / "photo2painting"
    card = yaml.safe_load((DATASETS / "photo2painting.yaml").read_text(encoding="utf-8"))
    embedded.make(card["made"]["maker"], folder, card["made"]["sha256"])
    return {side.name: find_images(side) for side in folder.iterdir()}
