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
from serving import PHOTO, model, pixels, png, served, studio

from cyclegan.inference import guard, server
from cyclegan.inference.guard import Hosts


@pytest.fixture(scope="module")
def address():
    with served(studio()) as address:
        yield address


def send(address: str, picture: bytes = png(PHOTO), headers: dict[str, str] | None = None, **fields: object):
    return httpx.post(f"{address}/api/translate", files={"picture": picture}, data=fields, headers=headers, timeout=60)


def test_it_describes_itself(address):
    described = httpx.get(f"{address}/openapi.json").json()
    assert described["openapi"].startswith("3.")
    routes = {"/api/models": "get", "/api/examples": "get", "/api/examples/{name}": "get", "/api/translate": "post"}
    assert {path: next(iter(methods)) for path, methods in described["paths"].items()} == routes
    answers = described["paths"]["/api/translate"]["post"]["responses"]
    assert list(answers["200"]["content"]) == ["image/png"]
    assert answers.keys() == {"200", "400", "403", "404", "408", "413", "422", "500", "503"}
    assert all(answer["content"]["application/json"] for status, answer in answers.items() if status != "200")
    for path in routes:
        assert {"400", "403", "500"} <= described["paths"][path][routes[path]]["responses"].keys()
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
