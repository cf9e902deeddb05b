"""Requests of users to the loop, such as pause, and their answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from tornio.api import Asked, AsksStatus
from tornio.errors import Conflict, NotFound
from tornio.loop.automatic import withdrawn_of
from tornio.loop.first import teachable, too_few
from tornio.loop.intents import nothing_new
from tornio.loop.observation import Observation
from tornio.loop.promotion import chosen
from tornio.loop.standstill import stopped
from tornio.registry import CURRENT, Registry
from tornio.schemas.loop import Asks, LoopState, PromoteAsk
from tornio.schemas.task import Iteration
from tornio.tasks import Task
from tornio.tasks.counts import Counter


class Ask(StrEnum):
    """A request that a user may send to the loop."""

    PAUSE = "pause"
    RESUME = "resume"
    TRAIN_NOW = "train-now"


_ANSWERS = {
    Ask.PAUSE: "{task} is paused: no batch and no training starts until `tornio resume {task}`. Predictions go on.",
    Ask.RESUME: "{task} goes on.",
    Ask.TRAIN_NOW: "{task} will {how} as soon as the run that is under way has ended.",
}
_RELEASED = "{task} goes on. New versions may be promoted again."
_STOPPED = (
    "{task} is not paused, but it has stopped by itself: {why}. To go on, add texts with "
    "`tornio pool add {task} FILE`, or change loop.stop in task.yaml and apply the file."
)
_PAUSED = "{task} is paused: it will {how} after `tornio resume {task}`."
_LABELS = "train with its present labels"
_TEACHER = "ask its teacher once more for a first version"


def ask_of_loop(task: Task, ask: Literal[Ask.PAUSE, Ask.RESUME]) -> Asked:
    """Record a user's request to the loop. Return a sentence about its effect."""
    held = task.loop_state().asks.hold
    if ask is Ask.PAUSE:
        task.pause()
    else:
        task.resume()
    return _answer(task, ask, held)


def ask_training(task: Task, seen: Observation, force: bool = False) -> Asked:
    """Record the request for a training with the present labels. Return a sentence about its effect.

    Where these do not suffice, the teacher teaches version 0, if the task wants that and no such training is under way.

    ``seen``: what the store shows. ``force``: train even if no label is new. Raises Conflict, with what to do, where
    there is nothing to train with, and where the training would repeat the last one.
    """
    state = task.loop_state()
    short = too_few(state, seen)
    if short is not None and teachable(state, seen) and not (state.train or state.gate):
        task.train_now(force)
        return _answer(task, Ask.TRAIN_NOW, state.asks.hold, _TEACHER)
    if short is not None:
        raise Conflict(f"{task.full_name} cannot train yet: {short}.")
    if not force and nothing_new(state, seen):
        raise Conflict(
            f"{task.full_name} has no label that iteration {state.iteration} does not have, and the same spec, so "
            'another training would repeat it. Label or import some more; or add --force (in the API: "force": true) '
            "to train once more, which stopping criteria do not count as an iteration."
        )
    task.train_now(force)
    return _answer(task, Ask.TRAIN_NOW, state.asks.hold)


def ask_promotion(task: Task, version: str, who: str, why: str, force: bool) -> Asked:
    """Record that a user wants a version to serve, and hold what is newer until ``resume``. Return what follows.

    ``force``: also a version that the gate or a trial refused for its scores. Raises NotFound for a version that was
    never judged, and Conflict, with the reason, for one that may not serve.
    """
    iteration = next((one for one in task.iterations() if one.version == version), None)
    if iteration is None:
        raise NotFound(
            f"{task.full_name} has no version {version} that was judged. List the versions with: tornio versions "
            f"{task.full_name}"
        )
    _check_promotion(task, iteration, version, force)
    ask = PromoteAsk(version=version, iteration=iteration.number, generation=iteration.generation, who=who, why=why)

    def asked(asks: Asks) -> Asks:
        return asks.evolve(promote=ask, hold=chosen(ask))

    task.update_asks(asked)
    current = Registry(task.store, task.keys).alias(CURRENT)
    serves = current is not None and current.version == version
    how = "already" if serves else "as soon as the classifier has loaded it"
    said = f"{version} serves {how}. Nothing newer is promoted until `tornio resume {task.full_name}`."
    return Asked(said=said, asks=asks_status(task.loop_state()))


def _check_promotion(task: Task, iteration: Iteration, version: str, force: bool) -> None:
    """Raises Conflict for a version that may not serve."""
    verdict = iteration.verdict
    if iteration.generation != task.document.generation:
        raise Conflict(
            f"{version} has labels of before the labels of {task.full_name} were changed, so it cannot serve."
        )
    if verdict is None:
        raise Conflict(f"{version} was not judged ({iteration.failure}), so it cannot serve.")
    if not verdict.integrity:
        raise Conflict(f"{version} is broken and must not serve: {'; '.join(verdict.reasons)}.")
    withdrawn = withdrawn_of(task.loop_state(), iteration.automatic, iteration.label_seq)
    if withdrawn is not None:
        raise Conflict(f"{version} must not serve: {withdrawn}.")
    refusals = [] if verdict.promoted else list(verdict.reasons)
    for one in task.trials():
        if one.version == version and one.trial.verdict is not None and not one.trial.verdict.promoted:
            refusals += one.trial.verdict.reasons
    if refusals and not force:
        raise Conflict(
            f"{version} was refused: {'; '.join(refusals)}. To let it serve all the same, add --force (in the API: "
            '"force": true).'
        )


def _answer(task: Task, ask: Ask, held: str | None, how: str = _LABELS) -> Asked:
    state = task.loop_state()
    asks, why = asks_status(state), None
    answer = _ANSWERS[ask]
    if ask is Ask.TRAIN_NOW and asks.paused:
        answer = _PAUSED
    elif ask is Ask.RESUME and held:
        answer = _RELEASED
    elif ask is Ask.RESUME:
        counts = Counter(task).count(task.labels.read(), task.batches())
        why = stopped(state, task.spec, counts.view.seq, counts.answered)
        answer = answer if why is None else _STOPPED
    return Asked(said=answer.format(task=task.full_name, why=why, how=how), asks=asks)


def asks_status(state: LoopState) -> AsksStatus:
    """Return the requests of users that are still in force."""
    asks = state.asks
    return AsksStatus(paused=asks.paused, train_now=asks.train_now > state.served_train_now, hold=asks.hold)
