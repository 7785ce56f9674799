"""Optimization of the pixels of one image, from a coarse size to fine ones, for methods without a generator.

Optimizers  L-BFGS with a strong Wolfe line search. The image is not clamped between steps, which would
            invalidate the curvature estimate; L-BFGS restarts at every size, because its history belongs to
            other pixels. A step is one evaluation.
            Adam, clamped to [-1, 1] after every step; at the next size its moments are those of the last,
            resized, and the result is the average of its iterates, which is free of speckle.
Scale       Both minimize the objective times pixels / (its value at the very start). The gradient of a pixel
            then has the same magnitude for every network, weighting and size, and Adam's moments remain valid
            from one size to the next. No loss is below 0, so the scale is positive; where the value starts at
            0, as with the content as style, the image stays as it is, and the first value above 0 sets the
            scale.
"""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate
from tqdm import tqdm

from cyclegan.errors import NotFiniteError
from cyclegan.protocols import Images, Losses

Size: TypeAlias = tuple[int, int]  # height, width
Objective: TypeAlias = Callable[[Images], Losses]  # name -> weighted scalar; what is minimized is their sum
Evaluate: TypeAlias = Callable[[], Tensor]  # the value at the image, whose slope is left in image.grad

LEAST = 1e-12  # an objective that is smaller is rounding
HISTORY = 20  # pairs of steps and slopes that L-BFGS remembers


class IterationState(NamedTuple):
    """State of the optimization that is passed to a watcher."""

    step: int  # of `steps`, over all sizes
    steps: int
    losses: dict[str, float]
    image: Images  # at the size of the moment
    seconds_left: float


Watch: TypeAlias = Callable[[IterationState], None]


def resize(images: Images, size: Size) -> Float[Tensor, "n 3 _ _"]:
    """Resize bicubically with antialiasing; return the images themselves if they have this size."""
    if images.shape[-2:] == size:
        return images
    return interpolate(images, size, mode="bicubic", antialias=True).clamp(-1, 1)


def pyramid(size: Size, smallest: int | None) -> list[Size]:
    """Return sizes that end in this one, each √2 times the one before.

    The longer side of the first size is `smallest` or more.
    """
    sizes, factor = [size], 0.5**0.5
    while smallest and max(size) * factor >= smallest:
        sizes.append((max(1, round(size[0] * factor)), max(1, round(size[1] * factor))))
        factor *= 0.5**0.5
    return sizes[::-1]


class LBFGS:
    """L-BFGS, which estimates the curvature from the previous steps."""

    def minimize(self, image: Images, evaluate: Evaluate, steps: int) -> Images:
        """Minimize the objective; return the image where the last line search ended."""
        limits: dict[str, Any] = {"max_iter": steps, "max_eval": steps, "tolerance_grad": 0, "tolerance_change": 0}
        torch.optim.LBFGS([image], history_size=HISTORY, line_search_fn="strong_wolfe", **limits).step(evaluate)
        return image.detach().clamp(-1, 1)


class Adam:
    """Adam, which keeps its moments from one size to the next."""

    def __init__(self, learning_rate: float, averaging: float, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        self.learning_rate, self.averaging, self.betas = learning_rate, averaging, betas
        self.moments: dict[str, Tensor] = {}

    def minimize(self, image: Images, evaluate: Evaluate, steps: int) -> Images:
        """Minimize the objective; return the exponential average of the iterates.

        The average is corrected for its start at zero.
        """
        optimizer = torch.optim.Adam([image], self.learning_rate, betas=self.betas)
        optimizer.state[image] = {name: _at_size_of(image, moment) for name, moment in self.moments.items()}
        total = torch.zeros_like(image)
        for _ in range(steps):
            evaluate()
            optimizer.step()
            image.data.clamp_(-1, 1)
            total.lerp_(image.detach(), 1 - self.averaging)
        self.moments = optimizer.state[image]
        return total / (1 - self.averaging**steps)


def _at_size_of(image: Images, moment: Tensor) -> Tensor:
    """Resize a moment bilinearly, so that the second one stays positive; return the step count unchanged."""
    return interpolate(moment, image.shape[-2:], mode="bilinear") if moment.dim() else moment


class Descent:
    """Minimization of objectives of growing size, one after the other."""

    def __init__(self, optimizer: "LBFGS | Adam", steps: Mapping[Size, int], watch: Watch | None, every: int) -> None:
        self.optimizer = optimizer
        self.steps = steps
        self.report = Report(self.steps, watch, every)
        self.value_at_start = 0.0

    def run(self, objective: Objective, image: Images) -> Images:
        """Run the steps of this size and return the resulting image."""
        image = image.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
        steps = self.steps[image.shape[2], image.shape[3]]
        end = self.report.step + steps

        def evaluate() -> Tensor:
            losses = objective(image)
            value = self._scaled(torch.stack(list(losses.values())).sum(), image)
            image.grad = None
            value.backward()
            if self.report.step < end:  # a line search may evaluate a little beyond the limit
                self.report.count(losses, image)
            return value.detach()

        result = self.optimizer.minimize(image, evaluate, steps)
        self.report.skip_to(end)
        if not result.isfinite().all():
            raise NotFiniteError(f"the image became NaN at step {end:,}; lower learning_rate or the weights")
        return result

    def _scaled(self, value: Tensor, image: Images) -> Tensor:
        self.value_at_start = self.value_at_start or _above_rounding(value.item())
        return value * (image.numel() / self.value_at_start if self.value_at_start else 0.0)


def _above_rounding(value: float) -> float:
    """Return the value, which is never below 0, or 0 where it is no more than rounding."""
    return value if value > LEAST else 0.0


class Report:
    """Step counter that draws a progress bar on a terminal and calls the watcher every `every` steps."""

    def __init__(self, steps: Mapping[Size, int], watch: Watch | None, every: int) -> None:
        self.steps, self.watch, self.every = sum(steps.values()), watch, every
        self.pixels = sum(height * width * count for (height, width), count in steps.items())
        self.step, self.pixels_done, self.began = 0, 0, perf_counter()
        form = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
        self.bar = tqdm(total=self.steps, disable=None, leave=False, bar_format=form)

    def count(self, losses: Losses, image: Images) -> None:
        """Count one step.

        Reading the losses waits for the device, so it is done only if the bar or the watcher shows them.
        """
        self.step += 1
        self.pixels_done += image.shape[2] * image.shape[3]
        is_due = self.watch is not None and self.step % self.every == 0
        if is_due or not self.bar.disable:
            glance = self._glance(losses, image)
            left = tqdm.format_interval(glance.seconds_left)
            self.bar.set_postfix_str(f"loss {sum(glance.losses.values()):.4g}, {left} left", refresh=False)
        if self.watch is not None and is_due:
            self.watch(glance)
        self.bar.update()

    def skip_to(self, step: int) -> None:
        """Advance the bar when an optimizer has converged and takes no more steps."""
        self.bar.update(step - self.step)
        self.step = step

    def _glance(self, losses: Losses, image: Images) -> IterationState:
        """Return the state of the moment.

        The time left is estimated by pixels: a step at twice the side takes four times as long.
        """
        left = (perf_counter() - self.began) * (self.pixels / self.pixels_done - 1)
        values = {name: loss.item() for name, loss in losses.items()}
        return IterationState(self.step, self.steps, values, image.detach().clamp(-1, 1), left)
