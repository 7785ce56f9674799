"""Methods, one file per paper: docstring, settings, class.

The table holds strings, so that only the named method is imported.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from cyclegan.config import Variants

if TYPE_CHECKING:
    from cyclegan.data.spec import DataSpec
    from cyclegan.training.training_config import TrainingConfig

METHODS = Variants(  # method.name -> its settings, which build it
    {
        "cyclegan": "cyclegan.methods.cyclegan:CycleGANConfig",
        "cut": "cyclegan.methods.cut:CUTConfig",
        "adain": "cyclegan.methods.adain:AdaINConfig",
        "gatys": "cyclegan.methods.gatys:GatysConfig",
        "pix2pix": "cyclegan.methods.pix2pix:Pix2PixConfig",
        "texture_nets": "cyclegan.methods.texture_nets:TextureNetsConfig",
        "johnson": "cyclegan.methods.johnson:JohnsonConfig",
        "style_swap": "cyclegan.methods.style_swap:StyleSwapConfig",
        "adaptive_style_transfer": "cyclegan.methods.adaptive_style_transfer:AdaptiveStyleTransferConfig",
        "cin": "cyclegan.methods.conditional_instance_norm:CINConfig",
        "stylebank": "cyclegan.methods.stylebank:StyleBankConfig",
    }
)


@runtime_checkable
class MethodConfig(Protocol):
    """Settings of a method: a frozen dataclass whose field `name` is its key in METHODS."""

    name: Any
    learns_from: ClassVar[tuple[str, ...]]  # kinds of data (data.name); () for what learns nothing
    remedies: ClassVar[Mapping[str, str]]  # failure mode, or "memory" -> what helps with this method

    def check(self, spec: "DataSpec", training: "TrainingConfig", processes: int = 1) -> None:
        """Raise ValueError for data, training or a number of processes that this method cannot work with."""
        ...

    def build(self, spec: "DataSpec", train: bool = True) -> Any:
        """Build the method for such data, with fresh weights; cyclegan.protocols lists what it may provide.

        train  False: released weights will be loaded and nothing is trained, so loss networks and buffers are
               left out.
        """
        ...
