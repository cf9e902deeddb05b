"""The verdict of a trial: decide by live traffic whether a version that passed the gate may serve. Pure.

The same texts are predicted by the candidate and by ``current``, so everything is compared in pairs. Live texts have no
labels. What they show is whether the candidate fails, is slow, or answers otherwise than the hold-out let expect.

The counts are looked at again and again, and each look is a chance to refuse a good candidate. So before the time is
over, a candidate is refused only on overwhelming evidence (``EARLY``). Source: Haybittle (1971), "Repeated assessment
of results in clinical trials of cancer treatment"; Peto et al. (1976). Deviations: they look a few times, and Tornio
about once a second; what keeps the level is that each finding must also exceed a margin, except that of errors, which
are rare. Texts count as independent, though those of one request often are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import exp, inf, lgamma, log, sqrt
from statistics import NormalDist

from tornio.schemas.trial import AgainstCurrent, TrialCounts, TrialVerdict
from tornio.spec import CanarySpec, GateSpec

EARLY = 0.001
"""Level of each test before the time is over."""
LAST = 0.01
"""Level of each test at the end."""
LEAST = 50
"""Compared texts, or batches where time is measured, before which nothing is tested."""
DISAGREEMENT = 0.05
"""How much less than on the hold-out the versions may agree: live texts are seldom quite like those of the pool."""
PATIENCE = 2
"""A trial with too few texts takes so many times as long as the spec says."""


def judge_trial(
    counts: TrialCounts, against: AgainstCurrent | None, gates: GateSpec, started: datetime, now: datetime
) -> TrialVerdict | None:
    """Return how the trial ends, or None while it goes on.

    ``against``: the comparison on the hold-out; None: there is none, and with fewer than ``gates.min_holdout`` texts it
    only warns. The trial must be wanted by the spec.

    The candidate is refused if it is broken, or if one of these is significant: it fails more often than ``current``
    (Fisher's exact test); it takes more than twice as long for a batch, in the median (sign test); the versions agree
    less than on the hold-out, by more than ``DISAGREEMENT`` (Fisher's exact test); its estimated accuracy is more than
    ``gates.max_drop`` lower (normal approximation).

    The difference of accuracies is estimated by the mean difference of confidences, corrected by what the hold-out says
    about both calibrations. Sources: Garg et al. (2022), "Leveraging unlabeled data to predict out-of-distribution
    performance" (average confidence), known as CBPE; Angelopoulos et al. (2023), "Prediction-powered inference" (the
    correction, and adding the two variances). It is unbiased if live texts are like those of the hold-out.
    """
    trial = gates.trial or CanarySpec()
    spent = now - started
    over = spent >= timedelta(minutes=trial.minutes)
    if counts.broken:
        return TrialVerdict(promoted=False, reasons=(f"broken on live texts: {counts.broken}",))
    level = LAST if over else EARLY
    certain, expected = tuple(_failings(counts, level)), tuple(_surprises(counts, against, gates, level))
    judges = against is not None and against.texts >= gates.min_holdout
    objections = (*certain, *(expected if judges else ()))
    if objections:
        return TrialVerdict(promoted=False, reasons=objections)
    if not over:
        return None
    warnings = () if judges else expected
    if counts.texts >= trial.texts:
        return TrialVerdict(promoted=True, reasons=(f"passed its trial: {told(counts)}",), warnings=warnings)
    if spent < PATIENCE * timedelta(minutes=trial.minutes):
        return None
    few = (
        f"only {counts.texts} of {trial.texts} live texts were compared in {PATIENCE * trial.minutes:g} minutes"
        f"{_dropped(counts)}"
    )
    if counts.comparisons < LEAST and counts.texts + counts.dropped >= trial.texts:  # it may be what keeps them busy
        return TrialVerdict(promoted=False, reasons=(f"{few}, so nothing shows that it keeps up",))
    few += ", so the gate's decision stands"
    return TrialVerdict(promoted=True, reasons=(few,), warnings=(few, *warnings))


def told(counts: TrialCounts) -> str:
    """Return what was counted, in words."""
    parts = [f"{counts.texts} texts compared{_dropped(counts)}"]
    if counts.answered:
        parts.append(f"{counts.answered} answered by the candidate")
    if counts.texts:
        parts.append(f"agreement {counts.agreed / counts.texts:.3f}")
    if counts.confident:
        both = (counts.confidence, counts.current_confidence)
        parts.append("confidence {:.3f} (current {:.3f})".format(*(total / counts.confident for total in both)))
    if counts.texts and counts.current_seconds:
        both = (counts.seconds, counts.current_seconds)
        parts.append("{:.1f} ms a text (current {:.1f})".format(*(1000 * total / counts.texts for total in both)))
    if counts.errors or counts.current_errors:
        parts.append(f"{counts.errors} errors (current {counts.current_errors})")
    return ", ".join(parts)


def _dropped(counts: TrialCounts) -> str:
    return f" ({counts.dropped} left out, because the replicas were busy)" if counts.dropped else ""


def _failings(counts: TrialCounts, level: float) -> Iterator[str]:
    """Yield what is wrong with the candidate whatever it predicts."""
    p = more_often(counts.errors, counts.calls, counts.current_errors, counts.current_calls)
    if p < level:
        yield (
            f"it failed {counts.errors} of {counts.calls} times, current {counts.current_errors} of "
            f"{counts.current_calls} (Fisher's exact test, p {p:.2g} < {level:g})"
        )
    if counts.comparisons >= LEAST and (p := most(counts.slower, counts.comparisons)) < level:
        yield (
            f"it took more than twice as long as current for {counts.slower} of {counts.comparisons} batches "
            f"(sign test, p {p:.2g} < {level:g})"
        )


def _surprises(counts: TrialCounts, against: AgainstCurrent | None, gates: GateSpec, level: float) -> Iterator[str]:
    """Yield in what the candidate is worse than the hold-out let expect."""
    if against is None or not against.texts or counts.texts < LEAST:
        return
    live, expected = counts.agreed / counts.texts, against.agreed / against.texts
    if live < expected - DISAGREEMENT:
        missed, changed = counts.texts - counts.agreed, against.texts - against.agreed
        if (p := more_often(missed, counts.texts, changed, against.texts)) < level:
            yield (
                f"it agrees with current on {live:.3f} of {counts.texts} live texts, and on {expected:.3f} of "
                f"{against.texts} hold-out texts (Fisher's exact test, p {p:.2g} < {level:g})"
            )
    if against.correction is None or counts.confident < LEAST:
        return
    n = counts.confident
    mean = (counts.confidence - counts.current_confidence) / n
    variance = max(0.0, counts.squares / n - mean * mean) / n + against.variance
    difference = mean + against.correction
    highest = difference + NormalDist().inv_cdf(1 - level) * sqrt(variance)
    if highest < -gates.max_drop:
        yield (
            f"its estimated accuracy on {n} live texts is {-difference:.3f} lower than that of current, and at least "
            f"{-highest:.3f}; gates.max_drop allows {gates.max_drop:g}"
        )


def more_often(events: int, n: int, other_events: int, other_n: int) -> float:
    """Return the one-sided p value of Fisher's exact test of "no more frequent than in the others"; 1.0 without any.

    It is the probability of at least ``events`` where ``n`` are drawn from all, with ``events + other_events`` of them.
    """
    if not events or events * other_n <= other_events * n:
        return 1.0
    total, every = events + other_events, n + other_n
    first = _log_choose(n, events) + _log_choose(other_n, other_events) - _log_choose(every, total)
    term, tail = 1.0, 0.0
    for hits in range(events, min(total, n) + 1):
        tail += term
        misses = total - hits  # of the others; from here to one more
        term *= (n - hits) * misses / ((hits + 1) * (other_n - misses + 1))
        if term < 1e-17 * tail:
            break
    return min(1.0, exp(min(0.0, first + log(tail))))


def most(events: int, n: int) -> float:
    """Return the one-sided p value of the sign test of "half of them at most"; 1.0 if it is not more than half."""
    if 2 * events <= n:
        return 1.0
    first, term, tail = _log_choose(n, events) - n * log(2), 1.0, 0.0
    for hits in range(events, n + 1):
        tail += term
        term *= (n - hits) / (hits + 1)
        if term < 1e-17 * tail:
            break
    return min(1.0, exp(min(0.0, first + log(tail))))


def _log_choose(n: int, k: int) -> float:
    return -inf if k < 0 or k > n else lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
