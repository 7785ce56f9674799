"""Interfaces through which the rest of the library uses a method: small structural types, no base class.

Training, evaluation, comparison and export know only these. A `Translator` turns images into images. A method
that learns is `Trainable`; one that has learned to translate to targets `Translates`; one that is guided by
example images `Stylizes`. The others are optional.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

Images: TypeAlias = Float[Tensor, "n 3 h w"]  # RGB in [-1, 1]
AnyImages: TypeAlias = Float[Tensor, "n _ h w"]  # images of any kind, in [-1, 1]: 1, 3 or more channels
Masks: TypeAlias = Float[Tensor, "_ _ _"]  # (styles, h, w) in 0 … 1
Losses: TypeAlias = dict[str, Tensor]  # name -> weighted scalar, still on the graph
Minimize: TypeAlias = Callable[[str, Losses], None]  # minimize("generators", losses): one optimizer step


@runtime_checkable
class Translator(Protocol):
    """Map from images to images of the same size and device; evaluation and comparison use nothing else."""

    def translate(self, images: AnyImages) -> AnyImages:
        """Translate images (n, c, h, w) in [-1, 1] to (n, c', h, w), for any h and w ≥ 1.

        Both have 3 channels, except for other kinds of images.
        """
        ...


@runtime_checkable
class Translates(Protocol):
    """Method that has learned to translate to one or several targets."""

    @property
    def translators(self) -> Mapping[str, Translator]:
        """Translators by the name of their target, the default first: {"monet": G, "photo": F}."""
        ...


@runtime_checkable
class Mixes(Protocol):
    """Method that can translate to mixtures of its targets."""

    def mixed(self, weights: Mapping[str, float], masks: Masks | None = None) -> Translator:
        """Return a translator to a mixture of targets.

        weights  Target -> its share in the mixture; only the ratios count.
        masks    Region of each target, instead: (targets, h, w) in 0 … 1, in the order of `weights`.
        """
        ...


@runtime_checkable
class Stylizes(Protocol):
    """Method that translates to the style of example images; bind them to get a Translator."""

    examples_are: Literal["mixed", "one set"]  # several styles to mix, or references of one style

    def bind(
        self,
        *examples: Float[Tensor, "1 _ _ _"],
        weights: Sequence[float | int] | None = None,
        masks: Masks | None = None,
    ) -> Translator:
        """Return a translator to the style of the examples, each (1, c, hs, ws).

        weights  Share of each example in a mixture; only the ratios count; equal by default.
        masks    Region of each example, instead: (examples, h, w) in 0 … 1, stretched over the content.
        """
        ...

    @property
    def pretrained(self) -> Mapping[str, str]:
        """Weights by other authors that the method uses: name, sha256 and more."""
        ...


@runtime_checkable
class MayBeUntrained(Protocol):
    """Settings of a Stylizer that may leave it with a network that has to be trained first."""

    @property
    def untrained(self) -> str:
        """Return what to do instead of stylizing with a network of random weights; empty if it can stylize."""
        ...


@runtime_checkable
class Enlarges(Protocol):
    """Method that enlarges style images that are too small for it."""

    def enlarged(self, style: Float[Tensor, "_ 3 _ _"]) -> Float[Tensor, "_ 3 _ _"]:
        """Return the style itself if it is large enough, else a larger one."""
        ...


@runtime_checkable
class Charted(Protocol):
    """Method that lists the losses it may have; TensorBoard shows one chart per group for all settings."""

    charts: Mapping[str, Sequence[str]]  # parameter group -> patterns of the names of its losses


@runtime_checkable
class Prepares(Protocol):
    """Method that computes buffers from the style images once, before step 0.

    Neither a resumed run nor a release then needs the style images.
    """

    def prepare(self, styles: Mapping[str, Images]) -> None:
        """Compute the buffers from style images by name, each (1, 3, h, w)."""
        ...


@runtime_checkable
class Scales(Protocol):
    """Translator with a strength of its own, other than a blend of pixels."""

    def scaled(self, strength: float) -> Translator:
        """Return a translator at `strength`, in 0 … 1, times its present strength."""
        ...


@runtime_checkable
class Watchable(Protocol):
    """Translator that takes a long time and can report its progress."""

    def with_callback(self, watch: Callable[[Any], None], every: int) -> Translator:
        """Return a translator that shows its step, losses, image and time left every so many steps."""
        ...


class Preview(NamedTuple):
    """Results of a method on held-out images: images to view, and numbers that show how training goes."""

    pictures: Mapping[str, Mapping[str, AnyImages]]  # name of the sheet -> column title -> images: x_to_y -> {"x": …}
    scores: Mapping[str, tuple[float, float]] = {}  # discriminator -> mean probability of real, for real and for fake
    numbers: Mapping[str, float] = {}  # other numbers, by what they are called
    translations: Mapping[str, tuple[AnyImages, AnyImages]] = {}  # title -> sources, translated


@runtime_checkable
class Trainable(Protocol):
    """Method with parameters to learn; the training loop needs these members and nothing more."""

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of each optimizer, by the name of their group."""
        ...

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the networks that are averaged over the steps, sampled, released and loaded again."""
        ...

    def training_step(self, batch: Any, minimize: Minimize) -> Losses:
        """Run one iteration on a batch and return the losses to be logged.

        Calls minimize for each group to be updated.
        """
        ...

    def preview(self, batch: Any) -> Preview:
        """Return images and scores of a held-out batch; no state changes."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs, buffers of past fakes included."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Restore what state_dict returned."""
        ...
