"""Adversarial losses: for each a pair of functions of the scores of real and fake patches.

lsgan          Mao et al. 2017, Eq. 9, as CycleGAN uses it (Zhu et al. 2017, Sec. 4): real is 1, fake is 0.
minimax        Goodfellow et al. 2014, Eq. 1, D = σ(score): the generator minimizes E[log(1 − D(G(x)))], which
               is flat where the discriminator is certain that images are fake.
nonsaturating  the same discriminator; the generator minimizes −E[log D(G(x))] instead (there, Sec. 3). This,
               and not minimax, is what most code calls `vanilla`: binary cross-entropy with the label "real"
               for the generator.
hinge          Lim and Ye 2017; Miyato et al. 2018, Eqs. 16 and 17: margins of 1 on both sides.
wgan-gp        Gulrajani et al. 2017, Eq. 3: a critic without labels, which needs `gradient_penalty` of
               cyclegan.losses.regularization. Its five updates of the critic for one of the generator are set
               by `training.optimizer.update_every`.

Every loss is a mean over patches: the loss is applied patch by patch, then averaged. Logarithms of σ are
computed as −log σ(s) = softplus(−s), which neither overflows nor loses digits.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import relu, softplus

PatchScores: TypeAlias = Float[Tensor, "..."]
Scores: TypeAlias = Mapping[str, tuple[PatchScores, PatchScores]]  # discriminator -> of real, of fake
Scalar: TypeAlias = Float[Tensor, ""]


def lsgan_generator(fake: PatchScores) -> Scalar:
    """Compute E[(D(G(x)) − 1)²]: fakes should be scored 1."""
    return (fake - 1).square().mean()


def lsgan_discriminator(real: PatchScores, fake: PatchScores) -> Scalar:
    """Compute E[(D(y) − 1)²] + E[D(G(x))²]: reals should be scored 1, fakes 0."""
    return (real - 1).square().mean() + fake.square().mean()


def minimax_generator(fake: PatchScores) -> Scalar:
    """Compute E[log(1 − σ(D(G(x))))], which has no lower bound."""
    return -softplus(fake).mean()


def nonsaturating_generator(fake: PatchScores) -> Scalar:
    """Compute −E[log σ(D(G(x)))], steepest where the discriminator is certain that images are fake."""
    return softplus(-fake).mean()


def logistic_discriminator(real: PatchScores, fake: PatchScores) -> Scalar:
    """Compute −E[log σ(D(y))] − E[log(1 − σ(D(G(x))))], the loss of minimax and of nonsaturating."""
    return softplus(-real).mean() + softplus(fake).mean()


def hinge_discriminator(real: PatchScores, fake: PatchScores) -> Scalar:
    """Compute E[max(0, 1 − D(y))] + E[max(0, 1 + D(G(x)))]: scores beyond their margin do not count."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def wgan_generator(fake: PatchScores) -> Scalar:
    """Compute −E[D(G(x))], the loss of hinge and of wgan-gp."""
    return -fake.mean()


def wgan_discriminator(real: PatchScores, fake: PatchScores) -> Scalar:
    """Compute E[D(G(x))] − E[D(y)]: with slopes of at most 1, the negative of the Wasserstein distance."""
    return fake.mean() - real.mean()


def _as_they_are(scores: PatchScores) -> PatchScores:
    return scores


def _from_margins(scores: PatchScores) -> PatchScores:
    return ((scores + 1) / 2).clamp(0, 1)


class GANLoss(NamedTuple):
    """Losses of generator and discriminator, and the function that reads scores as probabilities."""

    generator: Callable[[Tensor], Tensor]  # of fakes
    discriminator: Callable[[Tensor, Tensor], Tensor]  # of reals and fakes
    probability_real: Callable[[Tensor], Tensor] | None  # scores → 1 for real, 0 for fake; None: they have no scale


GAN_LOSSES = {
    "lsgan": GANLoss(lsgan_generator, lsgan_discriminator, _as_they_are),
    "minimax": GANLoss(minimax_generator, logistic_discriminator, torch.sigmoid),
    "nonsaturating": GANLoss(nonsaturating_generator, logistic_discriminator, torch.sigmoid),
    "vanilla": GANLoss(nonsaturating_generator, logistic_discriminator, torch.sigmoid),  # by the name it has elsewhere
    "hinge": GANLoss(wgan_generator, hinge_discriminator, _from_margins),
    "wgan-gp": GANLoss(wgan_generator, wgan_discriminator, None),
}


def read_scores(scores: Scores, probability_real: Callable[[Tensor], Tensor] | None) -> dict[str, dict[str, Any]]:
    """Return mean scores for a Preview, by discriminator, of real and of fake images.

    Probabilities are its `scores`; those of a critic, which have no scale, are `numbers` only.
    """
    if probability_real is None:
        pairs = ((name, dict(zip(("real", "fake"), both, strict=True))) for name, both in scores.items())
        return {"numbers": {f"{name} {of}, score": float(s.mean()) for name, each in pairs for of, s in each.items()}}
    means = {name: tuple(float(probability_real(s).mean()) for s in both) for name, both in scores.items()}
    return {"scores": means}
