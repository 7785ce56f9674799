"""A frozen generator draws what the generator draws; and why training does not take the same way."""

import pytest
import torch
from torch import nn

from cyclegan.networks.inference_copy import inference_copy
from cyclegan.networks.layers import InstanceNorm
from cyclegan.networks.resnet import ResnetGenerator
from cyclegan.networks.unet import UnetGenerator


def images(n: int = 1, side: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(
    params=[
        *({}, {"norm": "none"}, {"norm": "batch"}, {"norm": "layer"}, {"norm": "group"}),
        *({"stem": "shuffle"}, {"residual_output": True}),
        *({"upsampling": "resize"}, {"upsampling": "shuffle"}, {"upsampling": "blur", "downsampling": "blur"}),
        *({"unet": True}, {"unet": True, "norm": "batch", "downsampling": "blur"}),
    ],
    ids=str,
)
def network(request) -> nn.Module:
    torch.manual_seed(0)
    options = {"base_channels": 8, **request.param}
    built = (
        UnetGenerator(downsamplings=4, **options)
        if options.pop("unet", False)
        else ResnetGenerator(blocks=2, **options)
    )
    built(images(4))  # something for batch norms to remember
    built.eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(1.5)  # away from the small numbers of the start
    return built


@torch.no_grad()
def test_in_float32_it_draws_the_same(network):
    assert torch.allclose(inference_copy(network, torch.float32)(images(2)), network(images(2)), atol=2e-5)


@torch.no_grad()
def test_in_bfloat16_it_is_off_by_a_level_or_two_and_gives_float32(network):
    drawn = inference_copy(network, torch.bfloat16)(images(2))
    assert drawn.dtype == torch.float32
    assert (drawn - network(images(2))).abs().mean() < 2 / 127.5


def test_it_is_a_copy_that_learns_nothing(network):
    copied = inference_copy(network, torch.bfloat16)
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert all(parameter.dtype == torch.float32 and parameter.requires_grad for parameter in network.parameters())
    assert not any(isinstance(module, nn.InstanceNorm2d) for module in copied.modules())


@torch.no_grad()
def test_gains_and_offsets_of_instance_norms_are_kept():
    norm = InstanceNorm(3, affine=True)
    norm.weight.copy_(torch.tensor([0.5, 2.0, -1.0]))
    norm.bias.copy_(torch.tensor([0.0, 1.0, 3.0]))
    network = nn.Sequential(nn.Conv2d(3, 3, 1), norm)
    assert torch.allclose(inference_copy(network, torch.float32)(images()), network(images()), atol=1e-5)


def test_pytorch_still_gets_channels_last_gradients_of_instance_norm_wrong():
    """The reason why only frozen networks are channels last. When this fails, PyTorch is repaired."""
    x = torch.randn(1, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradient = torch.randn(1, 4, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def derivative(memory_format: torch.memory_format) -> torch.Tensor:
        leaf = x.clone().requires_grad_()
        nn.functional.instance_norm(leaf).backward(gradient.contiguous(memory_format=memory_format))
        return leaf.grad

    right, wrong = (derivative(order) for order in (torch.contiguous_format, torch.channels_last))
    assert (right - wrong).abs().max() > 0.1
