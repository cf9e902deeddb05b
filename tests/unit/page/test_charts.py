"""Charts that say what they show, and scale to what they are given."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.page.charts import HEIGHT, WIDTH, Axes, Curve, Point, bar, curves, range_bar
from services.gateway.page.words import figure, percent, percent_tick, span, spell
from tornio.svg import Scale, ticks

pytestmark = pytest.mark.unit

AXES = Axes("labels", "Accuracy", percent_tick)


def test_a_chart_says_where_each_curve_ends() -> None:
    drawn = curves([Curve("<all>", [Point(20, 0.5, "v1"), Point(40, 0.75, "v2 & more", (0.6, 0.9))])], AXES)
    assert drawn is not None
    assert 'role="img" aria-label="Accuracy over labels: &lt;all&gt; ends at 75 %.' in drawn
    assert "<title>v2 &amp; more</title>" in drawn
    assert drawn.count("<circle") == 2
    assert drawn.count("<polygon") == 1


def test_without_a_point_there_is_no_chart() -> None:
    assert curves([Curve("all", [])], AXES) is None


def test_a_level_is_always_in_sight() -> None:
    drawn = curves([Curve("kappa", [Point(20, 0.5, "")])], Axes("labels", "Signal", figure, [("stops at", 0.99)]))
    assert drawn is not None
    (level,) = re.findall(r'class="level"[^>]* y1="([\d.]+)"', drawn)
    assert 0 <= float(level) <= HEIGHT
    assert "stops at: 0.99" in drawn


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1)), min_size=1, max_size=30))
def test_every_point_lies_in_the_picture(points: list[tuple[int, float]]) -> None:
    drawn = curves([Curve("all", [Point(x, y, "", (max(0.0, y - 0.1), min(1.0, y + 0.1))) for x, y in points])], AXES)
    assert drawn is not None
    for x, y in re.findall(r'<circle cx="([\d.-]+)" cy="([\d.-]+)"', drawn):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6), st.integers(2, 9))
def test_ticks_cover_the_data_in_even_steps(low: float, width: float, about: int) -> None:
    found = ticks(low, low + width, about)
    little = 1e-6 * max(1, abs(low), width)  # a tick may miss the data by what nobody sees
    assert found[0] <= low + little
    assert found[-1] >= low + width - little
    assert found == sorted(found)


def test_a_scale_of_one_value_does_not_divide_by_nothing() -> None:
    assert Scale((2, 2), (0, 100))(2) == 0


def test_bars_stay_in_their_place() -> None:
    assert 'width="100.0%"' in bar(1.7)
    assert 'width="0.0%"' in bar(-1)
    assert 'x="80.0%" width="20.0%"' in bar(1.0, 0.2)
    assert 'x="80.0%" width="15.0%"' in range_bar(0.9, (0.8, 0.95))


def test_numbers_are_written_for_people() -> None:
    assert (percent(0.8449), percent(None), span((0.798, 0.875)), span(None)) == ("84.5 %", "–", "79.8–87.5 %", "")
    assert (figure(None), figure(1200), figure(0.99314)) == ("–", "1,200", "0.9931")
    assert [spell(seconds) for seconds in (None, 4.2, 42, 3600, 72_000)] == [
        "–",
        "4.20 s",
        "42.0 s",
        "60 min",
        "20.0 h",
    ]
