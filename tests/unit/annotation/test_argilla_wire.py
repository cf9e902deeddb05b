"""Argilla's JSON, there and back."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.annotation import argilla_wire as wire
from tornio.annotation.argilla_markup import from_page, guidelines_to_page
from tornio.annotation.port import DatasetSpec, OutgoingRecord, ResponseStatus
from tornio.errors import InvalidInput
from tornio.records import Purpose, Suggestion
from tornio.spec import LabelSpec

pytestmark = pytest.mark.unit

SINGLE = wire.Handle("d", "q", ("a", "b"), multi_label=False)
MULTI = wire.Handle("d", "q", ("a", "b"), multi_label=True)


def record(text: str = "text", **more: Any) -> OutgoingRecord:
    return OutgoingRecord("r1", text, "batch-1", Purpose.QUERY, **more)


def response(status: str, values: object) -> dict[str, Any]:
    times = {"inserted_at": "2025-03-01T10:00:00", "updated_at": "2025-03-01T10:00:00.123456"}
    return {"id": "x", "user_id": "u", "record_id": "s", "status": status, "values": values, **times}


def parsed(handle: wire.Handle, status: str, values: object) -> tuple[ResponseStatus, tuple[str, ...]]:
    found = wire.annotated({"external_id": "r1", "responses": [response(status, values)]}, handle)
    assert found is not None
    return found.responses[0].status, found.responses[0].labels


@given(st.lists(st.text(max_size=20).map(lambda text: text * 10_000), max_size=300))
def test_chunks_are_the_records_in_order_within_the_limits(texts: list[str]) -> None:
    records = [OutgoingRecord(str(n), text, "b", Purpose.QUERY) for n, text in enumerate(texts)]
    chunks = list(wire.chunks(records))
    assert [record for chunk in chunks for record in chunk] == records
    for chunk in chunks:
        assert 1 <= len(chunk) <= wire.LOG_RECORDS
        sent = [wire.record_payload(record, SINGLE)["fields"]["text"] for record in chunk]
        assert len(chunk) == 1 or sum(map(len, sent)) <= wire.LOG_CHARS


@given(st.text(st.characters(categories=["L", "Cs", "Cc", "So"]) | st.sampled_from("<>&;ampltg#")))
def test_any_text_can_be_sent_as_html_that_shows_it(text: str) -> None:
    sent = wire.record_payload(record(text, fields={"given": text}), SINGLE)["fields"]
    sent["text"].encode()
    assert not re.search("[<>\0]", sent["text"])
    assert sent["given"] == sent["text"]
    shown = html.unescape(sent["text"]) if text.isprintable() else from_page(sent["text"])
    assert from_page(sent["text"]) == shown
    assert shown == re.sub("[\0\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("**Read** <img src=x onerror=alert(1)>", "**Read** &lt;img src=x onerror=alert(1)>"),
        ("> a quote with `<b>` and <b>", "> a quote with `<b>` and &lt;b>"),
        ("```html\n<b>\n```\n<b>", "```html\n<b>\n```\n&lt;b>"),
        ("~~~\n<b>", "~~~\n<b>"),
        ("one ` alone <b>\nand ` another", "one ` alone &lt;b>\nand ` another"),
        ("no tag &amp; no code", "no tag &amp; no code"),
    ],
)
def test_guidelines_stay_markdown_without_tags(written: str, sent: str) -> None:
    assert guidelines_to_page(written) == sent
    spec = DatasetSpec("team", "mood", (LabelSpec(name="a"), LabelSpec(name="b")), False, written, 1)
    assert wire.dataset_payload(spec, "w")["guidelines"] == sent


def test_guidelines_that_fitted_before_their_tags_were_escaped_stop_no_task() -> None:
    labels = (LabelSpec(name="a"), LabelSpec(name="b"))
    spec = DatasetSpec("team", "mood", labels, False, "<" * wire.MAX_GUIDELINES, 1)
    wire.check_limits(spec)
    assert len(wire.guidelines(spec) or "") == wire.MAX_GUIDELINES


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ({"label": {"value": "a"}}, ("a",)),
        ({}, ()),
        (None, ()),
        ({"label": None}, ()),
        ({"label": {"value": None}}, ()),
    ],
)
def test_any_shape_of_values_is_read(values: object, labels: tuple[str, ...]) -> None:
    assert parsed(SINGLE, "draft", values) == (ResponseStatus.DRAFT, labels)
    assert parsed(SINGLE, "discarded", values) == (ResponseStatus.DISCARDED, ())


def test_none_of_these_is_no_label_and_loses_to_a_label() -> None:
    def labels(*clicked: str) -> tuple[str, ...]:
        return parsed(MULTI, "submitted", {"label": {"value": list(clicked)}})[1]

    assert labels(wire.NONE_OF_THESE) == ()
    assert labels(wire.NONE_OF_THESE, "b") == ("b",)
    assert labels("b", "a") == ("a", "b")


def test_suggestions_take_the_questions_form() -> None:
    one = wire.record_payload(record(suggestion=Suggestion(("b",), (0.5,), "model@v1")), SINGLE)["suggestions"][0]
    assert (one["value"], one["score"], one["agent"]) == ("b", 0.5, "model-v1")
    several = wire.record_payload(record(suggestion=Suggestion(("b", "a"), (0.5, 0.4), "m")), MULTI)["suggestions"][0]
    assert (several["value"], several["score"]) == (["b", "a"], [0.5, 0.4])
    none = wire.record_payload(record(suggestion=Suggestion((), (), "m")), MULTI)["suggestions"][0]
    assert none["value"] == [wire.NONE_OF_THESE]
    assert "score" not in none


def test_times_are_utc_however_they_are_written() -> None:
    then = datetime(2025, 3, 1, 10, tzinfo=UTC)
    assert wire.moment("2025-03-01T10:00:00") == wire.moment("2025-03-01T12:00:00+02:00") == then
    assert wire.moment("2025-03-01T10:00:00Z").utcoffset() == timedelta()


def test_what_argilla_cannot_show_is_refused_or_cut_beforehand() -> None:
    labels = (LabelSpec(name="a", description="d" * 1500), LabelSpec(name="b"))
    spec = DatasetSpec("w", "d", labels, multi_label=False, guidelines="", min_submitted=1)
    assert [len(option["description"] or "") for option in wire.options(spec)] == [1000, 0]
    with pytest.raises(InvalidInput, match="10001 characters"):
        wire.check_limits(DatasetSpec("w", "d", labels, False, "g" * 10_001, 1))
    with pytest.raises(InvalidInput, match="Rename"):
        wire.check_limits(DatasetSpec("w", "d", (*labels, LabelSpec(name=wire.NONE_OF_THESE)), True, "", 1))
