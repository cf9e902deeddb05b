"""Events of Argilla: their signatures against the test vectors of Standard Webhooks, and what is read from them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tornio.annotation.argilla_webhook import TOLERANCE_S, Signature, dataset_of, read_secret
from tornio.errors import InvalidInput, Unauthorized

pytestmark = pytest.mark.unit

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
VECTOR = Signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
"""The example that the tests of all libraries of Standard Webhooks share."""
NOW = 1614265330.0


def changed(**also: str) -> Signature:
    fields = {"event": VECTOR.event, "timestamp": VECTOR.timestamp, "signatures": VECTOR.signatures} | also
    return Signature(**fields)


@pytest.mark.parametrize("secret", [SECRET, f"whsec_{SECRET}", f"{SECRET}\n"])
def test_the_vector_of_the_specification_passes(secret: str) -> None:
    VECTOR.check_fresh(NOW)
    VECTOR.check(read_secret(secret), BODY)


def test_one_right_signature_among_several_is_enough() -> None:
    others = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,abc v1a,ü v1"
    changed(signatures=f"{others} {VECTOR.signatures} v1,AAAA").check(read_secret(SECRET), BODY)
    with pytest.raises(Unauthorized, match="Compare it with Argilla's"):
        changed(signatures=others).check(read_secret(SECRET), BODY)


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        (changed(event="msg_other"), BODY),
        (changed(timestamp="1614265331"), BODY),
        (VECTOR, BODY + b" "),
        (changed(signatures=VECTOR.signatures.removeprefix("v1,")), BODY),
        (changed(signatures=VECTOR.signatures.replace("v1", "v2")), BODY),
        (changed(signatures="v1,"), BODY),
    ],
)
def test_what_was_not_signed_is_refused(signature: Signature, body: bytes) -> None:
    with pytest.raises(Unauthorized):
        signature.check(read_secret(SECRET), body)


def test_another_secret_is_refused() -> None:
    with pytest.raises(Unauthorized):
        VECTOR.check(b"x" * 24, BODY)


@pytest.mark.parametrize(
    ("late", "said"), [(TOLERANCE_S + 1, "301 s old"), (-TOLERANCE_S - 1, "301 s ahead"), (10**9, "Compare the clocks")]
)
def test_an_event_of_another_time_is_refused(late: float, said: str) -> None:
    with pytest.raises(Unauthorized, match=said):
        VECTOR.check_fresh(NOW + late)


@pytest.mark.parametrize("late", [TOLERANCE_S, -TOLERANCE_S])
def test_clocks_may_differ_by_five_minutes(late: float) -> None:
    VECTOR.check_fresh(NOW + late)


@pytest.mark.parametrize("timestamp", ["now", "-1", "1e9", "nan", "1614265330.5", "٣", "9" * 13, " 1"])
def test_a_time_that_is_none_is_refused(timestamp: str) -> None:
    with pytest.raises(Unauthorized, match="whole seconds"):
        changed(timestamp=timestamp).check_fresh(NOW)


@pytest.mark.parametrize("missing", ["event", "timestamp", "signatures"])
def test_an_event_without_a_header_is_refused(missing: str) -> None:
    with pytest.raises(Unauthorized, match="not signed"):
        changed(**{missing: ""}).check_fresh(NOW)


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=300), st.text("abc_-XYZ019", min_size=1))
def test_what_the_reference_signs_passes(secret: bytes, noise: bytes, event: str) -> None:
    reference = pytest.importorskip("standardwebhooks")
    shown, body = base64.b64encode(secret).decode(), json.dumps({"data": noise.hex()})
    signed = reference.Webhook(shown).sign(event, datetime.fromtimestamp(NOW, UTC), body)
    Signature(event, str(int(NOW)), signed).check(read_secret(shown), body.encode())


@pytest.mark.parametrize("secret", [b"\x00" * 24, b"\xff" * 25, b"\xfb" * 64])
def test_padding_of_a_secret_may_be_missing(secret: bytes) -> None:
    shown = base64.b64encode(secret).decode()
    assert read_secret(shown) == read_secret(shown.rstrip("=")) == read_secret(f"whsec_{shown}") == secret


@pytest.mark.parametrize("shown", ["not base64!" * 5, "ü" * 40, "", "c2hvcnQ=", "whsec_", "A" * 33])
def test_a_secret_that_is_none_is_refused_and_not_repeated(shown: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_secret(shown)
    assert not shown or shown not in str(refused.value)


DATASET: dict[str, Any] = {"id": "d", "name": "support again", "questions": [], "workspace": {"name": "acme"}}
RECORD = {"id": "r", "fields": {"text": "hello"}, "dataset": DATASET}
EVENTS = {
    "response.created": {"values": {"label": {"value": "bug"}}, "status": "submitted", "record": RECORD},
    "response.deleted": {"values": None, "record": RECORD},
    "record.completed": RECORD,
    "dataset.updated": DATASET,
}


def body(kind: str, data: object) -> bytes:
    return json.dumps({"type": kind, "version": 1, "timestamp": "2026-01-02T00:00:00.0Z", "data": data}).encode()


@pytest.mark.parametrize("kind", EVENTS)
def test_the_data_set_of_each_kind_is_found(kind: str) -> None:
    assert dataset_of(body(kind, EVENTS[kind])) == ("acme", "support again")


@pytest.mark.parametrize("kind", ["ping", "user.created", "", "response_created"])
def test_other_events_have_none(kind: str) -> None:
    assert dataset_of(body(kind, {"agent": "argilla-server", "version": "2.8.0"})) is None


@pytest.mark.parametrize(
    "wrong",
    [
        *(b"", b"\xff", b"[]", b"{}", b"[" * 10_000),
        body("response.created", RECORD),
        body("record.updated", {"dataset": 1}),
        body("dataset.updated", {"name": "x", "workspace": None}),
        body("dataset.updated", "x"),
    ],
)
def test_what_is_not_an_event_is_refused(wrong: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"Argilla 2\.8"):
        dataset_of(wrong)
