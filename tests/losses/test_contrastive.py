"""PatchNCE: where it vanishes, values by hand, and whom it moves."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from cyclegan.losses.contrastive import patch_nce


def vectors(places: int = 5, images: int = 2, seed: int = 0) -> Tensor:
    return normalize(torch.randn(images, places, 8, generator=torch.Generator().manual_seed(seed)), dim=2)


def test_it_vanishes_where_every_patch_is_its_own_and_unlike_all_others():
    places = torch.eye(6)[None]
    assert patch_nce(places, places, 0.01).item() == pytest.approx(0, abs=1e-6)


def test_two_places_by_hand():
    queries, keys = torch.eye(2)[None], torch.tensor([[[0.6, 0.8], [0.0, 1.0]]])
    first = -math.log(math.exp(0.6 / 0.5) / (math.exp(0.6 / 0.5) + math.exp(0.0)))
    second = -math.log(math.exp(1.0 / 0.5) / (math.exp(1.0 / 0.5) + math.exp(0.8 / 0.5)))
    assert patch_nce(queries, keys, 0.5).item() == pytest.approx((first + second) / 2)


@settings(deadline=None, max_examples=20)
@given(places=st.integers(2, 9), images=st.integers(1, 3), temperature=st.floats(0.05, 2))
def test_patches_that_are_all_alike_cannot_be_told_apart(places, images, temperature):
    alike = torch.ones(images, places, 4) / 2
    assert patch_nce(alike, alike, temperature).item() == pytest.approx(math.log(places), rel=1e-4)


def test_negatives_come_from_the_same_image_alone():
    queries, keys = vectors(images=3), vectors(images=3, seed=1)
    alone = [patch_nce(q, k, 0.07).item() for q, k in zip(queries.split(1), keys.split(1), strict=True)]
    assert patch_nce(queries, keys, 0.07).item() == pytest.approx(sum(alone) / 3, rel=1e-5)


def test_the_order_of_places_does_not_count():
    order = torch.randperm(5, generator=torch.Generator().manual_seed(2))
    shuffled = patch_nce(vectors()[:, order], vectors(seed=1)[:, order], 0.07)
    assert shuffled.item() == pytest.approx(patch_nce(vectors(), vectors(seed=1), 0.07).item(), rel=1e-5)


def test_descent_moves_queries_towards_their_keys_and_away_from_others_and_keys_not_at_all():
    queries, keys = vectors().requires_grad_(), vectors(seed=1).requires_grad_()
    patch_nce(queries, keys, 0.07).backward()
    assert keys.grad is None
    moved = (queries - 0.01 * queries.grad) @ keys.mT - queries @ keys.mT
    diagonal = moved.diagonal(dim1=1, dim2=2)
    assert diagonal.mean() > 0
    assert diagonal.mean() > moved.mean()


def test_it_is_in_float32_under_autocast():
    expected = patch_nce(vectors(), vectors(seed=1), 0.07)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(patch_nce(vectors(), vectors(seed=1), 0.07), expected)
