"""Server of `cyclegan serve`: one page, its API, and an OpenAPI document. Everything comes from this machine.

GET  /                    the page, which may load only from this server (its Content-Security-Policy)
GET  /api/models          names, directions and whether a style image is required
GET  /api/examples        names of images to try; /api/examples/<name> is one of them
GET  /api/styles          the same for style images, where a model takes one
POST /api/translate       multipart: picture, and optionally style, model, to, strength → image/png, X-Note
GET  /openapi.json        description of these addresses in OpenAPI format

Every refusal is {"error": "one sentence"} with a status of 4xx, or 503 for "later"; details of internal
errors go only to the log of the server. One image is computed at a time, the others wait in a queue (see
middleware.py).
"""

import asyncio
import base64
import hashlib
import re
import socket
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated, Any

import python_multipart  # noqa: F401  FastAPI needs it for forms, and would say so in its own words only
import uvicorn
from fastapi import FastAPI, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from cyclegan import __version__
from cyclegan.errors import ResourceError, UserError
from cyclegan.serve.forms import EXAMPLE, FieldError, invalid_field, is_blank, require_fields
from cyclegan.serve.middleware import PLACES, Guard, Hosts, failure
from cyclegan.serve.service import Result, Service, TooLongError, TranslationRequest, UnknownNameError

PAGE = Path(__file__).with_name("page.html")  # page.css and page.js beside it are inserted
FIELDS = ("picture", "style", "model", "to", "strength")
STATUS = {UnknownNameError: 404, FieldError: 422, ResourceError: 503, TooLongError: 503}  # of other UserErrors: 400


class Direction(BaseModel):
    """Direction of a translation, by the names of its two domains."""

    from_: str = Field(alias="from")
    to: str


class ModelInfo(BaseModel):
    """Facts about a model that a request needs."""

    name: str
    directions: list[Direction] = Field(description="the first is the default")
    style: bool = Field(description="whether a picture of the style has to be sent, too")
    made: str = Field(description="what made it, as its pictures say")


class Failure(BaseModel):
    """Reason for a refusal."""

    error: str


FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": Failure, "description": why}
    for status, why in {
        400: "A field or a picture is wrong, or the request is malformed or cut off",
        403: "The host is not this server, or a page of another site asks",
        404: "No model or example of this name",
        408: "The pictures did not arrive in time",
        413: "Too large",
        422: "A field is missing or out of range",
        500: "A mistake of the server",
        503: "Busy, or out of time or memory: later",
    }.items()
}
EVERYWHERE: dict[int | str, dict[str, Any]] = {status: FAILURES[status] for status in (400, 403, 500)}
PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "The picture"}}
NOTE = "X-Note"  # header that lists what the result lacks of the upload
NOTED = {
    "schema": {"type": "string"},
    "description": "what of the upload is not in the result, as 'reduced from 4000x3000 to 1024x768'; absent if all is",
}
TRANSLATED: dict[int | str, dict[str, Any]] = {200: {**PNG[200], "headers": {NOTE: NOTED}}}


def application(service: Service, hosts: Hosts, places: int = PLACES) -> Guard:
    """Build the page and the routes, with the checks of the middleware."""
    app = FastAPI(
        title="cyclegan",
        version=__version__,
        responses=EVERYWHERE,
        docs_url=None,  # these pages load scripts from other servers
        redoc_url=None,
        redirect_slashes=False,
    )
    _show_page(app)
    _list_what_there_is(app, service)
    _translate(app, service)
    _answer_mistakes(app)
    return Guard(app, hosts, places)


def _show_page(app: FastAPI) -> None:
    page = whole_page()
    policy = content_security_policy(page)

    @app.get("/", response_class=HTMLResponse, summary="The page", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})


def _list_what_there_is(app: FastAPI, service: Service) -> None:
    """Add the routes that list models and images to try."""

    @app.get("/api/models", summary="What can be asked for")
    async def models() -> list[ModelInfo]:
        return [ModelInfo(**described) for described in service.describe()]

    _offer(app, "examples", "example", service.examples)
    _offer(app, "styles", "style", service.styles)


def _offer(app: FastAPI, plural: str, singular: str, images: Mapping[str, bytes]) -> None:
    """Add the routes of images to try, by name."""

    @app.get(f"/api/{plural}", summary=f"Names of {plural} to try", operation_id=f"list_{plural}")
    async def names() -> list[str]:
        return list(images)

    @app.get(
        f"/api/{plural}/{{name}}",
        summary=f"One of the {plural} to try",
        operation_id=f"get_{singular}",
        responses=PNG | {404: FAILURES[404]},
        response_class=Response,
    )
    async def image(name: str) -> Response:
        if name not in images:
            raise UnknownNameError(f"{singular}: there is none of this name; /api/{plural} lists them")
        return Response(images[name], media_type="image/png")


