"""The notebooks: they define nothing, are committed without outputs, and show what they promise from a fresh kernel."""

import ast
import os
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
STEPS = 20  # of live training
BASELINES = ("identity", "Monge-Kantorovich", "median + Monge-Kantorovich")
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)

Outputs = dict[str, list[NotebookNode]]  # of every cell of code, by its id


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_all_three_are_there():
    assert [path.stem for path in NOTEBOOKS] == ["compare_methods", "cyclegan_walkthrough", "evaluate_translations"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_calls_the_library_and_defines_nothing(path):
    trees = [ast.parse(cell.source) for cell in code_cells(path)]
    assert not [node.lineno for tree in trees for node in ast.walk(tree) if isinstance(node, DEFINITIONS)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", cell.id) and not cell.metadata for cell in notebook.cells)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(path))


@pytest.fixture
def run(tmp_path, monkeypatch) -> Callable[[str], Outputs]:
    """Runs a notebook in an empty folder, on a machine without runs, weights and network."""
    (tmp_path / "weights").mkdir()
    for name, value in {
        "CYCLEGAN_NOTEBOOK_STEPS": str(STEPS),
        "CYCLEGAN_NOTEBOOK_RUN": str(tmp_path / "no run"),
        "CYCLEGAN_WEIGHTS": str(tmp_path / "weights"),
        "TORCH_HOME": str(tmp_path / "torch"),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "https_proxy": "http://127.0.0.1:9",  # nobody listens
        "no_proxy": "",
    }.items():
        monkeypatch.setenv(name, value)
        if name.endswith("proxy"):
            monkeypatch.setenv(name.upper(), value)

    def execute(name: str) -> Outputs:
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        before = set(os.listdir(FOLDER.parent))
        NotebookClient(notebook, timeout=280, resources={"metadata": {"path": str(tmp_path)}}).execute()
        assert set(os.listdir(FOLDER.parent)) == before
        outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
        said = [output for cell in outputs.values() for output in cell if output.output_type == "stream"]
        assert not [output.text for output in said if output.name == "stderr"]
        return outputs

    return execute


def shown(cell: list[NotebookNode], kind: str) -> list[str]:
    """All that a cell shows of a kind, as text/markdown."""
    return [output.data[kind] for output in cell if kind in output.get("data", {})]


def printed(cell: list[NotebookNode]) -> str:
    return "".join(output.text for output in cell if output.output_type == "stream")


def row(table: str, name: str) -> list[str]:
    """The cells of the row of a Markdown table, without its name."""
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


@pytest.mark.slow
def test_the_walkthrough_takes_a_step_apart_trains_and_scores(run):
    outputs = run("cyclegan_walkthrough")
    assert shown(outputs["pictures"], "image/png")
    assert "def lsgan_generator" in shown(outputs["adversarial-code"], "text/plain")[0]

    (moves,) = shown(outputs["moves"], "text/markdown")
    for name in ("G", "F"):
        assert row(moves, name) == ["0.001", "yes", "0", "none"]
    for name in ("D_X", "D_Y"):
        assert row(moves, name) == ["0", "none", "0.001", "yes"]
    assert float(printed(outputs["twin"]).split()[-1]) < 1e-6

    assert f"step {STEPS}/{STEPS}" in printed(outputs["training"])
    (curves,) = shown(outputs["loss-curves"], "text/html")
    assert curves.count("<polyline") == 6
    assert shown(outputs["samples"], "image/png")
    (table,) = shown(outputs["rivals"], "text/markdown")
    for name in (*BASELINES, f"CycleGAN, {STEPS} steps"):
        assert re.match(r"\d+\.\d\d \[", row(table, name)[0])


@pytest.mark.slow
def test_the_evaluation_shows_scores_the_way_back_and_every_picture(run):
    outputs = run("evaluate_translations")
    assert "does not exist" in printed(outputs["run"])
    assert len(shown(outputs["samples"], "image/png")) == 2
    tables = shown(outputs["scores"], "text/markdown")
    assert [table.splitlines()[0] for table in tables] == ["### photo2tint", "### tint2photo"]
    for table in tables:
        for name in (*BASELINES, f"cyclegan, step {STEPS}"):
            assert re.match(r"\d+\.\d\d \[", row(table, name)[0])
    assert len(re.findall(r"[+-]\d\.\d{3}, [+-]\d", shown(outputs["paired"], "text/markdown")[0])) == 8
    for table in shown(outputs["unpaired"], "text/markdown"):
        for name in ("identity", "median + Monge-Kantorovich"):
            assert re.match(r"0\.\d{4} \[", row(table.split("### Is the content kept?")[0], name)[0])
    for table in shown(outputs["cycle"], "text/markdown"):
        assert 0 <= float(row(table, f"cyclegan, step {STEPS}")[-1]) <= 1  # perturbation ratio
    assert len(shown(outputs["extremes"], "image/png")) == 2
    (page,) = shown(outputs["browse"], "text/html")
    assert page.count("<figure") == 40
    assert page.count("data:image/png;base64,") == 160
    assert page in Path(printed(outputs["browse"]).strip()).read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_comparison_names_what_is_missing_and_goes_on(run):
    outputs = run("compare_methods")
    assert "RANDOM" in printed(outputs["gatys"])
    assert shown(outputs["painting"], "image/png")
    assert shown(outputs["comparison"], "image/png")
    (table,) = shown(outputs["table"], "text/markdown")
    (metrics,) = shown(outputs["metrics"], "text/markdown")
    realism, content, _ = metrics.split("### ")[1:]
    for name in ("color transfer", "Gatys", "CycleGAN"):
        assert re.match(r"0\.\d{4} \[", row(realism, name)[0])
        assert 0 < float(row(content, name)[0].split()[0]) <= 1
    assert row(table, "AdaIN")[0] == "failed"
    assert re.search(r"AdaIN failed: the weights '\w+' are not on this machine", table)
    assert shown(outputs["notes"], "text/markdown")
