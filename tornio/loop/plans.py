"""The plans of the loop's runs. A run's id is a digest of its inputs, so the same inputs are the same run.

An argument that a later release adds needs a default that means what was done before: see ``RunPlan.args``.
"""

from __future__ import annotations

from tornio.schemas.automatic import AutoLabelArgs
from tornio.schemas.base import Part
from tornio.schemas.jobs import EvaluateArgs, ImportArgs, QueryArgs, TrainArgs
from tornio.schemas.loop import AutoIntent, GateIntent, LoopState, QueryIntent, TrainIntent
from tornio.schemas.runs import RunPlan
from tornio.spec import TaskSpec


def _plan(job: str, spec: TaskSpec, args: Part) -> RunPlan:
    return RunPlan.of(job, spec.workspace, spec.name, args)


def train(state: LoopState, spec: TaskSpec, intent: TrainIntent) -> RunPlan:
    """The run that makes the version: a training, or the import of what was trained elsewhere."""
    if (ask := intent.imported) is not None:
        taken = ImportArgs(
            upload=ask.upload,
            size=ask.size,
            who=ask.who,
            why=ask.why,
            generation=state.generation,
            iteration=intent.iteration,
            label_seq=intent.label_seq,
            pool_seq=intent.pool_seq,
            spec_rev=intent.spec_rev,
            parent=intent.parent,
        )
        return _plan("import-version", spec, taken)
    args = TrainArgs(
        generation=state.generation,
        iteration=intent.iteration,
        label_seq=intent.label_seq,
        pool_seq=intent.pool_seq,
        spec_rev=intent.spec_rev,
        parent=intent.parent,
        method=intent.method,
    )
    return _plan("train", spec, args)


def evaluate(state: LoopState, spec: TaskSpec, intent: GateIntent) -> RunPlan:
    args = EvaluateArgs(
        version=intent.version,
        current=intent.current,
        rivals=intent.rivals,
        agree_with=state.stop.last_version,
        label_seq=intent.train.label_seq,
        pool_seq=intent.train.pool_seq,
        spec_rev=intent.train.spec_rev,
    )
    return _plan("evaluate", spec, args)


def query(state: LoopState, spec: TaskSpec, intent: QueryIntent) -> RunPlan:
    args = QueryArgs(
        batch=intent.batch,
        number=intent.number,
        generation=state.generation,
        version=intent.version,
        label_seq=intent.label_seq,
        pool_seq=intent.pool_seq,
        spec_rev=intent.spec_rev,
    )
    return _plan("query", spec, args)


def auto_label(spec: TaskSpec, intent: AutoIntent) -> RunPlan:
    args = AutoLabelArgs(
        version=intent.version,
        label_seq=intent.label_seq,
        pool_seq=intent.pool_seq,
        spec_rev=intent.spec_rev,
        thresholds=intent.thresholds,
        recheck=intent.recheck,
    )
    return _plan("auto-label", spec, args)


def waited_for(state: LoopState, spec: TaskSpec) -> tuple[RunPlan, ...]:
    """Return the plans whose outcome the state waits for, and the training of a version at the gate, for its record."""
    plans = []
    if state.train:
        plans.append(train(state, spec, state.train))
    if state.gate:
        plans += [train(state, spec, state.gate.train), evaluate(state, spec, state.gate)]
    if state.query and not state.query.moved_from:
        plans.append(query(state, spec, state.query))
    if state.auto.intent:
        plans.append(auto_label(spec, state.auto.intent))
    return tuple(plans)
