"""Common part of the methods that train a network G for one style on the losses of a frozen VGG."""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from cyclegan.data.spec import DataSpec
from cyclegan.methods.checks import check_batches, check_checkpointing, check_crop, check_rgb, check_schedule
from cyclegan.methods.loss_network import LossNetwork, LossNetworkConfig
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.networks.network_config import PyramidConfig, TransformNetConfig
from cyclegan.training.training_config import TrainingConfig


@runtime_checkable
class OneStyleConfig(Protocol):
    """Settings of a method of one style."""

    @property
    def name(self) -> str:
        """Name of the method."""
        ...

    @property
    def generator(self) -> PyramidConfig | TransformNetConfig:
        """Settings of G."""
        ...

    @property
    def loss(self) -> LossNetworkConfig:
        """Settings of the loss network."""
        ...


class OneStyle(nn.Module):
    """Network G of one style, and the loss network it learns from."""

    charts: ClassVar = {"generator": ["content", "style", "tv"]}  # losses it may have

    def __init__(self, G: nn.Module, config: OneStyleConfig, spec: DataSpec, train: bool) -> None:
        super().__init__()
        (self.style,) = spec.styles
        self.config, self.G = config, G
        self.loss = LossNetwork(config.loss) if train else None

    def prepare(self, styles: Mapping[str, Float[Tensor, "1 3 _ _"]]) -> None:
        """Compute the Gram matrices of the style."""
        self.loss_network.prepare([styles[self.style]])

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters of G."""
        return {"generator": self.G.parameters()}

    def networks(self) -> Mapping[str, nn.Module]:
        """Return G, which is released."""
        return {"G": self.G}

    @property
    def local(self) -> bool:
        """Return whether a part of an image becomes what it becomes in the whole, so that tiles are exact."""
        return False

    @property
    def translators(self) -> Mapping[str, NetworkTranslator]:
        """Translator by the name of the style."""
        chosen = self.config.generator
        return {self.style: NetworkTranslator(self.G, chosen.stride, chosen.smallest, self.local)}

    @property
    def loss_network(self) -> LossNetwork:
        """Loss network; a method that was built without training has none."""
        assert self.loss is not None
        return self.loss


def check_one_style(config: OneStyleConfig, spec: DataSpec, training: TrainingConfig, processes: int) -> None:
    """Raise ValueError for styles, crops, training or processes that do not fit."""
    if len(spec.styles) != 1:
        raise ValueError(f"data: {config.name} learns one style; give one image in styles, not {len(spec.styles)}")
    check_rgb(spec, config.name)
    check_crop(spec, config.generator.stride, config.generator.smallest)
    check_batches(training, processes, config.generator)
    check_checkpointing(training, config.generator)
    check_schedule(spec, training, validates=False)
