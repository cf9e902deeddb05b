"""The device and the precision that models compute with."""

from __future__ import annotations

import os
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]
_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "64"}
"""How many compiled kernels oneDNN and torch keep. There is one for each operation and shape, of about a megabyte. With
their own limit of 1,024, a process that got batches of many shapes grew by a gigabyte; with 64 it was as fast."""


def device() -> torch.device:
    """Return the first GPU, or the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def gpus() -> list[int]:
    """Return the GPUs whose random numbers ``torch.random.fork_rng`` must keep: the one that computes, if there is
    one."""
    return [torch.cuda.current_device()] if device().type == "cuda" else []


def precision(wish: str = "auto") -> Precision:
    """Return the precision to use. ``auto`` means bfloat16 where the hardware supports it without emulation.

    It is asked before a model is loaded, so it also bounds the memory of compiled kernels, unless the environment does.
    Raises ValueError for a value other than auto, float32 and bfloat16.
    """
    if wish not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision {wish!r} is not one of auto, float32, bfloat16")
    for name, most in _KERNELS.items():  # torch reads them when it computes for the first time
        os.environ.setdefault(name, most)
    if wish == "float32" or (wish == "auto" and not _computes_bfloat16()):
        return "float32"
    return "bfloat16"


def _computes_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
