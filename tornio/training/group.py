"""The workers of one training: a single worker, or several that share each batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, distributed


class Group(Protocol):
    """The workers as one of them sees them.

    Every worker makes the same calls in the same order, with tensors of the same shapes.
    """

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, in place, by the sum over all workers."""

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, in place, by that of rank 0."""


class Alone:
    """The ``Group`` of one worker."""

    rank = 0
    size = 1

    def sum(self, tensors: Sequence[Tensor]) -> None:
        pass

    def spread(self, tensors: Sequence[Tensor]) -> None:
        pass


class Distributed:
    """The ``Group`` over torch.distributed's default process group: gloo, or NCCL for tensors on GPUs.

    The NCCL path was never run on this project's machines, which have no GPU.
    """

    @property
    def rank(self) -> int:
        return distributed.get_rank()

    @property
    def size(self) -> int:
        return distributed.get_world_size()

    def sum(self, tensors: Sequence[Tensor]) -> None:
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])  # one message, because latency dominates
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.detach().copy_(part.view_as(tensor))

    def spread(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            distributed.broadcast(tensor.detach(), 0)


def current_group() -> Group:
    """Return the group of torch.distributed where a launcher (Ray Train, torchrun) has started one, else this process
    alone."""
    return Distributed() if distributed.is_available() and distributed.is_initialized() else Alone()
