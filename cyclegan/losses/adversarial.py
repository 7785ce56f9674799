"""The least-squares adversarial loss (Mao et al. 2017), as CycleGAN uses it (Zhu et al. 2017, Sec. 4).

Scores are squared patch by patch and then averaged; real is 1, fake is 0.
"""

from jaxtyping import Float
from torch import Tensor


def lsgan_generator(fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """E[(D(G(x)) − 1)²]: the generator wants its fakes scored 1."""
    return (fake - 1).square().mean()


def lsgan_discriminator(real: Float[Tensor, "..."], fake: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """E[(D(y) − 1)²] + E[D(G(x))²]: reals scored 1, fakes scored 0."""
    return (real - 1).square().mean() + fake.square().mean()
