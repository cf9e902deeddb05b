"""A version on trial in a replica: it answers a share of the requests, and both versions predict the same texts.

The second version predicts a whole batch again in the model's thread once no request waits, and at the latest after
``SPARE_EVERY`` batches, because a version that is too slow leaves no moment without requests. While too much of that
waits, texts are left out, and counted. A candidate that fails fails no request: what
serves answers it.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

from services.batching import tokens
from services.classifier.answers import answer
from services.classifier.shelf import Serving, Shelf
from services.messages import Aliases, Heartbeat
from tornio.drift.counts import Counts
from tornio.errors import IntegrityError
from tornio.models.port import Model
from tornio.records import Prediction
from tornio.schemas.trial import TrialCounts, TrialReport, TrialTerms

log = logging.getLogger(__name__)

Run = Callable[[Sequence[str]], Sequence[Prediction]]
SLOW = 2.0
"""How many times as long as ``current`` the candidate takes in a comparison that counts as slower."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two versions of a trial, as they answer."""

    task: str
    terms: TrialTerms
    candidate: Serving[Model]
    current: Serving[Model]


@dataclass(frozen=True, slots=True)
class _Answered:
    """What one version has predicted. ``seconds``: for all texts."""

    predictions: Sequence[Prediction]
    seconds: float


