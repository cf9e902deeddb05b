"""A new generation: the task's labels have changed, and the loop begins again with the answers so far. Pure."""

from __future__ import annotations

from tornio.loop.observation import Observation
from tornio.schemas.loop import LoopState, QueryIntent, StopProgress

_OF_A_GENERATION = ("train", "gate", "swap", "query", "refusals", "labels", "stop", "import")
"""Causes of attention that a new generation settles."""


RELABELLED = "the labels of the task changed meanwhile"
"""Why a training or a judgement of the generation before was given up. It needs nobody's attention."""


def begin_generation(state: LoopState, seen: Observation) -> LoopState:
    """Return the state in the task's present generation.

    What is under way for the labels of before is given up, and its iteration is recorded as such. The version that
    serves goes on. Open batches are moved, and nothing that was answered is asked again.
    """
    if seen.generation <= state.generation:
        return state
    moving = [batch.batch for batch in state.batches if not batch.closed] + list(state.moving)
    if state.query is not None:
        written, source = state.query.batch in seen.written, state.query.moved_from
        moving += [state.query.batch] if written else [source] if source else []
    closed = tuple(batch.batch for batch in state.batches if batch.closed)
    attention = {cause: text for cause, text in state.attention.items() if cause not in _OF_A_GENERATION}
    return state.evolve(
        generation=seen.generation,
        moving=tuple(moving),
        relabelled=True,
        batches=(),
        untrained=(*state.untrained, *closed),
        query=None,
        train=state.train.evolve(failure=RELABELLED) if state.train and state.train.iteration else None,
        gate=state.gate.evolve(failure=RELABELLED) if state.gate and state.gate.train.iteration else None,
        swap=None,
        waiting=None,
        newest=None,
        promoted=(),
        taught=state.taught or 0 in seen.recorded,
        refusals=0,
        stop=StopProgress(),
        exhausted_pool_seq=0,
        query_failures=0,
        query_not_before=None,
        attention=attention,
    )


def move_batches(state: LoopState, seen: Observation) -> LoopState:
    """State the intent to move the next open batch of the generation before into this one, even in a pause: annotators
    have it already."""
    if not state.moving or state.query is not None:
        return state
    number = state.batch_number + 1
    intent = QueryIntent(
        number=number,
        batch=f"g{state.generation}-b{number:04d}",
        version=None,
        label_seq=seen.label_seq,
        pool_seq=seen.pool_seq,
        spec_rev=seen.spec_rev,
        moved_from=state.moving[0],
        since=seen.now,
    )
    return state.evolve(query=intent, moving=state.moving[1:], batch_number=number)
