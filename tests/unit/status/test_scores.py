"""What scores and counts are called."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tornio.api import Metrics
from tornio.evaluation import holdout_report
from tornio.schemas.task import Iteration
from tornio.status.scores import figures, named, training_counts

pytestmark = pytest.mark.unit

NAMES = ("a", "b", "c")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def metrics(values: dict[str, Any], multi_label: bool) -> Metrics:
    return Metrics(version="v1", iteration=1, values=named(values, multi_label), **figures(values, multi_label))


def iteration(**fields: Any) -> Iteration:
    return Iteration(
        number=1, generation=1, batches=(), label_seq=1, pool_seq=1, spec_rev=1, train_run="t",
        started_at=NOW, finished_at=NOW, **fields,
    )  # fmt: skip


def test_the_score_of_a_task_with_several_labels_is_an_exact_match() -> None:
    report = holdout_report([("a", "b"), ("c",)], [("a",), ("c",)], NAMES, True)
    found = metrics(report, True)
    assert (found.metric, found.exact_match, found.accuracy, found.score) == ("exact_match", 0.5, None, 0.5)
    assert found.values["exact_match"] == 0.5
    assert "accuracy" not in found.values
    assert report["accuracy"] == 0.5  # for release 0.2, which reads no other


def test_so_is_the_score_that_an_earlier_release_stored() -> None:
    found = metrics({"n": 2, "accuracy": 0.5, "interval": [0.1, 0.9]}, True)
    assert (found.metric, found.exact_match, found.accuracy, found.sources) == ("exact_match", 0.5, None, {})
    assert found.values == {"n": 2, "exact_match": 0.5, "interval": [0.1, 0.9]}


def test_the_score_of_a_task_with_one_label_is_the_accuracy() -> None:
    found = metrics(holdout_report([("a",), ("b",)], [("a",), ("c",)], NAMES, False), False)
    assert (found.metric, found.accuracy, found.exact_match, found.score) == ("accuracy", 0.5, None, 0.5)
    assert found.values["accuracy"] == 0.5
    assert "exact_match" not in found.values


def test_scores_on_imported_labels_and_on_those_of_annotators_are_apart() -> None:
    truth, answers = [("a",), ("b",), ("b",), ("c",)], [("a",), ("b",), ("a",), ("a",)]
    report = holdout_report(truth, answers, NAMES, False, imported=[True, True, True, False])
    found = metrics(report, False)
    assert (found.holdout, found.accuracy) == (4, 0.5)
    assert {name: (one.n, one.score) for name, one in found.sources.items()} == {
        "imported": (3, pytest.approx(2 / 3)),
        "annotators": (1, 0.0),
    }
    assert metrics(holdout_report(truth, answers, NAMES, False, imported=[True] * 4), False).sources.keys() == {
        "imported"
    }


def test_texts_and_their_labels_are_counted_apart() -> None:
    assert training_counts(iteration(labels={"a": 3, "b": 2}, texts=4), True) == {
        "training_texts": 4,
        "training_labels": 5,
    }
    earlier = iteration(labels={"a": 3, "b": 2})
    assert training_counts(earlier, True) == {"training_texts": None, "training_labels": 5}
    assert training_counts(earlier, False) == {"training_texts": 5, "training_labels": 5}