def _translate(app: FastAPI, service: Service) -> None:
    """Add the route that translates, one image at a time."""
    one_at_a_time = ThreadPoolExecutor(1, "painting")

    @app.post("/api/translate", summary="Translate a picture", responses=TRANSLATED | FAILURES, response_class=Response)
    async def translate(
        request: Request,
        picture: Annotated[
            UploadFile, File(description="JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF, of up to 50 million pixels")
        ],
        style: Annotated[UploadFile | None, File(description="a style image, for models that need one")] = None,
        model: Annotated[str | None, Form(max_length=200, description="a name, by default the first of all")] = None,
        to: Annotated[
            str | None, Form(max_length=200, description="a side of the model, by default its second")
        ] = None,
        strength: Annotated[float, Form(ge=0, le=1, description="0: the picture, 1: the translation")] = 1.0,
    ) -> Response:
        require_fields(await request.form(), FIELDS)
        example = await style.read() if style is not None and not is_blank(style) else None
        wanted = TranslationRequest(picture=await picture.read(), style=example, model=model, to=to, strength=strength)
        result = await translated(service, wanted, request, one_at_a_time)
        noted = {NOTE: result.note} if result.note else {}
        return Response(result.content, media_type="image/png", headers=noted)


def _answer_mistakes(app: FastAPI) -> None:
    """Answer errors of clients and of the server with one line of JSON."""

    @app.exception_handler(UserError)
    async def _(_: Request, error: UserError) -> JSONResponse:
        return failure(STATUS.get(type(error), 400), str(error))

    @app.exception_handler(HTTPException)
    async def _(request: Request, error: HTTPException) -> JSONResponse:
        match error.status_code:
            case 404:
                return failure(404, "there is nothing at this address; /openapi.json lists what there is")
            case 405:
                allowed = _allowed(error)
                why = f"{request.method} is not answered at this address; use {allowed}"
                return failure(405, why, {"Allow": allowed})
            case 400:
                return failure(400, f"the form cannot be read ({error.detail.rstrip('.')}); send a file {EXAMPLE}")
        return failure(error.status_code, error.detail, error.headers)

    @app.exception_handler(RequestValidationError)
    async def _(_: Request, error: RequestValidationError) -> JSONResponse:
        return failure(422, "; ".join(map(invalid_field, error.errors())))

    @app.exception_handler(Exception)
    async def _(_: Request, __: Exception) -> JSONResponse:
        return failure(500, "the server made a mistake; its log says which")


def _allowed(error: HTTPException) -> str:
    """Return the methods of an address, from the headers of the framework's 405; HEAD is added to GET."""
    methods = set((error.headers or {})["Allow"].split(", "))
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


async def translated(service: Service, wanted: TranslationRequest, request: Request, executor: Executor) -> Result:
    """Translate an image when its turn comes; give up if the client has disconnected."""
    gone = Event()

    def in_turn() -> Result:
        if gone.is_set() or service.closing.is_set():
            raise TooLongError("picture: given up")
        return service.translate(wanted, gone)

    painting: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(executor, in_turn)
    leaving: asyncio.Future[Any] = asyncio.ensure_future(
        request.receive()
    )  # the body has been read, so the next message is a disconnect
    try:
        await asyncio.wait({painting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not painting.done():
            gone.set()
        return await painting
    finally:
        gone.set()
        leaving.cancel()


def whole_page() -> str:
    """Return the page with its style sheet and its script inserted."""
    page = PAGE.read_text(encoding="utf-8")
    for tag, suffix in (("style", ".css"), ("script", ".js")):
        text = PAGE.with_suffix(suffix).read_text(encoding="utf-8")
        page = page.replace(f"<{tag}></{tag}>", f"<{tag}>\n{text}</{tag}>")
    return page


def content_security_policy(page: str) -> str:
    """Return a policy that permits the page's own script and style, and images of the server and reader."""
    hashes = {
        tag: " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            for text in re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        )
        for tag in ("script", "style")
    }
    return (
        f"default-src 'none'; script-src {hashes['script']}; style-src {hashes['style']}; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; port 0 selects any free port."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port: {port}; give 0 to 65535")
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"{host}:{port}: cannot listen there ({error}); give another --port or --host") from error


class Server(uvicorn.Server):
    """Server that ends on Ctrl-C, where a slow image and all waiting ones are given up."""

    def __init__(self, service: Service, hosts: Hosts, places: int = PLACES) -> None:
        self.closing = service.closing
        config = uvicorn.Config(
            application(service, hosts, places),
            http="h11",  # reads the rest of a refused request, so that the refusal arrives
            ws="none",
            lifespan="off",
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=200,
            timeout_graceful_shutdown=10,
        )
        super().__init__(config)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal: give up the current image and shut down."""
        self.closing.set()
        super().handle_exit(sig, frame)
