"""The page that a user of TensorBoard sees, in a real browser: curves, sample grids, settings."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from folders import two_sides
from watching import wait_until

from cyclegan import cli

TIMEOUT = 120  # seconds that nothing here should ever take
CONFIG = """
name: nano
method:
  name: cyclegan
  generator: {base_channels: 4, blocks: 1}
  discriminator: {base_channels: 4, layers: 2}
data: {x: summer, y: winter, load_size: null, crop_size: 32, batch_size: 2}
training: {steps: 6, log_every: 1, sample_every: 3, save_every: 3, device: cpu}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """The folder of a run of six steps."""
    place = tmp_path_factory.mktemp("place")
    two_sides(place, 40)
    (place / "nano.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert cli.main(["train", "nano.yaml"]) == 0
    return place / "runs" / "summer2winter" / "nano"


@pytest.fixture(scope="module")
def address(run, tmp_path_factory) -> Iterator[str]:
    """Where TensorBoard shows the run."""
    output = tmp_path_factory.mktemp("tensorboard") / "output.txt"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(run.parents[1]), "--port", "0"]
    with output.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        address = re.compile(r"http://\S+")
        yield wait_until(lambda: address.search(output.read_text()), server, output.read_text, TIMEOUT, between=0.05)[0]
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # it has a process of its own that reads the files
        server.wait(TIMEOUT)


@pytest.fixture
def page(browser, address):
    """A page that must not ask for anything that is not there."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.set_default_timeout(TIMEOUT * 1000)
    yield page
    page.close()
    assert failed == []


def test_the_scalars_page_draws_the_curves(page, address, tmp_path):
    page.goto(f"{address}#scalars")
    groups = page.locator(".category-name")
    groups.nth(5).wait_for()
    assert groups.all_inner_texts() == ["health", "learning_rate", "loss", "probability_real", "score", "speed"]
    for group in ("loss", "probability_real"):
        page.locator(".category-name", has_text=group).click()
    for tag in ("probability_real/D_X real", "loss/gan_G"):
        card = page.locator("tf-scalar-card", has_text=f"tag: {tag}")
        card.locator("path.line[d*=L]").first.wait_for(state="attached")  # a line through two points or more
    page.screenshot(path=tmp_path / "scalars.png")


def test_the_images_page_shows_the_samples(page, address, tmp_path):
    page.goto(f"{address}#images")
    grids = page.locator("tf-image-loader img")
    grids.nth(1).wait_for()
    page.wait_for_function("[...document.querySelectorAll('tf-image-loader img')].every(i => i.complete)")
    page.screenshot(path=tmp_path / "images.png")
    sizes = grids.evaluate_all("images => images.map(i => [i.naturalWidth, i.naturalHeight])")
    assert sizes == [[138, 138]] * 2  # four columns, four rows of 32 px, gaps of 2


def test_the_custom_page_shows_the_losses_of_each_group(page, address, tmp_path):
    page.goto(f"{address}#custom_scalars")
    for title, curves in (("generators", 6), ("discriminators", 2), ("probability_real", 4)):
        page.get_by_text(title, exact=True).wait_for()
        page.get_by_text(f"Matches ({curves})").wait_for()
    page.locator("path.line[d*=L]").nth(6 + 2 + 4 - 1).wait_for(state="attached")
    page.screenshot(path=tmp_path / "custom.png")
