"""ImageBuffer: past fakes for the discriminator, against oscillation.

Papers: Shrivastava et al. 2017; CycleGAN, Sec. 4.

Until the buffer is full, each new fake is stored and returned. From then on, with probability ½, a new fake
is returned as it is; otherwise it replaces a stored one, chosen uniformly, and the replaced one is returned.
The images of a batch are handled one by one. With several processes, each handles the batch of all processes
in the same way. The draws come from PyTorch's CPU generator, which the training loop seeds by (seed, step);
the stored images are part of the state.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan import distributed
from cyclegan.protocols import AnyImages


class ImageBuffer(nn.Module):
    """Buffer of `size` past fakes; a size of 0 disables it."""

    images: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.empty(0, 3, 0, 0))

    @torch.no_grad()
    def forward(self, fakes: AnyImages) -> AnyImages:
        """Exchange a batch of fakes for a batch of present and past fakes, without gradients."""
        if not self.size:
            return fakes.detach()
        everyones = distributed.all_gather(fakes.detach())
        shown = torch.cat([self._exchange(fake) for fake in everyones.split(1)])
        return shown[distributed.shard(len(shown))]

    def _exchange(self, fake: AnyImages) -> AnyImages:
        if len(self.images) < self.size:
            self.images = torch.cat([self.images, fake]) if len(self.images) else fake.clone()
            return fake
        if torch.rand(()) < 0.5:
            return fake
        slot = int(torch.randint(self.size, ()))
        past = self.images[slot : slot + 1].clone()
        self.images[slot : slot + 1] = fake
        return past

    def _load_from_state_dict(self, state: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        """Load stored images of any number and size from the state."""
        stored = state.get(f"{prefix}images")
        if stored is not None:
            self.images = torch.empty_like(stored, device=self.images.device)
        super()._load_from_state_dict(state, prefix, *rest)
