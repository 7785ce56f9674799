"""Middleware between the network and the application: limits on hosts, request sizes, waiting times and load.

Host       must be a name of this server. A page of another site whose name was made to resolve to this
           server (DNS rebinding) sends its own name.
Origin     of requests that change or compute something must be this server's. Requests without one do not
           come from a browser, or not from a page of another site.
Allowed    names (--allow-host) count as names of this server in both headers, with any port, by http or
           https. They are meant for proxies.
HEAD       is answered as GET is, without the body.
Body       is counted while it is read, with a time limit; the application is called only after that.
Queue      A place is taken before the body is read, so that a flood of requests uses no memory.
"""

import asyncio
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cyclegan.errors import UserError
from cyclegan.serve.forms import name_files

MAX_BODY = 20 * 1024 * 1024  # bytes of a request, with all its images
PLACES = 8  # in the queue, including the request being computed
PATIENCE = 60  # seconds to wait for a body
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
WEB = ("http", "https")
PLAIN = re.compile(r"[a-z0-9._*:-]{1,253}")  # a host name, an address, or a pattern of names
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Hosts:
    """Names that requests to a server bound to an address may use.

    Any port is accepted, because there may be a tunnel.
    """

    bound: str
    allowed: tuple[str, ...] = ()  # more names, as `allowed_host` returns them

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can send requests."""
        return self.bound in LOOPBACK and not self.allowed

    def __contains__(self, host: str) -> bool:
        name = host_name(host)
        if self.allows(name):
            return True
        if self.bound in LOOPBACK:
            return name in LOOPBACK
        own = {self.bound.lower(), socket.gethostname().lower(), *LOOPBACK}
        return name in own or (self.bound in ("0.0.0.0", "::") and _is_address(name))

    def allows(self, name: str) -> bool:
        """Return whether a name is one of the allowed ones, in which * stands for any characters."""
        return any(fnmatchcase(name, pattern) for pattern in self.allowed)

    def accept_origin(self, origin: str, host: str) -> bool:
        """Return whether a page of this origin may send requests to the server addressed as `host`."""
        url = urlsplit(origin)
        return url.netloc == host or "*" in self.allowed or (url.scheme in WEB and self.allows(url.hostname or ""))


def host_name(host: str) -> str:
    """Return the lower-case name in a Host header, without its port; an empty string if it is malformed."""
    return (urlsplit(f"//{host}").hostname or "").removesuffix(".") if host.isprintable() else ""


def allowed_host(text: str) -> str:
    """Return the name in an --allow-host, which may be an address with https:// and a port.

    Raises UserError for anything else.
    """
    try:
        name = host_name(text.split("://", 1)[-1])
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except ValueError:
        name = ""
    if not PLAIN.fullmatch(name):
        raise UserError(f"--allow-host: '{text}' is not a host name; give one as demo.example.org, *.example.org or *")
    return name


@dataclass
class Guard:
    """ASGI application that checks requests before it passes them to another."""

    app: ASGIApp
    hosts: Hosts
    places: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
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
            return await self.app({**scope, "method": "GET"}, receive, send_safely)
        self.places -= 1
        try:
            answer, replay = await self._read_body(Headers(scope=scope), receive)
            await answer(scope, replay, send_safely)
        finally:
            self.places += 1

    async def _read_body(self, headers: Headers, receive: Receive) -> tuple[ASGIApp, Receive]:
        """Read the body; return the application that answers, and the body for it to read."""
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
            return failure(400, CUT_OFF), receive
        return self.app, _replay(name_files(bytes(body)), receive)

    def _refusal(self, method: str, headers: Headers) -> JSONResponse | None:
        host, origin, length = headers.get("host", ""), headers.get("origin"), headers.get("content-length", "0")
        try:
            if host not in self.hosts:
                return failure(403, f"this server answers to its own names, as http://localhost{_remedy(host)}")
            if method in ("GET", "HEAD"):
                return None
            if origin is not None and not self.hosts.accept_origin(origin, host):
                asking = urlsplit(origin).netloc
                return failure(403, f"pages of other sites may not ask for images here{_remedy(asking)}")
            if int(length) > MAX_BODY:
                return failure(413, TOO_LARGE)
        except ValueError:
            return failure(400, "the Host, Origin or Content-Length header is malformed; send valid ones")
        return None if self.places > 0 else failure(503, "too many pictures are waiting; try again in a minute")


TOO_LARGE = f"the images have more than {MAX_BODY // 1024**2} MB; make them smaller"
CUT_OFF = "the request was cut off, or is not a form of the boundary it names; send it again"


def failure(status: int, why: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a response with one line of JSON."""
    return JSONResponse({"error": why}, status, {**({"Retry-After": "60"} if status == 503 else {}), **(headers or {})})


def _remedy(host: str) -> str:
    """Describe how to have a host accepted, if it has a plain name."""
    name = host_name(host)
    return f"; if {name} is a proxy of it, start it with --allow-host {name}" if _is_plain(name) else ""


def _is_plain(name: str) -> bool:
    """Return whether a name can be repeated in a message, and passed to --allow-host."""
    return PLAIN.fullmatch(name) is not None and "*" not in name


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the whole body, then later messages, such as a disconnect."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _is_address(name: str) -> bool:
    """Return whether a name is an IP address, which DNS rebinding cannot use."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
