"""ImageBuffer: past fakes shown to the discriminator, against oscillation (Shrivastava et al. 2017; CycleGAN, Sec. 4).

Each new fake is stored and returned until the buffer is full. From then on, with probability ½, a new fake is
returned as it is; otherwise it takes the place of a stored one, chosen uniformly, which is returned. Images are
handled one by one, also in a batch; of several processes all handle the batch of all alike. The draws come from
PyTorch's CPU generator, which the training loop seeds by (seed, step); the images are part of the state.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cyclegan import distributed
from cyclegan.protocols import AnyImages


class ImageBuffer(nn.Module):
    """The last `size` fakes, more or less; 0 switches it off."""

    images: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("images", torch.empty(0, 3, 0, 0))

    @torch.no_grad()
    def forward(self, fakes: AnyImages) -> AnyImages:
        """A batch of fakes in, a batch of present and past fakes out, without gradients."""
        if not self.size:
            return fakes.detach()
        everyones = distributed.gathered(fakes.detach())
        shown = torch.cat([self._exchange(fake) for fake in everyones.split(1)])
        return shown[distributed.share(len(shown))]

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
        """The number and size of stored images are not fixed: take them from the state."""
        stored = state.get(f"{prefix}images")
        if stored is not None:
            self.images = torch.empty_like(stored, device=self.images.device)
        super()._load_from_state_dict(state, prefix, *rest)
