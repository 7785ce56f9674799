"""A small service, a real server around it, and what tests send to it."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from cyclegan.config import dump
from cyclegan.data.spec import DataSpec
from cyclegan.methods.cyclegan import CycleGANConfig
from cyclegan.model.model import Model
from cyclegan.protocols import Images
from cyclegan.release import describe
from cyclegan.serve.middleware import Hosts
from cyclegan.serve.server import Server, listen
from cyclegan.serve.service import Service

PHOTO = np.random.default_rng(0).integers(0, 256, (30, 44, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Does:
    """A translator of one line."""

    what: Callable[[Images], Images]

    def translate(self, images: Images) -> Images:
        return self.what(images)


def model(to_painting: Callable[[Images], Images] = torch.neg) -> Model:
    spec = DataSpec(names={"x": "photo", "y": "painting"})
    targets = ["painting", "photo"]
    about = describe(spec, targets, method=dump(CycleGANConfig()), step=7, domain="photo2painting")
    translators = {"painting": Does(to_painting), "photo": Does(lambda images: images)}
    return Model(about=about, spec=spec, networks={}, translators=translators, pretrained={}, damages=())


def service(loaded: Model | None = None, **others: object) -> Service:
    models = {"tiny/inverts": loaded or model(), "tiny/other": model()}
    samples = {"examples": {"noise": png(PHOTO)}, "styles": {"waves": png(PHOTO[::-1])}}
    return Service(models=models, device=torch.device("cpu"), **{**samples, **others})


@contextmanager
def served(offered: Service, places: int = 8, allowed: tuple[str, ...] = ()) -> Iterator[str]:
    """Its address, as long as this context lasts."""
    with listen("127.0.0.1", 0) as listening:
        running = Server(offered, Hosts("127.0.0.1", allowed), places)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


def png(picture: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))
