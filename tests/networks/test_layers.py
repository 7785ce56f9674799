"""The blocks compute what the usual layers do, and keep less of it for the gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cyclegan.networks.layers import GroupNorm, InstanceNorm, ReflectionPad, ResnetBlock


@given(padding=st.integers(1, 3), height=st.integers(4, 9), width=st.integers(4, 9), images=st.integers(1, 3))
def test_padding_and_its_gradient_are_those_of_pytorch_bit_for_bit(padding, height, width, images):
    torch.manual_seed(0)
    found = []
    values, weights = torch.randn(images, 2, height, width), torch.randn(images, 2, height + 6, width + 6)
    for pad in (nn.ReflectionPad2d(padding), ReflectionPad(padding)):
        features = values.clone().requires_grad_()
        padded = pad(features)
        (padded * weights[..., : padded.shape[-2], : padded.shape[-1]]).sum().backward()
        found.append((padded, features.grad))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_padding_has_the_gradient_that_differences_say():
    features = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ReflectionPad(2), features)


def test_padding_stays_in_bfloat16_where_pytorch_widens():
    features = torch.randn(1, 2, 4, 4, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert ReflectionPad(1)(features).dtype == torch.bfloat16


@pytest.mark.parametrize("shift", [0, 1, 10])
def test_statistics_of_bfloat16_features_are_float32(shift):
    features = (torch.randn(1, 64, 64, 64, generator=torch.Generator().manual_seed(0)) + shift).bfloat16()
    true, ours, pytorchs = features.double().requires_grad_(), *(features.clone().requires_grad_() for _ in range(2))
    direction = torch.randn(features.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    found = {}
    for name, norm, inputs in (
        ("true", nn.InstanceNorm2d(64), true),
        ("ours", InstanceNorm(64), ours),
        ("PyTorch's", nn.InstanceNorm2d(64), pytorchs),
    ):
        normalized = norm(inputs)
        normalized.backward(direction.to(normalized.dtype))
        found[name] = normalized.double().mean(dim=(2, 3)).abs().max(), inputs.grad.double()
        assert normalized.dtype == inputs.dtype
    errors = {
        name: (gradient - found["true"][1]).norm() / found["true"][1].norm() for name, (_, gradient) in found.items()
    }
    assert found["ours"][0] < 1e-3
    assert errors["ours"] < 0.002
    assert found["PyTorch's"][0] > found["ours"][0]  # once it no longer is, this norm can go
    assert errors["PyTorch's"] > errors["ours"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_in_other_precisions_an_instance_norm_is_pytorchs_bit_for_bit(dtype):
    features = torch.randn(2, 3, 5, 7, dtype=dtype, generator=torch.Generator().manual_seed(0))
    assert torch.equal(InstanceNorm(3)(features), nn.InstanceNorm2d(3)(features))


def test_in_evaluation_all_channels_that_vary_keep_their_bits():
    features = torch.randn(2, 4, 19, 21, generator=torch.Generator().manual_seed(0)) * 1e-3
    features[1, 2] = 0.7
    for ours, pytorchs in ((InstanceNorm(4), nn.InstanceNorm2d(4)), (GroupNorm(4, 4), nn.GroupNorm(4, 4))):
        found, expected = ours.eval()(features), pytorchs.eval()(features)
        vary = torch.ones(2, 4, dtype=torch.bool)
        vary[1, 2] = False
        assert torch.equal(found[vary], expected[vary])
        assert not found[~vary].any()


@torch.no_grad()
def test_gains_and_offsets_are_used_in_bfloat16_too():
    features, norm = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0)), InstanceNorm(2, affine=True)
    norm.weight.copy_(torch.tensor([0.5, -2.0]))
    norm.bias.copy_(torch.tensor([1.0, 3.0]))
    assert torch.allclose(norm(features.bfloat16()).float(), norm(features.bfloat16().float()), atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@given(level=st.floats(-8, 8), side=st.integers(2, 40), noise=st.floats(0, 4e-6))
def test_in_evaluation_a_constant_channel_becomes_exactly_zero_and_has_no_gradient(dtype, level, side, noise):
    features = torch.full((1, 2, side, side), level, dtype=dtype)
    features[0, 0, -1, -1] += noise
    features[0, 1, 0, 0] += 1
    features.requires_grad_()
    normalized = InstanceNorm(2).eval()(features)
    (normalized * torch.rand_like(normalized)).sum().backward()
    assert not normalized[0, 0].any()
    assert not features.grad[0, 0].any()
    assert normalized[0, 1].any()
    assert features.grad[0, 1].isfinite().all()


def test_one_pixel_of_another_level_is_not_constant_wherever_it_is():
    step = 2 / 255 * 0.02  # a level of 255, times a weight as training begins with
    for row, column in ((0, 0), (3, 7), (49, 30)):
        features = torch.zeros(1, 1, 50, 31)
        features[..., row, column] = step
        assert torch.equal(InstanceNorm(1).eval()(features), nn.InstanceNorm2d(1)(features))
        assert InstanceNorm(1).eval()(features)[..., row, column] > 0.04


def test_a_constant_group_becomes_its_offset():
    norm = GroupNorm(2, 4).eval()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    features = torch.full((1, 4, 9, 9), 0.1)
    features[:, 2] = 0.3  # the second group varies from channel to channel
    normalized = norm(features)
    assert torch.equal(normalized[0, :2], norm.bias[:2, None, None].expand(2, 9, 9))
    assert torch.equal(normalized[0, 2:], nn.functional.group_norm(features, 2, norm.weight, norm.bias)[0, 2:])


def test_in_training_a_norm_is_pytorchs_on_constant_channels_too():
    features = torch.randn(1, 3, 1, 1).expand(1, 3, 9, 11) + 1e-7 * torch.randn(1, 3, 9, 11)
    assert torch.equal(InstanceNorm(3)(features), nn.InstanceNorm2d(3)(features))
    assert torch.equal(GroupNorm(3, 3)(features), nn.GroupNorm(3, 3)(features))


def usual(channels: int) -> nn.Module:
    one = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*one, nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels))


@pytest.fixture
def blocks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    own, plain = ResnetBlock(8), usual(8)
    for mine, theirs in zip(own.parameters(), plain.parameters(), strict=True):
        mine.data.copy_(theirs.data)
    return own, lambda features: features + plain(features)


def kept(call) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Activations that two such blocks in a row keep for the gradient, their output, and the gradient."""
    start = torch.randn(2, 8, 32, 32, generator=torch.Generator().manual_seed(1), requires_grad=True)
    found = {}
    with torch.autograd.graph.saved_tensors_hooks(lambda t: found.setdefault(t.data_ptr(), t), lambda t: t):
        end = call(call(2 * start))
    end.square().sum().backward()
    return sum(t.numel() for t in found.values()) / start.numel(), end, start.grad


def test_a_block_keeps_four_tensors_where_the_usual_one_keeps_six(blocks):
    own, usual = (kept(block) for block in blocks)
    assert torch.equal(own[1], usual[1])
    assert torch.equal(own[2], usual[2])
    assert own[0] < 2 * 4.5  # padded ones are a little larger; weights are among them
    assert usual[0] > 2 * 5.5
