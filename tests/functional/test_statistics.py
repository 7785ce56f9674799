"""Statistics of features: mean and deviation, AdaIN, Gram matrix, covariance and the root of it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cyclegan.functional.statistics import adain, covariance, gram_matrix, match_mean_std, mean_std, sqrtm_psd

seeds = st.integers(0, 10_000)


def random_features(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.rand(1, shape[1], 1, 1, generator=generator) * 3 + 0.1
    offset = torch.randn(1, shape[1], 1, 1, generator=generator) * 2
    return (torch.randn(*shape, generator=generator) * scale + offset).to(dtype)


def random_psd(seed: int, channels: int, rank: int) -> torch.Tensor:
    factor = random_features(seed, 2, channels, rank, 1).flatten(2)
    return factor @ factor.mT


def test_mean_and_deviation_by_hand():
    features = torch.tensor([[1.0, 3.0], [5.0, 7.0]])[None, None]
    mean, std = mean_std(features, eps=4.0)
    assert mean.item() == 4
    assert std.item() == 3  # √((9 + 1 + 1 + 9) / 4 + 4): the biased variance is 5


def test_a_single_position_has_a_deviation_and_no_nan():
    mean, std = mean_std(torch.full((1, 2, 1, 1), 7.0))
    assert mean.flatten().tolist() == [7, 7]
    assert torch.allclose(std, torch.tensor(1e-5).sqrt())


@settings(deadline=None, max_examples=25)
@given(seed=seeds, height=st.integers(2, 9), width=st.integers(2, 9))
def test_adain_gives_the_content_the_statistics_of_the_style(seed, height, width):
    content, style = random_features(seed, 2, 5, height, width), random_features(seed + 1, 2, 5, 6, 4)
    for found, wanted in zip(mean_std(adain(content, style)), mean_std(style), strict=True):
        assert torch.allclose(found, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("spread", [0.1, 1.0, 100.0])
def test_it_does_so_however_little_the_content_varies_and_where_the_style_does_not(spread):
    content, style = (random_features(seed, 1, 32, 16, 16, dtype=torch.float32) for seed in (1, 2))
    style[:, 0] = 0.5
    for found, wanted in zip(mean_std(adain(content * spread, style)), mean_std(style), strict=True):
        assert torch.allclose(found, wanted, atol=1e-4, rtol=0)


def test_a_style_without_variance_still_has_a_gradient():
    style = torch.ones(1, 3, 4, 4, requires_grad=True)
    adain(random_features(16, 1, 3, 4, 4, dtype=torch.float32), style).sum().backward()
    assert style.grad.isfinite().all()


def test_adain_keeps_what_lies_above_the_mean_above_it():
    content, style = random_features(3, 1, 4, 5, 5), random_features(4, 1, 4, 3, 3)
    result = adain(content, style)
    above = content > mean_std(content)[0]
    assert torch.equal(result > mean_std(result)[0], above)


def test_one_style_serves_a_batch_of_contents():
    content, style = random_features(5, 3, 4, 5, 5), random_features(6, 1, 4, 5, 5)
    assert torch.equal(adain(content, style), adain(content, style.expand(3, -1, -1, -1)))
    assert torch.allclose(adain(content, style), match_mean_std(content, *mean_std(style, eps=0.0)))


def test_a_constant_content_becomes_the_mean_of_the_style():
    style = random_features(7, 1, 3, 4, 4, dtype=torch.float32)
    result = adain(torch.full((1, 3, 4, 4), 100.0), style)
    assert torch.allclose(result, mean_std(style)[0].expand_as(result))


def test_the_gram_matrix_by_hand():
    features = torch.tensor([[1.0, 2.0], [3.0, -1.0]])[None, :, None]  # two channels, two positions
    assert torch.equal(gram_matrix(features), torch.tensor([[[2.5, 0.5], [0.5, 5.0]]]))


def test_the_gram_matrix_does_not_depend_on_size_or_order_of_the_positions():
    features = random_features(8, 2, 4, 3, 5)
    tiled = features.repeat(1, 1, 2, 3)
    shuffled = features.flatten(2)[:, :, torch.randperm(15)].unflatten(2, (5, 3))
    assert torch.allclose(gram_matrix(tiled), gram_matrix(features))
    assert torch.allclose(gram_matrix(shuffled), gram_matrix(features))


def test_mean_and_covariance_are_those_of_torch():
    features = random_features(9, 2, 4, 6, 5)
    mean, found = covariance(features)
    for i in range(2):
        flat = features[i].flatten(1)
        assert torch.allclose(mean[i], flat.mean(dim=1))
        assert torch.allclose(found[i], torch.cov(flat, correction=0))


def test_the_second_moment_is_the_covariance_and_the_mean():
    features = random_features(10, 2, 4, 6, 5)
    mean, central = covariance(features)
    assert torch.allclose(gram_matrix(features), central + mean[:, :, None] * mean[:, None, :])


@settings(deadline=None, max_examples=25)
@given(seed=seeds, rank=st.integers(1, 7))
def test_the_root_is_symmetric_positive_and_squares_to_its_matrix_at_any_rank(seed, rank):
    matrix = random_psd(seed, channels=5, rank=rank)
    root = sqrtm_psd(matrix)
    scale = matrix.diagonal(dim1=1, dim2=2).sum().item()
    assert torch.allclose(root @ root, matrix, atol=1e-9 * scale)
    assert torch.allclose(root, root.mT, atol=1e-9 * scale)
    assert torch.linalg.eigvalsh(root).min() > -1e-6 * scale**0.5


@pytest.mark.parametrize("case", ["any matrix", "equal eigenvalues"])
def test_the_gradient_of_the_root_is_that_of_finite_differences(case):
    identity = torch.eye(4, dtype=torch.float64).expand(2, -1, -1)
    matrix = 3 * identity if case == "equal eigenvalues" else random_psd(11, channels=4, rank=9) + identity
    weight, direction, step = torch.randn_like(matrix), random_psd(12, channels=4, rank=2), 1e-5
    (gradient,) = torch.autograd.grad((sqrtm_psd(matrix.requires_grad_()) * weight).sum(), matrix)
    slope = (sqrtm_psd(matrix + step * direction) - sqrtm_psd(matrix - step * direction)) / (2 * step)
    assert torch.allclose((gradient * direction).sum(), (slope * weight).sum(), rtol=1e-6)


@pytest.mark.parametrize("rank", [0, 1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_is_finite_where_rank_is_lost(rank, dtype):
    features = random_features(12, 2, 6, max(rank, 1), 1, dtype=dtype) * bool(rank)
    features.requires_grad_()
    sqrtm_psd(gram_matrix(features)).sum().backward()
    assert features.grad.isfinite().all()
    assert features.grad.abs().max() < 1e3


def test_reduced_precision_outside_is_full_precision_inside():
    rounded = random_features(13, 1, 8, 12, 12).bfloat16()
    exact = rounded.float()
    with torch.autocast("cpu", torch.bfloat16):
        results = [*mean_std(rounded), gram_matrix(rounded), *covariance(rounded), sqrtm_psd(covariance(rounded)[1])]
    expected = [*mean_std(exact), gram_matrix(exact), *covariance(exact), sqrtm_psd(covariance(exact)[1])]
    for found, wanted in zip(results, expected, strict=True):
        assert found.dtype == torch.float32
        assert torch.equal(found, wanted)


def test_adain_answers_in_the_precision_of_the_content():
    content, style = random_features(14, 1, 3, 4, 4).bfloat16(), random_features(15, 1, 3, 4, 4)
    assert adain(content, style).dtype == torch.bfloat16
