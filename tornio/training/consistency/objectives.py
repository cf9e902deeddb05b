"""The losses of UDA and AdaMatch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tornio.training.batches import Rows
from tornio.training.consistency.formulas import aligned, annealed_bound, interpolated, ramp, sharpened
from tornio.training.consistency.seen import Recalled
from tornio.training.consistency.settings import ConsistencySettings
from tornio.training.data import TokenIds
from tornio.training.network import Network

LabelLoss = Callable[[Tensor, Rows], Tensor]
"""Logits of labelled texts, float32 [n, K], and their rows, to the sum of their losses, as a scalar."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The texts of a micro-batch, as token ids.

    ``rows``: int [n], the labelled texts among all. ``targets``: float32 [n, K]. ``views``: returns a view of each
    text. ``done``: share of the training that is done. ``random``: for what is drawn.
    """

    rows: Rows
    labelled: Sequence[TokenIds]
    targets: Tensor
    unlabelled: Sequence[TokenIds]
    views: Callable[[Sequence[TokenIds], np.random.Generator], list[TokenIds]]
    done: float
    random: np.random.Generator


@dataclass(frozen=True, eq=False)
class Losses:
    """``labelled``, ``unlabelled``: sums of losses, scalars, the second with its weight in time. The rest: see
    ``seen.seen``."""

    labelled: Tensor
    unlabelled: Tensor
    labelled_probabilities: Tensor
    unlabelled_probabilities: Tensor
    used: Tensor


Compute = Callable[[Network, Batch, LabelLoss, Recalled, ConsistencySettings], Losses]


def adamatch(
    network: Network, batch: Batch, label_loss: LabelLoss, recalled: Recalled, settings: ConsistencySettings
) -> Losses:
    """Berthelot et al. (2022), "AdaMatch: A Unified Approach to Semi-Supervised Learning and Domain Adaptation",
    section 3: random logit interpolation, distribution alignment, relative confidence threshold.

    Deviations. The two expectations of the alignment and the mean confidence are running means over earlier steps, not
    those of the batch: a batch of a few labelled texts says little of many classes, and workers share a batch. The two
    logits between which a random point is taken differ by dropout alone, because encoders have no batch norm.
    """
    count = len(batch.rows)
    target = _predicted(network, batch.unlabelled)
    labelled = [*batch.labelled, *batch.views(batch.labelled, batch.random)]
    logits = network([*labelled, *labelled, *batch.views(batch.unlabelled, batch.random)])
    first, second, strong = torch.split(logits, [2 * count, 2 * count, len(batch.unlabelled)])
    share = torch.from_numpy(batch.random.random(first.shape, dtype=np.float32)).to(first.device)
    known = interpolated(first, second, share)
    probabilities = known[:count].detach().softmax(1)
    wanted = aligned(target, recalled.labelled, recalled.unlabelled)
    used = wanted.max(1).values >= settings.chosen_threshold * recalled.confidence
    wanted = sharpened(wanted, settings.chosen_temperature)
    losses = functional.cross_entropy(strong, wanted, reduction="none")
    return Losses(
        label_loss(known[:count], batch.rows) + label_loss(known[count:], batch.rows),
        ramp(batch.done) * (losses * used).sum(),
        probabilities,
        target,
        used,
    )


def uda(
    network: Network, batch: Batch, label_loss: LabelLoss, recalled: Recalled, settings: ConsistencySettings
) -> Losses:
    """Xie et al. (2020), "Unsupervised Data Augmentation for Consistency Training", section 2: sharpened predictions
    for the texts as they are, a confidence mask, and training-signal annealing of the labelled texts.

    Deviation: the loss of the labelled texts is divided by their number, also where annealing leaves some of them out,
    because workers share a batch. The paper divides by the number of those that train.
    """
    target = _predicted(network, batch.unlabelled)
    logits = network([*batch.labelled, *batch.views(batch.unlabelled, batch.random)])
    known, strong = logits[: len(batch.rows)], logits[len(batch.rows) :]
    probabilities = known.detach().softmax(1)
    bound = annealed_bound(settings.tsa, batch.done, logits.shape[1])
    trains = (probabilities * batch.targets.to(known.device)).sum(1) < bound
    used = target.max(1).values > settings.chosen_threshold
    wanted = sharpened(target, settings.chosen_temperature)
    divergence = functional.kl_div(strong.log_softmax(1), wanted, reduction="none").sum(1)
    return Losses(
        label_loss(known[trains], batch.rows[trains.cpu().numpy()]), (divergence * used).sum(), probabilities, target,
        used,
    )  # fmt: skip


def _predicted(network: Network, texts: Sequence[TokenIds]) -> Tensor:
    """Return float32 [n, K]: probabilities, which no gradient flows through."""
    with torch.no_grad():
        probabilities: Tensor = network(texts).softmax(1)
    return probabilities
