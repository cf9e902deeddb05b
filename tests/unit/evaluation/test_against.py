"""What a trial may expect, from the hold-out."""

from __future__ import annotations

import numpy as np
import pytest

from tornio.evaluation import against_current

pytestmark = pytest.mark.unit


def test_agreement_and_correction_are_those_of_the_same_texts() -> None:
    truth = [("a",), ("a",), ("b",), ("b",)]
    candidate, current = [("a",), ("a",), ("b",), ("a",)], [("a",), ("b",), ("b",), ("b",)]
    sure = np.array([[0.9, 0.1]] * 4, dtype=np.float32)
    unsure = np.array([[0.6, 0.4]] * 4, dtype=np.float32)
    found = against_current("v1", truth, candidate, current, (sure, unsure))
    assert (found.version, found.texts, found.agreed) == ("v1", 4, 2)
    # both are right on 3 of 4; the candidate is surer by .3, so its confidences promise .3 too much
    assert found.correction == pytest.approx(-0.3, abs=1e-6)
    assert found.variance == pytest.approx(np.var([0, 1, 0, -1], ddof=1) / 4)


def test_without_texts_or_with_several_labels_there_is_no_correction() -> None:
    nothing = np.zeros((0, 2), dtype=np.float32)
    assert against_current("v1", [], [], [], (nothing, nothing)).correction is None
    several = against_current("v1", [("a", "b")], [("b", "a")], [("a", "b")], None)
    assert (several.agreed, several.correction) == (1, None)
