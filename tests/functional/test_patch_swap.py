"""Style swap of feature maps, against loops over all pairs of patches."""

import pytest
import torch
from torch import Tensor

from cyclegan.functional.patch_swap import nearest_patches, swap_patches


def features(*shape: int, seed: int = 0) -> Tensor:
    """Numbers that are positive, as after a ReLU, and no two patches of which are parallel."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1


def looped(content: Tensor, style: Tensor, size: int, stride: int = 1) -> Tensor:
    """Eq. (1) and the average of overlapping patches, patch by patch."""
    _, height, width = content.shape
    corners = [(i, j) for i in range(height - size + 1) for j in range(width - size + 1)]
    rows, columns = (range(0, side - size + 1, stride) for side in style.shape[1:])
    patches = [style[:, i : i + size, j : j + size] for i in rows for j in columns]
    total, count = torch.zeros_like(content), torch.zeros_like(content)
    for i, j in corners:
        patch = content[:, i : i + size, j : j + size]
        nearest = max(patches, key=lambda p: float((patch * p).sum() / p.norm()))
        total[:, i : i + size, j : j + size] += nearest
        count[:, i : i + size, j : j + size] += 1
    return total / count


@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (1, 3)])
def test_it_is_equation_1_in_a_loop_over_all_pairs(size, stride):
    content, style = features(4, 6, 7), features(4, 8, 6, seed=1)
    swapped = swap_patches(content[None], style[None], size, stride)
    assert torch.allclose(swapped[0], looped(content, style, size, stride), rtol=0, atol=1e-10)


def test_the_patches_of_a_map_itself_are_their_own_nearest_and_give_it_back():
    style = features(1, 8, 9, 7).float()
    row, column = nearest_patches(style[0], style[0])
    assert torch.equal(row, torch.arange(7)[:, None].expand(7, 5))
    assert torch.equal(column, torch.arange(5).expand(7, 5))
    assert torch.allclose(swap_patches(style, style), style, rtol=0, atol=1e-6)


def test_a_brighter_content_has_the_same_nearest_patches():
    content, style = features(1, 4, 6, 7).float(), features(1, 4, 8, 8, seed=1).float()
    assert torch.equal(swap_patches(2 * content, style), swap_patches(content, style))


def test_a_longer_patch_is_no_nearer_and_is_pasted_at_its_length():
    content = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    style = torch.tensor([[100.0, 0.1], [100.0, 0.2]]).view(1, 2, 1, 2)  # parallel to the content: the second
    assert torch.equal(swap_patches(content, style, size=1).flatten(), torch.tensor([0.1, 0.2]))


def test_a_style_of_a_single_patch_is_all_there_is_to_choose():
    row, column = nearest_patches(features(4, 5, 6), features(4, 3, 3, seed=1))
    assert not row.any()
    assert not column.any()


def test_bands_of_rows_give_the_same_bits_as_the_whole():
    content, style = features(1, 8, 11, 9).float(), features(1, 8, 10, 12, seed=1).float()
    whole = swap_patches(content, style)
    for most in (1, 9 * 120 * 4, 9 * 120 * 7):
        assert torch.equal(swap_patches(content, style, most=most), whole)


def test_a_patch_as_large_as_the_maps_gives_the_style():
    content, style = features(1, 4, 5, 5), features(1, 4, 5, 5, seed=1)
    assert torch.equal(swap_patches(content, style, size=5), style)


def test_each_content_has_its_own_style_or_all_have_one():
    contents, styles = features(2, 4, 6, 7), features(2, 4, 5, 8, seed=1)
    swapped = swap_patches(contents, styles)
    for i in range(2):
        assert torch.equal(swapped[i : i + 1], swap_patches(contents[i : i + 1], styles[i : i + 1]))
    assert torch.equal(swap_patches(contents, styles[:1])[1:], swap_patches(contents[1:], styles[:1]))


def test_features_without_any_activation_stay_finite():
    content, style = features(1, 4, 6, 7), torch.zeros(1, 4, 5, 5)
    assert torch.equal(swap_patches(content, style.double()), torch.zeros_like(content))
