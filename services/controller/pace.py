"""How long to leave a task, or a listing, alone: ever longer while nothing happens. Pure.

What users do wakes a task, and so do answers in the annotation tool and news of the replicas. These looks are the truth
behind: they also find what nobody has reported.
"""

from __future__ import annotations

from services.controller.reconciler import Look
from tornio.loop.trial import terms
from tornio.schemas.loop import LoopState

BUSY_S = 0.02
"""Seconds to the next look while things move: an actor that works needs a moment."""
RUN_S = 0.1
"""Seconds between looks at a run or a swap that has just begun: the next step waits for it."""
TRIAL_S = 1.0
"""Longest pause in seconds between looks at a trial on live traffic."""
WATCH_S = 0.25
"""Seconds between looks at open batches that somebody is answering."""
STEADY_S = 2.0
"""Longest pause in seconds while something is under way, or was a moment ago; and between looks that fail."""
QUIET_S = 60.0
"""Longest pause in seconds of all: whatever nobody has reported is seen by then."""
SOON_S = 40.0
"""Seconds without an event after which a task counts as quiet. All that the loop decides by how long nothing has
happened (see ``tornio.loop.first``) takes less."""


def next_pause(look: Look, still_s: float) -> float:
    """Return the seconds until the next look. ``still_s``: seconds since something moved, or somebody rang."""
    if look.busy:
        return BUSY_S
    if not waits(look) and still_s >= SOON_S:
        return quiet_pause(still_s)
    state = look.state
    least = RUN_S if _under_way(state) else WATCH_S if state.batches else STEADY_S
    return min(max(still_s / 20, least), STEADY_S if terms(state) is None else TRIAL_S)


def quiet_pause(still_s: float) -> float:
    """Return the pause of something that nobody waits for: it grows with the time since its last change."""
    return min(max(still_s / 4, STEADY_S), QUIET_S)


def waits(look: Look) -> bool:
    """Whether a machine, and not only a person, is waited for: a run, a swap, another try, an act, a service."""
    again = look.state.query_not_before
    soon = again is not None and look.seen.now < again
    state = look.state
    return look.unsettled or soon or _under_way(state) or any((state.swap, state.auto.intent))


def _under_way(state: LoopState) -> bool:
    """Whether the next step follows at once: a swap on trial takes its time."""
    return any((state.train, state.gate, state.query)) or (state.swap is not None and terms(state) is None)
