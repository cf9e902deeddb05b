"""Figures are scikit-learn's."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tornio.evaluation import calibration_error, holdout_report
from tornio.evaluation.metrics import confusion, exact, indicators, macro_f1, micro_f1, per_class
from tornio.stopping import cohen_kappa

pytestmark = pytest.mark.unit

NAMES = ("a", "b", "c", "d")
single = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=60)
several = st.lists(st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES))), min_size=1, max_size=60)


@settings(max_examples=30)
@given(single)
def test_one_label_each(pairs: list[tuple[str, str]]) -> None:
    truth, said = [t for t, _ in pairs], [s for _, s in pairs]
    T, S = indicators([(t,) for t in truth], NAMES), indicators([(s,) for s in said], NAMES)
    assert exact(T, S).mean() == pytest.approx(sk.accuracy_score(truth, said))
    assert micro_f1(T, S) == pytest.approx(sk.f1_score(truth, said, average="micro"))
    assert macro_f1(T, S) == pytest.approx(sk.f1_score(truth, said, average="macro", zero_division=0))
    assert confusion(T, S) == sk.confusion_matrix(truth, said, labels=NAMES).tolist()
    columns = sk.precision_recall_fscore_support(truth, said, labels=NAMES, zero_division=0)
    ours = [(f.precision, f.recall, f.f1, f.support) for f in per_class(T, S)]
    np.testing.assert_allclose(ours, np.array(columns).T)


@settings(max_examples=30)
@given(several)
def test_several_labels(pairs: list[tuple[set[str], set[str]]]) -> None:
    T = indicators([tuple(t) for t, _ in pairs], NAMES)
    S = indicators([tuple(s) for _, s in pairs], NAMES)
    assert exact(T, S).mean() == pytest.approx(sk.accuracy_score(T, S))
    assert micro_f1(T, S) == pytest.approx(sk.f1_score(T, S, average="micro", zero_division=0))
    occurs = (T | S).any(axis=0)
    if occurs.any():
        theirs = sk.f1_score(T, S, average="macro", labels=np.flatnonzero(occurs), zero_division=0)
        assert macro_f1(T, S) == pytest.approx(theirs)


def test_a_label_of_another_task_is_no_figure() -> None:
    with pytest.raises(ValueError, match="'z'"):
        indicators([("z",)], NAMES)


def test_calibration_error_by_hand() -> None:
    """Sixty say .9, of which 48 are right, and ninety say .6, of which all are right: 60 * .1 + 90 * .4."""
    probabilities = np.array([[0.9, 0.1]] * 60 + [[0.6, 0.4]] * 90, dtype=np.float32)
    truth = indicators([("a",)] * 48 + [("b",)] * 12 + [("a",)] * 90, ("a", "b"))
    assert calibration_error(probabilities, truth, False) == pytest.approx((60 * 0.1 + 90 * 0.4) / 150, abs=1e-6)


def naive_calibration_error(stated: list[float], right: list[bool]) -> float:
    """The definition, bin by bin; the first bins have one row more where the rows cannot be shared out equally."""
    rows = sorted(zip(stated, right, strict=True))
    error, start = 0.0, 0
    for number in range(15):
        size = len(rows) // 15 + (number < len(rows) % 15)
        part = rows[start : start + size]
        start += size
        if part:
            gap = sum(r for _, r in part) / size - sum(p for p, _ in part) / size
            error += size / len(rows) * abs(gap)
    return error


@pytest.mark.parametrize("rows", [1, 7, 15, 100, 1001])
def test_calibration_error_is_that_of_a_loop_over_the_bins(rows: int) -> None:
    random = np.random.default_rng(rows)
    several = random.permuted(np.linspace(0, 1, rows * 3)).reshape(rows, 3).astype(np.float32)
    true = random.random((rows, 3)) < several**2
    columns = [naive_calibration_error(several[:, j].tolist(), true[:, j].tolist()) for j in range(3)]
    assert calibration_error(several, true, True) == pytest.approx(np.mean(columns), abs=1e-6)
    one = random.dirichlet(np.ones(3), rows).astype(np.float32)
    truth = np.eye(3, dtype=bool)[random.integers(3, size=rows)]
    right = truth[np.arange(rows), one.argmax(axis=1)].tolist()
    expected = naive_calibration_error(one.max(axis=1).tolist(), right)
    assert calibration_error(one, truth, False) == pytest.approx(expected, abs=1e-6)


def test_calibration_error_does_not_depend_on_the_order_of_the_rows() -> None:
    random = np.random.default_rng(0)
    p = random.integers(5, 10, 200) / 10
    probabilities, first = np.stack([p, 1 - p], axis=1).astype(np.float32), random.random(200) < 0.7
    order, truth = random.permutation(200), np.stack([first, ~first], axis=1)
    expected = calibration_error(probabilities, truth, False)
    assert calibration_error(probabilities[order], truth[order], False) == pytest.approx(expected)


def test_no_row_has_no_calibration_error() -> None:
    assert calibration_error(np.zeros((0, 2), np.float32), np.zeros((0, 2), bool), True) == 0.0


@pytest.mark.parametrize("multi_label", [False, True])
def test_who_says_how_sure_it_is_has_no_calibration_error(multi_label: bool) -> None:
    random = np.random.default_rng(0)
    p = random.uniform(0.01, 0.99, 50_000)
    probabilities = np.stack([p, 1 - p], axis=1).astype(np.float32)
    first = random.random(len(p)) < p
    truth = np.stack([first, ~first], axis=1)
    assert calibration_error(probabilities, truth, multi_label) < 0.01
    overconfident = np.clip(probabilities * 4 - 1.5, 0, 1)
    assert calibration_error(overconfident, truth, multi_label) > 0.1


@settings(max_examples=30)
@given(single)
def test_kappa_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    first, second = [t for t, _ in pairs], [s for _, s in pairs]
    if first == second:
        assert cohen_kappa(first, second) == 1.0
    else:
        assert cohen_kappa(first, second) == pytest.approx(sk.cohen_kappa_score(first, second))


def test_kappa_where_all_are_one_class() -> None:
    assert cohen_kappa(["a"] * 5, ["a"] * 5) == 1.0
    assert cohen_kappa(["a"] * 5, ["b"] * 5) == 0.0


def test_kappa_wants_the_same_texts() -> None:
    with pytest.raises(ValueError, match="same texts"):
        cohen_kappa(["a"], ["a", "b"])


def test_the_holdout_report_is_json_with_everything() -> None:
    truth = [("a",), ("b",), ("b",), ("c",)]
    answers = [("a",), ("b",), ("a",), ("c",)]
    probabilities = np.full((4, 4), 0.25, dtype=np.float32)
    report = holdout_report(truth, answers, NAMES, False, discarded=2, probabilities=probabilities)
    assert json.loads(json.dumps(report)) == report
    assert (report["n"], report["discarded"], report["accuracy"]) == (4, 2, 0.75)
    assert report["interval"][0] < 0.75 < report["interval"][1]
    assert report["per_class"]["b"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2}
    assert report["confusion"][1] == [1, 1, 0, 0]
    assert report["labels_to_halve_interval"] > 4
    assert 0 <= report["calibration_error"] <= 1


def test_the_report_of_several_labels_has_no_confusion() -> None:
    report = holdout_report([("a", "b"), ()], [("a",), ()], NAMES, True)
    assert report["accuracy"] == 0.5
    assert "confusion" not in report
    assert "calibration_error" not in report


def test_no_label_is_no_report() -> None:
    with pytest.raises(ValueError, match="truth is empty"):
        holdout_report([], [], NAMES, False)
