"""The phase of a task, and the reason, in words for its users."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tornio.loop import first
from tornio.loop.live import told
from tornio.loop.observation import Observation
from tornio.loop.standstill import stopped
from tornio.loop.trial import terms
from tornio.schemas.loop import LoopState


class Phase(StrEnum):
    ATTENTION = "attention"
    PAUSED = "paused"
    STOPPED = "stopped"
    TRAINING = "training"
    GATING = "gating"
    QUERYING = "querying"
    SWAPPING = "swapping"
    TRYING = "trying"
    LABELLING = "labelling"
    WAITING = "waiting"


EMPTY_POOL = "the pool is empty: add texts with `tornio pool add`"
"""What a task waits for that has no text yet."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The phase in one word, and why in one sentence."""

    phase: Phase
    why: str


def standing(state: LoopState, seen: Observation) -> Standing:
    """Return the phase of the task. Something that needs attention comes first; the loop goes on meanwhile."""
    working = _doing(state, seen)
    if state.attention:
        causes = "; ".join(text.removeprefix("hangs: ") for text in state.attention.values())
        return Standing(Phase.ATTENTION, f"{causes} (meanwhile {working.phase}: {working.why})")
    return working


def _doing(state: LoopState, seen: Observation) -> Standing:
    if state.train and not state.train.iteration:
        attempt = state.train.attempt
        return Standing(Phase.TRAINING, f"version 0 learns from the teacher's labels of the pool, attempt {attempt}")
    if state.train and state.train.imported:
        return Standing(Phase.TRAINING, f"importing the model that {state.train.imported.who} sent")
    if state.train:
        return Standing(Phase.TRAINING, f"iteration {state.train.iteration}, attempt {state.train.attempt}")
    if state.gate:
        return Standing(Phase.GATING, f"judging {state.gate.version} on the hold-out labels")
    if state.query:
        return Standing(Phase.QUERYING, f"picking and sending batch {state.query.batch}")
    if state.asks.paused:
        return Standing(Phase.PAUSED, "a user paused the task; `tornio resume` continues it")
    if state.batches:
        return Standing(Phase.LABELLING, "; ".join(_progress(state, seen)))
    if (trial := trial_progress(state, seen)) is not None:
        return Standing(Phase.TRYING, trial)
    if state.swap:
        return Standing(Phase.SWAPPING, _swap(state, seen))
    if (why := stopped(state, seen.spec, seen.pool_seq, seen.answered)) is not None:
        return Standing(Phase.STOPPED, why)
    if first.importing(state, seen):
        return Standing(Phase.WAITING, "labels are being imported; the first training starts when that is over")
    if first.to_be_taught(state, seen):
        return Standing(Phase.WAITING, "the teacher labels the pool as soon as no more texts arrive")
    if state.query_not_before is not None:
        return Standing(Phase.WAITING, f"picking the next batch failed; {_next_try(state.query_not_before)}")
    if not seen.pool_seq:
        return Standing(Phase.WAITING, EMPTY_POOL)
    return Standing(Phase.WAITING, "the pool has no text left to ask about: add more with `tornio pool add`")


def _next_try(moment: datetime) -> str:
    return f"the next try is at {moment:%H:%M:%S} UTC"


def _progress(state: LoopState, seen: Observation) -> list[str]:
    lines = []
    for batch in state.batches:
        progress = seen.batches.get(batch.batch)
        answered = f"{progress.answered} of {progress.total} answered" if progress else "not read yet"
        lines.append(f"batch {batch.batch}: {answered}")
    return lines


def trial_progress(state: LoopState, seen: Observation) -> str | None:
    """Return how far the trial is that runs, or None. Without replicas, nothing is known of its counts."""
    if state.swap is None or (running := terms(state)) is None:
        return None
    trial = seen.spec.gates.trial
    spent = (seen.now - running.started_at).total_seconds() / 60
    wanted = f"{trial.minutes:g} minutes, {trial.texts} texts" if trial else "a moment"
    so_far = f"; so far {told(seen.tried)}" if seen.replicas else ""
    return f"{state.swap.version} is on trial: {spent:.0f} of {wanted}{so_far}"


def _swap(state: LoopState, seen: Observation) -> str:
    version = state.swap.version if state.swap else ""
    ready = sum(version in replica.ready for replica in seen.holders)
    return f"{ready} of {len(seen.holders)} replicas have loaded {version}"
