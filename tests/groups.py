"""Trainings that are interrupted, and the workers of one training as threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

import torch
from torch import Tensor

from tornio.training.checkpoints import StoredCheckpoints


class Interrupted(Exception):
    pass


@dataclass
class Interrupting:
    """Ends the training right after the checkpoint of a step."""

    into: StoredCheckpoints
    at: int

    def put(self, step: int, folder: Path) -> None:
        self.into.put(step, folder)
        if step == self.at:
            raise Interrupted

    def fetch(self, folder: Path) -> bool:
        return self.into.fetch(folder)


@dataclass
class Threads:
    """The ``Group`` of threads of one process."""

    rank: int
    size: int
    barrier: Barrier
    given: dict[int, list[Tensor]]

    def sum(self, tensors: Sequence[Tensor]) -> None:
        self._exchange(tensors, lambda parts: torch.stack(parts).sum(0))

    def spread(self, tensors: Sequence[Tensor]) -> None:
        self._exchange(tensors, lambda parts: parts[0])

    def _exchange(self, tensors: Sequence[Tensor], combine: Callable[[list[Tensor]], Tensor]) -> None:
        self.given[self.rank] = [tensor.detach().clone() for tensor in tensors]
        self.barrier.wait()
        for number, tensor in enumerate(tensors):
            tensor.detach().copy_(combine([self.given[rank][number] for rank in range(self.size)]))
        self.barrier.wait()
