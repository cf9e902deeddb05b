"""Matrix products with fixed weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from tornio.models.packed.architectures import Linear

Dense = Callable[[Tensor], Tensor]
"""[T, in] -> [T, out]."""
_ROWS = 4096
"""The number of rows for which oneDNN optimises the layout of weights; any number of rows gives correct results."""
_STEPS = ((64, 8), (256, 16), (sys.maxsize, 64))
"""oneDNN compiles a kernel for each number of rows, which costs time and memory. So rows are padded: up to 64 rows to a
multiple of 8, up to 256 rows to one of 16, and more rows to one of 64."""


def dense(linear: Linear, prepacked: bool | None = None) -> Dense:
    """Return the matrix product with these weights.

    ``prepacked``: whether the weights are converted once to oneDNN's layout; None: if that is faster. It is faster for
    bfloat16 on a processor, where plain ``linear`` converts them in each call. In float32 the two were as fast
    (AVX2, 384 to 3072 wide, 64 to 4096 rows: .5 to 1.8 times, both ways, with the noise of a shared machine).
    """
    if _is_faster_prepacked(linear.weight) if prepacked is None else prepacked:
        weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight, _ROWS)
        return partial(_prepacked, weight=weight, bias=linear.bias)
    return partial(functional.linear, weight=linear.weight, bias=linear.bias)


def _is_faster_prepacked(weight: Tensor) -> bool:
    on_processor = weight.device.type == "cpu" and weight.dtype == torch.bfloat16
    return on_processor and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _prepacked(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    padded = functional.pad(x, (0, 0, 0, more)) if (more := padding(len(x))) else x
    product: Tensor = torch.ops.mkldnn._linear_pointwise(padded, weight, bias, "none", [], "")
    return product[: len(x)]


def padding(rows: int) -> int:
    """Return how many rows to add, so that there are few different numbers of rows."""
    return -rows % next(step for most, step in _STEPS if rows <= most)
