"""Versions that a user chose: each is deployed like one that passed the gate, whatever is held or tried. Pure.

The choice comes with a hold, in the same write, so that nothing newer is promoted over it until `resume`.
"""

from __future__ import annotations

from tornio.loop.attention import attend
from tornio.loop.automatic import ROLLBACK, tainted
from tornio.loop.observation import Observation
from tornio.schemas.loop import LoopState, PromoteAsk, SwapIntent

CAUSE = "swap"


def start_promotion(state: LoopState, seen: Observation) -> LoopState:
    """State the intent to deploy the version that a user chose, in place of any other version that waits for that."""
    ask = state.asks.promote
    if ask is None or ask.generation > state.generation:  # this look is older than the labels that it was asked for
        return state
    state = state.evolve(asks=state.asks.evolve(promote=None))
    refusal = "the labels of the task changed meanwhile" if ask.generation != state.generation else None
    refusal = refusal or tainted(state, ask.version)
    if refusal is not None:
        return attend(state, CAUSE, f"{ask.version}, which {ask.who} chose, does not serve: {refusal}")
    serves = seen.current is not None and seen.current.version == ask.version
    swap = (
        None
        if serves
        else SwapIntent(
            version=ask.version,
            iteration=ask.iteration,
            current_revision=seen.current_revision,
            why=chosen(ask),
            since=seen.now,
            chosen_by=ask.who,
        )
    )
    return attend(state.evolve(swap=swap, waiting=None), CAUSE, None)


def chosen(ask: PromoteAsk) -> str:
    """Say who chose the version, for the hold and for the history of `current`."""
    return f"{ask.who} promoted {ask.version}" + (f": {ask.why}" if ask.why else "")


def held(state: LoopState) -> bool:
    """Whether a hold keeps the version that would be deployed from serving."""
    return state.asks.hold is not None and not (state.swap is not None and state.swap.chosen_by)


def aim_again(state: LoopState, swap: SwapIntent, seen: Observation) -> LoopState | None:
    """Return the state in which a chosen version follows what serves by now. None: it is not chosen, or somebody has
    rolled back since, which is a later choice."""
    if not swap.chosen_by or seen.current is None or seen.current.cause == ROLLBACK:
        return None
    return state.evolve(swap=swap.evolve(current_revision=seen.current_revision))
