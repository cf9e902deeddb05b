"""Automatic labels: when a version labels the pool, and whose labels are withdrawn. Pure.

The labels of one version stand at a time: of the one that serves. It labels once it serves. Its thresholds are tested
again when there are more hold-out labels, and never become lower, so that what has passed does not grow by luck. Until
something passes, each look is a new test, which is not corrected for: see docs/automatic-labels.md. Labels are
withdrawn when those of the next version are written, and also, for good, when the version is rolled back, loses its
bound, or the spec no longer wants them. A version whose labels were withdrawn never labels again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tornio.loop import first, plans
from tornio.loop.attempts import again, outcome_of
from tornio.loop.attention import attend
from tornio.loop.observation import Observation
from tornio.schemas.loop import AutoIntent, AutoLabelling, LearnedFrom, LoopState, TrainIntent, Withdrawal

GROWTH = 10
"""A version that has looked at its hold-out and its pool looks again when one of them has grown by a tenth."""
REMEMBERED = 20
"""How many of the last versions are remembered with the automatic labels that they were trained on."""
ROLLBACK = "rollback"
_CAUSE = "automatic"


def absorb_automatic(state: LoopState, seen: Observation) -> LoopState:
    """Take in what was written, and withdraw labels whose version may not give them any more."""
    if state.auto == AutoLabelling() and not seen.automatic:
        return state
    state = _rolled_back(state, seen)
    if not seen.spec.labels_automatically:
        return _switched_off(state, seen)
    state = _absorb_run(state, seen)
    auto, current = state.auto, seen.current.version if seen.current else None
    if auto.intent and (auto.intent.version != current or auto.intent.settings != settings(seen)):
        state = state.evolve(auto=auto.evolve(intent=None))
    if auto.done and auto.done.version != current and current is not None and is_spent(state, seen, current):
        state = _reopened(state, auto.evolve(done=None, thresholds={}))  # nobody takes over
    return state


def start_automatic(state: LoopState, seen: Observation) -> LoopState:
    """State the labelling by the version that serves, or the next test of its thresholds, where it is due."""
    auto, spec = state.auto, seen.spec
    swapping = state.swap is not None and state.asks.hold is None
    busy = auto.intent or state.train or state.gate or swapping
    if busy or state.asks.paused or seen.current is None or not spec.labels_automatically:
        return state
    version = seen.current.version
    goes_on = auto.done is not None and auto.done.version == version
    if not goes_on and is_spent(state, seen, version):
        return state
    if not auto.thresholds and seen.holdout < spec.auto_label.least_holdout:  # nothing can pass
        return state
    if goes_on and not _look_again(auto, seen):
        return state
    same = auto.done is not None and _tested(auto.done.settings) == _tested(settings(seen))
    thresholds = auto.thresholds if goes_on else {}
    intent = AutoIntent(
        version=version,
        label_seq=seen.label_seq,
        pool_seq=seen.pool_seq,
        spec_rev=seen.spec_rev,
        thresholds=thresholds,
        recheck=bool(thresholds) and same,
        settings=settings(seen),
        holdout=seen.holdout,
        pool=seen.pool,
        since=seen.now,
    )
    return state.evolve(auto=auto.evolve(intent=intent))


def over(state: LoopState, seen: Observation) -> tuple[str, ...]:
    """Return the versions whose automatic labels stand and must not.

    A version that serves and was not looked at yet is none of them: another controller may be ahead.
    """
    auto, keep = state.auto, set[str]()
    if seen.spec.labels_automatically:
        keep |= {auto.done.version} if auto.done and auto.thresholds else set()
        keep |= {auto.intent.version} if auto.intent else set()
        current = seen.current.version if seen.current else None
        if current and current not in auto.withdrawn and not (auto.done and auto.done.version == current):
            keep.add(current)
    return tuple(version for version in seen.standing if version not in keep)


def is_spent(state: LoopState, seen: Observation, version: str) -> bool:
    """Whether labels of this version were withdrawn, so that it gives none any more."""
    given = seen.automatic.get(version)
    return version in state.auto.withdrawn or (given is not None and given.withdrawn > 0)


def trained_on(state: LoopState, seen: Observation) -> tuple[str, ...]:
    """Return the versions whose automatic labels a training now learns from."""
    return seen.standing if seen.spec.auto_label.train and seen.spec.labels_automatically else ()


def training_waits(state: LoopState, seen: Observation) -> bool:
    """Whether the log still has automatic labels that no training may learn from any more."""
    return bool(trained_on(state, seen)) and bool(over(state, seen))


def learned(state: LoopState, version: str, train: TrainIntent) -> LoopState:
    """Remember the versions whose automatic labels a new version was trained on."""
    if not train.automatic:
        return state
    new = LearnedFrom(automatic=train.automatic, label_seq=train.label_seq)
    kept = {name: found for name, found in state.auto.learned.items() if name != version} | {version: new}
    return state.evolve(auto=state.auto.evolve(learned=dict(list(kept.items())[-REMEMBERED:])))


def tainted(state: LoopState, version: str) -> str | None:
    """Return why a version is not promoted: labels were withdrawn that it was trained on."""
    found = state.auto.learned.get(version)
    return None if found is None else withdrawn_of(state, found.automatic, found.label_seq)


def withdrawn_of(state: LoopState, automatic: Iterable[str], label_seq: int) -> str | None:
    """Return which of these versions' automatic labels, as they stood at ``label_seq``, were withdrawn, and why."""
    found = [(name, state.auto.withdrawn[name]) for name in automatic if name in state.auto.withdrawn]
    gone = [f"{name} ({one.why})" for name, one in found if label_seq <= one.label_seq]
    if not gone:
        return None
    return f"it was trained on automatic labels of {', '.join(gone)}, and these were withdrawn"


