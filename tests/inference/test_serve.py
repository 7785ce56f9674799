"""serve: names instead of paths, one picture at a time, refusals in one sentence; and a page in a real browser."""

import io
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from serving import PHOTO, model, pixels, png, served, studio

from cyclegan.cli import main
from cyclegan.errors import UserError
from cyclegan.images import blend, from_bytes
from cyclegan.inference import guard, server
from cyclegan.inference import studio as studios
from cyclegan.inference.guard import Hosts
from cyclegan.inference.load import load
from cyclegan.inference.studio import Order, Studio, TooLongError, named, read_examples
from cyclegan.pictures import DESCRIPTION, write_picture

ROOT = Path(__file__).parents[2]
GATYS = "{name: gatys, weights: random, steps: 4, refine_steps: 1, content_layers: {relu1_1: 1.0}, "
GATYS += "style_layers: {relu1_1: 1.0}}"


def paint(offered: Studio, **order: object) -> np.ndarray:
    return pixels(offered.paint(Order(picture=png(PHOTO), **order), Event()))


@pytest.fixture(scope="module")
def address():
    with served(studio()) as address:
        yield address


def send(address: str, picture: bytes = png(PHOTO), headers: dict[str, str] | None = None, **fields: object):
    return httpx.post(f"{address}/api/translate", files={"picture": picture}, data=fields, headers=headers, timeout=60)


# --- the studio, without the web ---


def test_a_picture_comes_back_as_the_library_would_translate_it(run):
    painter = load(run.folder, device="cpu")
    offered = studio(painter)
    for to in (None, "painting", "photo"):
        assert np.array_equal(paint(offered, to=to), np.asarray(painter(Image.fromarray(PHOTO), to=to)))


def test_it_says_in_the_file_what_made_it():
    content = studio().paint(Order(picture=png(PHOTO)), Event())
    assert Image.open(io.BytesIO(content)).getexif()[DESCRIPTION] == model().signature


def test_strength_goes_from_the_picture_to_the_translation():
    assert np.array_equal(paint(studio(), strength=0.0), PHOTO)
    assert np.array_equal(paint(studio(), strength=1.0), 255 - PHOTO)
    assert np.abs(paint(studio(), strength=0.5).astype(int) - 127.5).max() <= 0.5


@given(strength=st.floats(0, 1))
def test_a_blend_lies_between_its_ends(strength):
    source, translated = from_bytes(PHOTO), from_bytes(PHOTO[::-1])
    mixed = blend(source, translated, strength)
    assert (mixed >= source.minimum(translated) - 1e-6).all()
    assert (mixed <= source.maximum(translated) + 1e-6).all()
    assert blend(source, translated, 0.0).equal(source)
    assert blend(source, translated, 1.0).equal(translated)


def test_no_more_is_worked_on_than_the_size_allows():
    assert paint(studio(size=22)).shape == (15, 22, 3)


def test_a_line_of_pixels_is_still_a_picture_when_it_is_made_smaller():
    assert pixels(studio(size=22).paint(Order(picture=png(np.zeros((1, 5000, 3), np.uint8))), Event())).shape == (
        1,
        22,
        3,
    )


def test_a_picture_that_the_browser_cannot_show_is_read_at_strength_0():
    deep = np.linspace(0, 65535, 40 * 30).reshape(30, 40).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(deep).save(file, "TIFF")
    shown = pixels(studio().paint(Order(picture=file.getvalue(), strength=0.0), Event()))
    assert np.abs(shown[..., 0] - deep / 257).max() <= 0.5


def test_a_method_that_paints_after_examples_is_given_one_with_each_picture(tmp_path):
    (tmp_path / "nano.yaml").write_text(GATYS)
    gatys = load(tmp_path / "nano.yaml", device="cpu")
    with pytest.raises(UserError, match="paints after an example; give one with --style"):
        gatys.translator()
    offered = studio(gatys)
    assert offered.describe()[0]["style"]
    assert offered.describe()[0]["directions"] == [{"from": "content", "to": "style"}]
    dark, light = (paint(offered, style=png(np.full_like(PHOTO, level))) for level in (20, 230))
    assert not np.array_equal(dark, light)
    with pytest.raises(UserError, match="style: this model paints after an example"):
        paint(offered)
    with pytest.raises(UserError, match="style: this model has learned to translate to painting"):
        paint(offered, model="tiny/other", style=png(PHOTO))


@pytest.mark.parametrize("reason", ["late", "gone", "closing"])
def test_a_descent_is_given_up_when_it_is_late_or_nobody_waits(reason, tmp_path, monkeypatch):
    (tmp_path / "nano.yaml").write_text(GATYS.replace("steps: 4", "steps: 100000"))
    offered, gone = studio(load(tmp_path / "nano.yaml", device="cpu")), Event()
    if reason == "late":
        monkeypatch.setattr(studios, "SECONDS", 0.2)
    else:
        threading.Timer(0.2, (gone if reason == "gone" else offered.closing).set).start()
    with pytest.raises(TooLongError, match="serve with a smaller --size" if reason == "late" else "given up"):
        offered.paint(Order(picture=png(PHOTO), style=png(PHOTO)), gone)


