"""What a network learns from, as tensors, and the loss over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tornio.training.batches import Rows


@dataclass(frozen=True)
class Examples:
    """What is learned from. ``ids``: token ids of each text; ``targets``: float32 [n, outputs] of 0 and 1, only the
    labels that tell examples apart; ``weights``: float32 [outputs], of the classes."""

    ids: Sequence[NDArray[np.int64]]
    targets: Tensor
    weights: Tensor
    multi_label: bool

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.ids]

    def select(self, rows: Rows) -> Examples:
        return replace(self, ids=[self.ids[row] for row in rows], targets=self.targets[torch.from_numpy(rows)])

    def loss(self, logits: Tensor, rows: Rows) -> Tensor:
        """Sum over these rows; together with ``weight`` of a whole batch a mean."""
        targets = self.targets[torch.from_numpy(rows)].to(logits.device)
        if self.multi_label:
            return functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        return functional.cross_entropy(logits, targets, self.weights.to(logits.device), reduction="sum")

    def weight(self, rows: Rows) -> float:
        """What the sum of losses over these rows is divided by."""
        if self.multi_label:
            return float(len(rows) * self.targets.shape[1])
        return float((self.targets[torch.from_numpy(rows)] @ self.weights).sum())

    def judge(self, logits: Tensor, rows: Rows) -> Tensor:
        """float32 [3] of these rows: labels given rightly, labels given or missed wrongly, and the ``loss``."""
        truth = self.targets[torch.from_numpy(rows)].to(logits.device)
        if self.multi_label:
            said = (logits > 0).float()
        else:
            said = functional.one_hot(logits.argmax(1), logits.shape[1]).float()
        return torch.stack([(said * truth).sum(), (said != truth).sum(), self.loss(logits, rows)])
