"""What a batch holds; methods name the fields they take."""

from typing import NamedTuple, TypeAlias

from cyclegan.protocols import AnyImages, Images


class UnpairedBatch(NamedTuple):
    """Images of both sides, drawn independently of each other."""

    x: AnyImages
    y: AnyImages


class StyledBatch(NamedTuple):
    """Images to be painted, and images to be painted like, drawn independently of each other."""

    content: Images
    style: Images


Batch: TypeAlias = UnpairedBatch | StyledBatch
