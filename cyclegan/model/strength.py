"""Strength of a translation: 1 is the whole translation, 0 the original image.

Computes   (1 − s) x + s G(x), pixel by pixel, like the opacity of a layer in an image editor. It is exact at
           both ends, the distance to the source is proportional to s, and it works for every checkpoint.
Rejected   Scaling by s the term d that a generator with `start: identity` adds before its tanh: because
           tanh(s d + atanh x) is tanh((1 − s) atanh x + s atanh G(x)), this is also a blend of the same two
           pixels, along a curve, and moves no edge that the linear blend leaves in place. Also rejected:
           blending the weights, which needs a generator trained to copy its input; there is none.
Differs    for AdaIN, which has a strength of its own: its α (Eq. 14 there) is multiplied by s. At 0 it copies
           an image through encoder and decoder, which does not return the exact image.
Shows      both images where the translation has moved an edge; CycleGAN mostly leaves edges in place.
"""

from dataclasses import dataclass

from cyclegan.errors import UserError
from cyclegan.images.tensors import blend
from cyclegan.protocols import AnyImages, Scales, Translator, Watchable


@dataclass(frozen=True)
class Blend:
    """Translator that runs another one at part of its strength."""

    whole: Translator
    strength: float

    def translate(self, images: AnyImages) -> AnyImages:
        """Translate (n, 3, h, w) images and blend the result with them."""
        return blend(images, self.whole.translate(images), self.strength)


def at_strength(translator: Translator, strength: float) -> Translator:
    """Return the translator itself at strength 1, and a weaker one below, without any effect at 0."""
    if not 0 <= strength <= 1:
        raise UserError(f"strength: {strength:g} does not lie in 0…1, from the picture itself to the whole translation")
    if strength == 1:
        return translator
    match translator:
        case Scales():
            return translator.scaled(strength)
        case Watchable():
            raise UserError("strength: this model optimizes towards a style; say how much by --set style_weight=...")
    return Blend(translator, strength)
