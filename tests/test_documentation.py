"""The documentation is true: its links lead somewhere, and it says what the code says; test_docs.py runs it."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ACTIVATE, PAGES, ROOT, commands

from cyclegan.config import load
from cyclegan.experiment import Experiment
from cyclegan.metrics.failure_modes import FAILURE_MODES
from cyclegan.training.run import OPERATIONAL


def headings(page: Path) -> set[str]:
    """The anchors of a page."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_the_tables_of_settings_name_the_choices_and_the_defaults_themselves():
    render = runpy.run_path(str(ROOT / "docs" / "settings_tables.py"))["on_page_markdown"]
    page = render((ROOT / "docs" / "settings.md").read_text(encoding="utf-8"))
    assert "::: settings" not in page
    assert not re.search(r"default_factory|lambda:|Literal|MISSING|\b(Upsampling|Downsampling|Norm|Init)\b", page)
    generator = render("::: settings cyclegan.networks.network_config.GeneratorConfig")
    row = "| `upsampling` | `transposed` | transposed, resize, shuffle, blur, resize_zeros, blur_zeros |"
    assert row in generator
    assert "orthogonal" in generator
    assert "| `lr_factors` | `{}` | {text: float} |" in page
    assert "| `content_layers` | `{relu4_2: 1.0}` |" in page


def test_what_may_change_on_the_way_is_what_the_page_says():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"only these may change: (.*?)\n\n", page, re.DOTALL)
    assert set(re.findall(r"`((?:data|training)\.\w+)`", said)) == set(OPERATIONAL)


def test_what_helps_when_it_goes_wrong_can_be_set():
    rows = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8").splitlines()
    remedies = [found for row in rows if row.startswith("|") if (found := re.findall(r"--set ([\w.]+=[\w.-]+)", row))]
    assert len(remedies) > 7
    for recipe in ("photo2painting", "photo2monet"):
        for remedy in remedies:
            load(ROOT / "experiments" / "cyclegan" / f"{recipe}.yaml", Experiment, [*remedy, "data.batch_size=2"])


def test_every_failure_mode_is_in_the_table():
    rows = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8").splitlines()
    told = {row.split("|")[1].strip() for row in rows if row.startswith("|")}
    assert {mode.title for mode in FAILURE_MODES.values()} <= told


def test_every_list_of_packages_that_the_pages_name_is_there():
    named = re.findall(r"pip install -r ([\w.-]*\w)", "".join(page.read_text(encoding="utf-8") for page in PAGES))
    assert {"requirements-export.txt", "requirements-video.txt", "requirements-demo.txt"} <= set(named)
    assert all((ROOT / name).is_file() for name in named), named


def test_the_environment_that_the_pages_activate_is_the_one_that_make_fills():
    assert ACTIVATE in commands()
    plain = {name: value for name, value in os.environ.items() if name not in ("VENV", "MAKEFLAGS", "MFLAGS")}
    command = ["make", "--dry-run", "--always-make", "train"]
    done = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, timeout=60, check=True).stdout
    folder = ACTIVATE.removeprefix(". ").removesuffix("/bin/activate")
    assert f"-m venv {folder}\n" in done
    assert f"{folder}/bin/cyclegan train" in done


def test_a_page_that_the_build_fills_says_so_before_what_is_to_be_filled():
    filled = [text for text in (page.read_text(encoding="utf-8") for page in PAGES) if "\n:::" in text]
    assert len(filled) == 2
    for text in filled:
        assert "`make docs`" in text.partition("\n:::")[0]


@pytest.mark.slow
def test_the_site_is_built_without_a_dead_link(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, timeout=200, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    settings = (tmp_path / "site" / "settings" / "index.html").read_text()
    assert "lambda_cycle" in settings
    assert ":::" not in settings
