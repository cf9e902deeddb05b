"""What the demo says that it has saved: figures that can be computed by hand, and honest sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.support.saved import compare, difference_interval, learned_sentence, sentences
from examples.support.story import Point

pytestmark = pytest.mark.unit

TEXTS = 200


def _point(labels: int, right: int) -> Point:
    """A version that is right on the first ``right`` texts."""
    return Point(f"v{labels:04}", labels // 20, labels, tuple(place < right for place in range(TEXTS)))


def _arm(rights: Sequence[int], first: int = 20) -> list[Point]:
    return [_point(first + 20 * place, right) for place, right in enumerate(rights)]


def test_the_last_version_is_compared_with_the_random_one_of_as_many_labels() -> None:
    saved = compare(_arm([150, 170, 180]), _arm([100, 130, 150, 160, 180]))
    assert saved is not None
    assert (saved.chosen.labels, saved.random.labels, saved.asked) == (60, 60, 100)
    assert saved.points == pytest.approx(30 / TEXTS)
    assert saved.labels == pytest.approx(40)  # random needs 100 for the same accuracy
    assert saved.points_interval[0] < saved.points < saved.points_interval[1]
    assert saved.labels_interval[0] <= saved.labels <= saved.labels_interval[1]


def test_a_random_version_with_far_fewer_labels_is_never_the_one_compared_with() -> None:
    missed = [_point(19, 100), _point(59, 150), _point(79, 160)]  # the one with 39 was replaced before it was measured
    for labels, beside in ((39, 59), (20, 19), (62, 59), (70, 79), (100, 79)):
        saved = compare([_point(labels, 170)], missed)
        assert saved is not None
        assert saved.random.labels == beside


def test_between_two_batches_a_straight_line_counts() -> None:
    saved = compare(_arm([170]), _arm([100, 160, 180]))
    assert saved is not None
    assert saved.labels == pytest.approx(50 - 20)


def test_an_arm_that_never_gets_there_saves_at_least_what_it_was_asked_more() -> None:
    saved = compare(_arm([150, 190]), _arm([80, 100, 110, 120, 125]))
    assert saved is not None
    assert saved.labels == math.inf
    assert sentences(saved, TEXTS)[2] == (
        "The random task did not reach the same accuracy with its 100 labels, so at least 60 labels were saved "
        "(95 %: at least 60)."
    )


def test_nothing_is_said_to_be_saved_where_the_random_arm_was_asked_no_more() -> None:
    saved = compare(_arm([150, 190]), _arm([80, 100]))
    assert saved is not None
    assert sentences(saved, TEXTS)[2].startswith("How many labels that saved is not known")


def test_the_sentences_tell_both_arms_and_the_difference() -> None:
    saved = compare(_arm([150, 170, 180]), _arm([100, 130, 150, 160, 180, 180]))
    assert saved is not None
    first, points, labels, last = sentences(saved, TEXTS)
    assert "With 60 labels, 90.0 % (85.1 to 93.4) of the 200 test messages" in first
    assert "With 60 labels of messages picked at random and without a teacher, it is 75.0 %" in first
    assert points.startswith("That is 15.0 points more (95 %: ")
    assert "needed 100 labels for the same accuracy, so 40 labels were saved" in labels
    assert "one run of each task" in last


def test_no_difference_is_said_where_the_interval_covers_0() -> None:
    saved = compare(_arm([150, 162]), _arm([140, 160, 161]))
    assert saved is not None
    assert not saved.shown
    said = sentences(saved, TEXTS)
    assert said[1].startswith("No difference was shown: it is +1.0 points, and the 95 % interval, ")
    assert said[2].startswith("That labels were saved was not shown")


def test_a_worse_arm_is_told_as_worse() -> None:
    saved = compare(_arm([100, 120]), _arm([140, 170]))
    assert saved is not None
    said = sentences(saved, TEXTS)
    assert said[1].startswith("That is 25.0 points fewer (95 %: 1")
    assert said[2].startswith("That labels were saved was not shown")


def test_what_labels_have_added_to_the_first_version_is_said() -> None:
    better = learned_sentence(_point(0, 150), _point(40, 180))
    assert better == "With 40 labels, the watched task is 15.0 points above its first version (95 %: 9.8 to 19.9)."
    worse = learned_sentence(_point(0, 180), _point(40, 150))
    assert worse == "With 40 labels, the watched task is 15.0 points below its first version (95 %: 9.8 to 19.9)."
    same = learned_sentence(_point(0, 170), _point(40, 169))
    assert same.startswith(
        "That, with 40 labels, the watched task is above its first version was not shown: -0.5 points"
    )


def test_without_a_version_nothing_is_compared() -> None:
    assert compare([], _arm([100])) is None
    assert compare(_arm([100]), []) is None


def test_the_interval_equals_the_formula_of_the_paper() -> None:
    ours = [True] * 62 + [False] * 38
    theirs = [True] * 50 + [False] * 12 + [True] * 4 + [False] * 34
    gained, lost = 13 / 102, 5 / 102
    half = 1.959964 * math.sqrt((gained + lost - (gained - lost) ** 2) / 102)
    assert difference_interval(ours, theirs) == pytest.approx((gained - lost - half, gained - lost + half), abs=1e-6)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_interval_turns_round_when_the_arms_change_places(pairs: list[tuple[bool, bool]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    low, high = difference_interval(ours, theirs)
    assert -1 <= low <= high <= 1
    assert difference_interval(theirs, ours) == pytest.approx((-high, -low))


def test_the_interval_of_the_labels_holds_what_other_messages_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random task needs 120 labels for what the other one reaches with 60."""
    monkeypatch.setattr("examples.support.saved.RESAMPLES", 100)
    held = 0
    for seed in range(10):
        random = np.random.default_rng(seed)
        hardness = random.random(TEXTS)

        def version(labels: int, share: float, hardness: np.ndarray = hardness) -> Point:
            return Point(f"v{labels}", 1, labels, tuple(bool(one) for one in hardness < share))

        chosen = [version(60, 0.8)]
        others = [version(labels, 0.5 + labels / 400) for labels in range(20, 241, 20)]
        saved = compare(chosen, others)
        assert saved is not None
        low, high = saved.labels_interval
        held += low <= 60 <= high
    assert held >= 8