def settings(seen: Observation) -> dict[str, object]:
    """Return what the labels depend on in the spec, as it is kept in the state."""
    return seen.spec.auto_label.model_dump(mode="json", exclude={"train"})


def _tested(kept: Mapping[str, object]) -> dict[str, object]:
    """Return what the thresholds depend on."""
    return {name: value for name, value in kept.items() if name != "limit"}


def _look_again(auto: AutoLabelling, seen: Observation) -> bool:
    done = auto.done
    if done is None or done.settings != settings(seen):
        return True
    if _grown(seen.holdout, done.holdout):
        return True
    return bool(auto.thresholds) and _grown(seen.pool, done.pool) and seen.pool_quiet >= first.QUIET


def _grown(now: int, before: int) -> bool:
    return now > before and GROWTH * (now - before) >= before


def _rolled_back(state: LoopState, seen: Observation) -> LoopState:
    """After a rollback, the labels of every version that served in between are withdrawn."""
    current, auto = seen.current, state.auto
    if current is None or current.cause != ROLLBACK:
        return state
    named = {current.previous, *(one.version for one in (auto.done, auto.intent) if one)}
    gone = sorted(name for name in named if name and name != current.version and name in seen.automatic)
    return withdraw(state, seen, gone, current.why)


def _switched_off(state: LoopState, seen: Observation) -> LoopState:
    state = withdraw(state, seen, seen.standing, "the spec wants no automatic labels any more")
    state = state.evolve(auto=state.auto.evolve(intent=None, done=None, thresholds={}))
    return attend(state, _CAUSE, None)


def _absorb_run(state: LoopState, seen: Observation) -> LoopState:
    auto, intent, record = state.auto, state.auto.intent, seen.labelled
    if intent is None:
        return state
    plan = plans.auto_label(seen.spec, intent)
    if record is not None and record.run == plan.run:
        if seen.label_seq < record.label_seq:  # this look at the log is older than the record
            return state
        output, goes_on = record.output, auto.done is not None and auto.done.version == intent.version
        done = auto.evolve(intent=None, done=intent, run=record.run, thresholds=output.thresholds)
        state = attend(_reopened(state, done), _CAUSE, None)
        if goes_on and output.lost:
            until = record.label_seq - 1 if output.thresholds else seen.label_seq
            state = withdraw(state, seen, (intent.version,), _why_lost(intent, seen), until)
        return state
    outcome = outcome_of(seen, plan, intent.attempt)
    if outcome.error is None:
        return state
    tried = again(intent, seen, outcome.error)
    if tried.failure is None:
        return state.evolve(auto=auto.evolve(intent=tried))
    goes_on = auto.done is not None and auto.done.version == intent.version
    state = state.evolve(auto=auto.evolve(intent=None, done=tried, thresholds=auto.thresholds if goes_on else {}))
    return attend(state, _CAUSE, f"automatic labels of {intent.version} failed: {tried.failure}")


def _why_lost(intent: AutoIntent, seen: Observation) -> str:
    if not intent.recheck:
        return "the spec allows fewer of them"
    return f"they lost their bound with {intent.holdout} hold-out labels"


def withdraw(
    state: LoopState, seen: Observation, versions: Iterable[str], why: str, until: int | None = None
) -> LoopState:
    """Note why labels of these versions are withdrawn. What was trained on them is not promoted, and is trained anew.

    ``until``: the last part of the label log in which they stood, where they were withdrawn already and other labels of
    the versions stay. None: all labels of the versions are withdrawn after this look.
    """
    before, now = state.auto.withdrawn, Withdrawal(why=why, label_seq=seen.label_seq if until is None else until)
    named = [version for version in versions if version not in before or version in seen.standing or until is not None]
    auto = state.auto.evolve(withdrawn=before | dict.fromkeys(named, now))
    if until is None and auto.done and auto.done.version in named:
        auto = auto.evolve(thresholds={})
    if until is None and auto.intent and auto.intent.version in named:
        auto = auto.evolve(intent=None)
    if auto == state.auto:
        return state
    state = _reopened(state, auto)
    used = (state.gate, state.swap, state.waiting, seen.current)
    in_use = {one.version for one in used if one} | {state.newest or ""}
    train = state.train
    training = train is not None and withdrawn_of(state, set(train.automatic) & set(named), train.label_seq)
    if training or any(set(_taught(state, name)) & set(named) and tainted(state, name) for name in in_use):
        state = state.evolve(auto=state.auto.evolve(retrain=True))
    return state


def _taught(state: LoopState, version: str) -> tuple[str, ...]:
    found = state.auto.learned.get(version)
    return () if found is None else found.automatic


def _reopened(state: LoopState, auto: AutoLabelling) -> LoopState:
    """Change the labelling, after which texts may be without a label again that nobody could be asked about."""
    return state.evolve(auto=auto, exhausted_pool_seq=0)
