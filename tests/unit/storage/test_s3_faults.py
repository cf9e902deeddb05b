"""The S3 store on a bad day: what it retries, what it tells, and that it never misjudges a conditional write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path

import pytest

from tests.contract import servers
from tests.unit.storage.faulty_proxy import (
    Fault,
    Forward,
    Proxy,
    Reply,
    cut_body,
    drop,
    lose_answer,
    meanwhile,
    proxy_to,
    refuse,
)
from tornio.errors import AlreadyExists, Changed, Forbidden, InvalidInput, NotFound, Unavailable
from tornio.storage import s3
from tornio.storage.s3 import S3Store

pytestmark = pytest.mark.unit

slow_down = refuse(503, "SlowDown")
conflict = refuse(409, "ConditionalRequestConflict")
failed_but_done = refuse(500, "InternalError", carried_out=True)

UNCLEAR = [
    pytest.param(lose_answer, id="answer lost"),
    pytest.param(failed_but_done, id="500 but carried out"),
    pytest.param(refuse(409, "ConditionalRequestConflict", carried_out=True), id="409 but carried out"),
]


PREFIX = "faults"
"""moto's servers of one process share their buckets: others may have left something there."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with servers.moto() as endpoint, pytest.MonkeyPatch.context() as patch:
        servers.use_credentials(patch)
        patch.setattr(s3, "_FIRST_DELAY", 0.001)
        yield endpoint


@pytest.fixture(scope="module")
def line(endpoint: str) -> Iterator[Proxy]:
    with proxy_to(endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def store(line: Proxy) -> S3Store:
    """Behind the proxy."""
    return S3Store(servers.settings(line.endpoint, PREFIX))


@pytest.fixture(scope="module")
def other(endpoint: str) -> S3Store:
    """Somebody else, whose line is good."""
    return S3Store(servers.settings(endpoint, PREFIX))


@pytest.fixture(autouse=True)
def proxy(line: Proxy, other: S3Store) -> Iterator[Proxy]:
    """The proxy without faults, an empty store behind it."""
    yield line
    line.faults.clear()
    line.seen.clear()
    other.delete([info.key for info in other.list("")])


@pytest.mark.parametrize("fault", UNCLEAR)
def test_a_write_where_nothing_stood_whose_answer_was_lost_is_ours(store: S3Store, proxy: Proxy, fault: Fault) -> None:
    proxy.fail(fault)
    etag = store.put_if_absent("a", b"mine")
    assert (store.get("a").body, store.get("a").etag) == (b"mine", etag)


@pytest.mark.parametrize("fault", UNCLEAR)
def test_a_write_over_what_was_read_whose_answer_was_lost_is_ours(store: S3Store, proxy: Proxy, fault: Fault) -> None:
    before = store.put("a", b"before")
    proxy.fail(fault)
    etag = store.put_if_match("a", b"mine", before)
    assert (store.get("a").body, store.get("a").etag) == (b"mine", etag)


def test_after_a_lost_request_another_writer_may_have_won(store: S3Store, proxy: Proxy, other: S3Store) -> None:
    proxy.fail(meanwhile(partial(other.put, "a", b"theirs")))
    with pytest.raises(AlreadyExists):
        store.put_if_absent("a", b"mine")
    etag = other.get("a").etag
    proxy.fail(meanwhile(partial(other.put, "a", b"theirs again")))
    with pytest.raises(Changed):
        store.put_if_match("a", b"mine", etag)
    assert other.get("a").body == b"theirs again"


def test_an_answer_lost_before_another_writer_came_is_reported_as_a_loss(
    store: S3Store, proxy: Proxy, other: S3Store
) -> None:
    """The one case that reading back cannot tell; who reads again sees what became of it."""
    before = store.put("a", b"before")

    def overwrite() -> None:
        other.put_if_match("a", b"built on mine", other.get("a").etag)

    proxy.fail(lose_answer, refuse(503, "SlowDown", before=overwrite))
    with pytest.raises(Changed):
        store.put_if_match("a", b"mine", before)


def test_a_body_deleted_before_it_is_read_back_is_lost(store: S3Store, proxy: Proxy, other: S3Store) -> None:
    etag = store.put("a", b"before")
    proxy.fail(meanwhile(lambda: other.delete(["a"])))
    with pytest.raises(Changed):
        store.put_if_match("a", b"mine", etag)


def test_a_fault_while_reading_back_changes_nothing(store: S3Store, proxy: Proxy) -> None:
    proxy.fail(lose_answer, None, drop, None, cut_body)
    etag = store.put_if_absent("a", b"mine")
    assert store.get("a").etag == etag
    assert [method for method, _ in proxy.seen[:7]] == ["PUT", "PUT", "GET", "PUT", "GET", "PUT", "GET"]


def test_who_loses_at_the_first_attempt_reads_nothing_back(store: S3Store, proxy: Proxy, other: S3Store) -> None:
    """The same bytes from somebody else are not our write."""
    other.put("a", b"same")
    with pytest.raises(AlreadyExists):
        store.put_if_absent("a", b"same")
    assert [method for method, _ in proxy.seen] == ["PUT"]


def test_a_conflict_of_requests_is_tried_again(store: S3Store, proxy: Proxy) -> None:
    proxy.fail(conflict, conflict)
    etag = store.put_if_absent("a", b"mine")
    proxy.fail(conflict)
    store.put_if_match("a", b"mine too", etag)
    assert store.get("a").body == b"mine too"


@pytest.mark.parametrize("fault", [drop, slow_down, failed_but_done, refuse(429, "TooManyRequests"), refuse(502, "")])
@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda store: store.get("a").body, b"x"),
        (lambda store: store.get_if_changed("a", '"other"').body, b"x"),
        (lambda store: store.head("a").size, 1),
        (lambda store: bool(store.put("a", b"x")), True),
        (lambda store: [info.key for info in store.list("")], ["a"]),
        (lambda store: store.delete(["a"]), None),
    ],
    ids=["get", "get_if_changed", "head", "put", "list", "delete"],
)
def test_passing_faults_are_not_noticed(
    store: S3Store, other: S3Store, proxy: Proxy, fault: Fault, act: Callable[[S3Store], object], expected: object
) -> None:
    other.put("a", b"x")
    proxy.fail(fault, fault)
    assert act(store) == expected
    assert len(proxy.seen) == 3


