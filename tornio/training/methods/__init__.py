"""The training methods by name, and the check of a spec that names one. Imports no torch."""

from __future__ import annotations

from typing import Any

from tornio.errors import InvalidSpec, MissingPlugin
from tornio.models.kinds import ASKED, KINDS, kind_for
from tornio.plugins import Table
from tornio.spec import TaskSpec
from tornio.training.kinds import choose_kind
from tornio.training.methods.auto import Auto
from tornio.training.methods.consistency import ConsistencyTraining
from tornio.training.methods.contrastive import Contrastive
from tornio.training.methods.distillation import Distillation
from tornio.training.methods.port import TrainingMethod
from tornio.training.methods.self_training import SelfTraining
from tornio.training.methods.supervised import Supervised

__all__ = ["METHODS", "cannot_train", "check_training"]

METHODS: Table[TrainingMethod[Any]] = Table(
    "training method",
    "tornio.training_methods",
    TrainingMethod,  # type: ignore[type-abstract]  # the table only tests whether an entry is one
    {
        method.name: method
        for method in (Supervised(), Distillation(), Contrastive(), SelfTraining(), ConsistencyTraining(), Auto())
    },
)
"""Built-in methods, and those of installed packages."""


def check_training(spec: TaskSpec) -> None:
    """Check the section ``training`` of a spec that is to be applied.

    Raises InvalidInput for a method that does not exist here or cannot be imported, InvalidSpec for settings that are
    not the method's and for a ``classifier.kind`` that the method does not make.
    """
    METHODS.check(spec.training.method, "training.method")
    method = METHODS.get(spec.training.method)
    method.settings_of(spec)
    kind = spec.classifier.kind
    if kind in ASKED and kind_for(kind, method.kinds) is None:
        makes = list(dict.fromkeys(KINDS[made].asked_as for made in method.kinds))
        raise InvalidSpec(
            f"classifier.kind is {kind!r}, and the training method {method.name!r} makes {' and '.join(makes)} only. "
            f"Set classifier.kind to {makes[0]!r} or choose another method."
        )


def cannot_train(spec: TaskSpec) -> str | None:
    """Return why this machine cannot train with a stored spec: it names a method or a kind that is missing here.

    None means that it can. Another release may have written the spec, or a package may have been removed.
    """
    try:
        METHODS.get(spec.training.method)
        choose_kind(spec.classifier, 0, len(spec.labels))
    except MissingPlugin as error:
        return f"training waits: {error}"
    return None
