"""What a person should look at, kept in the state of the loop. Pure."""

from __future__ import annotations

from tornio.schemas.loop import LoopState


def attend(state: LoopState, cause: str, text: str | None) -> LoopState:
    """Ask for a person's attention under this cause, or end that with None."""
    others = {name: message for name, message in state.attention.items() if name != cause}
    attention = others if text is None else {**others, cause: text}
    return state if attention == state.attention else state.evolve(attention=attention)