class Trials:
    """The trials of all tasks in this replica.

    ``later(cost, work)``: see ``Batcher.later``. ``draw``: a number in [0, 1) for each request. ``live``: see
    ``Live.add``; it takes what users get, not what is only compared. ``chosen`` is for the event loop's thread, what
    ``bind`` returns for the model's, and ``report`` for any.
    """

    def __init__(
        self,
        shelf: Shelf[Model],
        aliases: Callable[[str], Aliases | None],
        later: Callable[[int, Callable[[], None]], bool],
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.perf_counter,
        live: Callable[[str, str, Counts], None] | None = None,
    ) -> None:
        self._shelf = shelf
        self._aliases = aliases
        self._later = later
        self._live = live
        self._draw = draw
        self._clock = clock
        self._reports: dict[str, TrialReport] = {}
        self._lock = Lock()

    def chosen(self, task: str) -> bool:
        """Whether the candidate answers this request. All its texts go to one version."""
        aliases = self._aliases(task)
        return aliases is not None and aliases.trial is not None and self._draw() < aliases.trial.share

    def bind(self, task: str, serving: Serving[Model], tried: bool) -> Run:
        """Return what answers a batch. ``serving``: what serves. ``tried``: whether the candidate was chosen."""
        pair = self._pair(task, serving)
        if pair is None or not (tried or pair.terms.shadow):
            return partial(answer, serving, counted=self._counter(task, serving))
        return partial(self._by_candidate if tried else self._by_current, pair)

    def report(self, heartbeat: Heartbeat) -> Heartbeat:
        """Return the heartbeat with what was counted."""
        with self._lock:
            self._reports = {task: report for task, report in self._reports.items() if task in heartbeat}
            counted = dict(self._reports)
        return {**heartbeat, **{task: replace(heartbeat[task], trial=report) for task, report in counted.items()}}

    def _pair(self, task: str, serving: Serving[Model]) -> _Pair | None:
        """Return the versions to compare; None without a trial, or while this replica does not hold both of them."""
        aliases = self._aliases(task)
        if aliases is None or aliases.trial is None or aliases.candidate is None or not self._shelf.has(task):
            return None
        if aliases.current != (serving.version, serving.revision) or serving.revision != aliases.trial.revision:
            return None
        _, candidate = self._shelf.named(task, aliases.candidate)
        if candidate is None or candidate.version == serving.version:
            return None
        model, other = candidate.model, serving.model
        if model.labels != other.labels or model.multi_label != other.multi_label:
            return None
        return _Pair(task, aliases.trial, replace(candidate, revision=serving.revision), serving)

    def _by_candidate(self, pair: _Pair, texts: Sequence[str]) -> Sequence[Prediction]:
        try:
            answered = self._timed(pair.candidate, texts, self._counter(pair.task, pair.candidate))
        except Exception as error:  # noqa: BLE001 - whatever it is, what serves answers the users
            self._count(pair, self._failed(pair, error))
            return self._instead(pair, texts)
        self._count(pair, TrialCounts(calls=1, answered=len(texts)))
        self._compare_later(pair, texts, partial(self._ask_current, pair, texts, answered))
        return answered.predictions

    def _by_current(self, pair: _Pair, texts: Sequence[str]) -> Sequence[Prediction]:
        answered = self._timed(pair.current, texts, self._counter(pair.task, pair.current))
        self._compare_later(pair, texts, partial(self._ask_candidate, pair, texts, answered))
        return answered.predictions

    def _instead(self, pair: _Pair, texts: Sequence[str]) -> Sequence[Prediction]:
        """Answer by what serves. Its error counts too: the texts may be what is wrong."""
        try:
            predictions = answer(pair.current, texts, self._counter(pair.task, pair.current))
        except Exception:
            self._count(pair, TrialCounts(current_calls=1, current_errors=1))
            raise
        self._count(pair, TrialCounts(current_calls=1))
        return predictions

    def _compare_later(self, pair: _Pair, texts: Sequence[str], work: Callable[[], None]) -> None:
        if not self._later(tokens(texts), work):
            self._count(pair, TrialCounts(dropped=len(texts)))

    def _ask_current(self, pair: _Pair, texts: Sequence[str], by_candidate: _Answered) -> None:
        try:
            by_current = self._timed(pair.current, texts)
        except Exception:  # noqa: BLE001 - nobody waits for it; it is counted
            log.warning("%s: %s cannot predict what %s did", pair.task, pair.current.version, pair.candidate.version)
            self._count(pair, TrialCounts(current_calls=1, current_errors=1))
            return
        self._count(pair, _compared(by_candidate, by_current) + TrialCounts(current_calls=1))

    def _ask_candidate(self, pair: _Pair, texts: Sequence[str], by_current: _Answered) -> None:
        try:
            by_candidate = self._timed(pair.candidate, texts)
        except Exception as error:  # noqa: BLE001 - nobody waits for it; it is counted
            self._count(pair, self._failed(pair, error) + TrialCounts(current_calls=1))
            return
        self._count(pair, _compared(by_candidate, by_current) + TrialCounts(calls=1, current_calls=1))

    def _failed(self, pair: _Pair, error: Exception) -> TrialCounts:
        log.warning("%s: %s, which is on trial, failed: %s", pair.task, pair.candidate.version, error)
        broken = str(error) if isinstance(error, IntegrityError) else ""
        return TrialCounts(calls=1, errors=1, broken=broken)

    def _counter(self, task: str, serving: Serving[Model]) -> Callable[[Counts], None] | None:
        return None if self._live is None else partial(self._live, task, serving.version)

    def _timed(
        self, serving: Serving[Model], texts: Sequence[str], counted: Callable[[Counts], None] | None = None
    ) -> _Answered:
        begun = self._clock()
        predictions = answer(serving, texts, counted)
        return _Answered(predictions, self._clock() - begun)

    def _count(self, pair: _Pair, counts: TrialCounts) -> None:
        named = {"version": pair.candidate.version, "started_at": pair.terms.started_at}
        with self._lock:
            before = self._reports.get(pair.task)
            if before is not None and (before.version, before.started_at) == tuple(named.values()):
                counts = before.counts + counts
            self._reports[pair.task] = TrialReport(**named, counts=counts)


def _compared(candidate: _Answered, current: _Answered) -> TrialCounts:
    """Return the counts of one comparison. It has as many predictions of each version."""
    both = list(zip(candidate.predictions, current.predictions, strict=True))
    confidences = [(_confidence(one), _confidence(other)) for one, other in both if not one.multi_label]
    return TrialCounts(
        texts=len(both),
        agreed=sum(set(one.labels) == set(other.labels) for one, other in both),
        confident=len(confidences),
        confidence=sum(one for one, _ in confidences),
        current_confidence=sum(other for _, other in confidences),
        squares=sum((one - other) ** 2 for one, other in confidences),
        comparisons=1,
        slower=int(candidate.seconds > SLOW * current.seconds),
        seconds=candidate.seconds,
        current_seconds=current.seconds,
    )


def _confidence(prediction: Prediction) -> float:
    return max(prediction.probabilities.values())