def test_models_are_called_by_as_much_of_their_path_as_tells_them_apart(tmp_path):
    runs = [tmp_path / "runs" / domain / "cyclegan" for domain in ("photo2monet", "photo2tint")]
    assert list(named(runs)) == ["photo2monet/cyclegan", "photo2tint/cyclegan"]
    steps = [run / "checkpoints" / "step-10" for run in runs]
    assert next(iter(named(steps))) == "photo2monet/cyclegan/checkpoints/step-10"
    (tmp_path / "fast.yaml").touch()
    assert list(named([tmp_path / "fast.yaml"])) == [f"{tmp_path.name}/fast"]
    with pytest.raises(UserError, match="the same twice"):
        named([runs[0], runs[0]])


def test_examples_are_the_first_pictures_of_a_folder_or_those_of_scikit_image(tmp_path):
    write_picture(tmp_path / "deep" / "boat.tif", PHOTO)
    examples = read_examples(tmp_path, size=22)
    assert list(examples) == ["1-boat"]
    assert pixels(examples["1-boat"]).shape == (15, 22, 3)
    assert {"coffee", "chelsea"} <= read_examples(None).keys()
    with pytest.raises(UserError, match="no pictures there"):
        read_examples(tmp_path / "empty")


# --- the endpoint ---


def test_it_describes_itself(address):
    described = httpx.get(f"{address}/openapi.json").json()
    assert described["openapi"].startswith("3.")
    routes = {"/api/models": "get", "/api/examples": "get", "/api/examples/{name}": "get", "/api/translate": "post"}
    assert {path: next(iter(methods)) for path, methods in described["paths"].items()} == routes
    answers = described["paths"]["/api/translate"]["post"]["responses"]
    assert list(answers["200"]["content"]) == ["image/png"]
    assert {"400", "404", "413", "422", "503"} <= answers.keys()
    assert httpx.get(f"{address}/docs").status_code == 404  # FastAPI's loads its script from elsewhere


def test_models_and_examples_are_listed_by_name(address):
    models = httpx.get(f"{address}/api/models").json()
    assert [one["name"] for one in models] == ["tiny/inverts", "tiny/other"]
    assert models[0]["directions"] == [{"from": "photo", "to": "painting"}, {"from": "painting", "to": "photo"}]
    assert httpx.get(f"{address}/api/examples").json() == ["noise"]
    assert np.array_equal(pixels(httpx.get(f"{address}/api/examples/noise").content), PHOTO)


