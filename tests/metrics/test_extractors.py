"""Extractors and LPIPS on real weights, and the metrics on real Monets: zero for equals, larger for what is worse."""

import io
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from cyclegan.errors import UserError
from cyclegan.images.find import find_images
from cyclegan.images.rgb8 import read_picture
from cyclegan.images.tensors import from_bytes
from cyclegan.metrics.distribution import fid, kid, kid_interval, precision_recall
from cyclegan.metrics.extractors import Extractor, load_extractor
from cyclegan.metrics.lpips_distance import LpipsDistance
from cyclegan.metrics.patches import patch_swd
from cyclegan.metrics.structure import edge_f1, ms_ssim, structure_distance
from cyclegan.networks.vgg import load_vgg
from cyclegan.networks.weights import WeightsMissingError, offline

needs_weights = pytest.mark.skipif("CYCLEGAN_WEIGHTS" not in os.environ, reason="CYCLEGAN_WEIGHTS names no folder")
needs_data = pytest.mark.skipif("CYCLEGAN_DATA" not in os.environ, reason="CYCLEGAN_DATA names no folder")
CPU = torch.device("cpu")
N = 32


def pictures_of(side: str, count: int) -> list[np.ndarray]:
    """At half their size: the shared pictures are JPEG-75 themselves, and that once more would change nothing."""
    folder = Path(os.environ["CYCLEGAN_DATA"]) / "monet2photo" / side
    found = [read_picture(path) for path in find_images(folder)[:count]]
    return [p.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8) for p in found]


@pytest.fixture(scope="module")
def monets() -> list[np.ndarray]:
    return pictures_of("testA", N)


