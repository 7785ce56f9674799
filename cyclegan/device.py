"""Choice of the device that computes, and of its precision."""

import torch

from cyclegan.errors import UserError

PRECISIONS = ("float32", "bfloat16", "auto")


def choose_device(name: str | torch.device, key: str = "device") -> torch.device:
    """Choose a device by name: auto, cpu, cuda, cuda:1 or mps.

    auto is the first available of CUDA, Apple's MPS and the CPU.

    Raises UserError for any other name and for a device that is not available; `key` is the setting that
    names it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = _device(str(name), key)
    if device.type == "cuda":
        _require_cuda(device, key)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UserError(f"{key}: no MPS device here; use cpu or auto")
    return device


def _device(name: str, key: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    is_numbered = device.index is not None and device.type != "cuda"
    if device.type not in ("cpu", "cuda", "mps") or (is_numbered and device.index != 0):
        raise UserError(f"{key}: '{name}' is unknown; use auto, cpu, cuda, cuda:1 (the second one) or mps")
    return device


def _require_cuda(device: torch.device, key: str) -> None:
    if not torch.cuda.is_available():
        raise UserError(f"{key}: no CUDA device here; use cpu or auto")
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise UserError(f"{key}: no {device} here; use cuda, or one of cuda:0 … cuda:{count - 1}")


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Choose a data type by name: `auto` is bfloat16 where the device multiplies in it, float32 elsewhere.

    Weights and losses stay in float32. Raises UserError for a name that is not in PRECISIONS.
    """
    if name not in PRECISIONS:
        raise UserError(f"precision: '{name}' is unknown; use float32, bfloat16 or auto")
    if name != "auto":
        return getattr(torch, name)
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and _cpu_has_bfloat16()
    return torch.bfloat16 if native else torch.float32


def _cpu_has_bfloat16() -> bool:
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def autocast(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """Return the context that a training step runs in."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)
