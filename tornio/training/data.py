"""The data of a training, as token ids and tensors. This module knows nothing about losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tornio.arrays import BoolVector, IntArray
from tornio.errors import InvalidInput
from tornio.models.tokens import Tokenizer
from tornio.spec import FineTuningSpec
from tornio.training.batches import Rows
from tornio.training.targets import Labelled, check_sufficient, decided, stratified_folds

TokenIds = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled texts. ``ids``: token ids of each text. ``targets``: float32 [n, outputs] in [0, 1]. ``weights``:
    float32 [n]."""

    ids: Sequence[TokenIds]
    targets: Tensor
    weights: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> list[int]:
        return [len(row) for row in self.ids]

    def select(self, rows: Rows) -> Examples:
        index = torch.from_numpy(rows)
        return Examples([self.ids[row] for row in rows], self.targets[index], self.weights[index])


@dataclass(frozen=True, eq=False)
class Data:
    """The tokenised data of one training.

    ``train``: the examples to learn from. ``held_out``: examples that only decide when to stop; None means that the
    training runs to its last epoch. ``learned``: bool [labels], the labels that have an output, which are those that
    tell the examples apart. ``always``: bool [labels], the labels that every example has. ``class_weights``: float32
    [outputs], 1 on average over the examples. ``unlabelled``: token ids of texts without a label, for an objective
    that uses them. ``written``: token ids of further texts that it reads, such as views that were written before.
    """

    train: Examples
    held_out: Examples | None
    learned: BoolVector
    always: BoolVector
    class_weights: Tensor
    multi_label: bool
    unlabelled: Sequence[TokenIds] = field(default=())
    written: Sequence[TokenIds] = field(default=())

    @property
    def ids(self) -> list[TokenIds]:
        """Every text of the training."""
        return [*self.train.ids, *(self.held_out.ids if self.held_out else ()), *self.unlabelled, *self.written]


def prepare(
    labelled: Labelled,
    names: Sequence[str],
    multi_label: bool,
    tokenizer: Tokenizer,
    settings: FineTuningSpec,
    seed: int,
    unlabelled: Sequence[str] = (),
    written: Sequence[str] = (),
) -> Data:
    """Return the data of a training: tokens, targets of the labels that can be learned, and the held-out examples.

    Examples of weight 0 are left out, so that no batch consists of them alone.

    Raises InvalidInput for no examples, for examples of one class only, and for labels that are all the same.
    """
    labelled = labelled.select(np.flatnonzero(labelled.weights > 0))
    if not (np.isfinite(labelled.targets).all() and np.isfinite(labelled.weights).all()):
        raise InvalidInput("the targets and weights of the training are not all finite: look at the training method")
    Y = decided(labelled.targets, multi_label)
    check_sufficient(Y, names, multi_label)
    always = np.asarray((labelled.targets == 1).all(axis=0), dtype=bool)
    learned = np.asarray((labelled.targets > 0).any(axis=0), dtype=bool) & ~always
    if not learned.any():
        raise InvalidInput(f"all {len(Y)} training records have the same labels: label records that differ")
    examples = Examples(
        tokenizer.encode(labelled.texts).ids,
        torch.from_numpy(np.ascontiguousarray(labelled.targets[:, learned], dtype=np.float32)),
        torch.from_numpy(np.asarray(labelled.weights, dtype=np.float32)),
    )
    held = held_out_rows(Y, settings, seed)
    return Data(
        train=examples.select(np.flatnonzero(~held)),
        held_out=examples.select(np.flatnonzero(held)) if held.any() else None,
        learned=learned,
        always=always,
        class_weights=class_weights(examples, settings.class_weights),
        multi_label=multi_label,
        unlabelled=tokenizer.encode(unlabelled).ids if unlabelled else (),
        written=tokenizer.encode(written).ids if written else (),
    )


def held_out_rows(Y: IntArray, settings: FineTuningSpec, seed: int) -> BoolVector:
    """Return bool [n]: the examples that only decide when to stop.

    If there are too few examples, no example is held out. The only example of a label is never held out.
    """
    if len(Y) < settings.validation_from:
        return np.zeros(len(Y), dtype=bool)
    held = np.asarray(stratified_folds(Y, round(1 / settings.validation_share), seed) == 0, dtype=bool)
    for column in Y.T == 1:
        if not column[~held].any():
            held &= ~column
    return held


def class_weights(examples: Examples, wish: str) -> Tensor:
    """Return what an example of each output counts, float32 [outputs]: 1, or with the wish ``balanced`` the less, the
    more examples have the label."""
    counts = (examples.targets.double() * examples.weights.double()[:, None]).sum(0)
    total = examples.weights.double().sum()
    return (total / (len(counts) * counts) if wish == "balanced" else torch.ones_like(counts)).float()