@pytest.fixture(scope="module")
def worse(monets) -> dict[str, list[list[np.ndarray]]]:
    """Three ways to spoil the Monets, each in four steps from not at all."""
    photographs = pictures_of("testB", N)
    return {
        "blur": [monets, *([blurred(p, sigma) for p in monets] for sigma in (0.5, 1, 2))],
        "JPEG": [monets, *([as_jpeg(p, quality) for p in monets] for quality in (95, 75, 50))],
        "mixed": [[*photographs[:count], *monets[count:]] for count in (0, N // 4, N // 2, N)],
    }


def blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return gaussian_filter(picture.astype(float), (sigma, sigma, 0)).round().astype(np.uint8)


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def rising(values: list[float]) -> bool:
    return all(a < b for a, b in pairwise(values))


def assert_distances_rise(extractor: Extractor, worse: dict[str, list[list[np.ndarray]]]) -> None:
    for way, series in worse.items():
        seen = [extractor.features(pictures, CPU) for pictures in series]
        rounding = 1e-6 * seen[0].var(axis=0).sum()  # of the roots of eigenvalues, most of which are zero
        assert fid(seen[0], seen[0]) == pytest.approx(0, abs=rounding)
        assert rising([fid(features, seen[0]) for features in seen]), way
        assert rising([kid(features, seen[0]) for features in seen]), way
        assert precision_recall(seen[0], seen[0]) == (1, 1)
        precision, recall = zip(*(precision_recall(features, seen[0]) for features in seen), strict=True)
        assert list(precision) == sorted(precision, reverse=True), way
        if way != "mixed":  # the spheres of a few strange pictures are so large that they may hold all targets
            assert list(recall) == sorted(recall, reverse=True), way


@pytest.mark.slow
@needs_data
@needs_weights
def test_distances_in_squeezenet_rise_with_blur_jpeg_and_strange_pictures(worse):
    assert_distances_rise(load_extractor("squeezenet", CPU), worse)


@pytest.mark.slow
@needs_data
@needs_weights
def test_distances_in_vgg_rise_with_blur_jpeg_and_strange_pictures(worse):
    assert_distances_rise(load_extractor("vgg", CPU), worse)


@needs_data
def test_patch_swd_rises_with_blur_jpeg_and_strange_pictures(monets, worse):
    for way, series in worse.items():
        assert rising([patch_swd(pictures, monets) for pictures in series]), way


@pytest.mark.slow
@needs_data
@needs_weights
def test_what_is_kept_of_a_source_falls_with_blur_and_jpeg(monets, worse):
    lpips, vgg = LpipsDistance(), load_vgg("normalised", ["relu4_1"], padding="reflect", ceil=True)
    few = slice(0, 8)
    distances = {
        "edge-F1": lambda p, s: -edge_f1(p, s),
        "MS-SSIM": lambda p, s: -ms_ssim(p, s),
        "LPIPS": lpips,
        "structure": lambda p, s: structure_distance(vgg, p, s, CPU),
    }
    for name, distance in distances.items():
        for way in ("blur", "JPEG"):
            means = [np.mean(list(map(distance, pictures[few], monets[few]))) for pictures in worse[way]]
            assert rising(means), (name, way)
            assert means[0] == pytest.approx(-1 if name in ("edge-F1", "MS-SSIM") else 0, abs=1e-6)


@needs_data
@needs_weights
def test_kid_of_two_halves_of_one_set_covers_zero():
    paintings = pictures_of("trainA", 120)
    extractor = load_extractor("squeezenet", CPU)
    random = np.random.default_rng(0).permutation(len(paintings))
    seen = extractor.features([paintings[i] for i in random], CPU)
    found = kid_interval(seen[:60], seen[60:])
    assert found.low <= 0 <= found.high
    photographs = extractor.features(pictures_of("testB", 60), CPU)
    assert kid_interval(photographs, seen[60:]).low > 0  # and it is no interval that covers everything


@needs_weights
def test_an_extractor_says_which_weights_it_has_and_resizes_alike():
    extractor = load_extractor("squeezenet", CPU)
    assert extractor.described == "squeezenet 96a4b662bedd"
    assert "bicubic, antialiased, to 224×224" in extractor.resize
    rows, columns = np.indices((224, 224))
    smooth = np.stack([rows, columns, (rows + columns) / 2], axis=2)[::1, ::1].astype(np.uint8)
    doubled = smooth.repeat(2, axis=0).repeat(2, axis=1)
    one, other = extractor.features([smooth, doubled], CPU)
    assert np.square(one).mean() == pytest.approx(1, rel=1e-5)
    assert float(one @ other) / len(one) > 0.99


@needs_weights
def test_lpips_is_zero_for_equals_symmetric_and_larger_for_what_looks_different(monets_or_noise):
    picture, other = monets_or_noise
    lpips = LpipsDistance()
    assert lpips(picture, picture) == 0
    assert lpips(picture, other) == pytest.approx(lpips(other, picture), rel=1e-5)
    assert 0.05 < lpips(picture, blurred(picture, 2)) < lpips(picture, other)


@pytest.fixture
def monets_or_noise() -> tuple[np.ndarray, np.ndarray]:
    from skimage import data

    return data.astronaut()[:128, 100:228], data.coffee()[100:228, 200:328]


def test_inception_takes_our_tensors_and_sees_eight_bit_pictures(tmp_path, monkeypatch):
    """With random weights: the official ones are 91 MB; what is tested is the way into torch-fidelity's network."""
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    from cyclegan.metrics import extractors
    from cyclegan.networks.weights import Weights

    monkeypatch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: pytest.fail("tried to download"))
    reference = object.__new__(theirs.FeatureExtractorInceptionV3)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: {})
        patch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: None)
        reference.__init__("inception-v3-compat", ["2048"], feature_extractor_weights_path="none")
    given = Weights(file="f", sha256="ab" * 32, known=0, license="", tensors=reference.state_dict())
    monkeypatch.setattr(extractors, "load_weights", lambda name: given)
    extractor = load_extractor("inception", CPU)
    picture = np.random.default_rng(0).integers(0, 256, (299, 299, 3), dtype=np.uint8)
    seen = extractor.features([picture], CPU)
    with torch.no_grad():
        expected = reference(torch.from_numpy(picture).permute(2, 0, 1)[None])[0].flatten(1)
    assert seen.shape == (1, 2048)
    assert np.allclose(seen, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert extractor.described == "inception abababababab"
    assert from_bytes(picture).shape == (1, 3, 299, 299)


def test_dinov2_sees_pictures_at_224_pixels_as_imagenet_is_normalized(provide, monkeypatch):
    """With random weights, and small: the released ones are 1.2 GB."""
    from torchvision.transforms.functional import normalize

    from cyclegan.metrics import extractors
    from cyclegan.networks.dinov2 import DINOv2, load_dinov2

    size = {"width": 48, "depth": 2, "heads": 3, "grid": 5}
    torch.manual_seed(0)
    network = DINOv2(**size)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    sha256 = provide("dinov2", network.state_dict())
    monkeypatch.setattr(extractors, "load_dinov2", lambda: load_dinov2(**size))
    extractor = load_extractor("dinov2", CPU)
    assert extractor.described == f"dinov2 ViT-L/14 {sha256[:12]}"
    assert extractor.resize == "bicubic, antialiased, to 224×224"

    picture = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    seen = extractor.features([picture, blurred(picture, 3)[:100, :150]], CPU)
    assert seen.shape == (2, 48)
    scaled = normalize(torch.from_numpy(picture).permute(2, 0, 1) / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    monkeypatch.setattr("cyclegan.networks.dinov2.normalize", lambda images: images)  # this has just been done
    assert np.allclose(seen[0], network(scaled[None]).detach(), rtol=1e-4, atol=1e-5)


def test_an_unknown_extractor_is_refused_by_name():
    with pytest.raises(UserError, match="extractor: 'dino' is not one of inception, vgg, squeezenet, dinov2"):
        load_extractor("dino", CPU)


def test_nothing_is_fetched_where_only_what_is_here_may_be_used(tmp_path, monkeypatch):
    monkeypatch.setenv("CYCLEGAN_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("went to the network"))
    with (
        offline(),
        pytest.raises(WeightsMissingError, match="the weights 'squeezenet' are not on this machine"),
    ):
        load_extractor("squeezenet", CPU)
