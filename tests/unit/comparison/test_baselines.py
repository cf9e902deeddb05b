"""The contenders that need no training method."""

from __future__ import annotations

import numpy as np
import pytest

from tornio.arrays import FloatMatrix
from tornio.comparison.baselines import BASELINES, Examples

pytestmark = pytest.mark.unit
TEXTS = ("good film", "good book", "good day", "bad film", "bad day")
JUDGED = ("good", "bad", "")


def examples(targets: list[list[int]], texts: tuple[str, ...] = TEXTS) -> Examples:
    def vectors() -> tuple[FloatMatrix, FloatMatrix]:
        learned = [[1.0, 0.0] if "good" in text else [0.0, 1.0] for text in texts]
        judged = [[1.0, 0.0] if text == "good" else [0.1, 1.0] for text in JUDGED]
        return np.array(learned, dtype=np.float32), np.array(judged, dtype=np.float32)

    several = any(sum(row) != 1 for row in targets)
    return Examples(texts, np.array(targets), JUDGED, several, vectors)


SINGLE = [[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]]
SEVERAL = [[1, 1], [1, 0], [1, 0], [1, 1], [0, 0]]


def test_the_majority_gives_the_most_frequent_class() -> None:
    assert BASELINES["majority"].predict(examples(SINGLE)).tolist() == [[True, False]] * 3
    assert BASELINES["majority"].predict(examples(SEVERAL)).tolist() == [[True, False]] * 3


@pytest.mark.parametrize("name", sorted(BASELINES))
@pytest.mark.parametrize("targets", [SINGLE, SEVERAL])
def test_each_judges_every_text(name: str, targets: list[list[int]]) -> None:
    assert BASELINES[name].predict(examples(targets)).shape == (3, 2)


def test_words_and_neighbours_tell_the_classes_apart() -> None:
    assert BASELINES["naive-bayes"].predict(examples(SINGLE))[:2].argmax(axis=1).tolist() == [0, 1]
    few = examples([[1, 0], [0, 1]], ("good", "bad"))
    assert BASELINES["nearest-neighbours"].predict(few).shape == (3, 2)


def test_texts_without_a_word_leave_the_majority() -> None:
    answers = BASELINES["naive-bayes"].predict(examples(SINGLE, ("?", "!", ".", "-", ",")))
    assert answers.tolist() == [[True, False]] * 3
