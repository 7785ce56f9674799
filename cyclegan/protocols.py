"""What the rest of the library may assume of a method: a few small structural types, no base class.

Training, evaluation, comparison and export know only these. What turns images into images is a `Translator`. A method
that learns is `Trainable`; one that has learned to translate to targets `Translates`; one that is guided by example
images `Stylizes`. The others are optional.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

Images: TypeAlias = Float[Tensor, "n 3 h w"]  # RGB in [-1, 1]
AnyImages: TypeAlias = Float[Tensor, "n _ h w"]  # of any kind of picture, in [-1, 1]: 1, 3 or more channels
Masks: TypeAlias = Float[Tensor, "_ _ _"]  # (styles, h, w) in 0 … 1
Losses: TypeAlias = dict[str, Tensor]  # name -> weighted scalar, still on the graph
Minimize: TypeAlias = Callable[[str, Losses], None]  # minimize("generators", losses): one optimizer step


@runtime_checkable
class Translator(Protocol):
    """Maps images to images of the same size and device. All that evaluation and comparison ever see."""

    def translate(self, images: AnyImages) -> AnyImages:
        """(n, c, h, w) in [-1, 1] → (n, c', h, w), for any h and w ≥ 1; both have 3 channels, but for other kinds."""
        ...


@runtime_checkable
class Translates(Protocol):
    """Learned to translate to one or several targets."""

    @property
    def translators(self) -> Mapping[str, Translator]:
        """Name of a target -> what translates to it, the default first: {"monet": G, "photo": F}."""
        ...


@runtime_checkable
class Mixes(Protocol):
    """Translates to mixtures of its targets."""

    def mixed(self, weights: Mapping[str, float], masks: Masks | None = None) -> Translator:
        """A Translator to a mixture of targets.

        weights  Target -> how much of it; only their ratios count.
        masks    Instead, where each goes: (targets, h, w) in 0 … 1, in the order of `weights`.
        """
        ...


@runtime_checkable
class Stylizes(Protocol):
    """Translates to the style of example images; bind them to get a Translator."""

    examples_are: Literal["mixed", "one set"]  # several styles to mix, or references of one style

    def bind(
        self,
        *examples: Float[Tensor, "1 _ _ _"],
        weights: Sequence[float | int] | None = None,
        masks: Masks | None = None,
    ) -> Translator:
        """A Translator to the style of the examples, each (1, c, hs, ws).

        weights  How much of each, where they are mixed; only their ratios count; by default they are equal.
        masks    Instead, where each goes: (examples, h, w) in 0 … 1, stretched over the content.
        """
        ...

    @property
    def pretrained(self) -> Mapping[str, str]:
        """Weights of others that it uses: name, sha256 and more."""
        ...


@runtime_checkable
class Enlarges(Protocol):
    """Enlarges style images that are too small for it."""

    def enlarged(self, style: Float[Tensor, "_ 3 _ _"]) -> Float[Tensor, "_ 3 _ _"]:
        """The style itself if it is large enough, else a larger one."""
        ...


@runtime_checkable
class Charted(Protocol):
    """Says which losses it may have, so that TensorBoard shows one chart a group whatever the settings."""

    charts: Mapping[str, Sequence[str]]  # parameter group -> patterns of the names of its losses


@runtime_checkable
class Prepares(Protocol):
    """Computes buffers from the style images once, before step 0, so that neither resume nor release needs them."""

    def prepare(self, styles: Mapping[str, Images]) -> None:
        """Style images by name, (1, 3, h, w) each."""
        ...


@runtime_checkable
class Scales(Protocol):
    """A Translator with a strength of its own, other than a blend of pixels."""

    def scaled(self, strength: float) -> Translator:
        """A Translator at a strength in 0 … 1, times its present one."""
        ...


@runtime_checkable
class Watchable(Protocol):
    """A Translator that takes its time, and can be watched."""

    def watched(self, watch: Callable[[Any], None], every: int) -> Translator:
        """A Translator that shows its step, losses, image and time left every so many steps."""
        ...


class Preview(NamedTuple):
    """Results of a method on held-out images: pictures to look at, and numbers that tell how training goes."""

    pictures: Mapping[str, Mapping[str, AnyImages]]  # name of the sheet -> column title -> images: x_to_y -> {"x": …}
    scores: Mapping[str, tuple[float, float]] = {}  # discriminator -> mean probability of real, for real and for fake
    numbers: Mapping[str, float] = {}  # other numbers, by what they are called
    translations: Mapping[str, tuple[AnyImages, AnyImages]] = {}  # title -> sources, translated


@runtime_checkable
class Trainable(Protocol):
    """A method with parameters to learn. The training loop needs these and nothing more."""

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Name -> the parameters of one optimizer."""
        ...

    def networks(self) -> Mapping[str, nn.Module]:
        """Networks that are averaged over the steps, sampled, released and loaded again."""
        ...

    def training_step(self, batch: Any, minimize: Minimize) -> Losses:
        """One iteration on a batch: call minimize for each group to be updated; return the losses to be logged."""
        ...

    def preview(self, batch: Any) -> Preview:
        """Pictures and scores of a held-out batch; changes no state."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs, buffers of past fakes included."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Restore what state_dict returned."""
        ...
