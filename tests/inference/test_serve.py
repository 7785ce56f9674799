"""serve: the command, and its page in a real browser."""

import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from little import write_gatys
from PIL import Image
from serving import PHOTO, pixels, png, served, studio

from cyclegan.cli import main
from cyclegan.inference import server
from cyclegan.inference.load import load
from cyclegan.pictures import write_picture

ROOT = Path(__file__).parents[2]


# The command


def test_without_its_packages_it_says_how_to_get_them(monkeypatch, capsys, run):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "cyclegan.inference.server")
    monkeypatch.delattr("cyclegan.inference.server")
    assert main(["serve", str(run.folder)]) == 2
    listed = re.findall(r"^[a-z-]+", (ROOT / "requirements-demo.txt").read_text(), re.MULTILINE)
    assert capsys.readouterr().err == f"error: uvicorn: is not installed; pip install {' '.join(listed)}\n"


def test_a_port_that_is_taken_is_named(run, capsys):
    with server.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(run.folder), "--port", str(port)]) == 2
    assert f"127.0.0.1:{port}: cannot listen there" in capsys.readouterr().err


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_whoever_listens_to_others_is_warned(run, monkeypatch, capsys, host, warned):
    monkeypatch.setattr(server.Server, "run", lambda *_, **__: None)
    assert main(["serve", str(run.folder), "--port", "0", "--host", host]) == 0
    printed = capsys.readouterr()
    assert f"photo2painting/tiny: at http://{host}:" in printed.out
    assert ("there is no password" in printed.err) == warned


@pytest.mark.parametrize("port", ["-1", "70000"])
def test_a_port_that_is_none_is_refused(run, capsys, port):
    assert main(["serve", str(run.folder), "--port", port]) == 2
    assert f"--port: {port}; give 0 to 65535" in capsys.readouterr().err


# The page


@dataclass
class Page:
    """In a browser that reaches this server and nothing else, and what it complained of."""

    shown: object
    asked: list[str]
    wrong: list[str]