def test_a_body_cut_short_is_read_again(store: S3Store, other: S3Store, proxy: Proxy, tmp_path: Path) -> None:
    body = b"0123456789" * 1000
    other.put("a", body)
    proxy.fail(cut_body)
    assert store.get("a").body == body
    proxy.fail(cut_body, cut_body)
    store.download("a", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == body


@pytest.mark.parametrize("fault", [drop, cut_body])
def test_a_part_of_an_upload_that_fails_is_sent_again(
    store: S3Store, other: S3Store, proxy: Proxy, tmp_path: Path, fault: Fault
) -> None:
    body = bytes(range(256)) * (9 << 12)
    (tmp_path / "file").write_bytes(body)
    proxy.fail(None, fault)
    store.upload(tmp_path / "file", "a")
    assert other.get("a").body == body


def test_a_failed_download_leaves_no_file(store: S3Store, other: S3Store, proxy: Proxy, tmp_path: Path) -> None:
    other.put("a", b"0123456789")
    proxy.fail(cut_body, refuse(403, "AccessDenied"))
    with pytest.raises(Forbidden):
        store.download("a", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("act", ["put_if_absent", "put_if_match"])
def test_botocore_never_repeats_a_conditional_write(proxy: Proxy, act: str) -> None:
    store = S3Store(servers.settings(proxy.endpoint, retry_seconds=0))
    proxy.fail(slow_down, drop)
    for _ in range(2):
        with pytest.raises(Unavailable):
            store.put_if_absent("a", b"x") if act == "put_if_absent" else store.put_if_match("a", b"x", '"e"')
    assert len(proxy.seen) == 2


def test_a_store_that_stays_away_is_unavailable() -> None:
    store = S3Store(servers.settings("http://127.0.0.1:9", retry_seconds=0.05))
    with pytest.raises(Unavailable, match=r"tornio-test.*127\.0\.0\.1:9 did not respond.*TORNIO_S3_ENDPOINT"):
        store.get("a")


def test_a_refusal_is_told_at_once_with_advice(store: S3Store, proxy: Proxy) -> None:
    proxy.fail(refuse(403, "AccessDenied"))
    with pytest.raises(Forbidden, match=r"refused PutObject of a .*s3:PutObject"):
        store.put_if_absent("a", b"x")
    proxy.fail(refuse(400, "ExpiredToken"))
    with pytest.raises(Forbidden, match="credentials"):
        store.get("a")
    assert len(proxy.seen) == 2


def test_a_deletion_refused_in_part_is_told(store: S3Store, proxy: Proxy) -> None:
    refused = b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"
    answer = refuse(200, "")

    def fault(forward: Callable[[], object]) -> object:
        reply = answer(lambda: None)  # type: ignore[arg-type, return-value]
        assert reply is not None
        reply.body, reply.headers = refused, [("Content-Length", str(len(refused)))]
        return reply

    proxy.fail(fault)  # type: ignore[arg-type]
    with pytest.raises(Forbidden, match="s3:DeleteObject"):
        store.delete(["a"])


def test_a_missing_bucket_is_reported(endpoint: str) -> None:
    store = S3Store(servers.settings(endpoint, bucket="nowhere"))
    for act in (lambda: store.put("a", b""), lambda: store.put_if_absent("a", b""), lambda: list(store.list(""))):
        with pytest.raises(NotFound, match=r"'nowhere' at .* does not exist\. Create it"):
            act()


def test_a_wrong_region_is_told(store: S3Store, proxy: Proxy) -> None:
    proxy.fail(refuse(400, "AuthorizationHeaderMalformed"))
    with pytest.raises(InvalidInput, match="TORNIO_S3_REGION"):
        store.get("a")


def test_missing_credentials_are_told(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Forbidden, match="AWS_ACCESS_KEY_ID"):
        S3Store(servers.settings(endpoint, PREFIX)).get("a")


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(InvalidInput, match="TORNIO_S3_ENDPOINT"):
        S3Store(servers.settings("not an address"))


def test_a_store_that_keeps_failing_is_not_said_to_be_silent(proxy: Proxy) -> None:
    """So does a store whose disk is full: it answers, and it keeps nothing."""
    store = S3Store(servers.settings(proxy.endpoint, retry_seconds=0))
    proxy.fail(refuse(500, "InternalError"))
    with pytest.raises(Unavailable, match=r"InternalError.*is not kept.*disk is full"):
        store.put_if_absent("a", b"x")


# Answers that are not S3's, clocks, and full stores


def page(status: int) -> Fault:
    """A page of a proxy, as it answers in place of what it cannot reach or does not allow."""
    body = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"
    headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
    return lambda forward: Reply(status, headers, body)


ACTS = [
    lambda store: store.get("a"),
    lambda store: store.get_if_changed("a", '"other"'),
    lambda store: store.put("a", b"x"),
    lambda store: store.put_if_absent("a", b"x"),
    lambda store: store.put_if_match("a", b"x", '"e"'),
    lambda store: list(store.list("")),
    lambda store: store.delete(["a"]),
]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("status", [200, 403, 404, 412])
def test_a_page_of_a_proxy_is_no_answer(
    store: S3Store, proxy: Proxy, act: Callable[[S3Store], object], status: int
) -> None:
    """Least of all is it an object's content, or an object that does not exist."""
    proxy.fail(page(status))
    with pytest.raises(Unavailable, match=r"Something else than S3 answers .*a page of HTML.*NO_PROXY"):
        act(store)


@pytest.mark.parametrize("act", [*ACTS, lambda store: store.head("a")])
def test_a_page_that_tells_of_a_passing_fault_is_tried_again(
    store: S3Store, other: S3Store, proxy: Proxy, act: Callable[[S3Store], object]
) -> None:
    other.put("a", b"y")
    proxy.fail(page(503), page(502))
    with suppress(AlreadyExists, Changed):
        act(store)
    assert len(proxy.seen) >= 3


def test_a_gateway_that_stays_without_its_server_is_named(proxy: Proxy) -> None:
    store = S3Store(servers.settings(proxy.endpoint, retry_seconds=0))
    proxy.fail(page(502))
    with pytest.raises(Unavailable, match="a page of HTML"):
        store.get("a")


def test_an_answer_without_an_etag_is_no_object(store: S3Store, proxy: Proxy) -> None:
    for act in (lambda: store.get("a"), lambda: store.put("a", b"x"), lambda: store.head("a")):
        proxy.fail(lambda forward: Reply(200, [("Content-Length", "0")], b""))
        with pytest.raises(Unavailable, match="something without an ETag"):
            act()


def test_a_listing_that_is_cut_is_read_again(store: S3Store, other: S3Store, proxy: Proxy) -> None:
    other.put("a", b"x")
    cut = b"<?xml version='1.0'?><ListBucketResult><Contents><Key>a</K"
    proxy.fail(lambda forward: Reply(200, [("Content-Length", str(len(cut)))], cut))
    assert [info.key for info in store.list("")] == ["a"]


def late(status: int, code: str, by: timedelta) -> Fault:
    def fault(forward: Forward) -> Reply | None:
        reply = refuse(status, code)(forward)
        assert reply is not None
        reply.headers.append(("Date", format_datetime(datetime.now(UTC) - by, usegmt=True)))
        return reply

    return fault


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "AccessDenied", "SignatureDoesNotMatch"])
def test_a_clock_that_is_wrong_is_named(store: S3Store, proxy: Proxy, code: str) -> None:
    proxy.fail(late(403, code, timedelta(hours=1)), late(403, code, timedelta(hours=-1)))
    with pytest.raises(Forbidden, match=r"clock of this machine is 3,\d\d\d s ahead of .*NTP"):
        store.get("a")
    with pytest.raises(Forbidden, match=r"clock of this machine is 3,\d\d\d s behind .*NTP"):
        store.put("a", b"x")


