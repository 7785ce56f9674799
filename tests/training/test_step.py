"""A step in parts and with recomputed blocks has the losses and gradients of the plain one, and needs less memory."""

import pytest
import torch
from building import build
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from cyclegan import distributed
from cyclegan.cli import main
from cyclegan.data.batches import UnpairedBatch
from cyclegan.errors import UserError
from cyclegan.methods.cyclegan import CycleGAN, CycleGANConfig
from cyclegan.networks.network_config import DiscriminatorConfig, GeneratorConfig, UnetConfig
from cyclegan.training.micro_batches import checkpoint_activations, in_micro_batches
from cyclegan.training.optimizers import Optimizers
from cyclegan.training.training_config import OptimizerConfig, TrainingConfig


def method() -> CycleGAN:
    torch.manual_seed(0)
    small = CycleGANConfig(
        generator=GeneratorConfig(base_channels=4, blocks=3),
        discriminator=DiscriminatorConfig(base_channels=4, layers=2),
        lambda_r1=1.0,
        r1_every=1,
    )
    return build(small).double()


def batch() -> UnpairedBatch:
    return UnpairedBatch(*(torch.rand(2, 4, 3, 32, 32, dtype=torch.float64) * 2 - 1))


def after(steps: int, *, parts: int = 1, recompute: bool = False) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """The losses and gradients of the last step. (Weights drift by rounding: norms leave some biases no gradient.)"""
    built = method()
    checkpoint_activations(built, recompute)
    optimizers = Optimizers(built.parameter_groups(), OptimizerConfig(), parts)
    for step in range(steps):
        torch.manual_seed(step)
        losses = in_micro_batches(built, parts)(batch(), optimizers.minimize)
    gradients = {name: parameter.grad for name, parameter in built.named_parameters()}
    return {name: loss.item() for name, loss in losses.items()}, gradients


@pytest.mark.parametrize("change", [{"parts": 2}, {"parts": 4}, {"recompute": True}, {"parts": 2, "recompute": True}])
def test_losses_and_gradients_are_those_of_the_plain_step_to_ten_digits(change):
    (losses, gradients), (expected, plain) = after(3, **change), after(3)
    assert losses == pytest.approx(expected, rel=1e-10)
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, plain[name], rtol=1e-10, atol=1e-10), name


def test_a_player_moves_once_it_has_heard_of_all_parts():
    w = nn.Parameter(torch.tensor([1.0]))
    optimizers = Optimizers({"only": [w]}, OptimizerConfig(lr=0.1), micro_batches=2)
    optimizers.minimize("only", {"loss": 3 * w.sum()})
    assert w.item() == 1.0
    optimizers.minimize("only", {"loss": 5 * w.sum()})
    assert w.item() == pytest.approx(0.9)
    assert w.grad.item() == 4.0
    optimizers.minimize("only", {"loss": 8 * w.sum()})
    assert w.grad.item() == 4.0  # the second step has begun anew


def kept(parts: int, recompute: bool) -> int:
    """Bytes of the most activations at a time."""
    built, most, now = method(), [0], {}
    checkpoint_activations(built, recompute)
    weights = {parameter.data_ptr() for parameter in built.parameters()}

    def pack(tensor):
        if tensor.data_ptr() not in weights:
            now[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    def minimize(_, losses):
        sum(losses.values()).backward()
        most.append(sum(now.values()))
        now.clear()

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        in_micro_batches(built, parts)(batch(), minimize)
    return max(most)


def test_parts_and_recomputed_blocks_keep_less_for_the_gradient():
    plain = kept(1, False)
    assert kept(4, False) < 0.3 * plain
    assert kept(1, True) < 0.8 * plain


def test_a_batch_that_cannot_be_parted_is_refused_with_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.yaml").write_text(
        "name: odd\nmethod: {name: cyclegan}\ndata: {domain: photo2painting, batch_size: 4}\n"
        "training: {steps: 1, accumulate: 3, device: cpu}\n"
    )
    assert main(["train", "odd.yaml", "--set", "data.crop_size=32", "--set", "data.load_size=null"]) == 2
    said = "training.accumulate: 4 images do not make 3 equal parts; give a divisor of data.batch_size"
    assert said in capsys.readouterr().err


def test_the_share_of_a_process_that_cannot_be_parted_is_told_as_such(monkeypatch):
    monkeypatch.setattr("cyclegan.distributed.world_size", lambda: 2)
    assert distributed.micro_batch_indices(4, 2) == [0, 2]
    said = "2 images for each of 2 processes do not make 4 equal parts; give a divisor of 2"
    with pytest.raises(UserError, match=f"training.accumulate: {said}$"):
        distributed.micro_batch_indices(4, 4)
    with pytest.raises(UserError, match=f"training.accumulate: {said}$"):
        in_micro_batches(method(), 4)(UnpairedBatch(*torch.zeros(2, 2, 3, 32, 32)), lambda *_: None)


REFUSED = {  # what is asked for -> what is said
    "training.accumulate=2": "training: accumulate changes what a batch norm sees; take norm instance, or 1",
    "training.activation_checkpointing=true": "training: activation_checkpointing changes what a batch norm sees; "
    "take norm instance, or False",
}


@pytest.mark.parametrize("norm", ["method.generator.norm=batch", "method.discriminator.norm=batch"])
@pytest.mark.parametrize("asked", REFUSED)
def test_a_batch_norm_is_seen_in_one_piece_or_not_at_all(tmp_path, asked, norm, capsys):
    (tmp_path / "it.yaml").write_text("name: it\ndata: {domain: photo2painting, batch_size: 4}\ntraining: {steps: 1}\n")
    assert main(["show", str(tmp_path / "it.yaml"), "--set", norm, "--set", asked]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert REFUSED[asked].replace("False", "false") in said


def test_a_batch_norm_is_not_shared_out_among_processes(tmp_path, monkeypatch, capsys):
    (tmp_path / "it.yaml").write_text("name: it\ndata: {domain: photo2painting}\ntraining: {steps: 1, device: cpu}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cyclegan.distributed.world_size", lambda: 2)
    assert main(["train", "it.yaml", "--set", "method.generator.norm=batch"]) == 2
    assert "method: a batch norm needs the whole batch in one process" in capsys.readouterr().err


def test_dropout_is_not_shared_out_among_processes(tmp_path, monkeypatch, capsys):
    (tmp_path / "it.yaml").write_text(
        "name: it\ndata: {domain: photo2painting, load_size: null, crop_size: 32}\n"
        "method: {generator: {name: unet, base_channels: 4, downsamplings: 3, dropout: 0.5}}\n"
        "training: {steps: 1, device: cpu}\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cyclegan.distributed.world_size", lambda: 2)
    assert main(["train", "it.yaml"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said == (
        "error: method: dropout is drawn for the whole batch in one process; take generator.dropout 0, or one process"
    )


def test_blocks_that_are_not_there_are_not_computed_twice():
    built = build(CycleGANConfig(generator=UnetConfig(base_channels=2, downsamplings=2)))
    checkpoint_activations(built, False)
    with pytest.raises(
        UserError, match=r"training\.activation_checkpointing: is for residual blocks, of which this method"
    ):
        checkpoint_activations(built, True)


def test_no_parts_at_all_are_refused():
    with pytest.raises(ValueError, match="accumulate: must be at least 1"):
        TrainingConfig(steps=1, accumulate=0)
