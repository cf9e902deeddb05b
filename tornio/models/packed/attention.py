"""Self-attention over packed texts. Each text attends only to itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tornio.models.packed.batch import Batch


class Attention:
    """The attention of one batch. What all layers share is computed once."""

    def __init__(self, batch: Batch, device: torch.device) -> None:
        self._runs = batch.runs
        self._longest = int(batch.lengths[0])
        self._bounds = np.append(batch.starts, batch.lengths.sum()).astype(np.int32)
        self._device = device

    def __call__(self, qkv: Tensor, first_only: bool) -> Tensor:
        """Map ``qkv`` [T, 3, heads, size] to [T, hidden], or with ``first_only`` to [n, hidden] of the first tokens."""
        attend = self._varlen if _has_varlen(qkv) else self._by_runs
        return attend(qkv, first_only)

    def _by_runs(self, qkv: Tensor, first_only: bool) -> Tensor:
        """Attend run by run: texts of equal length need no mask."""
        heads, size = qkv.shape[2:]
        parts = []
        for run in self._runs:
            q, k, v = qkv[run.tokens].view(run.rows, run.length, 3, heads, size).permute(2, 0, 3, 1, 4)
            attended = functional.scaled_dot_product_attention(q[:, :, :1] if first_only else q, k, v)
            parts.append(attended.transpose(1, 2).reshape(-1, heads * size))
        return _joined(parts)

    def _varlen(self, qkv: Tensor, first_only: bool) -> Tensor:
        """Attend with one call of flash attention, which gets the start of each text."""
        from torch.nn.attention.varlen import varlen_attn

        q, k, v = qkv.unbind(1)
        bounds, longest = self._on_device, self._longest
        if first_only:
            numbers = torch.arange(len(bounds), dtype=torch.int32, device=self._device)
            attended = varlen_attn(q[bounds[:-1].long()], k, v, numbers, bounds, 1, longest)
        else:
            attended = varlen_attn(q, k, v, bounds, bounds, longest, longest)
        assert isinstance(attended, Tensor)
        return attended.flatten(1)

    @cached_property
    def _on_device(self) -> Tensor:
        return torch.from_numpy(self._bounds).to(self._device)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _has_varlen(qkv: Tensor) -> bool:
    """Whether flash attention works: a GPU, half precision, and heads of a size divisible by 8 and at most 256."""
    size = qkv.shape[-1]
    return qkv.is_cuda and qkv.dtype in (torch.bfloat16, torch.float16) and size % 8 == 0 and size <= 256
