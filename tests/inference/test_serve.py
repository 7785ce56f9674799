"""serve: the command, and its page in a real browser."""

import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from little import write_adain, write_gatys
from PIL import Image
from serving import PHOTO, pixels, png, served, service

from cyclegan.cli import main
from cyclegan.images.rgb8 import write_picture
from cyclegan.model.load import load
from cyclegan.serve import server

ROOT = Path(__file__).parents[2]


# The command


def test_without_its_packages_it_says_how_to_get_them(monkeypatch, capsys, run):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "cyclegan.serve.server")
    monkeypatch.delattr("cyclegan.serve.server")
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


def test_allowed_hosts_reach_the_server_and_are_warned_of(run, monkeypatch, capsys):
    hosts = []
    monkeypatch.setattr(server.Server, "__init__", lambda _, __, allowed: hosts.append(allowed))
    monkeypatch.setattr(server.Server, "run", lambda *_, **__: None)
    names = ["--allow-host", "https://demo.example.org", "--allow-host", "*.tunnels.example"]
    assert main(["serve", str(run.folder), "--port", "0", *names]) == 0
    assert [name in hosts[0] for name in ("demo.example.org:443", "a.tunnels.example", "evil.example")] == [1, 1, 0]
    warned = "warning: anyone who can reach 127.0.0.1, demo.example.org, *.tunnels.example can use this"
    assert capsys.readouterr().err == f"{warned}; there is no password\n"
    assert main(["serve", str(run.folder), "--port", "0", "--allow-host", "*"]) == 0
    assert "with --allow-host '*' any web site can send images to it" in capsys.readouterr().err


def test_a_host_that_is_no_name_is_refused(run, capsys):
    assert main(["serve", str(run.folder), "--allow-host", "demo example"]) == 2
    assert "--allow-host: 'demo example' is not a host name; give one as demo.example.org" in capsys.readouterr().err


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
    """Opens the page of an address, on a screen of the options of a context."""
    contexts = []

    def open_page(address: str, **screen: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 950}, **screen}, accept_downloads=True)
        context.set_default_timeout(120_000)  # ms: a busy machine takes its time
        contexts.append(context)
        page = Page(context.new_page(), [], [])
        page.shown.on("request", lambda request: page.asked.append(request.url))
        page.shown.on("requestfailed", lambda request: page.wrong.append(request.url))
        page.shown.on("console", lambda message: page.wrong.append(message.text))
        page.shown.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.shown.goto(address)
        page.shown.locator("#model option").first.wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
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
    with served(service()) as address:
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
    with served(service(load(gatys, device="cpu"))) as address:
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
    with served(service()) as address:
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
    with served(service()) as address:
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
    with served(service()) as address:
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
        assert _saved(shown, "camera-painting.png").shape[:2] == (height, width)
        assert page.wrong == []


def test_in_a_browser_what_is_half_strong_keeps_its_alpha(opened, tmp_path):
    alpha = np.resize(np.array([0, 64, 128, 255], np.uint8), PHOTO.shape[:2])
    (tmp_path / "clear.png").write_bytes(png(np.dstack([PHOTO, alpha])))
    with served(service()) as address:
        page = opened(address)
        shown = page.shown
        shown.set_input_files("[data-field=picture] input[type=file]", tmp_path / "clear.png")
        shown.click("#go:enabled")
        shown.wait_for_selector("#save:not([hidden])")
        whole = _saved(shown, "clear-painting.png")
        assert np.array_equal(whole[..., 3], alpha)
        shown.fill("#strength", "40")
        mixed = _saved(shown, "clear-painting.png")
        assert np.array_equal(mixed[..., 3], alpha)
        wanted = 0.6 * PHOTO + 0.4 * whole[..., :3]
        off = np.abs(mixed[..., :3] - wanted) * (alpha / 255)[..., None]  # as far as it can be seen
        assert off.max() <= 1.5
        assert shown.locator("#before").evaluate("image => getComputedStyle(image).clipPath").startswith("inset(0")
        assert page.wrong == []


