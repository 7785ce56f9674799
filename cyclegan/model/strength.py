"""How much of a translation: 1 is the whole of it, 0 the picture itself.

Computes   (1 − s) x + s G(x), pixel by pixel, as the opacity of a layer does in a picture editor. It is exact at both
           ends, the distance to the source grows in proportion to s, and it works for every checkpoint.
Instead    of scaling by s what a generator with `start: identity` adds before its tanh: as tanh(s d + atanh x) is
           tanh((1 − s) atanh x + s atanh G(x)), that is a blend of the same two pixels too, on a bent way, and moves no
           edge that the straight one does not. Blending the weights needs a generator that copies, which nobody has
           trained.
Differs    for AdaIN, which has a strength of its own: its α (Eq. 14 there) is multiplied by s. At 0 it copies a picture
           through encoder and decoder, which is not the picture to the bit.
Shows      both pictures where the translation has moved an edge; CycleGAN mostly leaves edges where they are.
"""

from dataclasses import dataclass

from cyclegan.errors import UserError
from cyclegan.images.tensors import blend
from cyclegan.protocols import AnyImages, Scales, Translator, Watchable


@dataclass(frozen=True)
class Blended:
    """A Translator at part of its strength."""

    whole: Translator
    strength: float

    def translate(self, images: AnyImages) -> AnyImages:
        """(n, 3, h, w) → (n, 3, h, w)."""
        return blend(images, self.whole.translate(images), self.strength)


def at_strength(translator: Translator, strength: float) -> Translator:
    """The translator itself at 1; below, what does less, down to nothing at 0."""
    if not 0 <= strength <= 1:
        raise UserError(f"strength: {strength:g} does not lie in 0…1, from the picture itself to the whole translation")
    if strength == 1:
        return translator
    match translator:
        case Watchable():
            raise UserError("strength: this model optimizes towards a style; say how much by --set style_weight=...")
        case Scales():
            return translator.scaled(strength)
    return Blended(translator, strength)
