"""Criteria that look at what changes between consecutive models on the stop set: labels, and the F-score."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.spec import Spec, StopSpec, TaskSpec, setting
from tornio.stopping.port import StopFacts, StopPredictions


class ChangeSettings(Spec):
    """What can stand under ``loop.stop.settings`` for ``classification-change``."""

    threshold: float = setting(
        0.0,
        change="live",
        unit="share of the stop set",
        ge=0,
        lt=1,
        doc="Stop when at most this share of the predictions changes. Default none of them, as in the paper.",
    )


class ClassificationChange:
    """The last two models give (almost) all records of the stop set the same labels.

    Source: Zhu, Wang and Hovy (2008), "Multi-Criteria-Based Strategy to Stop Active Learning for Data Annotation",
    COLING, section 3.3, which looks at all unlabelled texts and lets none change. The threshold is small-text's.
    """

    settings = ChangeSettings

    def signal(self, before: StopPredictions, after: StopPredictions) -> float:
        pairs = list(zip(before.predicted, after.predicted, strict=True))
        return sum(set(old) != set(new) for old, new in pairs) / len(pairs)

    def reason(self, signals: Sequence[float], spec: StopSpec) -> str | None:
        allowed = self.threshold(spec)
        if not signals or signals[-1] > allowed:
            return None
        return f"{signals[-1]:.1%} of the predictions on the stop set changed, at most {allowed:.1%} asked"

    def threshold(self, spec: StopSpec) -> float:
        return ChangeSettings(**spec.settings).threshold

    def value(self, signals: Sequence[float], facts: StopFacts, spec: StopSpec) -> float | None:
        return signals[-1] if signals else None


class DeltaSettings(Spec):
    """What can stand under ``loop.stop.settings`` for ``delta-f-score``."""

    window: int = setting(
        3,
        change="live",
        unit="iterations",
        ge=1,
        le=100,
        doc="In how many iterations in a row the forecast change must be small. Default 3, as in the paper.",
    )
    threshold: float = setting(
        0.05,
        change="live",
        gt=0,
        le=1,
        doc="Forecast change of the F-score below which an iteration counts. Default .05, as in small-text.",
    )


class DeltaFScore:
    """The F-score of the positive class, forecast without labels, has changed little for some iterations.

    Source: Altschuler and Bloodgood (2019), "Stopping Active Learning based on Predicted Change of F Measure for Text
    Classification", ICSC, section III. With a: both models say positive, b: only the one before, c: only the new one,
    the forecast change is 1 - 2a / (2a + b + c). The second label of the task is the positive class, as in small-text.
    Where neither model says positive for any text, the formula is 0/0 and the signal is 1, the greatest change: such
    models show nothing.
    """

    settings = DeltaSettings

    def refusal(self, task: TaskSpec) -> str:
        fits = not task.multi_label and len(task.label_names) == 2
        return "" if fits else "forecasts the F-score of one class, and needs a task with two labels, one per text"

    def signal(self, before: StopPredictions, after: StopPredictions) -> float | None:
        if after.multi_label or len(after.labels) != 2 or set(before.labels) != set(after.labels):
            return None
        positive = (after.labels[1],)
        pairs = [(old == positive, new == positive) for old, new in zip(before.predicted, after.predicted, strict=True)]
        both = 2 * sum(old and new for old, new in pairs)
        one = sum(old != new for old, new in pairs)
        return 1 - both / (both + one) if both + one else 1.0

    def reason(self, signals: Sequence[float], spec: StopSpec) -> str | None:
        asked, worst = DeltaSettings(**spec.settings), self._worst(signals, spec)
        if worst is None or worst >= asked.threshold:
            return None
        return (
            f"the F-score hardly changes any more: by forecast {worst:.4f} at most in the last {asked.window} "
            f"iterations, less than {asked.threshold:g} asked"
        )

    def threshold(self, spec: StopSpec) -> float:
        return DeltaSettings(**spec.settings).threshold

    def value(self, signals: Sequence[float], facts: StopFacts, spec: StopSpec) -> float | None:
        return self._worst(signals, spec)

    def _worst(self, signals: Sequence[float], spec: StopSpec) -> float | None:
        """The greatest forecast change of the last iterations, or None while there are fewer than asked for."""
        window = DeltaSettings(**spec.settings).window
        return max(signals[-window:]) if len(signals) >= window else None