def test_a_picture_is_translated_as_it_is_asked_for(address):
    answer = send(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert np.array_equal(pixels(answer.content), 255 - PHOTO)
    back = send(address, model="tiny/other", to="photo", headers={"Origin": address})
    assert np.array_equal(pixels(back.content), PHOTO)
    assert np.array_equal(pixels(send(address, strength="0").content), PHOTO)


@pytest.mark.parametrize(
    ("status", "said", "picture", "fields"),
    [
        (404, "model: there is none of this name; take one of tiny/inverts, tiny/other", None, {"model": "other"}),
        (400, "'paintin': this model translates to 'photo' or 'painting'; did you mean", None, {"to": "paintin"}),
        (400, "picture: not a readable picture (its content is none of BMP, ", b"hello", {}),
        (400, "picture: not a readable picture (", png(PHOTO)[:700], {}),
        (422, "strength: Input should be less than or equal to 1", None, {"strength": "1.1"}),
        (422, "strength: Input should be greater", None, {"strength": "-inf"}),
        (422, "strength: Input should be", None, {"strength": "nan"}),
        (422, "model: String should have at most 200 characters", None, {"model": "m" * 201}),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_one_sentence(address, status, said, picture, fields):
    answer = send(address, picture or png(PHOTO), **fields)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(said)
    assert list(answer.json()) == ["error"]
    assert "\n" not in answer.json()["error"]


def test_a_request_without_a_picture_is_told_so(address):
    for content in ({"data": {"to": "photo"}}, {"content": b"{}"}, {"data": {"picture": "text"}}):
        answer = httpx.post(f"{address}/api/translate", **content)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("picture: ")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:7860", "", "[::1", "a b"])
def test_another_name_than_its_own_is_not_answered(address, host):
    for path in ("/", "/api/models", "/openapi.json"):
        answer = httpx.get(f"{address}{path}", headers={"Host": host})
        assert answer.status_code in (400, 403)
    assert send(address, headers={"Host": host}).status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:7860"])
def test_its_own_names_are_answered_with_any_port(address, host):
    assert httpx.get(f"{address}/api/models", headers={"Host": host}).status_code == 200


def test_hosts_that_are_bound_to_all_addresses_are_named_by_any_address_but_by_no_other_name():
    assert "192.168.1.7:7860" in Hosts("0.0.0.0")
    assert "[fe80::1]:7860" in Hosts("::")
    assert "evil.example" not in Hosts("0.0.0.0")
    assert "192.168.1.7" not in Hosts("127.0.0.1")
    assert "studio.example" in Hosts("studio.example")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_pages_of_other_sites_may_not_ask(address, origin):
    assert send(address, headers={"Origin": origin}).status_code == 403
    answer = httpx.get(f"{address}/api/models", headers={"Origin": origin})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_the_page_may_load_nothing_but_what_the_server_answers(address):
    answer = httpx.get(address)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", answer.text)


def test_a_bug_of_ours_is_not_told_to_the_client(caplog):
    def broken(_):
        raise KeyError("/home/somebody/secret")

    with served(studio(model(broken))) as address:
        answer = send(address)
        assert (answer.status_code, answer.json()) == (500, {"error": "the server made a mistake; its log says which"})
        assert send(address, to="photo").status_code == 200


def test_too_little_memory_is_said_with_its_remedy():
    def too_large(_):
        raise MemoryError

    with served(studio(model(too_large))) as address:
        answer = send(address)
    assert answer.status_code == 503
    assert "serve with a smaller --size" in answer.json()["error"]


def test_one_picture_is_computed_at_a_time_and_a_long_line_is_refused():
    enter, leave, active = threading.Semaphore(0), Event(), []

    def slow(images):
        active.append(len(active))
        enter.release()
        assert leave.wait(30)
        assert len(active) == 1
        active.pop()
        return images

    with served(studio(model(slow)), places=3) as address, ThreadPoolExecutor(8) as clients:
        answers = [clients.submit(send, address) for _ in range(8)]
        assert enter.acquire(timeout=30)
        while sum(answer.done() for answer in answers) < 5:
            time.sleep(0.01)
        assert send(address).status_code == 503
        assert httpx.get(f"{address}/api/models").status_code == 200  # what costs nothing is still answered
        leave.set()
        codes = sorted(answer.result().status_code for answer in answers)
        assert codes == [200] * 3 + [503] * 5
        assert send(address).status_code == 200


def test_pictures_that_nobody_waits_for_are_not_painted(monkeypatch):
    entered, leave, painted, farewells = Event(), Event(), [], []
    monkeypatch.setattr(server, "Event", lambda: farewells.append(Event()) or farewells[-1])

    def slow(images):
        painted.append(images)
        entered.set()
        assert leave.wait(30)
        return images

    with served(studio(model(slow))) as address, ThreadPoolExecutor(1) as clients:
        first = clients.submit(send, address)
        assert entered.wait(30)
        request = httpx.Request("POST", address, files={"picture": png(PHOTO)})
        headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        host, port = request.url.host, request.url.port
        with socket.create_connection((host, port)) as second:
            second.sendall(f"POST /api/translate HTTP/1.1\r\n{headers}\r\n".encode() + request.read())
            while len(farewells) < 2:
                time.sleep(0.01)
        assert farewells[1].wait(30)
        leave.set()
        assert first.result().status_code == 200
        assert send(address).status_code == 200
    assert len(painted) == 2


@pytest.mark.parametrize("announced", [True, False])
def test_more_than_the_allowed_bytes_are_not_read(monkeypatch, announced):
    request = httpx.Request("POST", "http://x", files={"picture": png(PHOTO)})
    body, kind = request.read(), {"Content-Type": request.headers["Content-Type"]}
    with served(studio()) as address:
        for allowed, expected in ((len(body), 200), (len(body) - 1, 413)):
            monkeypatch.setattr(guard, "MAX_BODY", allowed)
            content = body if announced else iter([body[:100], body[100:]])
            answer = httpx.post(f"{address}/api/translate", content=content, headers=kind)
            assert answer.status_code == expected


def test_whoever_stops_sending_loses_the_place(monkeypatch):
    monkeypatch.setattr(guard, "PATIENCE", 0.3)

    def stuck():
        yield b"--x\r\n"
        time.sleep(1)

    with served(studio(), places=1) as address:
        answer = httpx.post(
            f"{address}/api/translate", content=stuck(), headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        assert answer.status_code == 408
        assert send(address).status_code == 200


# --- the command ---


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


def _cut(shown: object) -> str:
    return shown.evaluate("document.querySelector('#stage').style.getPropertyValue('--cut')")


def _saved(shown: object, name: str) -> np.ndarray:
    with shown.expect_download() as download:
        shown.click("#save")
    assert download.value.suggested_filename == name
    return pixels(Path(download.value.path()).read_bytes())
