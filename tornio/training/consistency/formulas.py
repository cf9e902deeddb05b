"""The formulas of UDA and AdaMatch. Pure functions of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_LEAST = 1e-6
"""Smallest expected probability of a class, so that a class that is never predicted does not become infinite."""

TSA: dict[str, Callable[[float], float]] = {
    "none": lambda done: 1.0,
    "linear": lambda done: done,
    "log": lambda done: 1 - math.exp(-5 * done),
    "exp": lambda done: math.exp(5 * (done - 1)),
}
"""Training-signal annealing: how far the bound has risen, by the share of the training that is done. Xie et al. (2020),
"Unsupervised Data Augmentation for Consistency Training", section 2.3, figure 3."""


def annealed_bound(schedule: str, done: float, classes: int) -> float:
    """Return the probability of its label from which a labelled text does not train yet: alpha (1 - 1/K) + 1/K."""
    return TSA[schedule](done) * (1 - 1 / classes) + 1 / classes


def sharpened(probabilities: Tensor, temperature: float) -> Tensor:
    """Return float32 [n, K]: p^(1/T), normalised, which is softmax(logits / T). UDA, section 2.3 (sharpening)."""
    if temperature == 1:
        return probabilities
    return torch.softmax(probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny).log() / temperature, dim=1)


def aligned(probabilities: Tensor, wanted: Tensor, found: Tensor) -> Tensor:
    """Return float32 [n, K]: normalise(p wanted / found). ``wanted``, ``found``: float32 [K], mean predictions for the
    labelled and for the unlabelled texts.

    Berthelot et al. (2022), "AdaMatch: A Unified Approach to Semi-Supervised Learning and Domain Adaptation", section
    3.2 (distribution alignment).
    """
    shifted = probabilities * (wanted.clamp_min(_LEAST) / found.clamp_min(_LEAST))
    return shifted / shifted.sum(dim=1, keepdim=True)


def interpolated(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Return share first + (1 - share) second, number by number. AdaMatch, section 3.1 (random logit interpolation)."""
    return share * first + (1 - share) * second


def ramp(done: float) -> float:
    """Return AdaMatch's weight of the unlabelled texts, section 3.4: it rises from 0 to 1 in half of the training."""
    return 0.5 - math.cos(min(math.pi, 2 * math.pi * done)) / 2


def entropy(shares: Tensor) -> float:
    """Return the entropy of a distribution, float32 [K], in nats."""
    return float(torch.special.entr(shares).sum())
