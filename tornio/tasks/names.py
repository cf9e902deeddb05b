"""Check the names in a spec when it is applied: strategies, criteria, methods, kinds.

A stored spec is not checked again when it is read: another release, or a package that is gone, may know the name. What
needs the entry then reports that it is missing, and nothing else stops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tornio.errors import InvalidSpec
from tornio.models.kinds import ASKED
from tornio.plugins import check_choice, read_settings
from tornio.query import COLD_STARTS, STRATEGIES, Choosy, QueryStrategy, cold_start_settings
from tornio.spec import NO_TEACHER, StopSpec, TaskSpec
from tornio.spec.classifier import COMBINED, LLM, MEMBER_COSTS
from tornio.spec.loop import BOOTSTRAPS
from tornio.spec.task import CONSENSUS
from tornio.stopping import CRITERIA, Selective, Several
from tornio.training.kinds import AUTO
from tornio.training.methods import check_training

STOP_DEPTH = 3
"""How deep criteria that hold others may stand in each other. Nobody reads more."""


def check_names(spec: TaskSpec) -> None:
    """Raise InvalidSpec for an unknown name, with what there is to choose from.

    A package is imported only where the spec names an entry of it, to check that entry's own settings.
    """
    loop = spec.loop
    check_asking(spec)
    check_choice(spec.classifier.kind, (*ASKED, AUTO), "kind", "classifier.kind")
    check_choice(spec.teacher.kind, (*MEMBER_COSTS, COMBINED, NO_TEACHER), "kind", "teacher.kind")
    _check_members(spec)
    check_training(spec)
    _check_consensus(spec)
    if loop.bootstrap is not None:
        check_choice(loop.bootstrap, tuple(BOOTSTRAPS), "bootstrap", "loop.bootstrap")
        if BOOTSTRAPS[loop.bootstrap] and not spec.teachable:
            raise InvalidSpec(
                f"loop.bootstrap is {loop.bootstrap!r}, which needs a teacher (teacher.kind) and texts with one label "
                "each (multi_label: false). Set loop.bootstrap to 'none', or change these."
            )
    if spec.auto_label.on and spec.multi_label:
        raise InvalidSpec(
            "auto_label needs texts with one label each (multi_label: false): how many labels of a text would have to "
            "be right is not defined for several. Remove the section auto_label."
        )
    _check_stop(spec, spec.loop.stop, "loop.stop")


def check_asking(spec: TaskSpec) -> None:
    """Raise InvalidSpec for a query strategy or a cold start that does not exist or cannot serve the task."""
    loop = spec.loop
    STRATEGIES.check(loop.strategy, "loop.strategy")
    COLD_STARTS.check(loop.cold_start, "loop.cold_start")
    _check_strategy(spec, "cold_start", COLD_STARTS.get(loop.cold_start), cold_start_settings(loop))
    _check_strategy(spec, "strategy", STRATEGIES.get(loop.strategy), loop.strategy_settings)


def _check_consensus(spec: TaskSpec) -> None:
    """Raise InvalidSpec for a consensus that does not exist, or that the task's answers can never feed."""
    annotation = spec.annotation
    check_choice(annotation.consensus, CONSENSUS, "consensus", "annotation.consensus")
    if annotation.by_crowdlab and spec.multi_label:
        raise InvalidSpec(
            "annotation.consensus is 'crowdlab', which needs texts with one label each, but multi_label is true. Set "
            "annotation.consensus to 'majority'."
        )
    if annotation.by_crowdlab and annotation.min_submitted == 1 and not annotation.overlap:
        raise InvalidSpec(
            "annotation.consensus is 'crowdlab', which learns from texts with several answers, but min_submitted is 1 "
            "and overlap is 0, so that each text gets one answer. Set annotation.overlap, for example to .2, or "
            "annotation.consensus to 'majority'."
        )


def _check_stop(task: TaskSpec, stop: StopSpec, where: str, depth: int = 1) -> None:
    """Raise InvalidSpec for a stopping criterion that does not exist, is set wrongly, or cannot serve the task."""
    CRITERIA.check(stop.criterion, f"{where}.criterion")
    entry = CRITERIA.get(stop.criterion)
    read_settings(entry.settings, stop.settings, f"{where}.settings")
    if isinstance(entry, Selective) and (why := entry.refusal(task)):
        raise InvalidSpec(f"{where}.criterion: {stop.criterion!r} {why}. Choose another criterion")
    if not isinstance(entry, Several):
        return
    if depth > STOP_DEPTH:
        raise InvalidSpec(f"{where}: any and all may hold each other {STOP_DEPTH} levels deep, and not deeper")
    for number, member in enumerate(entry.members(stop), 1):
        _check_stop(task, member, f"{where}.settings.criteria[{number}]", depth + 1)


def _check_members(spec: TaskSpec) -> None:
    """Raise InvalidSpec for a member of a combined teacher that is no teacher, or is the same as another."""
    first: dict[tuple[object, ...], int] = {}
    for number, member in enumerate(spec.teacher.members, 1):
        check_choice(member.kind, tuple(MEMBER_COSTS), "kind", f"teacher.members entry {number} kind")
        own = member.instruction if member.kind == LLM else member.templates
        same = (member.kind, member.endpoint, member.base_name(spec.classifier), own)
        if same in first:
            raise InvalidSpec(
                f"teacher.members entry {number} is the same teacher as entry {first[same]}: remove one, or give them "
                "different models, templates or instructions"
            )
        first[same] = number


def _check_strategy(spec: TaskSpec, field: str, strategy: QueryStrategy, values: Mapping[str, Any]) -> None:
    """Raise InvalidSpec for settings that the strategy does not have, and for a task that it cannot serve."""
    settings = read_settings(strategy.settings, values, "loop.strategy_settings")
    if isinstance(strategy, Choosy) and (why := strategy.refusal(settings, spec)):
        name = getattr(spec.loop, field)
        raise InvalidSpec(f"loop.{field}: the strategy {name!r} {why}. Choose another strategy")
