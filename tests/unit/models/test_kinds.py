"""A spec asks for a kind by one name, and several kinds may answer to it."""

from __future__ import annotations

import pytest

from tornio.models.kinds import ASKED, FEW_SHOT, FINE_TUNED, LAYERED_FEW_SHOT, kind_for

pytestmark = pytest.mark.unit


def test_a_training_makes_the_first_kind_of_a_name_that_its_method_can_make() -> None:
    assert ASKED == ("few-shot", "fine-tuned")
    assert kind_for("few-shot") == LAYERED_FEW_SHOT
    assert kind_for("few-shot", (FINE_TUNED, FEW_SHOT)) == FEW_SHOT
    assert kind_for("few-shot", (FINE_TUNED,)) is None
    assert kind_for("auto") is None
