"""What users get wrong, over the real API and the real command line: each gets an error that says what to do."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.app import create_app
from services.gateway.auth import KeyRing
from services.gateway.backend import StoreBackend
from tests.annotating import Annotator
from tests.integration.conftest import Command
from tests.running import Running, messages, serving, spec, until
from tests.unit.gateway.fake import AppTransport
from tornio.api import LabelIn, Problem, RecordIn
from tornio.client import Client
from tornio.errors import InvalidInput, NotFound, NotServable, Unauthorized, Unavailable
from tornio.settings import StorageSettings
from tornio.storage.s3 import open_store

pytestmark = pytest.mark.integration

TASK = "shop/odd"
ALL = messages(40)


@pytest.fixture(scope="module")
def client(tornio_up: Running) -> Client:
    """Of a server that has an empty task."""
    tornio_up.client.apply(spec("odd"))
    until(lambda: _waiting(tornio_up.client), "the controller has looked at it")
    return tornio_up.client


@pytest.fixture(scope="module")
def http(tornio_up: Running) -> Iterator[httpx.Client]:
    """For what the client would not even send."""
    headers = {"Authorization": f"Bearer {tornio_up.everything.api_key}"}
    with httpx.Client(base_url=tornio_up.url, headers=headers, timeout=60) as http:
        yield http


def problem(answer: httpx.Response) -> Problem:
    assert answer.headers["content-type"].startswith("application/problem+json")
    found = Problem.model_validate_json(answer.content)
    assert found.status == answer.status_code
    return found


def test_an_empty_pool_says_what_to_do(client: Client) -> None:
    status = until(lambda: _waiting(client), "the controller has looked")
    assert "tornio pool add" in status


def _waiting(client: Client) -> str | None:
    status = client.status(TASK)
    return status.why if status.phase == "waiting" and "pool" in status.why else None


def test_an_unknown_task_is_404_everywhere(client: Client, http: httpx.Client) -> None:
    for call in (
        lambda: client.status("shop/none"),
        lambda: client.versions("shop/none"),
        lambda: client.predict("shop/none", ["hello"]),
        lambda: client.pause("shop/none"),
        lambda: client.rollback("shop/none"),
        lambda: list(client.labels("shop/none")),
        lambda: client.add_records("shop/none", [RecordIn(text="hello")]),
        lambda: client.import_labels("shop/none", [LabelIn(text="hello", labels=["bug"])]),
    ):
        with pytest.raises(NotFound, match="shop/none"):
            call()
    assert problem(http.get("/v1/tasks/shop/none")).status == 404
    assert problem(http.get("/v1/nothing")).status == 404
    assert problem(http.get("/v1/tasks/Shop/None")).status == 422


def test_a_task_without_a_version_answers_409_with_advice(client: Client, http: httpx.Client) -> None:
    until(lambda: "a training needs texts of at least two labels" in _refusal(client), "it says what is missing")
    assert problem(http.post(f"/v1/tasks/{TASK}/predict", json={"texts": ["hello"]})).status == 409
    with pytest.raises(NotServable):
        client.rollback(TASK)


def _refusal(client: Client) -> str:
    """Why there is no prediction; where the controller is too busy to say it, that."""
    with pytest.raises(NotServable, match="no version yet") as refused:
        client.predict(TASK, ["hello"])
    return str(refused.value)


def test_an_unknown_label_imports_nothing(client: Client, command: Command, tmp_path: Path) -> None:
    labels = [LabelIn(text="It broke.", labels=["bug"]), LabelIn(text="It is fine.", labels=["praise"])]
    with pytest.raises(InvalidInput, match="praise"):
        client.import_labels(TASK, labels)
    (tmp_path / "labels.csv").write_text("text,label\nIt broke.,bug\nIt is fine.,praise\n")
    said = command.fails("labels", "import", TASK, str(tmp_path / "labels.csv"))
    assert "'praise' (1 x)" in said
    assert "Nothing was imported" in said
    assert client.status(TASK).pool == 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"Where is my parcel?\nI want my money back.\n", "--no-header"),
        (b"topic;said\nparcel;Where is it?\n", "--text-column"),
        ("text\nWo ist mein Päckchen?\n".encode("latin-1"), "windows-1252"),
        (b"", "empty"),
        (b"text,id\n", "nothing below the first line"),
        (b"PK\x03\x04 a workbook", "Save the sheet as CSV"),
    ],
    ids=["headerless", "other columns", "not UTF-8", "empty", "header alone", "a workbook"],
)
def test_odd_files_say_what_was_found_and_send_nothing(
    client: Client, command: Command, tmp_path: Path, body: bytes, says: str
) -> None:
    (tmp_path / "texts.csv").write_bytes(body)
    assert says in command.fails("pool", "add", TASK, str(tmp_path / "texts.csv"))
    assert client.status(TASK).pool == 0


def test_odd_files_can_be_read_when_told_how(tornio_up: Running, command: Command, tmp_path: Path) -> None:
    tornio_up.client.apply(spec("told"))
    tornio_up.client.pause("shop/told")
    for number, (name, body, words) in enumerate(
        [
            ("bare.csv", b"Where is my parcel?\nI want my money back.\n", ("--no-header",)),
            ("odd.csv", b"topic;said\nparcel;Where is it?\nmoney;I; want it\n", ("--text-column", "said")),
            ("old.csv", "text\nWo ist mein Päckchen?\n".encode("latin-1"), ("--encoding", "latin-1")),
        ]
    ):
        (tmp_path / name).write_bytes(body)
        added = json.loads(command("pool", "add", "shop/told", str(tmp_path / name), *words, "--json"))
        assert added["added"] == (2, 1, 1)[number]
        assert len(added["skipped"]) == (0, 1, 0)[number]
    assert tornio_up.client.status("shop/told").pool == 4


def test_records_that_come_twice_are_there_once(tornio_up: Running, command: Command, tmp_path: Path) -> None:
    client, task = tornio_up.client, "shop/twice"
    client.apply(spec("twice"))
    client.pause(task)
    (tmp_path / "twice.csv").write_text("id,text\na,First words.\nb,Other words.\na,First words.\nc,First words.\n")
    said = json.loads(command("pool", "add", task, str(tmp_path / "twice.csv"), "--json"))
    again = json.loads(command("pool", "add", task, str(tmp_path / "twice.csv"), "--json"))
    assert client.status(task).pool == 2
    assert (said["added"], said["same_text"], again["added"]) == (2, 1, 0)
    kept = json.loads(command("pool", "add", task, str(tmp_path / "twice.csv"), "--duplicates", "--json"))
    assert (kept["added"], client.status(task).pool) == (1, 3)


def test_a_megabyte_of_text_is_refused_by_name_and_the_rest_goes_in(
    tornio_up: Running, http: httpx.Client, command: Command, tmp_path: Path
) -> None:
    client, task = tornio_up.client, "shop/long"
    client.apply(spec("long"))
    client.pause(task)
    with (tmp_path / "long.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], ["huge", "word " * 200_000], ["small", "A word."]])
    said = json.loads(command("pool", "add", task, str(tmp_path / "long.csv"), "--json"))
    assert said["added"] == 1
    assert "100,000" in said["skipped"][0]["reason"]
    answer = http.post(f"/v1/tasks/{task}/records", json=[{"record_id": "huge", "text": "word " * 200_000}])
    assert (problem(answer).status, client.status(task).pool) == (422, 1)
    assert "1,000,000 characters" in problem(answer).detail


def test_odd_texts_go_round_the_whole_loop(tornio_up: Running) -> None:
    """As long as texts may be, without an end, with every kind of character: queried, shown, answered, predicted."""
    client, task = tornio_up.client, "shop/strange"
    client.apply({**spec("strange"), "labels": ["bug", "other"]})
    odd = [
        "x" * 100_000,
        "word " * 20_000,
        "\u202eright to left",
        "🧵" * 300,
        "line\nbreak\u2028here",
        "=1+1",
        "<b>bold</b>",
    ]
    texts = [*odd, *(text for text, _ in list(ALL.values())[:5])]
    client.add_records(task, [RecordIn(record_id=f"r{number}", text=text) for number, text in enumerate(texts)])
    with Annotator(tornio_up.addresses, "shop") as ann:

        def answered() -> bool:
            ann.answer_all("strange", lambda i, _: "bug" if int(i[1:]) % 2 else "other")
            return client.status(task).serving is not None

        until(answered, "it serves")
    assert len(client.predict(task, texts)) == len(texts)
    with pytest.raises(InvalidInput, match="Text 2 is empty or has no visible character"):
        client.predict(task, [texts[0], " "])
    exported = {record.record_id: record.text for record in client.labels(task)}
    assert exported.items() <= {f"r{number}": text for number, text in enumerate(texts)}.items()
    assert client.predict(task, ["word " * 20_000])[0].truncated


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", f"/v1/tasks/{TASK}/records", {"content": b"\xff\xfe no json"}, 422),
        ("POST", f"/v1/tasks/{TASK}/records", {"json": []}, 422),
        ("POST", f"/v1/tasks/{TASK}/records", {"json": [{"text": "   "}]}, 422),
        ("POST", f"/v1/tasks/{TASK}/records", {"json": [{"text": "a", "txet": "b"}]}, 422),
        ("POST", f"/v1/tasks/{TASK}/records", {"json": [{"text": "a zero \0 byte"}]}, 422),
        ("POST", f"/v1/tasks/{TASK}/predict", {"json": {"texts": []}}, 422),
        ("POST", f"/v1/tasks/{TASK}/predict", {"json": {"texts": ["a"] * 1001}}, 422),
        ("POST", f"/v1/tasks/{TASK}/predict", {"content": b"x" * (9 << 20)}, 413),
        ("POST", "/v1/zero-shot", {"json": {"texts": ["a"], "labels": ["one"]}}, 422),
        ("PUT", f"/v1/tasks/{TASK}", {"json": spec("other")}, 422),
        ("PUT", f"/v1/tasks/{TASK}", {"json": {**spec("odd"), "labels": ["bug", "bug"]}}, 422),
        ("PUT", f"/v1/tasks/{TASK}", {"json": {**spec("odd"), "labels": ["bug", "feature"]}}, 409),
        ("DELETE", f"/v1/tasks/{TASK}", {}, 405),
    ],
)
def test_requests_that_cannot_be_met_are_problem_documents(
    client: Client, http: httpx.Client, method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    answer = problem(http.request(method, path, **sent))
    assert answer.status == status
    assert len(answer.detail) > 20


def test_an_encoder_that_is_not_there_is_said_in_the_status(tornio_up: Running) -> None:
    client, task = tornio_up.client, "shop/unfounded"
    client.apply({**spec("unfounded"), "classifier": {"encoder": "/no/such/encoder"}})
    client.import_labels(task, [LabelIn(text=text, labels=[label]) for text, label in ALL.values()])

    def told() -> str | None:
        status = client.status(task)
        return status.attention if status.attention and "/no/such/encoder" in status.attention else None

    until(told, "the status says which encoder is missing")
    client.apply(spec("unfounded"))
    client.train_now(task)
    serving(client, task, 1)


class NoCluster:
    """A cluster and a predictor of which nobody answers."""

    async def score(self, *_: object) -> Any:
        raise Unavailable("the part is away")

    controller_status = plan = nudge = predict = ask = load = unload = score

    def check(self) -> None:
        raise RuntimeError("the part is away")


def test_a_wrong_key_opens_nothing(tornio_up: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same app over the same store, with keys: `tornio up` has none."""
    for name, value in tornio_up.addresses.environment().items():
        monkeypatch.setenv(name, value)
    secret = "a-key-of-some-length"
    key = {"name": "ci", "key": secret, "workspaces": ["shop"], "role": "operate"}
    backend = StoreBackend(open_store(StorageSettings()), NoCluster(), NoCluster())
    app = create_app(backend, KeyRing.from_environment({"TORNIO_API_KEYS": json.dumps([key])}))
    for wrong in (None, "another-key-of-some-length"):
        with Client("http://tornio", wrong, transport=AppTransport(app)) as outside, pytest.raises(Unauthorized):
            outside.status("shop/keyed")
    with Client("http://tornio", secret, transport=AppTransport(app)) as inside:
        inside.apply(spec("keyed"))
        assert inside.status("shop/keyed").controller_away
