"""What the rest of the library may assume of a method: a few small structural types, no base class.

Training, evaluation, comparison and export know only these. Whatever turns images into images is a `Translator`;
whatever is guided by an example picture is a `Stylizer`, bound to its example to become a Translator; whatever learns
is `Trainable`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

Images: TypeAlias = Float[Tensor, "n 3 h w"]  # RGB in [-1, 1]
AnyImages: TypeAlias = Float[Tensor, "n _ h w"]  # of any kind of picture, in [-1, 1]: 1, 3 or more channels
Losses: TypeAlias = dict[str, Tensor]  # name -> weighted scalar, still on the graph
Minimize: TypeAlias = Callable[[str, Losses], None]  # minimize("generators", losses): one optimizer step


@runtime_checkable
class Translator(Protocol):
    """Maps images to images of the same size and device. All that evaluation and comparison ever see."""

    def translate(self, images: AnyImages) -> AnyImages:
        """(n, c, h, w) in [-1, 1] → (n, c', h, w), for any h and w ≥ 1; both have 3 channels, but for other kinds."""
        ...


@runtime_checkable
class Directed(Protocol):
    """Has learned to translate from one of two sides to the other, or both ways."""

    @property
    def translators(self) -> Mapping[str, Translator]:
        """`x` or `y`, a side → what translates to it."""
        ...


@runtime_checkable
class Stylizer(Protocol):
    """Maps a content batch to the style of an example batch; bind the example to get a Translator."""

    def stylize(self, content: Images, style: Float[Tensor, "n 3 hs ws"]) -> Images:
        """Content (n, 3, h, w) and style (n, 3, hs, ws) → (n, 3, h, w)."""
        ...

    def bind(
        self,
        *styles: Float[Tensor, "1 3 _ _"],
        weights: Sequence[float | int] | None = None,
        masks: Float[Tensor, "_ _ _"] | None = None,
    ) -> Translator:
        """A Translator to one style or to several, each (1, 3, hs, ws).

        weights  How much of each, where they are mixed; only their ratios count; by default they are equal.
        masks    Instead, where each goes: (styles, h, w) in 0 … 1, stretched over the content.
        """
        ...

    @property
    def pretrained(self) -> Mapping[str, str]:
        """The weights of others that it looks through: name, sha256 and more."""
        ...


@runtime_checkable
class Watchable(Protocol):
    """A Translator that takes its time, and can be watched."""

    def watched(self, watch: Callable[[Any], None], every: int) -> Translator:
        """One that shows its step, losses, image and time left every so many steps."""
        ...


class Preview(NamedTuple):
    """How a method does on held-out images: pictures to look at, numbers that tell a healthy run from a sick one."""

    pictures: Mapping[str, Mapping[str, AnyImages]]  # direction -> column title -> images: x_to_y -> {"x": …}
    health: Mapping[str, float]
    translations: Mapping[str, tuple[AnyImages, AnyImages]] = {}  # direction -> sources, translated


@runtime_checkable
class Trainable(Protocol):
    """A method with parameters to learn. The training loop needs these and nothing more."""

    def players(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Who moves: the parameters each optimizer owns."""
        ...

    def networks(self) -> Mapping[str, nn.Module]:
        """What a user keeps: averaged over the steps, sampled, released and loaded again."""
        ...

    def training_step(self, batch: Any, minimize: Minimize) -> Losses:
        """One round of the method's objective; returns its losses to be logged."""
        ...

    def preview(self, batch: Any) -> Preview:
        """Pictures and health of a held-out batch; changes no state."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything a resumed run needs, buffers of past fakes included."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """The inverse of state_dict."""
        ...