@pytest.fixture
def process(run, tmp_path):
    """`cyclegan serve`, as a user starts it."""
    write_picture(tmp_path / "examples" / "noise.png", PHOTO)
    command = [sys.executable, "-m", "cyclegan", "serve", str(run.folder), "--port", "0"]
    with subprocess.Popen(
        [*command, "--examples", str(tmp_path / "examples")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background ignores it
    ) as process:
        process.address = re.search(r"http://\S+?(?=/ )", process.stdout.readline())[0]
        yield process
        process.kill()


@pytest.fixture
def opened(browser):
    """Opens the page of an address."""
    context = browser.new_context(viewport={"width": 1400, "height": 950}, accept_downloads=True)
    context.set_default_timeout(120_000)  # ms: a busy machine takes its time

    def open_page(address: str) -> Page:
        page = Page(context.new_page(), [], [])
        page.shown.on("request", lambda request: page.asked.append(request.url))
        page.shown.on("requestfailed", lambda request: page.wrong.append(request.url))
        page.shown.on("console", lambda message: page.wrong.append(message.text))
        page.shown.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.shown.goto(address)
        page.shown.locator("#model option").first.wait_for(state="attached")
        return page

    yield open_page
    context.close()


def test_in_a_browser_a_picture_is_chosen_translated_compared_mixed_and_kept(opened, process, run, tmp_path):
    page = opened(process.address)
    shown = page.shown
    assert shown.locator("#go").is_disabled()
    assert shown.locator("#way option").all_inner_texts() == ["photo → painting", "painting → photo"]
    write_picture(tmp_path / "boat.png", PHOTO)
    shown.set_input_files("[data-field=picture] input[type=file]", tmp_path / "boat.png")
    shown.click("#go:enabled")
    shown.wait_for_selector("#save:not([hidden])")

    assert _cut(shown) == "50%"
    shown.focus("#cut")
    shown.keyboard.press("Home")
    assert _cut(shown) == "0%"
    box = shown.locator("#stage").bounding_box()
    shown.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    assert 70 < float(_cut(shown).rstrip("%")) < 80

    painting = np.asarray(load(run.folder, device="cpu")(Image.fromarray(PHOTO)))
    assert np.array_equal(_saved(shown, "boat-painting.png"), painting)
    shown.fill("#strength", "50")
    mixed = _saved(shown, "boat-painting.png")[..., :3]
    assert np.abs(mixed - (PHOTO / 2 + painting / 2)).max() <= 1.5

    assert [url for url in page.asked if not url.startswith((process.address, "blob:", "data:"))] == []
    assert page.wrong == []

    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr.read() == ""


def test_in_a_browser_examples_and_tiffs_are_shown_and_bad_files_are_said(opened, tmp_path):
    write_picture(tmp_path / "scan.tif", PHOTO[:, :20])
    (tmp_path / "text.png").write_text("hello")
    with served(studio()) as address:
        page = opened(address)
        shown, file = page.shown, page.shown.locator("[data-field=picture] input[type=file]")
        shown.click(".strip button[title='noise']")
        shown.get_by_text("44 × 30 pixels").wait_for()
        file.set_input_files(tmp_path / "scan.tif")
        shown.get_by_text("20 × 30 pixels").wait_for()
        assert page.wrong == []
        file.set_input_files(tmp_path / "text.png")
        shown.locator("#says.wrong").wait_for()
        assert shown.locator("#says").inner_text().startswith("Picture: not a readable picture (its content is none of")
        assert shown.locator("#go").is_enabled()  # with the picture before


def test_in_a_browser_a_model_that_wants_a_style_is_given_one(opened, tmp_path):
    boat, wave = tmp_path / "boat.png", tmp_path / "wave.png"
    write_picture(boat, PHOTO)
    write_picture(wave, np.full_like(PHOTO, 230))
    gatys = write_gatys(tmp_path, steps=4)
    with served(studio(load(gatys, device="cpu"))) as address:
        page = opened(address)
        shown, style = page.shown, page.shown.locator("[data-field=style]")
        shown.set_input_files("[data-field=picture] input[type=file]", boat)
        shown.get_by_text("44 × 30 pixels").wait_for()
        assert style.is_visible()
        assert shown.locator("#go").is_disabled()  # without a style
        shown.select_option("#model", "tiny/other")
        assert not style.is_visible()
        assert shown.locator("#go").is_enabled()
        shown.select_option("#model", "tiny/inverts")
        shown.set_input_files("[data-field=style] input[type=file]", wave)
        shown.click("#go:enabled")
        shown.wait_for_selector("#save:not([hidden])")
        painted = np.asarray(load(gatys, "cpu", [wave])(boat))
        assert np.array_equal(_saved(shown, "boat-result.png"), painted)
        assert page.wrong == []


def test_in_a_browser_the_direction_that_is_chosen_is_taken(opened, tmp_path):
    write_picture(tmp_path / "boat.png", PHOTO)
    with served(studio()) as address:
        page = opened(address)
        shown = page.shown
        shown.set_input_files("[data-field=picture] input[type=file]", tmp_path / "boat.png")
        for way, to, expected in (("painting → photo", "photo", PHOTO), ("photo → painting", "painting", 255 - PHOTO)):
            shown.select_option("#way", way)
            shown.click("#go:enabled")
            shown.locator("#to", has_text=to).wait_for()
            assert shown.locator("#from").inner_text() == way.split()[0]
            assert np.array_equal(_saved(shown, f"boat-{to}.png"), expected)
        assert page.wrong == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("place.dispatchEvent(new DragEvent('drop', {dataTransfer: held, bubbles: true, cancelable: true}))", "wave"),
        ("document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: held, bubbles: true}))", "pasted"),
    ],
    ids=["dropped", "pasted"],
)
def test_in_a_browser_a_picture_is_dropped_or_pasted(opened, given, name):
    with served(studio()) as address:
        page = opened(address)
        shown = page.shown
        shown.locator("[data-field=picture] .drop").evaluate(
            """(place, bytes) => {
                const held = new DataTransfer();
                held.items.add(new File([new Uint8Array(bytes)], "wave.png", {type: "image/png"}));
                GIVEN;
            }""".replace("GIVEN", given),
            list(png(PHOTO)),
        )
        shown.get_by_text("44 × 30 pixels").wait_for()
        shown.click("#go:enabled")
        shown.wait_for_selector("#save:not([hidden])")
        assert np.array_equal(_saved(shown, f"{name}-painting.png"), 255 - PHOTO)
        assert page.wrong == []


def test_in_a_browser_the_camera_takes_the_picture(opened):
    with served(studio()) as address:
        page = opened(address)
        shown = page.shown
        shown.click("[data-field=picture] .camera")
        shown.locator("#shoot:enabled").wait_for()
        width, height = (shown.evaluate(f"document.querySelector('video').video{side}") for side in ("Width", "Height"))
        shown.click("#shoot")
        shown.get_by_text(f"{width} × {height} pixels").wait_for()
        assert not shown.locator("dialog").is_visible()
        shown.click("#go:enabled")
        shown.wait_for_selector("#save:not([hidden])")
        assert _saved(shown, "camera-painting.png").shape == (height, width, 3)
        assert page.wrong == []


def _cut(shown: object) -> str:
    return shown.evaluate("document.querySelector('#stage').style.getPropertyValue('--cut')")


def _saved(shown: object, name: str) -> np.ndarray:
    with shown.expect_download() as download:
        shown.click("#save")
    assert download.value.suggested_filename == name
    return pixels(Path(download.value.path()).read_bytes())
