"""Gatys: one step of the optimization - loss, gradient, Adam - in a plain loop and in this library.

Plain      a loop as good tutorials have it: float32, channels first, VGG-19 frozen and as deep as needed, the targets
           computed once, the Gram matrix by bmm, Adam, the image clamped after each step.
Library    its Objective under its Descent. Both minimize one loss, that of Gram matrices in the mean form, with zero
           padding, so that values and gradients can be compared: at the image halfway from content to style.
"""

from collections.abc import Iterator

import torch
from material import CONTENT, STYLE, at_hand, photograph
from paired import LEAST, Table, Variant, measure
from peaks import flops
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from cyclegan.device import choose_precision
from cyclegan.methods.gatys import Example, Gatys, GatysConfig, Objective
from cyclegan.methods.pixel_optimizer import Descent
from cyclegan.networks.vgg import VGGFeatures
from cyclegan.protocols import Images

SIZES = (256, 512)
QUICK_SIZES = (32,)
STEPS = 2  # of a call


class Plain:
    """The loss at one content and one style, and the loop that lowers it."""

    def __init__(self, config: GatysConfig, vgg: VGGFeatures, content: Images, style: Images) -> None:
        self.config = config
        self.network = nn.Sequential(*_layers(vgg)).to(content.device).eval().requires_grad_(False)
        self.names = [name.replace("conv", "relu") for name, _ in vgg.layers()]
        self.factor, self.summand = vgg.factor, vgg.summand
        with torch.no_grad():
            of_content, of_style = self.features(content), self.features(style)
        self.contents = {layer: of_content[layer] for layer in config.content_layers}
        self.grams = {layer: gram(of_style[layer]) for layer in config.style_layers}

    def features(self, image: Images) -> dict[str, Tensor]:
        """The output of every ReLU."""
        x, found, names = image * self.factor + self.summand, {}, iter(self.names)
        for layer in self.network:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                found[next(names)] = x
        return found

    def loss(self, image: Images) -> Tensor:
        """α L_content + β L_style, both means."""
        config, F = self.config, self.features(image)
        content = sum(w * (F[layer] - self.contents[layer]).pow(2).mean() for layer, w in config.content_layers.items())
        style = sum(w * (gram(F[layer]) - self.grams[layer]).pow(2).mean() for layer, w in config.style_layers.items())
        return config.content_weight * content + config.style_weight * style

    def descend(self, image: Images, steps: int) -> Images:
        """The image after these steps of Adam."""
        image = image.clone().requires_grad_()
        optimizer = torch.optim.Adam([image], self.config.learning_rate, betas=(0.9, 0.99))
        for _ in range(steps):
            optimizer.zero_grad()
            self.loss(image).backward()
            optimizer.step()
            with torch.no_grad():
                image.clamp_(-1, 1)
        return image.detach()


class Ours:
    """The same in the library, with what a method prepares before it descends."""

    def __init__(self, config: GatysConfig, content: Images, style: Images) -> None:
        self.config = config
        self.method = Gatys(config)
        self.method.prepare(content.device)
        self.objective = Objective(config, self.method.features, content, [Example(style)])

    def loss(self, image: Images) -> Tensor:
        """The sum of its terms."""
        return torch.stack(list(self.objective(image).values())).sum()

    def descend(self, image: Images, steps: int) -> Images:
        """The image after these steps of Adam."""
        size = image.shape[2], image.shape[3]
        return Descent(self.method._optimizer(), {size: steps}, None, 1).run(self.objective, image)


def run(size: int, rounds: int, device: torch.device, least: float = LEAST) -> Table:
    """At one size."""
    content, style = (photograph(name, size, device) for name in (CONTENT, STYLE))
    between = (content + style) / 2
    auto = choose_precision("auto", device)
    name = str(auto).removeprefix("torch.")
    exact, ours = (Ours(settings(precision), content, style) for precision in ("float32", "auto"))
    plain = Plain(exact.config, exact.method.vgg, content, style)
    ways = {"plain, float32": plain, "library, float32": exact, f"library, {name} by default": ours}
    asked = flops(lambda: slope(plain, between))
    variants = [
        Variant(
            title,
            lambda way=way: way.descend(between, STEPS),
            agreement(way, plain, between),
            count=STEPS,
            flops=asked,
            dtype=torch.float32 if "float32" in title else auto,
        )
        for title, way in ways.items()
    ]
    rows = measure(variants, rounds, device, least=least)
    return Table(title=f"Gatys, {size} px, one step", weights=weights(exact.config), rows=rows)


def settings(precision: str) -> GatysConfig:
    """One loss for all; weights of torchvision where CYCLEGAN_WEIGHTS has them, else random ones."""
    return GatysConfig(
        weights="torchvision" if at_hand("torchvision") else "random",
        padding="zero",
        style_loss="gram",
        form="mean",
        optimizer="adam",
        coarsest=None,
        precision=precision,
    )


def weights(config: GatysConfig) -> str:
    """Which ones VGG-19 has."""
    if config.weights == "random":
        return "random, as CYCLEGAN_WEIGHTS names no folder with VGG-19 of torchvision"
    return "VGG-19 of torchvision"


def agreement(way: Plain | Ours, plain: Plain, image: Images) -> dict[str, float]:
    """Relative errors of the loss and of its gradient, and the cosine between the gradients."""
    if way is plain:
        return {}
    (loss, gradient), (true_loss, true_gradient) = slope(way, image), slope(plain, image)
    return {
        "loss off by": abs(loss / true_loss - 1),
        "gradient off by": ((gradient - true_gradient).norm() / true_gradient.norm()).item(),
        "cosine": cosine_similarity(gradient, true_gradient, dim=0).item(),
    }


def slope(way: Plain | Ours, image: Images) -> tuple[float, Tensor]:
    """The loss and its gradient, flat and in double precision."""
    image = image.clone().requires_grad_()
    loss = way.loss(image)
    (gradient,) = torch.autograd.grad(loss, image)
    return loss.item(), gradient.flatten().double()


def gram(features: Tensor) -> Tensor:
    """F Fᵀ / M."""
    n, c, h, w = features.shape
    flat = features.view(n, c, h * w)
    return torch.bmm(flat, flat.transpose(1, 2)) / (h * w)


def _layers(vgg: VGGFeatures) -> Iterator[nn.Module]:
    for name, convolution in vgg.layers():
        if name.endswith("_1") and name != "conv1_1":
            yield nn.MaxPool2d(2, 2)
        plain = nn.Conv2d(convolution.in_channels, convolution.out_channels, 3, padding=1)
        plain.load_state_dict({name: tensor.contiguous() for name, tensor in convolution.state_dict().items()})
        yield from (plain, nn.ReLU())
