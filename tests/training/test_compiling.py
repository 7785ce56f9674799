"""Compiled networks compute what the others do; where nothing can be compiled training goes on."""

from typing import Any

import pytest
import torch
import torch._functorch.config
import torch._inductor.compile_fx
from building import build
from functorch.compile import make_boxed_func
from torch import nn

from cyclegan.data.batches import UnpairedBatch
from cyclegan.methods.cyclegan import CycleGAN, CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.compile_networks import compile_networks
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig


def method() -> CycleGAN:
    torch.manual_seed(0)
    small = CycleGANConfig(
        generator=GeneratorConfig(base_channels=4, blocks=1),
        discriminator=DiscriminatorConfig(base_channels=4, layers=2),
    )
    return build(small)


def step(built: CycleGAN) -> tuple[dict[str, float], torch.Tensor]:
    batch = UnpairedBatch(
        *(torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(i)) * 2 - 1 for i in (1, 2))
    )
    losses = built.training_step(batch, Optimizers(built.parameter_groups(), OptimizerConfig()).minimize)
    gradients = torch.cat([parameter.grad.flatten() for parameter in built.G.parameters()])
    return {name: loss.item() for name, loss in losses.items()}, gradients


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("graphs", [False, True])
def test_losses_and_gradients_are_those_of_the_eager_networks(graphs):
    compiled = method()
    assert compile_networks(compiled, graphs=graphs)
    (losses, gradients), (expected, direction) = step(compiled), step(method())
    assert losses == pytest.approx(expected, rel=1e-4)
    assert torch.cosine_similarity(gradients, direction, dim=0) > 0.9999


@pytest.mark.parametrize(("graphs", "mode"), [(False, None), (True, "reduce-overhead")])
def test_every_network_is_compiled_and_nothing_else(monkeypatch, graphs, mode):
    compiled: list[tuple[nn.Module, str | None]] = []
    monkeypatch.setattr(torch, "compile", lambda function: function)

    def note(self, **options):
        compiled.append((self, options["mode"]))
        self._compiled_call_impl = self._call_impl

    monkeypatch.setattr(nn.Module, "compile", note)
    built = method()
    assert compile_networks(built, graphs=graphs)
    assert compiled == [(network, mode) for network in (built.G, built.F, built.D_X, built.D_Y)]


def test_without_a_compiler_training_goes_on_and_one_line_says_so(monkeypatch):
    def fail(function):
        raise RuntimeError("no C++ compiler\nat all")

    said: list[str] = []
    monkeypatch.setattr(torch, "compile", fail)
    built = method()
    assert not compile_networks(built, said.append)
    assert said == ["compile   is not possible here (RuntimeError); continuing without"]
    step(built)


def fail(*_: object) -> None:
    raise RuntimeError("cannot lower this")


def without_forward(graph: torch.fx.GraphModule, inputs: list[torch.Tensor], **_: object) -> Any:
    return fail()


def without_backward(graph: torch.fx.GraphModule, inputs: list[torch.Tensor], **_: object) -> Any:
    from torch._dynamo.backends.common import aot_autograd

    return aot_autograd(fw_compiler=lambda forward, _: make_boxed_func(forward), bw_compiler=fail)(graph, inputs)


@pytest.mark.filterwarnings("ignore")
@torch._functorch.config.patch(force_non_lazy_backward_lowering=False)  # is so again after the test
@pytest.mark.parametrize("backend", [without_forward, without_backward])
def test_a_network_that_cannot_be_compiled_runs_as_it_is_and_one_line_says_so(monkeypatch, backend):
    torch._dynamo.reset()
    said: list[str] = []
    built = method()
    real = torch.compile
    with monkeypatch.context() as patch:  # something small can be compiled
        patch.setattr(torch, "compile", lambda what, **how: real(what, **how) if hasattr(what, "__self__") else what)
        assert compile_networks(built, said.append)
    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", backend)
    (losses, gradients), (expected, direction) = step(built), step(method())
    assert said == ["compile   is not possible here (BackendCompilerFailed); continuing without"]
    assert losses == expected
    assert torch.equal(gradients, direction)
    step(built)
    assert len(said) == 1
