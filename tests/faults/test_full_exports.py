"""What is exported to a disk that is full: exit code 4, one line, and nothing is left there."""

import resource

import pytest

from cyclegan.cli import main


@pytest.mark.parametrize("name", ["graph.onnx", "graph.pt2", "release.safetensors", "release"])
def test_an_export_that_the_disk_refuses(save_run, tmp_path, limit, capsys, name):
    run, out = save_run(tmp_path / "run"), tmp_path / "exported" / name
    limit(2000)
    assert main(["export", str(run), "--out", str(out)]) == 4
    limit(resource.RLIM_INFINITY)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"error: {out}: cannot be written (")
    assert "File too large" in said
    assert said.endswith("; give another --out or make room")
    assert list(out.parent.iterdir()) == []
