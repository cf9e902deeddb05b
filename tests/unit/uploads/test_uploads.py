"""Uploads of a workspace: parts in any order and number of times, digests, quotas, expiry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.context import JobContext
from jobs.requests import _with_object
from services.controller.keeper import Keeper
from tests.unit.runs.test_runs import Played
from tornio.api import ENDINGS, PART_BYTES, UPLOAD, LabelRequest, ScoreRequest, TaskName
from tornio.errors import Conflict, InvalidInput, NotFound, SchemaTooNew
from tornio.files.tables import BY_SUFFIX
from tornio.runs import ask_for_run, cancel_run
from tornio.schemas.keys import TaskKeys, UploadKeys
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import InputFile, ScoreArgs
from tornio.schemas.uploads import Upload
from tornio.settings import UploadSettings
from tornio.spec import TaskSpec
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.storage.port import ObjectInfo
from tornio.tasks import Tasks
from tornio.uploads import UploadRoom, expire, find_upload

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SETTINGS = UploadSettings(max_mib=16, quota_mib=30, days=14)
DATA = bytes(range(256)) * (PART_BYTES // 256) + b"the last part"


def name_of(data: bytes, ending: str = "csv") -> str:
    return f"{sha256(data).hexdigest()}.{ending}"


def room_of(store: MemoryStore, workspace: str = "acme", days: float = 0.0) -> UploadRoom:
    return UploadRoom(store, workspace, SETTINGS, lambda: NOW + timedelta(days=days))


def parts_of(data: bytes) -> list[bytes]:
    return [data[at : at + PART_BYTES] for at in range(0, len(data), PART_BYTES)]


def send(store: MemoryStore, data: bytes = DATA, workspace: str = "acme", days: float = 0.0) -> str:
    room, name = room_of(store, workspace, days), name_of(data)
    for number in room.begin(name, len(data), "reviews.csv", "ops").missing:
        room.put_part(name, number, parts_of(data)[number])
    assert room.complete(name).whole
    return name


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_the_endings_are_those_of_the_files_that_can_be_read() -> None:
    assert {f".{ending}" for ending in ENDINGS} == set(BY_SUFFIX)


@settings(max_examples=25)
@given(st.lists(st.sampled_from([0, 1, "look", "begin"]), max_size=8))
def test_whatever_is_repeated_the_file_is_whole_once_all_parts_have_come(steps: list[int | str]) -> None:
    store, name, parts = MemoryStore(), name_of(DATA), parts_of(DATA)
    room = room_of(store)
    room.begin(name, len(DATA), "reviews.csv", "ops")
    sent = set[int]()
    for step in steps:
        if isinstance(step, int):
            room.put_part(name, step, parts[step])
            sent.add(step)
        elif step == "begin":
            room.begin(name, len(DATA), "reviews.csv", "another client")
        seen = room.get(name)
        assert (set(seen.missing), seen.received) == ({0, 1} - sent, sum(len(parts[number]) for number in sent))
        assert store.head(UploadKeys("acme", name).data) is None
    if sent < {0, 1}:
        with pytest.raises(Conflict, match="missing"):
            room.complete(name)
    for number in {0, 1} - sent:
        room.put_part(name, number, parts[number])
    assert room.complete(name) == room.complete(name)
    room.put_part(name, 0, parts[0])  # a late repetition
    assert [info.key for info in store.list("")] == [UploadKeys("acme", name).data, UploadKeys("acme", name).document]
    assert store.get(UploadKeys("acme", name).data).body == DATA
    assert room.begin(name, len(DATA), "reviews.csv", "ops").missing == []


def test_other_bytes_than_those_of_the_digest_are_thrown_away(store: MemoryStore) -> None:
    room, name = room_of(store), name_of(DATA)
    room.begin(name, len(DATA), "reviews.csv", "ops")
    room.put_part(name, 0, bytes(PART_BYTES))
    room.put_part(name, 1, parts_of(DATA)[1])
    with pytest.raises(InvalidInput, match="Send it again"):
        room.complete(name)
    assert room.get(name).missing == [0, 1]
    assert store.head(UploadKeys("acme", name).data) is None
    assert send(store) == name


@pytest.mark.parametrize(("part", "size"), [(0, 1), (0, PART_BYTES + 1), (1, PART_BYTES), (1, 12), (2, 1)])
def test_a_part_of_another_size_or_number_is_refused(store: MemoryStore, part: int, size: int) -> None:
    room, name = room_of(store), name_of(DATA)
    room.begin(name, len(DATA), "reviews.csv", "ops")
    with pytest.raises(InvalidInput):
        room.put_part(name, part, bytes(size))
    assert room.get(name).missing == [0, 1]


def test_a_file_has_one_size(store: MemoryStore) -> None:
    room, name = room_of(store), name_of(DATA)
    room.begin(name, len(DATA) + 1, "reviews.csv", "ops")
    with pytest.raises(InvalidInput, match="tornio uploads acme --delete"):
        room.begin(name, len(DATA), "reviews.csv", "ops")
    room.delete(name)
    assert list(store.list("")) == []
    assert send(store) == name


def test_what_is_begun_counts_against_the_quota_of_its_workspace(store: MemoryStore) -> None:
    room = room_of(store)
    with pytest.raises(InvalidInput, match="has 17 MiB, and an upload may have 16 MiB"):
        room.begin(name_of(b"a"), 17 << 20, "large.csv", "ops")
    room.begin(name_of(b"a"), 16 << 20, "a.csv", "ops")
    with pytest.raises(Conflict, match=r"take 16 MiB, and may take 30 MiB.*tornio uploads acme"):
        room.begin(name_of(b"b"), 16 << 20, "b.csv", "ops")
    assert room.begin(name_of(b"a"), 16 << 20, "a.csv", "ops").missing == [0, 1, 2, 3]
    room_of(store, "other").begin(name_of(b"b"), 16 << 20, "b.csv", "ops")
    room.delete(name_of(b"a"))
    assert room.begin(name_of(b"b"), 16 << 20, "b.csv", "ops").received == 0
    listed = room.all()
    assert ([one.file for one in listed.uploads], listed.bytes) == (["b.csv"], 16 << 20)


def test_two_that_begin_at_the_same_moment_do_not_pass_the_quota_together(store: MemoryStore) -> None:
    def another(operation: str, key: str) -> None:
        if operation == "put_if_absent":
            store.before = None
            room_of(store).begin(name_of(b"b"), 16 << 20, "b.csv", "somebody else")

    store.before = another
    with pytest.raises(Conflict):
        room_of(store).begin(name_of(b"a"), 16 << 20, "a.csv", "ops")
    assert [one.file for one in room_of(store).all().uploads] == ["b.csv"]


def test_two_requests_may_put_the_same_file_together(store: MemoryStore) -> None:
    room, name = room_of(store), name_of(DATA)
    room.begin(name, len(DATA), "reviews.csv", "ops")
    for number, part in enumerate(parts_of(DATA)):
        room.put_part(name, number, part)

    def another(operation: str, key: str) -> None:
        if operation == "get" and key.endswith("000001"):
            store.before = None
            assert room_of(store).complete(name).whole

    store.before = another
    assert room.complete(name).whole
    assert store.get(UploadKeys("acme", name).data).body == DATA


def test_a_file_that_another_request_has_put_together_meanwhile_is_whole(store: MemoryStore) -> None:
    room, name = room_of(store), name_of(b"text\n")
    room.begin(name, 5, "reviews.csv", "ops")
    room.put_part(name, 0, b"text\n")

    def another(operation: str, key: str) -> None:
        if operation == "list":
            store.before = None
            assert room_of(store).complete(name).whole

    store.before = another
    assert room.complete(name).whole


def test_a_deletion_while_the_parts_are_put_together_leaves_nothing(store: MemoryStore) -> None:
    room, keys = room_of(store), UploadKeys("acme", name_of(b"text\n"))
    room.begin(keys.name, 5, "reviews.csv", "ops")
    room.put_part(keys.name, 0, b"text\n")

    def deleted(operation: str, key: str) -> None:
        if key == keys.data:  # the deletion has listed the folder before the whole file came
            store.after = None
            store.delete([keys.part(0), keys.document])

    store.after = deleted
    with pytest.raises(NotFound, match="Send the file again"):
        room.complete(keys.name)
    assert list(store.list("")) == []


def test_what_lies_in_folders_without_an_upload_is_deleted_when_it_is_old() -> None:
    class Dated(MemoryStore):
        """A store that says when an object was written."""

        def list(self, prefix: str, start_after: str | None = None) -> Iterator[ObjectInfo]:
            return iter([replace(info, modified=NOW) for info in super().list(prefix, start_after)])

    store = Dated()
    store.put(UploadKeys("acme", name_of(b"a")).data, b"a")
    store.put(UploadKeys("acme", name_of(b"b")).part(0), b"b")
    whole = send(store, days=13)
    expire(store, "acme", SETTINGS, NOW + timedelta(days=13))
    assert len(list(store.list("acme/"))) == 4
    expire(store, "acme", SETTINGS, NOW + timedelta(days=15))
    assert {info.key.split("/")[2] for info in store.list("")} == {whole}


def test_an_upload_is_found_in_its_own_workspace_once_it_is_whole(store: MemoryStore) -> None:
    name = name_of(DATA)
    with pytest.raises(NotFound, match="Send the file again"):
        find_upload(UPLOAD + name, "acme", store, NOW)
    room_of(store).begin(name, len(DATA), "reviews.csv", "ops")
    with pytest.raises(NotFound, match=r"reviews\.csv.* is not whole"):
        find_upload(UPLOAD + name, "acme", store, NOW)
    send(store)
    later = NOW + timedelta(days=3)
    assert find_upload(UPLOAD + name, "acme", store, later) == f"acme/uploads/{name}/data.csv"
    assert documents.load(store, UploadKeys("acme", name).document, Upload)[0].used_at == later
    with pytest.raises(NotFound):
        find_upload(UPLOAD + name, "other", store, NOW)


@pytest.mark.parametrize(
    "name", ["", "x.csv", f"../other/uploads/{'a' * 64}.csv", f"{'a' * 64}.exe", f"{'a' * 64}.csv/"]
)
def test_a_name_that_leads_elsewhere_names_no_upload(store: MemoryStore, name: str) -> None:
    with pytest.raises(InvalidInput, match="names no upload"):
        find_upload(UPLOAD + name, "acme", store, NOW)


def test_a_request_names_the_object_of_its_upload(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORNIO_S3_BUCKET", "tornio")
    monkeypatch.setenv("TORNIO_S3_PREFIX", "prod")
    context = JobContext(store, None, None, Tasks(store))  # type: ignore[arg-type]
    name = send(store)
    asked = ScoreRequest(data=UPLOAD + name, folds=5)
    asked.check_on_cluster(TaskName("acme", "support"))
    found = _with_object(asked, "acme", context)
    assert found == ScoreRequest(data=f"s3://tornio/prod/acme/uploads/{name}/data.csv", folds=5)
    assert _with_object(found, "acme", context) == found
    assert _with_object(LabelRequest(), "acme", context) == LabelRequest()


def test_what_nothing_uses_any_longer_is_deleted(store: MemoryStore) -> None:
    old, used = send(store), send(store, b"text\n")
    room_of(store).begin(name_of(b"never completed"), 15, "x.csv", "ops")
    other = send(store, workspace="other")
    find_upload(UPLOAD + used, "acme", store, NOW + timedelta(days=10))
    assert expire(store, "acme", SETTINGS, NOW + timedelta(days=13)) == []
    gone = expire(store, "acme", SETTINGS, NOW + timedelta(days=15))
    assert set(gone) == {old, name_of(b"never completed")}
    assert {info.key.split("/")[2] for info in store.list("acme/")} == {used}
    assert room_of(store, "other").get(other).whole
    assert expire(store, "acme", SETTINGS, NOW + timedelta(days=25)) == [used]
    assert list(store.list("acme/")) == []


def plan_with(name: str) -> RunPlan:
    file = InputFile(uri=f"s3://tornio/prod/acme/uploads/{name}/data.csv", etag="e", size=9)
    args = ScoreArgs(files=(file,), labels=("a", "b"), precision="float32")
    return RunPlan.of("score", "acme", "support", args)


@pytest.mark.parametrize("end", ["cancelled", "done"])
def test_a_run_that_is_not_over_keeps_its_upload(store: MemoryStore, end: str) -> None:
    Tasks(store).apply(TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]}), "test")
    name = send(store)
    plan = plan_with(name)
    ask_for_run(store, plan, "ops", NOW)
    late = NOW + timedelta(days=40)
    assert expire(store, "acme", SETTINGS, late) == []
    ends: dict[str, Callable[[], None]] = {
        "cancelled": lambda: cancel_run(store, "acme", "support", plan.run, "ops", late),
        "done": lambda: Played(store, plan, TaskKeys("acme", "support").run(plan.run)).finish(1),
    }
    ends[end]()
    assert expire(store, "acme", SETTINGS, late) == [name]


def test_a_run_without_a_plan_keeps_nothing_and_one_of_a_later_release_keeps_all(store: MemoryStore) -> None:
    Tasks(store).apply(TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["a", "b"]}), "test")
    name, late = send(store), NOW + timedelta(days=40)
    plan = plan_with(name)
    ask_for_run(store, plan, "ops", NOW)
    key = TaskKeys("acme", "support").run(plan.run).plan
    store.put(key, b'{"format": "run-plan", "schema": 99}')
    with pytest.raises(SchemaTooNew):
        expire(store, "acme", SETTINGS, late)
    assert room_of(store).get(name).whole
    store.delete([key])
    assert expire(store, "acme", SETTINGS, late) == [name]


def test_the_keeper_also_looks_into_workspaces_whose_tasks_are_gone(store: MemoryStore) -> None:
    send(store, workspace="left")
    ended: list[Keeper] = []

    def after_expiry(operation: str, key: str) -> None:
        if operation == "delete" and key.startswith("left/"):
            ended[0].end()

    store.after = after_expiry
    others = {name: Mock(name=name) for name in ("annotation", "runner", "fleet")}
    late = NOW + timedelta(days=15)
    ended.append(
        Keeper(store=store, holder="me", after_look=lambda _: None, clock=lambda: late, uploads=SETTINGS, **others)
    )
    ender = threading.Timer(20, ended[0].end)
    ender.start()
    ended[0].run()
    ender.cancel()
    assert list(store.list("left/")) == []


def test_a_deletion_that_was_interrupted_is_repeated(store: MemoryStore) -> None:
    name = send(store)

    def killed(operation: str, key: str) -> None:
        if operation == "delete":
            raise KeyboardInterrupt

    store.after = killed
    with pytest.raises(KeyboardInterrupt):
        expire(store, "acme", SETTINGS, NOW + timedelta(days=15))
    store.after = None
    assert expire(store, "acme", SETTINGS, NOW + timedelta(days=15)) == [name]
    assert list(store.list("")) == []


def test_the_keeper_deletes_them_once_an_hour(store: MemoryStore) -> None:
    names = [send(store), send(store, b"text\n", days=13)]
    now = [NOW + timedelta(days=14, minutes=1)]
    others = {name: Mock(name=name) for name in ("annotation", "runner", "fleet")}
    keeper = Keeper(
        store=store, holder="me", after_look=lambda _: None, clock=lambda: now[0], uploads=SETTINGS, **others
    )
    keeper._expire(["acme", "other"])
    assert [one.name for one in room_of(store).documents()] == names[1:]
    now[0] += timedelta(days=14)
    keeper._expired = now[0] - timedelta(minutes=59)
    keeper._expire(["acme"])
    assert [one.name for one in room_of(store).documents()] == names[1:]
    now[0] += timedelta(minutes=1)
    keeper._expire(["acme"])
    assert list(store.list("acme/")) == []
