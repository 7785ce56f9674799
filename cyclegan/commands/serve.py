"""`cyclegan serve`: a web page and an HTTP endpoint that translate one image at a time, until Ctrl-C."""

import argparse
import sys
from typing import Any

from cyclegan.commands.arguments import positive, print_skipped
from cyclegan.errors import UserError, expanded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `cyclegan serve`."""
    add = parser.add_argument
    add("checkpoints", type=expanded, nargs="+", help="models, as in translate; the first is the default")
    add("--examples", type=expanded, metavar="FOLDER", help="images to try, instead of the built-in ones")
    add("--styles", type=expanded, metavar="FOLDER", help="style images to try, instead of the built-in ones")
    add("--host", default="127.0.0.1", help="address to listen on; by default this machine only")
    add(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name of a proxy or tunnel that leads here, as demo.example.org or *.example.org; repeatable",
    )
    add("--port", type=int, default=7860, help="0 takes any free one")
    add("--size", type=positive, metavar="PIXELS", help="longer side of the images that are processed, 1024")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Load all models, then serve."""
    try:
        from cyclegan.serve import server
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name}: is not installed; pip install fastapi uvicorn python-multipart") from error
    from cyclegan.model.load import load
    from cyclegan.serve.middleware import Hosts, allowed_host
    from cyclegan.serve.service import SIZE, Service, named, read_examples, read_styles

    host, size = given.host, given.size or SIZE
    hosts = Hosts(host, tuple(map(allowed_host, given.allow_host)))
    with server.listen(host, given.port) as listening:
        models = {name: load(path) for name, path in named(given.checkpoints).items()}
        for damage in (damage for model in models.values() for damage in model.damages):
            print(f"skipped: {damage}", file=sys.stderr)
        wants_styles = any(model.stylizer is not None for model in models.values())
        service = Service(
            models=models,
            examples=read_examples(given.examples, size),
            styles=read_styles(given.styles, size) if wants_styles else {},
            size=size,
        )
        print_skipped(filter(None, [given.examples, given.styles]))
        _warn(hosts)
        shown = f"[{host}]" if ":" in host else host
        print(f"{', '.join(models)}: at http://{shown}:{listening.getsockname()[1]}/ until Ctrl-C", flush=True)
        server.Server(service, hosts).run(sockets=[listening])
    return 0


def _warn(hosts: Any) -> None:
    if not hosts.is_loopback:
        reached = ", ".join((hosts.bound, *hosts.allowed))
        print(f"warning: anyone who can reach {reached} can use this; there is no password", file=sys.stderr)
    if "*" in hosts.allowed:
        print("warning: with --allow-host '*' any web site can send images to it; name the host", file=sys.stderr)
