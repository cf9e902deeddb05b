"""Check the names in a spec when it is applied: strategies, criteria, methods, kinds.

A stored spec is not checked again when it is read: another release, or a package that is gone, may know the name. What
needs the entry then reports that it is missing, and nothing else stops.
"""

from __future__ import annotations

from tornio.errors import InvalidSpec
from tornio.models.kinds import KINDS
from tornio.plugins import read_settings
from tornio.query import COLD_STARTS, STRATEGIES
from tornio.spec import TaskSpec
from tornio.spec.classifier import TEACHER_KINDS
from tornio.stopping import CRITERIA
from tornio.training.kinds import AUTO
from tornio.training.methods import check_training


def check_names(spec: TaskSpec) -> None:
    """Raise InvalidSpec for a name that nothing here stands for, with what there is to choose from.

    A package is imported only where the spec names an entry of it, to check that entry's own settings.
    """
    loop, stop = spec.loop, spec.loop.stop
    STRATEGIES.check(loop.strategy, "loop.strategy")
    COLD_STARTS.check(loop.cold_start, "loop.cold_start")
    CRITERIA.check(stop.criterion, "loop.stop.criterion")
    _check_kind(spec.classifier.kind, (*KINDS, AUTO), "classifier.kind")
    _check_kind(spec.teacher.kind, TEACHER_KINDS, "teacher.kind")
    check_training(spec)
    read_settings(STRATEGIES.get(loop.strategy).settings, loop.strategy_settings, "loop.strategy_settings")
    read_settings(CRITERIA.get(stop.criterion).settings, stop.settings, "loop.stop.settings")


def _check_kind(name: str, kinds: tuple[str, ...], where: str) -> None:
    if name not in kinds:
        raise InvalidSpec(f"{where}: there is no kind {name!r}. Choose one of: {', '.join(kinds)}")
