"""The figures of the style-transfer papers, made with this library, one command each.

    make figure NAME=tradeoff          Gatys 2016, Fig. 4: from style to content by α / β
    make figure NAME=content-layer     Gatys 2016, Fig. 5: content of a shallow and of a deep layer
    make figure NAME=initialization    Gatys 2016, Fig. 6: from content, from style, from four kinds of noise
    make figure NAME=style-layers      Gatys 2016, Sec. 3: style of the first layer, the first two, …
    make figure NAME=alpha             AdaIN 2017, Fig. 7: from a copy to the full style
    make figure NAME=interpolation     AdaIN 2017, Fig. 8: between four styles
    make figure NAME=regions           AdaIN 2017, Fig. 10: a style for each side
    make figure NAME=timing            AdaIN 2017, Table 1: seconds an image, as ratios measured here

Writes runs/figures/<name>.png, or .md for the timing, and says what it shows. Further arguments by ARGS="--size 128".
Content and style are photographs of the scikit-image package unless --content and --style name others.

Settings  Gatys: those of experiments/gatys/paper.yaml, which says what α / β means there and why the numbers of the
          paper are not taken. Where the file of weights ends early its deepest layer stands for the deeper ones of the
          paper; the line that is printed and the titles say so.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch.nn.functional import interpolate

from cyclegan.config import load
from cyclegan.device import choose_device
from cyclegan.errors import UserError
from cyclegan.evaluation.image_grid import image_grid
from cyclegan.evaluation.markdown import as_markdown
from cyclegan.evaluation.timing import device_name, measure
from cyclegan.images.rgb8 import write_picture
from cyclegan.images.tensors import read, to_bytes
from cyclegan.methods.adain import AdaIN, AdaINConfig
from cyclegan.methods.gatys import STYLE_LAYERS, Gatys, GatysConfig
from cyclegan.networks.vgg import load_vgg
from cyclegan.protocols import Images

EXPERIMENTS = Path(__file__).parents[1]
OUT = Path("runs/figures")
STEPS = 200
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png")

Panels = Mapping[str, Images]


class Figure:
    """What all figures share: pictures, settings and layers at hand."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device = choose_device("auto")
        contents = options.content or [PHOTOGRAPHS[0]]
        styles = [*options.style, *PHOTOGRAPHS[1:], PHOTOGRAPHS[0]]
        self.content = _picture(contents[0], options.size).to(self.device)
        self.styles = [_picture(style, options.size).to(self.device) for style in styles[:4]]
        self.steps = options.steps
        config: GatysConfig = load(EXPERIMENTS / "gatys" / "paper.yaml", GatysConfig, options.set)
        self.deepest = _deepest(config.weights)
        self.config = replace(
            config,
            steps=options.steps,
            content_layers={self.at_hand("relu4_2"): 1.0},
            style_layers={layer: 0.2 for layer in STYLE_LAYERS if self.at_hand(layer) == layer},
        )

    def at_hand(self, layer: str) -> str:
        """The layer, or the deepest one of the weights that are here."""
        return min(layer, self.deepest)

    def gatys(self, **changes: object) -> Images:
        """An image after the first style."""
        return Gatys(replace(self.config, **changes)).bind(self.styles[0]).translate(self.content)

    def adain(self) -> AdaIN:
        """With the released networks."""
        return AdaIN(load(EXPERIMENTS / "adain" / "public.yaml", AdaINConfig)).to(self.device)


def tradeoff(figure: Figure) -> Panels:
    """Fig. 4: from all style to much content."""
    ratios = (1e-2, 1e-1, 1.0, 10.0)
    return {f"a/b = {ratio:g}": figure.gatys(content_weight=ratio, style_weight=1.0) for ratio in ratios}


def content_layer(figure: Figure) -> Panels:
    """Fig. 5: where content is measured."""
    layers = [figure.at_hand(layer) for layer in ("relu2_2", "relu4_2")]
    return {f"content {layer}": figure.gatys(content_layers={layer: 1.0}) for layer in layers}


def initialization(figure: Figure) -> Panels:
    """Fig. 6: what it starts from."""
    given = {f"from {init}": figure.gatys(init=init) for init in ("content", "style")}
    return given | {f"from noise {seed}": figure.gatys(init="noise", seed=seed) for seed in range(4)}


def style_layers(figure: Figure) -> Panels:
    """Style of more and more layers."""
    layers = list(figure.config.style_layers)
    sets = [layers[: i + 1] for i in range(len(layers))]
    return {f"up to {chosen[-1]}": figure.gatys(style_layers=dict.fromkeys(chosen, 1 / len(chosen))) for chosen in sets}


def alpha(figure: Figure) -> Panels:
    """AdaIN's content-style trade-off."""
    method = figure.adain()
    strengths = (0.0, 0.25, 0.5, 0.75, 1.0)
    return {f"alpha {a}": method.stylize(figure.content, figure.styles[0], alpha=a) for a in strengths}


