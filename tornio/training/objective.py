"""The loss that a training minimises. The loop (``tornio.training.loop``) runs any objective and knows none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from tornio.training.batches import Rows
from tornio.training.data import Data, Examples
from tornio.training.network import Network


@dataclass(frozen=True, slots=True)
class Verdict:
    """The quality of the network on the held-out examples. ``score``: larger is better. ``loss`` decides between equal
    scores."""

    score: float
    loss: float


class Goal(Protocol):
    """What a training learns from, and how held-out examples are judged.

    A step has a batch of rows, which workers share as micro-batches. The gradient of a step is the sum of the losses
    of its micro-batches, divided by ``weight`` of the whole batch. A goal keeps no state between calls. Each says which
    kind of ``EncoderNetwork`` it trains; those of labels train a ``Network``.
    """

    @property
    def name(self) -> str:
        """Name of the objective with all its settings. A checkpoint of another name is not resumed."""

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each training example. An epoch has each example once."""

    @property
    def held_out_lengths(self) -> Sequence[int]:
        """Tokens of each held-out example. None of them means that there is no validation."""

    @property
    def score_name(self) -> str:
        """Name of ``Verdict.score`` in reports and metrics, such as ``f1``."""

    @property
    def sums(self) -> int:
        """How many numbers ``judge`` returns."""

    def weight(self, rows: Rows) -> float:
        """Return the number by which the losses of a whole batch are divided."""

    def judge(self, network: Any, rows: Rows) -> Tensor:
        """Return float32 [sums] of these held-out rows: numbers that may be added over all rows."""

    def verdict(self, sums: Sequence[float]) -> Verdict:
        """Return the verdict that follows from the sums over all held-out rows."""


class Objective(Goal, Protocol):
    """A goal whose loss depends on the network and the rows alone."""

    def loss(self, network: Any, rows: Rows, done: float) -> Tensor:
        """Return the sum of the losses of a micro-batch, as a scalar.

        ``rows``: int [n] of the training examples. ``done``: share of the training's steps that are made, in [0, 1).
        torch's generators are seeded for the micro-batch, so what is drawn from them is the same on every worker.
        """


@runtime_checkable
class Steps(Protocol):
    """Losses that also depend on what earlier steps saw: on a few numbers, the memory, which the loop keeps.

    The memory is part of the training's state: it is saved in checkpoints, and all workers have the same.
    """

    @property
    def remembered(self) -> int:
        """How many numbers the memory has. They are 0 before the first step."""

    def loss_and_seen(self, network: Any, rows: Rows, done: float, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss as ``Objective.loss`` does, and what was seen: float32 [remembered], which the loop adds up
        over the micro-batches of a step.

        ``memory``: float32 [remembered], after the step before; it must not be changed.
        """

    def remember(self, memory: Tensor, seen: Tensor) -> Tensor:
        """Return the memory after a step in which this was seen."""

    def alarm(self, memory: Tensor) -> str | None:
        """Return why the training must not go on, or None. The loop then raises ``Stopped``."""

    def measured(self, memory: Tensor) -> Mapping[str, float]:
        """Return metrics of the memory at the end."""


class Remembering(Goal, Steps, Protocol):
    """A goal whose losses depend on a memory."""


class Stopped(Exception):
    """An objective has raised its alarm. The message says in which step, and why. Every worker gets it in that step."""


@dataclass(frozen=True)
class Forgetful:
    """The ``Steps`` of an objective, without a memory, so that the loop knows one kind only."""

    objective: Objective

    remembered = 0

    def loss_and_seen(self, network: Any, rows: Rows, done: float, memory: Tensor) -> tuple[Tensor, Tensor]:
        return self.objective.loss(network, rows, done), memory

    def remember(self, memory: Tensor, seen: Tensor) -> Tensor:
        return memory

    def alarm(self, memory: Tensor) -> str | None:
        return None

    def measured(self, memory: Tensor) -> Mapping[str, float]:
        return {}


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """The ``Objective`` of labels: cross-entropy, or binary cross-entropy per label where a text may have several.

    Targets may be soft. The score is the micro-averaged F1, which is the accuracy where each text has one label.
    """

    train: Examples
    held_out: Examples | None
    class_weights: Tensor
    multi_label: bool

    name = "cross-entropy"
    score_name = "f1"
    sums = 3
    """The number of right labels, the number of wrong or missing labels, and the loss."""

    @classmethod
    def of(cls, data: Data) -> CrossEntropy:
        return cls(data.train, data.held_out, data.class_weights, data.multi_label)

    @property
    def lengths(self) -> list[int]:
        return self.train.lengths

    @property
    def held_out_lengths(self) -> list[int]:
        return self.held_out.lengths if self.held_out else []

    def loss(self, network: Network, rows: Rows, done: float) -> Tensor:
        return self.loss_of(network([self.train.ids[row] for row in rows]), self.train, rows)

    def loss_of(self, logits: Tensor, examples: Examples, rows: Rows) -> Tensor:
        """Return the sum of the losses of logits, float32 [n, outputs], of these rows of the examples."""
        targets, weights = _on(logits, examples.targets, rows), _on(logits, examples.weights, rows)[:, None]
        if self.multi_label:
            return functional.binary_cross_entropy_with_logits(logits, targets, weights, reduction="sum")
        return functional.cross_entropy(
            logits, targets * weights, self.class_weights.to(logits.device), reduction="sum"
        )

    def weight(self, rows: Rows) -> float:
        return self._weight(self.train, rows)

    def _weight(self, examples: Examples, rows: Rows) -> float:
        index = torch.from_numpy(rows)
        weights = examples.weights[index]
        if self.multi_label:
            return float(weights.sum() * examples.targets.shape[1])
        return float(((examples.targets[index] * weights[:, None]) @ self.class_weights).sum())

    def judge(self, network: Network, rows: Rows) -> Tensor:
        examples = self._held_out
        logits = network([examples.ids[row] for row in rows])
        predicted = self._decided(logits, 0.0)
        truth = self._decided(_on(logits, examples.targets, rows), 0.5)
        loss = self.loss_of(logits, examples, rows)
        return torch.stack([(predicted * truth).sum(), (predicted != truth).sum(), loss])

    def verdict(self, sums: Sequence[float]) -> Verdict:
        right, errors, loss = sums
        examples = self._held_out
        f1 = 2 * right / (2 * right + errors) if right or errors else 1.0
        return Verdict(f1, loss / self._weight(examples, torch.arange(len(examples)).numpy()))

    def _decided(self, values: Tensor, least: float) -> Tensor:
        """float32 [n, outputs] of 0 and 1: with several labels allowed those above ``least``, else the largest."""
        if self.multi_label:
            return (values > least).float()
        return functional.one_hot(values.argmax(1), values.shape[1]).float()

    @property
    def _held_out(self) -> Examples:
        if self.held_out is None:
            raise ValueError("this objective has no held-out examples")
        return self.held_out


def _on(like: Tensor, values: Tensor, rows: Rows) -> Tensor:
    """Return these rows of the values, on the device of the other tensor."""
    return values[torch.from_numpy(rows)].to(like.device)
