"""What Tornio measures while it runs: one table, and the port that takes the values.

Ray exports the values on each pod's metrics port in the Prometheus format, with ``ray_`` in front of every name.
docs/metrics.md is generated from the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class MetricKind(Enum):
    COUNTER = "counter"
    """It only grows."""
    GAUGE = "gauge"
    """The present value."""
    HISTOGRAM = "histogram"
    """How many values were at most as large as each of the bounds."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``tags``: what its values are told apart by. ``bounds``: of a histogram, ascending."""

    name: str
    kind: MetricKind
    help: str
    tags: tuple[str, ...] = ("task",)
    bounds: tuple[float, ...] = ()


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_TEXTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
_TENTHS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 11))

REQUESTS = Metric(
    "tornio_requests", MetricKind.COUNTER, "Requests for predictions. `outcome`: `answered`, or the name of the error.",
    ("task", "outcome"),
)  # fmt: skip
TEXTS = Metric("tornio_texts", MetricKind.COUNTER, "Texts that were predicted.")
THROTTLED = Metric(
    "tornio_throttled_texts", MetricKind.COUNTER, "Texts that were refused because a key is beyond its limit.", ("key",)
)
TRUNCATED = Metric("tornio_truncated_texts", MetricKind.COUNTER, "Texts of which the model read only the beginning.")
TOKENS = Metric("tornio_tokens", MetricKind.COUNTER, "Tokens that the model read, counted each minute.")
UNKNOWN = Metric(
    "tornio_unknown_texts", MetricKind.COUNTER,
    "Texts with a token that is not in the model's vocabulary, counted each minute.",
)  # fmt: skip
SECONDS = Metric(
    "tornio_request_seconds", MetricKind.HISTOGRAM, "Seconds that a prediction took in the replica, with the queue.",
    bounds=_SECONDS,
)  # fmt: skip
BATCH_TEXTS = Metric(
    "tornio_batch_texts", MetricKind.HISTOGRAM, "Texts that the model answered in one batch.", (), _TEXTS
)
QUEUED = Metric("tornio_queued_requests", MetricKind.GAUGE, "Requests that wait for the replica's model.", ())
LABELS = Metric(
    "tornio_predicted_labels", MetricKind.COUNTER, "Labels that were predicted: the label mix.", ("task", "label")
)
CONFIDENCE = Metric(
    "tornio_confidence", MetricKind.HISTOGRAM, "The largest probability of each prediction.", bounds=_TENTHS
)
DRIFT = Metric(
    "tornio_drift", MetricKind.GAUGE,
    "How far live texts are from the hold-out, as an effect size: see [Drift](drift.md). Each replica has the value of "
    "all replicas together.", ("task", "measure"),
)  # fmt: skip
DRIFT_ALARM = Metric(
    "tornio_drift_alarm", MetricKind.GAUGE, "1 where that effect is large, and larger than chance; else 0.",
    ("task", "measure"),
)  # fmt: skip
ESTIMATED_ACCURACY = Metric(
    "tornio_estimated_accuracy", MetricKind.GAUGE,
    "Estimated share of right answers, from how sure the version is: see [Drift](drift.md). No value, or NaN, once no "
    "window of the present can be compared.",
)  # fmt: skip
LIVE_TEXTS = Metric(
    "tornio_live_texts", MetricKind.COUNTER,
    "Texts that were sampled for the pool. `outcome`: `added`, or why a text was left out: see "
    "[Feedback](feedback.md).", ("task", "outcome"),
)  # fmt: skip
REVISION = Metric(
    "tornio_revision", MetricKind.GAUGE, "Revision of `current`: it grows with every promotion and rollback."
)
PHASE = Metric(
    "tornio_phase", MetricKind.GAUGE, "1 for the phase that the loop is in, 0 for the others.", ("task", "phase")
)
ITERATION = Metric("tornio_iteration", MetricKind.GAUGE, "The last iteration that was started.")
BATCH_OPEN = Metric("tornio_open_records", MetricKind.GAUGE, "Records of open batches that nobody has answered yet.")
ANSWERED = Metric(
    "tornio_answered", MetricKind.GAUGE, "Texts that people have labelled, those of the hold-out included."
)
LEFT = Metric("tornio_askable", MetricKind.GAUGE, "Records of the pool that can still be sent to annotators.")

METRICS: Sequence[Metric] = (
    REQUESTS, TEXTS, THROTTLED, TRUNCATED, TOKENS, UNKNOWN, SECONDS, BATCH_TEXTS, QUEUED, LABELS,
    CONFIDENCE, DRIFT, DRIFT_ALARM, ESTIMATED_ACCURACY, LIVE_TEXTS, REVISION,
    PHASE, ITERATION, BATCH_OPEN, ANSWERED, LEFT,
)  # fmt: skip
"""Everything that is measured, in the order of docs/metrics.md."""


class Meter(Protocol):
    """Takes values. It never raises and never waits, because nothing may fail for being measured."""

    def record(self, metric: Metric, value: float, **tags: str) -> None:
        """Add to a counter, set a gauge, or add one value to a histogram."""


class Unmeasured:
    """A ``Meter`` that forgets everything: for a process without Ray."""

    def record(self, metric: Metric, value: float, **tags: str) -> None:
        pass


@dataclass
class RecordingMeter:
    """A ``Meter`` that remembers everything, for tests: values by metric and tags."""

    values: dict[tuple[str, tuple[tuple[str, str], ...]], list[float]] = field(default_factory=dict)

    def record(self, metric: Metric, value: float, **tags: str) -> None:
        _check(metric, tags)
        self.values.setdefault((metric.name, tuple(sorted(tags.items()))), []).append(value)

    def of(self, metric: Metric, **tags: str) -> list[float]:
        return self.values.get((metric.name, tuple(sorted(tags.items()))), [])


class RayMeter:
    """A ``Meter`` whose values Ray exports. For a process of a Ray cluster."""

    def __init__(self) -> None:
        from ray.util import metrics

        self._made: Mapping[str, Any] = {one.name: _made(metrics, one) for one in METRICS}

    def record(self, metric: Metric, value: float, **tags: str) -> None:
        made = self._made[metric.name]
        if metric.kind is MetricKind.COUNTER:
            if value:
                made.inc(value, tags)
        elif metric.kind is MetricKind.GAUGE:
            made.set(value, tags)
        else:
            made.observe(value, tags)


def _made(ray_metrics: Any, one: Metric) -> Any:
    match one.kind:
        case MetricKind.COUNTER:
            return ray_metrics.Counter(one.name, one.help, one.tags)
        case MetricKind.GAUGE:
            return ray_metrics.Gauge(one.name, one.help, one.tags)
        case MetricKind.HISTOGRAM:
            return ray_metrics.Histogram(one.name, one.help, list(one.bounds), one.tags)


def _check(metric: Metric, tags: Mapping[str, str]) -> None:
    if set(tags) != set(metric.tags):
        raise ValueError(f"{metric.name} has the tags {metric.tags}, not {tuple(tags)}")
