"""Training labels by CROWDLAB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tornio.arrays import FloatMatrix, IntArray
from tornio.scoring.consensus import agreed, out_of_sample
from tornio.tasks import TrainingSet
from tornio.tasks.answers import ENOUGH, Answered

pytestmark = pytest.mark.unit

NAMES = ("bug", "praise", "question")
TRUTH = np.arange(180) % 3
IDS = tuple(f"r{number:03d}" for number in range(180))


def embed(record_ids: Sequence[str]) -> FloatMatrix:
    """Return vectors that tell the true labels apart."""
    random = np.random.default_rng(0)
    noise = random.normal(scale=0.05, size=(len(IDS), 3))
    return (np.eye(3)[TRUTH] + noise).astype(np.float32)[[IDS.index(name) for name in record_ids]]


def votes(several: int) -> IntArray:
    """Ada is always right, and Ben one time in three. ``several`` texts have the answers of both; the rest Ada's."""
    ben = np.where(np.arange(180) % 9 < 3, TRUTH, (TRUTH + 1) % 3)
    return np.stack([TRUTH, np.where(np.arange(180) < several, ben, -1)], axis=1)


def by_majority(given: IntArray) -> TrainingSet:
    rows = [row for row, (ada, ben) in enumerate(given) if ben < 0 or ada == ben]
    ids = tuple(IDS[row] for row in rows)
    return TrainingSet(ids, tuple(f"Text {name}" for name in ids), tuple((NAMES[given[row, 0]],) for row in rows))


def answered(given: IntArray) -> Answered:
    return Answered(IDS, tuple(f"Text {name}" for name in IDS), given)


def test_disputed_texts_get_the_label_that_annotators_and_classifier_agree_on() -> None:
    given = votes(120)
    data = by_majority(given)
    assert len(data) == 102
    found, counts = agreed(data, answered(given), embed, NAMES, seed=1)
    assert found.record_ids == IDS
    assert found.labels == tuple((NAMES[label],) for label in TRUTH)
    assert counts == {"consensus_texts": 180, "consensus_changed": 78}
    again, _ = agreed(data, answered(given), embed, NAMES, seed=1)
    assert again == found


def test_imported_labels_stay_and_are_learned_from() -> None:
    given = votes(120)
    data = by_majority(given)
    imported = TrainingSet((*data.record_ids, "x"), (*data.texts, "imported"), (*data.labels, ("praise",)))

    def with_x(record_ids: Sequence[str]) -> FloatMatrix:
        return np.vstack([embed([name for name in record_ids if name != "x"]), np.zeros((1, 3), np.float32)])

    found, counts = agreed(imported, answered(given), with_x, NAMES, seed=1)
    assert (found.record_ids[-1], found.labels[-1]) == ("x", ("praise",))
    assert counts["consensus_texts"] == 180


def test_majority_decides_while_texts_with_several_answers_are_lacking() -> None:
    given = votes(ENOUGH - 1)
    data = by_majority(given)
    assert agreed(data, answered(given), embed, NAMES, seed=1) == (data, {})


def test_majority_decides_where_a_classifier_can_learn_nothing(caplog: pytest.LogCaptureFixture) -> None:
    given = np.stack([TRUTH, (TRUTH + 1) % 3], axis=1)
    data = TrainingSet((), (), ())
    assert agreed(data, answered(given), embed, NAMES, seed=1) == (data, {})
    assert "majority decides" in caplog.text


def test_a_text_is_judged_by_a_head_that_did_not_see_its_label() -> None:
    """One wrong label would be learned by heart from vectors of their own; copies of the text are held out with it."""
    texts = [f"text {number}" for number in range(60)]
    texts[30] = texts[0]
    vectors = np.eye(60, dtype=np.float32)
    vectors[30] = vectors[0]
    given = np.eye(3, dtype=bool)[np.arange(60) % 3]
    found = out_of_sample(vectors, texts, given, NAMES, seed=0)
    assert found.shape == (60, 3)
    assert found[given].max() < 0.5
