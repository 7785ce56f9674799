"""beartype, which picks the item of a list that it looks at with the generator of `random`: here with one of its own.

A training draws from the global one, and a finalizer with a list for an argument may run between its seed and its draw.
"""

import random

from beartype import beartype
from beartype._check.code import codemain

__all__ = ["beartype"]

codemain.getrandbits = random.Random(0).getrandbits
