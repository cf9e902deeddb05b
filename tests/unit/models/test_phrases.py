"""The phrases of a label, which need no model."""

from __future__ import annotations

import pytest

from tornio.models.zeroshot import phrases
from tornio.spec import LabelSpec

pytestmark = pytest.mark.unit

SPORTS = LabelSpec(name="sports", description="a match, a team, a tournament")


def test_phrases_fill_every_template_with_name_and_description() -> None:
    assert phrases(SPORTS, ("{}", "About {}.")) == [
        "sports",
        "a match, a team, a tournament",
        "About sports.",
        "About a match, a team, a tournament.",
    ]
