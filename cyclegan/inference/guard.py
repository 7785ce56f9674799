"""What stands between the network and the application: who may ask, how much, how slowly, and how many at a time.

Host       must be one of ours: a page of another site that has had its name point here (DNS rebinding) says its own.
Origin     of what changes or computes something must be ours; without one it is no browser, or no other site's page.
Body       is counted while it is read, and not waited for too long; only then the application hears of the request.
Line       a place in it is taken before the body is read, so that a flood costs no memory.
"""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 20 * 1024 * 1024  # bytes of a request, all its pictures together
PLACES = 8  # in line, the one that is computed included
PATIENCE = 60  # seconds for a body
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Hosts:
    """The names under which a server bound to an address may be addressed; with any port, as there may be a tunnel."""

    bound: str

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can ask."""
        return self.bound in LOOPBACK

    def __contains__(self, host: str) -> bool:
        name = (urlsplit(f"//{host}").hostname or "") if host.isprintable() else ""
        if self.is_loopback:
            return name in LOOPBACK
        own = {self.bound.lower(), socket.gethostname().lower(), *LOOPBACK}
        return name in own or (self.bound in ("0.0.0.0", "::") and _is_address(name))


@dataclass
class Guard:
    """An application, guarded."""

    app: ASGIApp
    hosts: Hosts
    places: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        if refusal is not None:
            return await refusal(scope, receive, send_safely)
        if scope["method"] in ("GET", "HEAD"):
            return await self.app(scope, receive, send_safely)
        self.places -= 1
        try:
            answer, replay = await self._heard(Headers(scope=scope), receive)
            await answer(scope, replay, send_safely)
        finally:
            self.places += 1

    async def _heard(self, headers: Headers, receive: Receive) -> tuple[ASGIApp, Receive]:
        """Who is to answer, and the body that was read."""
        body = bytearray()
        try:
            async with asyncio.timeout(PATIENCE):
                more = True
                while more:
                    message = await receive()
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > MAX_BODY:
                        return failure(413, TOO_LARGE), receive
        except TimeoutError:
            return failure(408, "the picture did not arrive; try again"), receive
        is_form = headers.get("content-type", "").startswith("multipart/")
        if message["type"] != "http.request" or (is_form and not body.rstrip().endswith(b"--")):
            return failure(400, "the request was cut off; try again"), receive
        return self.app, _replay(bytes(body), receive)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host, origin, length = headers.get("host", ""), headers.get("origin"), headers.get("content-length", "0")
        try:
            if host not in self.hosts:
                return failure(403, "this server is addressed under its own name only, as http://localhost")
            if method in ("GET", "HEAD"):
                return None
            if origin is not None and urlsplit(origin).netloc != host:
                return failure(403, "pages of other sites may not ask for pictures here")
            if int(length) > MAX_BODY:
                return failure(413, TOO_LARGE)
        except ValueError:
            return failure(400, "the request is malformed")
        return None if self.places > 0 else failure(503, "too many pictures are waiting; try again in a minute")


TOO_LARGE = f"the pictures have more than {MAX_BODY // 1024**2} MB; make them smaller"


def failure(status: int, why: str) -> JSONResponse:
    """One line of JSON."""
    return JSONResponse({"error": why}, status, {"Retry-After": "60"} if status == 503 else {})


def _replay(body: bytes, receive: Receive) -> Receive:
    """First the whole body, then what else comes, which is at most the news that nobody waits any more."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _is_address(name: str) -> bool:
    """An IP address, for which there is no name to be rebound."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
