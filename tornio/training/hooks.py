"""What a training is given from outside: where its progress and its checkpoints go. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tornio.training.checkpoints import CheckpointStore
    from tornio.training.group import Group


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is.

    ``loss``: mean since the last report. ``learning_rate``: the encoder's. ``validation``: the score, under its own
    name, and the ``loss`` of the held-out examples, after an epoch that was validated.
    """

    step: int
    steps: int
    epoch: int
    loss: float
    learning_rate: float
    validation: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Hooks:
    """The surroundings of a training.

    ``report``: called with the progress, on the first worker only. ``checkpoints``: where the state is saved, every
    ``checkpoint_seconds``; None means that nothing is saved. ``group``: the workers that share the training; None means
    ``current_group()``.
    """

    report: Callable[[Progress], None] = lambda _: None
    checkpoints: CheckpointStore | None = None
    checkpoint_seconds: float = 60.0
    group: Group | None = None
