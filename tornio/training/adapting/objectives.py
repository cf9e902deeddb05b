"""The objectives of an adaptation by name. Imports no torch, because a controller reads the costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tornio.plugins import late

if TYPE_CHECKING:
    from tornio.training.adapting.preparing import Prepared


STEP_COST = 3
"""Cost of a training step, in forward passes. A backward pass costs about two forward passes."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """One way of pre-training.

    ``passes``: how often a step reads a text. ``learning_rate``: the highest, unless the user says another.
    ``prepare``: see ``preparing``.
    """

    passes: int
    learning_rate: float
    prepare: Callable[..., Prepared]


_MODULE = "tornio.training.adapting.preparing"
ADAPTATIONS: dict[str, Adaptation] = {
    "masked-language": Adaptation(1, 1e-4, late(_MODULE, "masked_language")),
    "contrastive": Adaptation(2, 3e-5, late(_MODULE, "contrastive")),
}
