"""The endpoint: pictures over HTTP, refusals in one sentence, and nothing for other sites."""

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import numpy as np
import pytest
from serving import PHOTO, model, pixels, png, served, service

from cyclegan.errors import UserError
from cyclegan.serve import middleware as guard
from cyclegan.serve import server
from cyclegan.serve.forms import name_files
from cyclegan.serve.middleware import Hosts, allowed_host


@pytest.fixture(scope="module")
def address():
    with served(service()) as address:
        yield address


def send(address: str, picture: bytes = png(PHOTO), headers: dict[str, str] | None = None, **fields: object):
    return httpx.post(f"{address}/api/translate", files={"picture": picture}, data=fields, headers=headers, timeout=60)


def test_it_describes_itself(address):
    described = httpx.get(f"{address}/openapi.json").json()
    assert described["openapi"].startswith("3.")
    samples = ("/api/examples", "/api/examples/{name}", "/api/styles", "/api/styles/{name}")
    routes = {"/api/models": "get", **dict.fromkeys(samples, "get"), "/api/translate": "post"}
    assert {path: next(iter(methods)) for path, methods in described["paths"].items()} == routes
    answers = described["paths"]["/api/translate"]["post"]["responses"]
    assert list(answers["200"]["content"]) == ["image/png"]
    assert list(answers["200"]["headers"]) == ["X-Note"]
    assert answers.keys() == {"200", "400", "403", "404", "408", "413", "422", "500", "503"}
    assert all(answer["content"]["application/json"] for status, answer in answers.items() if status != "200")
    for path in routes:
        assert {"400", "403", "500"} <= described["paths"][path][routes[path]]["responses"].keys()
    assert httpx.get(f"{address}/docs").status_code == 404  # FastAPI's loads its script from elsewhere


def test_models_and_examples_are_listed_by_name(address):
    models = httpx.get(f"{address}/api/models").json()
    assert [one["name"] for one in models] == ["tiny/inverts", "tiny/other"]
    assert models[0]["directions"] == [{"from": "photo", "to": "painting"}, {"from": "painting", "to": "photo"}]
    for kind, name, image in (("examples", "noise", PHOTO), ("styles", "waves", PHOTO[::-1])):
        assert httpx.get(f"{address}/api/{kind}").json() == [name]
        assert np.array_equal(pixels(httpx.get(f"{address}/api/{kind}/{name}").content), image)


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
        (400, "'paintin': this model translates to 'painting' or 'photo'; did you mean", None, {"to": "paintin"}),
        (400, "picture: not a readable picture (its content is none of BMP, ", b"hello", {}),
        (400, "picture: not a readable picture (", png(PHOTO)[:700], {}),
        (422, "strength: '1.1' is not a number from 0 to 1", None, {"strength": "1.1"}),
        (422, "strength: '-inf' is not a number from 0 to 1", None, {"strength": "-inf"}),
        (422, "strength: 'nan' is not a number from 0 to 1", None, {"strength": "nan"}),
        (422, "strength: 'much' is not a number from 0 to 1", None, {"strength": "much"}),
        (422, "strength: given 2 times; send one for each request", None, {"strength": ["0", "1"]}),
        (422, "strenght: there is no such field; did you mean strength?", None, {"strenght": "1"}),
        (422, "size: there is no such field; the fields are picture, style,", None, {"size": "1"}),
        (422, "model: has more than 200 characters; /api/models lists", None, {"model": "m" * 201}),
        (400, "the form cannot be read (Part exceeded maximum", None, {"model": "m" * 2_000_000}),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_one_sentence(address, status, said, picture, fields):
    answer = send(address, picture or png(PHOTO), **fields)
    assert answer.status_code == status
    assert answer.json()["error"].startswith(said)
    assert list(answer.json()) == ["error"]
    assert "\n" not in answer.json()["error"]


def test_a_request_without_a_picture_is_told_how_to_send_one(address):
    text, missing = "picture: is text; send it as a file, ", "picture: is missing; send it as a file "
    for content, said in (
        ({"data": {"to": "photo"}}, missing),
        ({"content": b"{}"}, missing),
        ({"json": {"picture": "text"}}, missing),
        ({"files": {"picture": ("", b"")}}, missing),  # a browser's form in which nobody has chosen a file
        ({"data": {"picture": "text"}}, text),
        ({"files": {"picture": (None, "text")}}, text),
    ):
        answer = httpx.post(f"{address}/api/translate", **content)
        assert answer.status_code == 422
        assert answer.json()["error"].startswith(said)
        assert answer.json()["error"].endswith("curl -F picture=@photo.jpg")


def post(address: str, *heads: str, content: bytes = png(PHOTO), kind: str = "multipart/form-data; boundary=x"):
    """Parts with these Content-Dispositions, all of one content."""
    start = "--x\r\nContent-Type: image/png\r\nContent-Disposition: form-data; "
    body = b"".join(f"{start}{head}\r\n\r\n".encode() + content + b"\r\n" for head in heads) + b"--x--\r\n"
    return httpx.post(f"{address}/api/translate", content=body, headers={"Content-Type": kind})


@pytest.mark.parametrize(
    "head",
    [
        "name=\"picture\"; filename*=UTF-8''%e6%97%a5.jpg",
        "filename*=UTF-8''%e6%97%a5.jpg; name=\"picture\"",
        'name="picture"; FileName*=utf-8\'en\'a%20b.jpg; filename="a b.jpg"',
        "name=\"picture\"; filename*0*=UTF-8''a; filename*1*=b.jpg",
        'name="picture"; filename="日.jpg"',
        'name="picture"; filename=""',
    ],
)
def test_files_are_taken_whatever_their_name_is_written_in(address, head):
    answer = post(address, head)
    assert answer.status_code == 200
    assert np.array_equal(pixels(answer.content), 255 - PHOTO)


