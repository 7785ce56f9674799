"""ProjectionHead: a vector of length 1 for each place asked for."""

import torch

from cyclegan.networks.projection_head import ProjectionHead


def test_each_place_is_projected_by_itself_in_the_order_asked_for():
    torch.manual_seed(0)
    head, features = ProjectionHead(5, width=7), torch.randn(2, 5, 3, 4)
    found = head(features, torch.tensor([9, 0]))  # row 2, column 1; row 0, column 0
    assert found.shape == (2, 2, 7)
    assert torch.allclose(found[:, :1], head(features[:, :, 2:, 1:2], torch.tensor([0])), atol=1e-6)
    assert torch.allclose(found.norm(dim=2), torch.ones(2, 2))


def test_it_has_the_papers_two_layers_of_256():
    assert sum(parameter.numel() for parameter in ProjectionHead(128).parameters()) == 128 * 256 + 256 + 256 * 256 + 256


def test_vectors_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert ProjectionHead(5)(torch.randn(1, 5, 3, 3), torch.arange(4)).dtype == torch.float32
