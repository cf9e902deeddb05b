"""Learning from a teacher: clusters correct it, nothing that it says is lost, and what cannot be learned is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.arrays import FloatMatrix, IntArray
from tornio.errors import InvalidInput
from tornio.models.head import softmax
from tornio.training.pseudo_labels import LEAST_OF_A_CLASS, Known, check_teachable, learn, surest

pytestmark = pytest.mark.unit
SHARES = (0.3, 0.4, 0.5, 0.6, 0.8)
NAMES = ("a", "b", "c")


def clusters(count: int = 300, seed: int = 0) -> tuple[FloatMatrix, IntArray]:
    """Three clusters in 12 dimensions, far from the origin as embeddings are, and their classes."""
    random = np.random.default_rng(seed)
    classes = np.arange(count) % 3
    centres = np.eye(3, 12) * 4 + 10
    return (centres[classes] + random.normal(size=(count, 12))).astype(np.float32), classes


def noisy_teacher(classes: IntArray, bias: float = 0.0, seed: int = 1) -> FloatMatrix:
    """Right about every other text; ``bias`` makes it prefer the first label."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(len(classes), 3)) + 1.2 * np.eye(3)[classes] + [bias, 0, 0]
    return softmax(np.asarray(logits, dtype=np.float32))


@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_clusters_correct_a_teacher_that_is_often_wrong_or_prefers_a_label(bias: float) -> None:
    X, classes = clusters()
    teacher = noisy_teacher(classes, bias)
    taught = learn(X, teacher, SHARES)
    unseen, truth = clusters(seed=5)
    assert np.mean(teacher.argmax(axis=1) == classes) < 0.8
    assert np.mean(taught.probabilities(unseen).argmax(axis=1) == truth) > 0.95


def test_the_student_is_as_sure_as_it_agrees_with_the_teacher() -> None:
    X, classes = clusters()
    taught = learn(X, noisy_teacher(classes), SHARES)
    assert taught.probabilities(X).max(axis=1).mean() == pytest.approx(taught.metrics["teacher_agreement"], abs=0.01)
    assert taught.metrics["rounds"] == len(SHARES)


def test_the_same_input_gives_the_same_head() -> None:
    X, classes = clusters(90)
    first, second = (learn(X, noisy_teacher(classes), SHARES) for _ in range(2))
    np.testing.assert_array_equal(first.weight, second.weight)
    np.testing.assert_array_equal(first.bias, second.bias)


def test_a_rare_class_does_not_die_out_and_one_that_the_teacher_never_gives_is_not_predicted() -> None:
    X, classes = clusters(400)
    keep = np.flatnonzero((classes != 2) | (np.arange(400) < 24))
    X, classes = X[keep], classes[keep]
    taught = learn(X, noisy_teacher(classes), SHARES)
    assert np.mean(taught.probabilities(X[classes == 2]).argmax(axis=1) == 2) > 0.8
    silent = np.concatenate([noisy_teacher(classes), np.full((len(X), 1), 1e-9, dtype=np.float32)], axis=1)
    silent[:, 3] = silent[:, :3].min(axis=1) * 1e-3  # never more likely than another, for any text
    assert not (learn(X, silent, SHARES).probabilities(X).argmax(axis=1) == 3).any()


def test_labels_of_people_count_more_than_those_of_the_teacher() -> None:
    X, classes = clusters()
    swapped = noisy_teacher(np.array([1, 0, 2])[classes])
    alone = learn(X, swapped, SHARES)
    people = Known(X[:60], classes[:60], np.full(60, 50, dtype=np.float32))
    helped = learn(X[60:], swapped[60:], SHARES, people)

    def right(taught: object) -> float:
        return float(np.mean(taught.probabilities(X[60:]).argmax(axis=1) == classes[60:]))  # type: ignore[attr-defined]

    assert right(alone) < 0.5
    assert right(helped) > 0.9
    assert helped.metrics["examples"] == 60


@given(st.integers(1, 60), st.integers(2, 5), st.floats(0.01, 1.0), st.integers(0, 1000))
def test_the_surest_of_each_class_are_its_share_and_never_none(rows: int, labels: int, share: float, seed: int) -> None:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(labels), size=rows).astype(np.float32)
    picked = surest(probabilities, share)
    said = probabilities.argmax(axis=1)
    assert len(set(picked.tolist())) == len(picked)
    for label in np.unique(said):
        mine, left = picked[said[picked] == label], np.setdiff1d(np.flatnonzero(said == label), picked)
        total = len(mine) + len(left)
        assert len(mine) == min(total, max(LEAST_OF_A_CLASS, int(share * total)))
        if len(left):
            assert probabilities[mine, label].min() >= probabilities[left, label].max()


def test_what_a_teacher_cannot_teach_is_said_with_what_to_do() -> None:
    X, classes = clusters(30)
    teacher = noisy_teacher(classes)
    check_teachable(X, teacher, NAMES)
    with pytest.raises(InvalidInput, match=r"at least 20 texts .* the pool has 19: add more"):
        check_teachable(X[:19], teacher[:19], NAMES)
    with pytest.raises(InvalidInput, match="all 30 texts are alike"):
        check_teachable(np.repeat(X[:1], 30, axis=0), teacher, NAMES)
    one = np.tile(np.array([0.2, 0.5, 0.3], dtype=np.float32), (30, 1))
    with pytest.raises(InvalidInput, match="gives the label 'b' to all 30 texts: describe the labels"):
        check_teachable(X, one, NAMES)
    with pytest.raises(InvalidInput, match="not all finite"):
        check_teachable(np.where(X[0, 0] == X, np.nan, X), teacher, NAMES)