def test_the_content_of_a_file_is_not_searched_for_names():
    body = b"--x\r\nContent-Disposition: form-data; name=picture; filename=a\r\n\r\nx; filename*=UTF-8''b\r\n--x--\r\n"
    assert name_files(body) == body


@pytest.mark.parametrize(
    ("heads", "kind", "status", "said"),
    [
        (2 * ['name="picture"; filename="a"'], "; boundary=x", 422, "picture: given 2 times; send one"),
        (['filename="a"'], "; boundary=x", 400, "the form cannot be read (The Content-Disposition header field"),
        (['name="picture"; filename="a"'], "", 400, "the form cannot be read (Missing boundary"),
        (['name="picture"; filename="a"'], "; boundary=y", 400, "the form cannot be read (Invalid multipart"),
    ],
)
def test_forms_that_say_no_single_picture_are_refused_in_one_sentence(address, heads, kind, status, said):
    answer = post(address, *heads, kind=f"multipart/form-data{kind}")
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert answer.json()["error"].startswith(said)


def test_files_without_content_are_named(address):
    answer = httpx.post(f"{address}/api/translate", files={"picture": ("a.png", b"")})
    assert (answer.status_code, answer.json()["error"]) == (400, "picture: is empty; send the content of an image file")
    answer = httpx.post(f"{address}/api/translate", files={"picture": png(PHOTO), "style": ("", b"")})
    assert answer.status_code == 200  # nobody has chosen a style


@pytest.mark.parametrize("path", ["/", "/api/models", "/api/examples/noise", "/api/translate", "/openapi.json"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "WAVE", "POST", "GET", "HEAD"])
def test_other_methods_are_told_which_are_answered(address, method, path):
    allowed = "POST" if path == "/api/translate" else "GET, HEAD"
    answer = httpx.request(method, address + path)
    if method in allowed.split(", "):
        assert answer.status_code == (422 if method == "POST" else 200)
    else:
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
        assert method == "HEAD" or answer.json()["error"].endswith(f"at this address; use {allowed}")


def test_head_answers_as_get_does_without_the_body(address):
    head, got = (ask(f"{address}/api/models") for ask in (httpx.head, httpx.get))
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))


def test_what_is_left_out_of_an_upload_is_said():
    with served(service(size=22)) as address:
        for strength in ("0", "1"):
            answer = send(address, strength=strength)
            assert answer.headers["x-note"] == "reduced from 44x30 to 22x15"
            assert pixels(answer.content).shape == (15, 22, 3)
        assert "x-note" not in send(address, png(PHOTO[:15, :22])).headers


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
    assert "service.example" in Hosts("service.example")


@pytest.mark.parametrize("allowed", ["demo.example.org", "https://Demo.Example.org:8443/", "*.example.org", "*"])
def test_allowed_hosts_are_answered_behind_a_proxy(allowed):
    with served(service(), allowed=(allowed_host(allowed),)) as address:
        for host in ("demo.example.org", "demo.example.org:8443", "DEMO.example.org.", "localhost:7860"):
            assert httpx.get(address, headers={"Host": host}).status_code == 200
            for origin in ("https://demo.example.org", "http://demo.example.org:8080"):
                assert send(address, headers={"Host": host, "Origin": origin}).status_code == 200
        elsewhere = {"Host": "demo.example.org", "Origin": "https://evil.example"}
        assert send(address, headers=elsewhere).status_code == (200 if allowed == "*" else 403)
        host = "demo.example.org.evil.example"
        assert httpx.get(address, headers={"Host": host}).status_code == (200 if allowed == "*" else 403)


def test_a_refused_host_is_told_how_it_would_be_answered(address):
    remedy = "if demo.example.org is a proxy of it, start it with --allow-host demo.example.org"
    assert remedy in httpx.get(address, headers={"Host": "demo.example.org"}).json()["error"]
    assert remedy in send(address, headers={"Origin": "https://demo.example.org"}).json()["error"]
    for odd in ("<script>", "*", "a" * 300):
        said = httpx.get(address, headers={"Host": odd}).json()["error"]
        assert said == "this server answers to its own names, as http://localhost"


def test_names_of_hosts_are_read_as_people_write_them():
    written = {
        "demo.example.org": "demo.example.org",
        "https://demo.example.org/": "demo.example.org",
        "Demo.Example.org:443": "demo.example.org",
        "[fe80::1]:7860": "fe80::1",
        "*.tunnels.example": "*.tunnels.example",
        "bücher.example": "xn--bcher-kva.example",
    }
    assert {text: allowed_host(text) for text in written} == written
    for text in ("", "a b", "/path", "https://", "[::"):
        with pytest.raises(UserError, match="is not a host name; give one as demo"):
            allowed_host(text)


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

    with served(service(model(broken))) as address:
        answer = send(address)
        assert (answer.status_code, answer.json()) == (500, {"error": "the server made a mistake; its log says which"})
        assert send(address, to="photo").status_code == 200


def test_too_little_memory_is_said_with_its_remedy():
    def too_large(_):
        raise MemoryError

    with served(service(model(too_large))) as address:
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

    with served(service(model(slow)), places=3) as address, ThreadPoolExecutor(8) as clients:
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

    with served(service(model(slow))) as address, ThreadPoolExecutor(1) as clients:
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
    with served(service()) as address:
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

    with served(service(), places=1) as address:
        answer = httpx.post(
            f"{address}/api/translate", content=stuck(), headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        assert answer.status_code == 408
        assert send(address).status_code == 200
