"""CycleGAN and the methods it is compared with: unpaired image-to-image translation on PyTorch.

    from cyclegan import load
    painter = load("runs/photo2painting/cyclegan")
    painter("photo.jpg").save("painting.png")

Importing the package imports nothing heavy; `load` brings in PyTorch when it is first used.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from cyclegan.model.load import load

        return load
    raise AttributeError(f"module 'cyclegan' has no attribute {name!r}")