def test_a_clock_is_named_without_the_time_of_the_server(store: S3Store, proxy: Proxy) -> None:
    proxy.fail(refuse(403, "RequestTimeTooSkewed"), late(403, "AccessDenied", timedelta(seconds=20)))
    with pytest.raises(Forbidden, match="clock of this machine differs from"):
        store.get("a")
    with pytest.raises(Forbidden, match="Check the credentials"):
        store.get("a")


FULL = [
    refuse(507, "XMinioStorageFull"),
    refuse(403, "QuotaExceeded"),
    refuse(500, "InternalError", message="failed to write: no space left on device"),
    refuse(500, "InternalError", message="assign volume: No free volumes left!"),
    refuse(503, "ServiceUnavailable", message="No writable volumes in the cluster"),
]


@pytest.mark.parametrize("fault", FULL)
@pytest.mark.parametrize("act", ["put", "put_if_absent", "put_if_match"])
def test_a_full_store_is_named_and_acknowledges_nothing(proxy: Proxy, other: S3Store, fault: Fault, act: str) -> None:
    store = S3Store(servers.settings(proxy.endpoint, PREFIX, retry_seconds=0))
    etag = other.put("a", b"before")
    key = "b" if act == "put_if_absent" else "a"
    proxy.fail(fault)
    with pytest.raises(Unavailable, match=r"is full: it did not keep what was sent .*Free some room"):
        store.put_if_match(key, b"x", etag) if act == "put_if_match" else getattr(store, act)(key, b"x")
    assert other.get("a").body == b"before"
    assert other.head("b") is None
    assert store.put_if_absent("b", b"x")  # as soon as there is room


def test_a_store_that_gets_room_while_it_is_asked_again_keeps_what_was_sent(store: S3Store, proxy: Proxy) -> None:
    proxy.fail(*[refuse(500, "InternalError", message="no free volumes")] * 3)
    etag = store.put_if_absent("a", b"x")
    assert store.get("a").etag == etag
