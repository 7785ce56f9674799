"""translate --compile: the same pictures from compiled generators, and one line where there is nothing to compile."""

import pytest
import torch
from photos import difference, draw
from torch import nn

from cyclegan import cli
from cyclegan.errors import UserError
from cyclegan.export.graph_files import export
from cyclegan.images.rgb8 import read_picture
from cyclegan.model.compiled import is_compiled
from cyclegan.model.load import load
from cyclegan.translate.image_files import translate
from cyclegan.translate.options import Options
from cyclegan.translate.video import with_fixed_norms


@pytest.fixture
def compiled(monkeypatch) -> list[nn.Module]:
    """The modules that would be compiled, on a machine that can."""
    found: list[nn.Module] = []

    def note(self, **options):
        found.append(self)
        self._compiled_call_impl = self._call_impl  # as it does

    monkeypatch.setattr(torch, "compile", lambda function: function)
    monkeypatch.setattr(nn.Module, "compile", note)
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_generators_paint_the_same_pictures_of_any_size(run, photos, tmp_path):
    sizes = [(24, 18), (40, 30), (33, 27), (24, 18)]
    for i, size in enumerate(sizes):
        draw(photos / f"{i}.png", size)
    plain, fast = tmp_path / "plain", tmp_path / "fast"
    for out, more in ((plain, []), (fast, ["--compile"])):
        assert cli.main(["translate", str(run.folder), str(photos), "--out", str(out), *more]) == 0
    for i in range(len(sizes)):
        assert difference(read_picture(plain / f"{i}.png"), read_picture(fast / f"{i}.png")) <= 1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_frozen_copies_of_the_generators_are_compiled_in_the_precision_asked_for(run, compiled, precision):
    painter = load(run.folder, "cpu", compile=True, precision=precision)
    networks = [painter.translators[side].network for side in ("painting", "photo")]
    assert {id(network) for network in networks} <= {id(network) for network in compiled}
    for network in networks:
        assert not any(isinstance(layer, nn.InstanceNorm2d) for layer in network.modules())
        assert {parameter.dtype for parameter in network.parameters()} == {getattr(torch, precision)}
    assert not any(module in compiled for module in painter.networks.values())


def test_nothing_is_compiled_that_was_not_asked_for(run, compiled):
    load(run.folder, "cpu", precision="bfloat16")
    assert compiled == []


def test_the_network_of_a_film_is_compiled_with_its_statistics(run, compiled):
    translator = load(run.folder, "cpu", compile=True).translator()
    steady = with_fixed_norms(translator, [torch.rand(1, 3, 24, 32)], run.folder)
    assert steady.network is not translator.network
    assert compiled[-1] is steady.network


def test_tiles_are_refused_as_they_would_not_be_compiled(run, photos, out, compiled):
    painter = load(run.folder, "cpu", compile=True)
    with pytest.raises(UserError, match="--tile: works with copies of the network that are not compiled"):
        translate(painter, [draw(photos / "photo.png")], out, how=Options(tile=96))


def test_without_a_compiler_one_line_says_so_and_the_picture_is_painted(run, photos, tmp_path, monkeypatch, capsys):
    def fail(function):
        raise RuntimeError("no C++ compiler\nat all")

    monkeypatch.setattr(torch, "compile", fail)
    source = draw(photos / "photo.png")
    arguments = ["translate", str(run.folder), str(source), "--out"]
    assert cli.main([*arguments, str(tmp_path / "fast"), "--compile"]) == 0
    assert "compile   is not possible here (RuntimeError); continuing without\n" in capsys.readouterr().err
    assert cli.main([*arguments, str(tmp_path / "plain")]) == 0
    fast, plain = (read_picture(tmp_path / way / "photo.png") for way in ("fast", "plain"))
    assert difference(fast, plain) <= 1


@pytest.fixture
def only_something_small(monkeypatch) -> list[torch.fx.GraphModule]:
    """A compiler that fails at generators; what it was asked for."""
    asked: list[torch.fx.GraphModule] = []

    def fail(graph: torch.fx.GraphModule, inputs: list[torch.Tensor], **_: object) -> None:
        asked.append(graph)
        raise RuntimeError("cannot lower this")

    torch._dynamo.reset()
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda what, **how: real(what, **how) if hasattr(what, "__self__") else what)
    monkeypatch.setattr("torch._inductor.compile_fx.compile_fx", fail)
    return asked


@pytest.mark.filterwarnings("ignore")
def test_a_generator_that_cannot_be_compiled_paints_as_it_is_and_one_line_says_so(
    run, photos, tmp_path, only_something_small, capsys
):
    for i, size in enumerate([(24, 18), (40, 30)]):
        draw(photos / f"{i}.png", size)
    plain, fast = tmp_path / "plain", tmp_path / "fast"
    for out, more in ((plain, []), (fast, ["--compile"])):
        assert cli.main(["translate", str(run.folder), str(photos), "--out", str(out), *more]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "compile" in line]
    assert said == ["compile   is not possible here (BackendCompilerFailed); continuing without"]
    assert len(only_something_small) == 1
    for i in range(2):
        assert difference(read_picture(plain / f"{i}.png"), read_picture(fast / f"{i}.png")) <= 1


@pytest.mark.filterwarnings("ignore")
def test_the_network_of_a_film_that_cannot_be_compiled_runs_as_it_is(run, only_something_small, capsys):
    frame = torch.rand(1, 3, 24, 32)
    steady = with_fixed_norms(load(run.folder, "cpu", compile=True).translator(), [frame], run.folder)
    assert is_compiled(steady.network)
    expected = with_fixed_norms(load(run.folder, "cpu").translator(), [frame], run.folder).translate(frame)
    assert torch.allclose(steady.translate(frame), expected, atol=1e-4)
    assert not is_compiled(steady.network)
    assert "compile   is not possible here (BackendCompilerFailed)" in capsys.readouterr().err


@pytest.mark.parametrize("settings", ["name: gatys\nweights: random\n", "name: adain\nencoder: random\n"])
@pytest.mark.parametrize("styled", [True, False])
def test_what_paints_after_examples_has_no_generator_to_be_compiled(tmp_path, compiled, settings, styled):
    (tmp_path / "model.yaml").write_text(settings)
    style = [draw(tmp_path / "style.png")] if styled else []
    with pytest.raises(
        UserError, match="--compile: is for the generators of runs and releases; this model has none, leave it out"
    ):
        load(tmp_path / "model.yaml", "cpu", style, compile=True)
    assert compiled == []


def test_an_exported_graph_is_not_compiled(run, tmp_path):
    pytest.importorskip("onnxruntime")
    export(run.folder, tmp_path / "painting.onnx")
    with pytest.raises(UserError, match="--compile: is for the generators of runs and releases"):
        load(tmp_path / "painting.onnx", "cpu", compile=True)


def test_the_help_tells_of_it(capsys):
    with pytest.raises(SystemExit):
        cli.main(["translate", "--help"])
    assert "--compile" in capsys.readouterr().out
