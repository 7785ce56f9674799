"""Device and precision: what `auto` means, and what stays in float32."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from building import build

from cyclegan import device as precision
from cyclegan.data.batches import UnpairedBatch
from cyclegan.device import autocast, choose_device, choose_precision
from cyclegan.errors import UserError
from cyclegan.methods.cyclegan import CycleGAN, CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))


@pytest.fixture
def devices(monkeypatch) -> Callable[[int, bool], None]:
    """Makes so many CUDA devices, and MPS, be here."""

    def put(cuda: int, mps: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return put


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "cuda", "cuda:0", "cuda:1", "mps"])
def test_a_named_device_is_taken_at_its_word(name, devices):
    devices(2, True)
    assert choose_device(name) == choose_device(torch.device(name)) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cuda", "device: no CUDA device here; use cpu or auto"),
        ("cuda:0", "device: no CUDA device here; use cpu or auto"),
        ("mps", "device: no MPS device here; use cpu or auto"),
    ],
)
def test_a_device_that_is_not_here_is_refused_in_one_line(name, said, devices):
    devices(0, False)
    with pytest.raises(UserError, match=f"^{said}$"):
        choose_device(name)


def test_a_gpu_beyond_the_last_one_is_refused(devices):
    devices(2, False)
    with pytest.raises(UserError, match=r"^device: no cuda:2 here; use cuda, or one of cuda:0 … cuda:1$"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "CUDA", "", "cuda:x", "cpu:1", "meta", "xpu", "0"])
def test_an_unknown_device_is_refused_in_one_line(name, devices):
    devices(2, True)
    with pytest.raises(UserError, match=f"^training.device: '{name}' is unknown; use auto, cpu, cuda, cuda:1 "):
        choose_device(name, "training.device")


@pytest.mark.parametrize("name", ["float16", "fp16", "half", "Tensor", ""])
def test_an_unknown_precision_is_refused_in_one_line(name):
    with pytest.raises(UserError, match=f"^precision: '{name}' is unknown; use float32, bfloat16 or auto$"):
        choose_precision(name, CPU)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"), [(True, True, CUDA), (True, False, CUDA), (False, True, MPS), (False, False, CPU)]
)
def test_auto_is_the_first_accelerator_that_is_there(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto") == chosen


@pytest.mark.parametrize("device", [CPU, CUDA, MPS], ids=str)
@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_named_precision_is_taken_at_its_word(name, device):
    assert choose_precision(name, device) == getattr(torch, name)


@pytest.mark.parametrize(("native", "chosen"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_only_where_a_gpu_computes_in_it(monkeypatch, native, chosen):
    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return native or including_emulation  # older GPUs emulate it, slowly

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    assert choose_precision("auto", CUDA) == chosen


@pytest.mark.parametrize(("native", "chosen"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_only_where_a_cpu_computes_in_it(monkeypatch, native, chosen):
    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: native)
    assert choose_precision("auto", CPU) == chosen
    assert choose_precision("auto", MPS) == torch.float32


def test_whether_this_cpu_has_bfloat16_can_be_found_out():
    assert choose_precision("auto", CPU) in (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_context_multiplies_in_the_chosen_precision(dtype):
    matrix = torch.randn(4, 4)
    with autocast(dtype, CPU):
        assert (matrix @ matrix).dtype == dtype
    assert (matrix @ matrix).dtype == torch.float32


def test_weights_gradients_and_losses_stay_in_float32():
    torch.manual_seed(0)
    method = build(
        CycleGANConfig(
            generator=GeneratorConfig(base_channels=2, blocks=1),
            discriminator=DiscriminatorConfig(base_channels=2, layers=1, norm="spectral"),
            lambda_r1=1.0,
        )
    )
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())
    batch = UnpairedBatch(*(torch.rand(1, 3, 16, 16) * 2 - 1 for _ in "xy"))
    with autocast(torch.bfloat16, CPU):
        assert method.G.layers(batch.x).dtype == torch.bfloat16
        losses = method.training_step(batch, optimizers.minimize)
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert {parameter.dtype for parameter in method.parameters()} == {torch.float32}
    assert {parameter.grad.dtype for parameter in method.parameters()} == {torch.float32}


def test_bfloat16_has_the_losses_and_the_direction_of_float32():
    torch.manual_seed(0)
    config = CycleGANConfig(
        generator=GeneratorConfig(base_channels=8, blocks=2), discriminator=DiscriminatorConfig(base_channels=8)
    )
    method = build(config)
    batch = UnpairedBatch(*(torch.rand(2, 3, 32, 32) * 2 - 1 for _ in "xy"))
    losses, directions = zip(
        *(step_in(dtype, deepcopy(method), batch) for dtype in (torch.float32, torch.bfloat16)), strict=True
    )
    for name, exact in losses[0].items():
        assert losses[1][name] == pytest.approx(exact, rel=0.02), name
    for player, exact in directions[0].items():
        assert torch.cosine_similarity(directions[1][player], exact, dim=0) > 0.9, player
        assert not torch.equal(directions[1][player], exact)


def step_in(
    dtype: torch.dtype, method: CycleGAN, batch: UnpairedBatch
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Losses, and gradients by player."""
    optimizers = Optimizers(method.parameter_groups(), OptimizerConfig())
    torch.manual_seed(0)
    with autocast(dtype, CPU):
        losses = method.training_step(batch, optimizers.minimize)
    gradients = {
        player: torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
        for player, parameters in optimizers.parameters.items()
    }
    return {name: loss.item() for name, loss in losses.items()}, gradients