SCREENS = {
    "desktop": {"viewport": {"width": 1440, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "dark phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}


@pytest.mark.parametrize("screen", SCREENS)
def test_in_a_browser_the_button_is_in_view_before_and_after(opened, screen, tmp_path):
    adain = load(write_adain(tmp_path), device="cpu")
    adain = replace(adain, pretrained={"name": "normalised", "sha256": 32 * "0f", "decoder": "ours"})
    with served(service(adain)) as address:
        page = opened(address, **SCREENS[screen])
        shown = page.shown
        _require_in_view(shown)
        hint = shown.locator("[data-field=picture] .drop").inner_text()
        assert hint == ("Drop an image here\nor choose a file" if screen == "desktop" else "Choose an image")
        assert shown.locator("[data-field=picture] .camera").inner_text() == "Camera"
        assert "sha256" in shown.locator("#made").get_attribute("title")
        assert shown.locator("#made").inner_text().endswith("VGG-19 with normalised weights, decoder ours")
        assert shown.locator("[data-field=picture] .strip img").evaluate_all("all => all.map(one => one.alt)") == [
            "noise"
        ]
        assert shown.locator("[data-field=style] .strip img").evaluate_all("all => all.map(one => one.alt)") == [
            "waves"
        ]
        shown.click("button[title='noise']")
        shown.get_by_text("44 × 30 pixels").wait_for()
        shown.click("button[title='waves']")
        shown.click("#go:enabled")
        shown.wait_for_selector("#save:not([hidden])")
        assert (shown.locator("#from").inner_text(), shown.locator("#to").inner_text()) == ("content", "result")
        _require_in_view(shown)
        assert _saved(shown, "noise-result.png").shape == PHOTO.shape
        assert page.wrong == []


def _require_in_view(shown: object) -> None:
    box, size = shown.locator("#go").bounding_box(), shown.viewport_size
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= size["height"]
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert shown.evaluate("([x, y]) => document.elementFromPoint(x, y).id", middle) == "go"  # nothing lies on it


def test_in_a_browser_animations_are_still_and_what_is_left_out_is_said(opened, tmp_path):
    frames = [Image.fromarray(np.roll(PHOTO, shift, axis=0)) for shift in (0, 9)]
    moving = [tmp_path / f"moving.{suffix}" for suffix in ("gif", "webp", "png")]
    for path in moving:
        frames[0].save(
            path, save_all=True, append_images=frames[1:], **({"lossless": True} if path == moving[1] else {})
        )
    write_picture(tmp_path / "long.png", np.resize(PHOTO, (400, 3, 3)))
    with served(service(size=64)) as address:
        page = opened(address)
        shown, file = page.shown, page.shown.locator("[data-field=picture] input[type=file]")
        for path in moving:
            file.set_input_files(path)
            shown.get_by_text("44 × 30 pixels; first of 2 frames").wait_for()
            shown.click("[data-field=picture] .strip button[title='noise']")
            shown.get_by_text("44 × 30 pixels", exact=True).wait_for()
        file.set_input_files(tmp_path / "long.png")
        shown.get_by_text("3 × 400 pixels; shown stretched", exact=True).wait_for()
        shown.click("#go:enabled")
        shown.get_by_text("1 × 64 pixels; reduced from 3 × 400 to 1 × 64; shown stretched").wait_for()
        for part in ("#stage", "#after"):
            box = shown.locator(part).bounding_box()
            assert min(box["width"], box["height"]) >= 150  # CSS pixels
        assert page.wrong == []


def _cut(shown: object) -> str:
    return shown.evaluate("document.querySelector('#stage').style.getPropertyValue('--cut')")


def _saved(shown: object, name: str) -> np.ndarray:
    with shown.expect_download() as download:
        shown.click("#save")
    assert download.value.suggested_filename == name
    return pixels(Path(download.value.path()).read_bytes())
