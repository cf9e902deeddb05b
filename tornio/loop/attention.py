"""What a person should look at, kept in the state of the loop. Pure."""

from __future__ import annotations

from tornio.loop.observation import Observation
from tornio.schemas.loop import LoopState


def attend(state: LoopState, cause: str, text: str | None) -> LoopState:
    """Ask for a person's attention under this cause, or end that with None."""
    others = {name: message for name, message in state.attention.items() if name != cause}
    attention = others if text is None else {**others, cause: text}
    return state if attention == state.attention else state.evolve(attention=attention)


def refused(state: LoopState, seen: Observation, version: str, why: str) -> LoopState:
    """Count a refusal, by the gate or by a trial, and ask for attention after some in a row."""
    state = state.evolve(refusals=state.refusals + 1)
    if state.refusals < seen.spec.gates.attention_after:
        return state
    return attend(state, "refusals", f"{state.refusals} versions in a row were refused; {version}: {why}")
