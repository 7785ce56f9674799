"""Common part of the methods that train one network for several styles on the losses of a frozen VGG."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from cyclegan.methods.loss_network import LossNetwork, LossNetworkConfig
from cyclegan.methods.mixtures import mixture_translator, style_translators
from cyclegan.methods.older_styles import load_older_styles
from cyclegan.methods.translator import NetworkTranslator
from cyclegan.protocols import Images, Masks


class SeveralStyles(nn.Module):
    """Network whose styles are targets, as cyclegan.methods.mixtures needs it, and the loss network it learns from."""

    def __init__(self, network: nn.Module, styles: tuple[str, ...]) -> None:
        super().__init__()
        self.network: Any = network
        self.styles = styles
        self.older = 0  # styles that are kept as they are

    def begin_training(self, loss: LossNetworkConfig, extends: Path | None, method: str) -> None:
        """Build the loss network; keep the styles of the run of this method that is extended, if there is one."""
        if extends is not None:
            self.older = load_older_styles(self.network, "network", extends, method, self.styles)
        self.loss = LossNetwork(loss, len(self.styles))

    def prepare(self, styles: Mapping[str, Images]) -> None:
        """Compute the Gram matrices of the styles, each (1, 3, h, w)."""
        self.loss.prepare([styles[name] for name in self.styles])

    def parameter_groups(self) -> Mapping[str, Iterable[nn.Parameter]]:
        """Return the parameters that learn: all, or those that only the new styles have."""
        return {"network": [parameter for parameter in self.network.parameters() if parameter.requires_grad]}

    def networks(self) -> Mapping[str, nn.Module]:
        """Return the network, which is released with all of its styles."""
        return {"network": self.network}

    @property
    def translators(self) -> Mapping[str, NetworkTranslator]:
        """Translators by the name of their style."""
        return style_translators(self.network, self.styles)

    def mixed(self, weights: Mapping[str, float], masks: Masks | None = None) -> NetworkTranslator:
        """Return a translator to a mixture of styles, by weights or by regions (k, h, w)."""
        return mixture_translator(self.network, self.styles, weights, masks)
