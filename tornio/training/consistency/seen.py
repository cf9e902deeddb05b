"""What a consistency training remembers of its steps, as one vector that the training loop keeps.

The vector holds sums that fade: each step multiplies them and adds its own. Means are quotients of two of them, so they
need no correction for the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_COUNTS = 4


def size(classes: int) -> int:
    return _COUNTS + 3 * classes


def seen(labelled: Tensor, unlabelled: Tensor, used: Tensor) -> Tensor:
    """Return float32 [size]: what one micro-batch adds.

    ``labelled``, ``unlabelled``: float32 [n, K] and [m, K], predictions for the texts as they are. ``used``: bool [m],
    the unlabelled texts that trained.
    """
    predicted = torch.nn.functional.one_hot(unlabelled.argmax(1), unlabelled.shape[1]).float()
    counts = [float(len(labelled)), float(len(unlabelled))]
    return torch.cat(
        [
            torch.tensor(counts, device=labelled.device),
            torch.stack([used.float().sum(), labelled.max(1).values.sum()]),
            labelled.sum(0),
            unlabelled.sum(0),
            predicted.sum(0),
        ]
    )


@dataclass(frozen=True, eq=False)
class Recalled:
    """The means that a memory holds. Before the first step: all classes alike, and full confidence."""

    memory: Tensor

    @property
    def texts(self) -> float:
        """How many unlabelled texts are remembered; older ones count less."""
        return float(self.memory[1])

    @property
    def used(self) -> float:
        """Share of the unlabelled texts that trained."""
        return float(self.memory[2]) / self.texts if self.texts else 0.0

    @property
    def confidence(self) -> Tensor:
        """Scalar: mean probability of the predicted label of labelled texts."""
        return self.memory[3] / self.memory[0] if self.memory[0] > 0 else torch.ones_like(self.memory[3])

    @property
    def labelled(self) -> Tensor:
        """float32 [K]: mean prediction for the labelled texts."""
        return self._mean(0)

    @property
    def unlabelled(self) -> Tensor:
        """float32 [K]: mean prediction for the unlabelled texts."""
        return self._mean(1)

    @property
    def predicted(self) -> Tensor:
        """float32 [K]: share of the unlabelled texts for which each label is predicted."""
        return self._mean(2)

    def _mean(self, part: int) -> Tensor:
        classes = (len(self.memory) - _COUNTS) // 3
        sums = self.memory[_COUNTS + part * classes :][:classes]
        return sums / sums.sum() if self.texts else torch.full_like(sums, 1 / classes)
