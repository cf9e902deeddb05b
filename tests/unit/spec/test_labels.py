"""Label names that people choose from can be seen and told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.spec.labels import label_faults
from tornio.visible import appearance, has_visible

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "pair",
    [
        ("Spam", "spam"),
        ("spam ", "spam"),
        ("no  answer", "no answer"),
        ("no\u00a0answer", "no answer"),
        ("Straße", "STRASSE"),
        ("caf\u00e9", "cafe\u0301"),
        ("ｓｐａｍ", "spam"),
        ("spam\u200b", "spam"),
        ("sp\u00adam", "spam"),
        ("\u2764\ufe0f", "\u2764"),
    ],
)
def test_names_that_look_the_same_are_named(pair: tuple[str, str]) -> None:
    (fault,) = label_faults(["other", *pair])
    assert fault.startswith(f"the labels {pair[0]!r} and {pair[1]!r} look the same")


@pytest.mark.parametrize("name", ["\u200b", "\u3164", "\u2800", "\ufe0f", "\u00ad\u200d"])
def test_a_name_that_nobody_sees_is_named(name: str) -> None:
    (fault,) = label_faults(["a", name])
    assert "no character that people can see" in fault


@pytest.mark.parametrize("name", ["a\x07", "a\x1b[31m", "a\u202eb", "a\u2028b"])
def test_a_name_that_commands_is_named(name: str) -> None:
    (fault,) = label_faults(["other", name])
    assert "cannot be shown" in fault


def test_names_that_differ_are_left_alone() -> None:
    assert not list(
        label_faults(["+", "-", "nein", "ja", "日本", "日本語", "نعم", "naïve", "naive", "👍", "👎", "C++", "C"])
    )


@given(st.text(), st.text(alphabet=" \u200b\u3164\t"))
def test_what_cannot_be_seen_changes_nothing(text: str, unseen: str) -> None:
    assert appearance(text + unseen) == appearance(unseen + text) == appearance(text)
    assert has_visible(text + unseen) == has_visible(text)


@given(st.text())
def test_appearance_is_stable(text: str) -> None:
    assert appearance(appearance(text)) == appearance(text)
