"""Rankings: a bigger number is more suspicious, and each orders rows as its source does."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from tests.unit.scoring.made import labelled, several
from tornio.arrays import FloatMatrix
from tornio.errors import InvalidInput
from tornio.scoring.linear import in_sample
from tornio.scoring.measures import measure
from tornio.scoring.ranking import RANKINGS, default_ranking, most_suspicious, suspicion

pytestmark = pytest.mark.unit

SURE = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.4, 0.3, 0.3]], dtype=np.float32)
FIRST = np.array([[True, False, False]] * 3)


@pytest.mark.parametrize("ranking", sorted(set(RANKINGS) - {"confident-learning"}))
def test_a_label_that_nothing_speaks_for_comes_first_and_a_sure_one_last(ranking: str) -> None:
    found = suspicion(ranking, SURE, FIRST, False)
    assert most_suspicious(found).tolist() == [1, 2, 0]
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("ranking", "theirs"),
    [
        ("loss", "self_confidence"),
        ("normalized-margin", "normalized_margin"),
        ("confidence-weighted-entropy", "confidence_weighted_entropy"),
    ],
)
def test_the_order_is_cleanlabs(ranking: str, theirs: str) -> None:
    made = labelled(90)
    p = in_sample(made.vectors, made.given, False, c=1.0)
    order = np.argsort(
        get_label_quality_scores(made.given.argmax(axis=1), p.astype(np.float64), method=theirs), kind="stable"
    )
    assert most_suspicious(suspicion(ranking, p, made.given, False)).tolist() == order.tolist()


def test_a_row_without_any_entropy_is_last_and_not_first_as_with_cleanlab() -> None:
    p = np.array([[1.0, 0.0], [0.9, 0.1], [0.3, 0.7]], dtype=np.float32)
    given = np.array([[True, False]] * 3)
    assert measure(p, given, False).confidence_weighted_entropy[0] == 0
    assert most_suspicious(suspicion("confidence-weighted-entropy", p, given, False)).tolist() == [2, 1, 0]


def test_confident_learning_puts_what_cleanlab_filters_first() -> None:
    made = labelled(240)
    p = in_sample(made.vectors, made.given, False, c=1.0)
    exact = p.astype(np.float64)
    filtered = find_label_issues(made.given.argmax(axis=1), exact / exact.sum(axis=1, keepdims=True), n_jobs=1)
    assert 0 < filtered.sum() < 240
    order = most_suspicious(suspicion("confident-learning", p, made.given, False))
    assert set(order[: filtered.sum()].tolist()) == set(np.flatnonzero(filtered).tolist())
    loss = measure(p, made.given, False).loss
    assert (np.diff(loss[order[: filtered.sum()]]) <= 0).all()


@pytest.mark.parametrize("ranking", sorted(RANKINGS))
def test_several_labels_are_ranked_too(ranking: str) -> None:
    made = several()
    found = suspicion(ranking, in_sample(made.vectors, made.given, True, c=1.0), made.given, True)
    assert found.shape == (240,)
    assert made.wrong[most_suspicious(found)[:20]].mean() > 2 * made.wrong.mean()


def test_without_cleanlab_the_ranking_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InvalidInput, match="pip install 'tornio\\[quality\\]'"):
        suspicion("confident-learning", SURE, FIRST, False)


def test_unknown_rankings_are_refused_and_the_default_depends_on_the_model() -> None:
    with pytest.raises(InvalidInput, match=r"no ranking 'luck' exists\. Choose one of pooled-loss, loss"):
        suspicion("luck", SURE, FIRST, False)
    assert (default_ranking(True), default_ranking(False)) == ("pooled-loss", "loss")
    assert all(ranking.about for ranking in RANKINGS.values())


def test_of_equals_the_first_row_is_first() -> None:
    same: FloatMatrix = np.full((4, 2), 0.5, dtype=np.float32)
    assert most_suspicious(suspicion("loss", same, np.array([[True, False]] * 4), False)).tolist() == [0, 1, 2, 3]
