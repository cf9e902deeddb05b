"""The kind that ``auto`` starts with follows from the number of labelled texts, in all and for each label."""

from __future__ import annotations

import pytest

from tornio.spec import ClassifierSpec
from tornio.training.kinds import LEAST_PER_CLASS, choose_kind

pytestmark = pytest.mark.unit


def test_auto_needs_labels_for_each_class() -> None:
    spec = ClassifierSpec(kind="auto")
    assert choose_kind(spec, LEAST_PER_CLASS * 150 - 1, 150)[0] == "layered-few-shot"
    assert "fewer than 8 for each" in choose_kind(spec, 1000, 150)[1]
    assert choose_kind(spec, LEAST_PER_CLASS * 150, 150)[0] == "fine-tuned"
    assert choose_kind(spec, 99, 2)[0] == "layered-few-shot"
    assert choose_kind(spec, 100, 2)[0] == "fine-tuned"
