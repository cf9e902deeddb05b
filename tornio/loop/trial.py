"""The trial of a version on live traffic: when it begins, how it ends, and what is deployed after it. Pure.

``SwapIntent.trial`` is the intent. While it has no verdict, the alias ``candidate`` carries its terms, and the replicas
try the version. The verdict is written down first. Then its record is put into the store, and the version is promoted
or given up.

A version that passes the gate meanwhile waits: it neither ends the trial nor holds up labelling and training. It was
compared on the hold-out with ``current`` and with the version on trial, so it is good enough whichever of them serves.
"""

from __future__ import annotations

from tornio.loop.attention import refused
from tornio.loop.live import judge_trial
from tornio.loop.observation import Observation
from tornio.loop.standstill import replicas_agree
from tornio.schemas.loop import LoopState, SwapIntent
from tornio.schemas.trial import AgainstCurrent, Trial, TrialTerms, TrialVerdict


def wants_trial(seen: Observation, against: AgainstCurrent | None) -> bool:
    """Whether a version is tried before it serves: the spec wants it, and there is something to compare it with.

    ``against``: its comparison on the hold-out, which exists only if both versions have the same labels.
    """
    served = seen.current is not None and not seen.current.outdated_labels
    return seen.spec.gates.trial is not None and served and against is not None


def goes_first(state: LoopState) -> bool:
    """Whether a version that passes the gate now waits for the one that is being deployed: that one is on trial, or its
    trial has ended and nothing has followed yet, or a user chose it."""
    return state.swap is not None and (state.swap.trial is not None or bool(state.swap.chosen_by))


def terms(state: LoopState) -> TrialTerms | None:
    """Return the terms of the trial that runs."""
    trial = state.swap.trial if state.swap else None
    return trial.terms if trial and trial.verdict is None and state.asks.hold is None else None


def may_serve(swap: SwapIntent, seen: Observation) -> bool:
    """Whether nothing but the replicas keeps the version from serving: it needs no trial, or has passed it."""
    if swap.chosen_by:
        return True
    if swap.trial is None:
        return not wants_trial(seen, swap.against)
    return swap.trial.verdict is not None and swap.trial.verdict.promoted and seen.trial_record is not None


def follow_trial(state: LoopState, seen: Observation) -> LoopState:
    """Begin the trial of a version that all replicas hold, end it with a verdict, and take in its record."""
    swap = state.swap
    if swap is None or swap.chosen_by or (swap.trial is None and state.asks.hold is not None):
        return state
    if swap.trial is None:
        loaded = seen.candidate is not None and seen.candidate.version == swap.version and replicas_agree(swap, seen)
        return _begun(state, swap, seen) if loaded and wants_trial(seen, swap.against) else state
    if swap.trial.verdict is None:
        return _going_on(state, swap, swap.trial, seen)
    if seen.trial_record is None or swap.trial.verdict.promoted:
        return state
    return refused(state.evolve(swap=None), seen, swap.version, "; ".join(swap.trial.verdict.reasons))


def take_waiting(state: LoopState, seen: Observation) -> LoopState:
    """Deploy the version that waits, once no other is being deployed."""
    if state.waiting is None or state.swap is not None:
        return state
    return state.evolve(swap=state.waiting.evolve(since=seen.now), waiting=None)


def _begun(state: LoopState, swap: SwapIntent, seen: Observation) -> LoopState:
    gates = seen.spec.gates
    if gates.trial is None or seen.current is None:
        return state
    begun = TrialTerms(
        share=gates.trial.share, shadow=gates.shadow, revision=swap.current_revision, started_at=seen.now
    )
    return state.evolve(swap=swap.evolve(trial=Trial(current=seen.current.version, terms=begun)))


def _going_on(state: LoopState, swap: SwapIntent, trial: Trial, seen: Observation) -> LoopState:
    if state.asks.hold is not None:  # if the version is still to be deployed after that, it is tried anew
        return state.evolve(swap=swap.evolve(trial=None))
    wanted = seen.spec.gates.trial
    if wanted is None:
        why = "its trial was ended, because task.yaml wants none any longer"
        verdict: TrialVerdict | None = TrialVerdict(promoted=True, reasons=(why,))
    elif not seen.replicas:  # the controller has just started, or nobody serves: nothing is known
        return state
    else:
        verdict = judge_trial(seen.tried, swap.against, seen.spec.gates, trial.terms.started_at, seen.now)
    if verdict is not None:
        ended = trial.evolve(verdict=verdict, counts=seen.tried, ended_at=seen.now)
        return state.evolve(swap=swap.evolve(trial=ended, since=seen.now))
    if wanted is not None and (trial.terms.share, trial.terms.shadow) != (wanted.share, seen.spec.gates.shadow):
        changed = trial.terms.evolve(share=wanted.share, shadow=seen.spec.gates.shadow)
        return state.evolve(swap=swap.evolve(trial=trial.evolve(terms=changed)))
    return state
