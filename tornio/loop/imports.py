"""Models that users send: each is judged like a version that was trained here. Pure.

An import is an iteration whose run does not train. So its intent, its attempts, the judgement, the record, the trial
and the swap are those of every version. What differs is here: it takes in no label and no batch, stopping criteria do
not count it, and the gate's refusal of it says nothing about the task.
"""

from __future__ import annotations

from tornio.loop.attention import attend
from tornio.loop.observation import Observation
from tornio.schemas.loop import LoopState, TrainIntent

CAUSE = "import"


def start_import(state: LoopState, seen: Observation) -> LoopState:
    """State the import of the model whose turn it is. It comes before a training that is due, which then follows.

    One that was sent for labels of before is not taken: its names may mean something else by now.
    """
    if not state.asks.imports or state.train or state.gate or state.asks.paused:
        return state
    ask, *rest = state.asks.imports
    if ask.generation > state.generation:  # this look is older than the labels that it was sent for
        return state
    state = state.evolve(asks=state.asks.evolve(imports=tuple(rest)))
    if ask.generation != state.generation:
        return attend(
            state,
            CAUSE,
            f"the model that {ask.who} sent was not imported, because the labels of the task changed before its turn. "
            "Import it again if its labels are still those of the task",
        )
    intent = TrainIntent(
        iteration=state.iteration + 1,
        batches=(),
        label_seq=seen.label_seq,
        pool_seq=seen.pool_seq,
        spec_rev=seen.spec_rev,
        parent=state.newest,
        imported=ask,
        started_at=seen.now,
        since=seen.now,
    )
    state = state.evolve(iteration=intent.iteration, repeats=state.repeats + 1, train=intent)
    return attend(state, CAUSE, None)


def cause_of(intent: TrainIntent, otherwise: str) -> str:
    """Under which cause trouble with this intent needs attention."""
    return otherwise if intent.imported is None else CAUSE
