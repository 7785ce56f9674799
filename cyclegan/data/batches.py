"""What a batch holds; methods name the fields they take."""

from typing import NamedTuple

from cyclegan.protocols import Images


class UnpairedBatch(NamedTuple):
    """Images of both sides, drawn independently of each other."""

    x: Images
    y: Images
