"""PatchNCE: loss that identifies each patch of a translation by the patch at the same position of its source.

Paper      Park, Efros, Zhang, Zhu, Contrastive learning for unpaired image-to-image translation, ECCV 2020,
           Sec. 3.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy


def patch_nce(
    queries: Float[Tensor, "n places c"], keys: Float[Tensor, "n places c"], temperature: float
) -> Float[Tensor, ""]:
    """Compute the PatchNCE loss, the mean over positions and images (Eqs. 2 and 3).

    E −log(exp(v · v⁺/τ) / (exp(v · v⁺/τ) + Σ exp(v · v⁻/τ)))

    v    A query, of length 1; v⁺ is the key of its position, v⁻ those of all other positions of the same
         image.
    Keys give no gradient: the translation is to resemble the source, not the source the translation.
    """
    with torch.autocast(queries.device.type, enabled=False):  # a softmax of products / τ needs full precision
        similarities = queries @ keys.detach().mT / temperature
    places = torch.arange(queries.shape[1], device=queries.device)
    return cross_entropy(similarities.flatten(0, 1), places.repeat(len(queries)))
