"""The first version of a task: when its training starts, and what is said until a version serves. Pure.

One rule decides, and one sentence is made from the same facts. Status, versions, predictions and train-now all show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from tornio.loop.observation import Observation
from tornio.schemas.loop import LoopState

LEAST_LABELS = 2
"""How many of the task's labels need a text before anything can be trained."""
QUIET = timedelta(seconds=10)
"""How long the label log must be unchanged before a training starts with labels for which no batch closes: an import
may come in several requests, and answers are corrected in a row."""
LONGEST = timedelta(minutes=2)
"""How long a teacher waits at most for a pool that keeps growing. Texts that come later train with people's labels."""
_IN_THE_WAY = ("method", "train", "gate", "swap", "refusals")
"""Causes of attention that keep a task from its first version."""
_SHOWN = 5


def due(state: LoopState, seen: Observation) -> bool:
    """Whether nothing was trained yet and the imported labels suffice, so that the training need not wait for a batch.

    It starts when the import is over, because a version that was trained on its first part would serve. Answers do not
    count: they are trained on when their batch closes, whenever the controller looks.
    """
    return _imports_suffice(state, seen) and seen.quiet >= QUIET


def importing(state: LoopState, seen: Observation) -> bool:
    """Whether the first training starts as soon as the import is over. Its version picks the next batch."""
    return _imports_suffice(state, seen) and seen.quiet < QUIET


def to_be_taught(state: LoopState, seen: Observation) -> bool:
    """Whether the teacher teaches version 0 by itself.

    Where that failed, it is tried again when texts were added, the spec has changed, or somebody asks for it.
    """
    changed = seen.pool_seq > state.trained_pool_seq or seen.spec_rev != state.trained_spec_rev
    return changed and teachable(state, seen)


def teachable(state: LoopState, seen: Observation) -> bool:
    """Whether the teacher may teach version 0: the task wants that, has a pool, and nothing was or can be trained."""
    if seen.spec.bootstrap_method is None or not seen.pool_seq or lacking(seen) is None:
        return False
    return not (state.counted_iterations or state.newest is not None or state.taught or seen.current is not None)


def taught_now(state: LoopState, seen: Observation) -> bool:
    """Whether that begins now: pool and labels have been quiet for a while, or the pool will not come to rest."""
    quiet = min(seen.quiet, seen.pool_quiet) >= QUIET
    return to_be_taught(state, seen) and (quiet or seen.pool_age >= LONGEST)


def lacking(seen: Observation) -> str | None:
    """Return what the labels lack for a training, in one sentence. None means that they suffice: two have a text."""
    used = _used(seen.train_labels)
    if len(used) >= LEAST_LABELS:
        return None
    so_far = f"only {used[0]!r} has one so far" if used else "none has one so far"
    return f"a training needs texts of at least two labels, and {so_far}"


def too_few(state: LoopState, seen: Observation) -> str | None:
    """Return what the labels lack for a training, and what to do about it."""
    short, batch = lacking(seen), _open_batch(state, seen)
    answer = f"answer {batch}, or " if batch else ""
    return None if short is None else f"{short}; {answer}import labels with `tornio labels import`"


def waits_for(state: LoopState, seen: Observation) -> str | None:
    """Return what the first version waits for, in one sentence. None means that a version serves."""
    if seen.current is not None:
        return None
    trouble = [state.attention[cause] for cause in _IN_THE_WAY if cause in state.attention]
    if trouble:
        return trouble[0]
    if state.train and not state.train.iteration:
        return "the teacher labels the pool, and a first version learns from that"
    if state.train and state.train.imported:
        return f"the model that {state.train.imported.who} sent is being imported"
    if state.train:
        return f"it is being trained (iteration {state.train.iteration}){_unlabelled(seen)}"
    if state.gate:
        return f"{state.gate.version} is being judged"
    if state.swap:
        held = state.asks.hold
        return f"{state.swap.version} is being loaded" if held is None else f"{held}; `tornio resume` lets it serve"
    if state.asks.paused:
        return "the task is paused; `tornio resume` continues it"
    return _labels_to_come(state, seen)


def no_version(task: str, why: str) -> str:
    """Return what somebody is told who needs a version of a task that has none. ``why``: see ``waits_for``."""
    return f"{task} has no version yet: {why}."


def unlabelled(counts: Mapping[str, int]) -> str | None:
    """Name the labels that no text has in a training. ``counts``: its texts per label, with every label of the task."""
    missing = [name for name, count in counts.items() if not count]
    if not missing:
        return None
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    names = ", ".join(map(repr, missing[:_SHOWN]))
    return f"{len(missing)} of {len(counts)} labels have no text, so it cannot predict {names}{more}"


def _labels_to_come(state: LoopState, seen: Observation) -> str:
    batch = _open_batch(state, seen)
    if to_be_taught(state, seen):
        return "the teacher labels the pool as soon as no more texts arrive, and a first version learns from that"
    short = too_few(state, seen)
    if short is not None:
        return short
    if _imports_suffice(state, seen):
        return f"its training starts within seconds{_unlabelled(seen)}"
    when = f"{batch} closes" if batch else "the next batch closes"
    return f"its training starts when {when}; `tornio train-now` does not wait for that{_unlabelled(seen)}"


def _imports_suffice(state: LoopState, seen: Observation) -> bool:
    return not state.counted_iterations and len(_used(seen.imported_labels)) >= LEAST_LABELS


def _used(counts: Mapping[str, int]) -> list[str]:
    return [name for name, count in counts.items() if count]


def _unlabelled(seen: Observation) -> str:
    without = unlabelled(seen.train_labels)
    return "" if without is None else f" ({without})"


def _open_batch(state: LoopState, seen: Observation) -> str | None:
    """Return name and progress of the first open batch."""
    for batch in state.batches:
        if not batch.closed:
            progress = seen.batches.get(batch.batch)
            count = f" ({progress.answered} of {progress.total} answered)" if progress else ""
            return f"batch {batch.batch}{count}"
    return None
