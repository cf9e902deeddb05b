"""Each notebook runs from beginning to end on a small slice, without a network, and finds what it says."""

from pathlib import Path

from tests import notebooks


def test_wrong_labels_are_at_the_top(tmp_path: Path) -> None:
    found = notebooks.run("label-cleaning", tmp_path, {"NOTEBOOK_ROWS": "400"})
    assert found["wrong_at_the_top"] > 4 * found["share_wrong"]


def test_without_labels_the_student_is_far_better_than_chance(tmp_path: Path) -> None:
    found = notebooks.run("no-labels", tmp_path, {"NOTEBOOK_ROWS": "400"})
    assert found["student"] > found["most_frequent"] + 0.2
    assert found["student"] > found["teacher"] - 0.05