def interpolation(figure: Figure) -> Panels:
    """Between four styles, one in each corner: columns from left to right, each a strip from top to bottom."""
    method, shares = figure.adain(), (0.0, 0.25, 0.5, 0.75, 1.0)

    def at(x: float, y: float) -> Images:
        weights = [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y]
        return method.stylize(figure.content, figure.styles, weights=weights)

    return {f"x = {x}": torch.cat([at(x, y) for y in shares]) for x in shares}


def regions(figure: Figure) -> Panels:
    """One style on the left, another on the right."""
    method, (height, width) = figure.adain(), figure.content.shape[2:]
    left = torch.zeros(height, width)
    left[:, : width // 2] = 1
    both = method.stylize(figure.content, figure.styles[:2], masks=torch.stack([left, 1 - left]))
    alone = [method.stylize(figure.content, style) for style in figure.styles[:2]]
    return {"left: style 1": alone[0], "right: style 2": alone[1], "both": both}


def timing(figure: Figure) -> list[list[str]]:
    """A row for each method: ratios to AdaIN at the same size; another method is another line here."""
    methods = {"AdaIN": figure.adain(), f"Gatys, {figure.steps} steps": Gatys(figure.config)}
    sizes = (256, 512)
    seconds = {
        name: [measure(method.bind(figure.styles[0]), _square(figure, size)).seconds for size in sizes]
        for name, method in methods.items()
    }
    rows = [["", *(f"{size} px, × AdaIN" for size in sizes)]]
    for name, taken in seconds.items():
        rows.append([name, *(f"{t / base:,.3g}" for t, base in zip(taken, seconds["AdaIN"], strict=True))])
    return rows


FIGURES: dict[str, Callable[[Figure], Panels]] = {
    "tradeoff": tradeoff,
    "content-layer": content_layer,
    "initialization": initialization,
    "style-layers": style_layers,
    "alpha": alpha,
    "interpolation": interpolation,
    "regions": regions,
}
OF_GATYS = ("tradeoff", "content-layer", "initialization", "style-layers", "timing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make one figure; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        figure = Figure(options)
        if options.name == "timing":
            path = options.out / "timing.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(as_markdown(timing(figure)) + f"\n\nOn {device_name(figure.device)}.\n")
            print(path.read_text())
        else:
            path = options.out / f"{options.name}.png"
            _draw(path, figure, FIGURES[options.name](figure))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    used = f"VGG-19 ({figure.config.weights}) up to {figure.deepest}, " if options.name in OF_GATYS else ""
    print(f"{path}: {used}{options.size} px, {options.steps} steps")
    return 0


def _draw(path: Path, figure: Figure, panels: Panels) -> None:
    """Content, style and all panels beside each other; several images of a panel below each other."""
    rows = max(len(images) for images in panels.values())
    columns = {"content": figure.content, "style": figure.styles[0]} if rows == 1 else {}
    write_picture(
        path,
        image_grid({title: list(to_bytes(images).numpy()) for title, images in (columns | panels).items()}),
    )


def _square(figure: Figure, size: int) -> Images:
    return interpolate(figure.content, (size, size), mode="bicubic", antialias=True).clamp(-1, 1)


def _picture(name: str | Path, size: int) -> Images:
    """A file, or a photograph of scikit-image, with a longer side of `size`."""
    if str(name) in PHOTOGRAPHS:
        with as_file(files("skimage") / "data" / str(name)) as path:
            image = read(path)
    else:
        image = read(Path(name))
    scale = size / max(image.shape[2:])
    height, width = (max(16, round(scale * side)) for side in image.shape[2:])
    return interpolate(image, (height, width), mode="bicubic", antialias=True).clamp(-1, 1)


def _deepest(weights: str) -> str:
    """relu5_1 of whole weights; or where the file that is here ends."""
    for layer in ("relu5_1", "relu4_2", "relu4_1"):
        try:
            load_vgg(weights, [layer])
        except UserError as error:
            if "ask for less depth" not in str(error):
                raise
        else:
            return layer
    raise UserError(f"weights: those named '{weights}' here end before relu4_1; fetch the whole file")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The figures of the style-transfer papers.")
    parser.add_argument("name", choices=[*FIGURES, "timing"])
    parser.add_argument("--content", nargs=1, help="a picture; by default a cat")
    parser.add_argument("--style", nargs="+", default=[], help="up to four pictures")
    parser.add_argument("--size", type=int, default=256, help="px of the longer sides")
    parser.add_argument("--steps", type=int, default=STEPS, help="of Gatys")
    parser.add_argument("--set", action="append", default=[], metavar="a=b", help="change a setting of Gatys")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
