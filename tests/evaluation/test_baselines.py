"""Baselines and oracles: what each can and cannot do, and that they reach their documented figures."""

import pytest
import torch

from cyclegan.data.task import Task
from cyclegan.evaluation import baselines
from cyclegan.evaluation.evaluator import EvaluationOptions, evaluate
from cyclegan.images.rgb8 import write_picture
from cyclegan.images.tensors import from_bytes, read, write

FIGURES = {  # PSNR in dB and SSIM on the test blocks of photo2painting
    "identity": (18.00, 0.560),
    "Monge-Kantorovich": (19.44, 0.580),
    "median + Monge-Kantorovich": (19.92, 0.630),
    "mean target": (12.97, 0.433),
    "best per-pixel map*": (22.77, 0.588),
    "best linear 7×7*": (20.71, 0.645),
}


@pytest.fixture(scope="module")
def results(photo2painting):
    sides = photo2painting
    task = Task(
        name="photo2painting",
        to="painting",
        sources=sides["testA"],
        truths=sides["testB"],
        fit=(sides["trainA"], sides["trainB"]),
        border=8,
    )
    return evaluate({}, task, EvaluationOptions(metrics=["psnr", "ssim"]))


def test_the_documented_rows_are_all_there(results):
    assert list(results.rows) == list(FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_the_benchmark_is_the_documented_one(results, name):
    psnr, ssim = FIGURES[name]
    assert results.rows[name]["psnr"].value == pytest.approx(psnr, abs=0.05)
    assert results.rows[name]["ssim"].value == pytest.approx(ssim, abs=0.006)


@pytest.fixture
def pairs(tmp_path):
    """Three random pictures of 64 colors, and a truth for each that is set by `with_truth`."""
    generator = torch.Generator().manual_seed(0)
    sources = [tmp_path / "a" / f"{i}.png" for i in range(3)]
    for path in sources:
        write(path, torch.randint(0, 4, (1, 3, 24, 20), generator=generator) / 2 - 0.75)

    def with_truth(function):
        truths = [tmp_path / "b" / path.name for path in sources]
        for source, truth in zip(sources, truths, strict=True):
            write(truth, function(read(source)))
        return sources, truths

    return with_truth


def error(translator, sources, truths, border=4):
    inside = (..., slice(border, -border), slice(border, -border))
    errors = [
        (translator.translate(read(source)) - read(truth))[inside].abs().mean()
        for source, truth in zip(sources, truths, strict=True)
    ]
    return max(errors).item()


def test_the_color_map_undoes_a_symmetric_mixing_without_pairs(pairs):
    matrix = torch.tensor([[0.8, 0.1, 0.0], [0.1, 0.7, 0.1], [0.0, 0.1, 0.6]])
    sources, truths = pairs(lambda x: torch.einsum("dc,nchw->ndhw", matrix, x) + 0.05)
    fitted = baselines.fit_baselines(sources, list(reversed(truths)))
    assert error(fitted["Monge-Kantorovich"], sources, truths) < 1 / 255
    assert error(baselines.Identity(), sources, truths) > 10 / 255


def test_the_color_table_learns_any_function_of_color_but_no_blur(pairs):
    sources, truths = pairs(lambda x: x.flip(1).abs() - 0.5)
    assert error(baselines.fit_color_table(sources, truths, border=0), sources, truths) < 1 / 255
    assert error(baselines.fit_linear_filter(sources, truths, border=4), sources, truths) > 20 / 255


def test_the_linear_filter_learns_a_blur_and_a_shift_but_no_curve(pairs):
    def blurred(x):
        return (x + x.roll(3, dims=3) + x.roll(-2, dims=2)).div(3).flip(1) * 0.9 + 0.05

    sources, truths = pairs(blurred)
    assert error(baselines.fit_linear_filter(sources, truths, border=4), sources, truths) < 1 / 255
    assert error(baselines.fit_color_table(sources, truths, border=4), sources, truths) > 10 / 255


def test_oracles_do_not_look_at_the_border(pairs):
    sources, truths = pairs(lambda x: -x)
    clean = [fit(sources, truths, 5) for fit in (baselines.fit_color_table, baselines.fit_linear_filter)]
    for truth in truths:
        damaged = read(truth)
        damaged[:, :, :5] = 1.0
        write(truth, damaged)
    spoiled = [fit(sources, truths, 5) for fit in (baselines.fit_color_table, baselines.fit_linear_filter)]
    assert torch.equal(clean[0].colors, spoiled[0].colors)
    assert torch.equal(clean[1].weight, spoiled[1].weight)


def test_a_color_that_was_never_seen_keeps_its_bin(pairs):
    sources, truths = pairs(lambda x: -x)
    table = baselines.fit_color_table(sources, truths, border=0)
    white = torch.ones(1, 3, 2, 2)  # brighter than any source
    assert (table.translate(white) - white).abs().max() <= 1 / baselines.BINS + 1e-6


def test_every_bin_holds_14_or_15_levels_of_a_channel():
    levels = torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1).expand(256, 1, 3)
    blue = baselines._bins(from_bytes(levels.numpy())) % baselines.BINS
    assert set(blue.flatten().bincount().tolist()) == {14, 15}


def test_the_median_removes_a_speck_and_keeps_an_edge():
    image = torch.zeros(1, 3, 12, 12)
    image[..., 6:] = 1.0
    specked = image.clone()
    specked[..., 4, 4] = -1.0
    assert torch.equal(baselines.median(specked), image)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (33, 7)])
def test_every_baseline_translates_any_size_within_the_range(size, tmp_path):
    generator = torch.Generator().manual_seed(1)
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for path in paths:
        write_picture(path, torch.randint(0, 256, (16, 16, 3), generator=generator, dtype=torch.uint8).numpy())
    images = torch.rand(2, 3, *size, generator=generator) * 2 - 1
    for translator in {
        **baselines.fit_baselines(paths[:1], paths[1:]),
        **baselines.fit_oracles(paths[:1], paths[1:], 0),
    }.values():
        translated = translator.translate(images)
        assert (translated.shape, translated.dtype) == (images.shape, images.dtype)
        assert translated.abs().max() <= 1
