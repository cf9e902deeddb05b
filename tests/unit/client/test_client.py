"""The client against the app itself: nothing between them but httpx."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.unit.gateway.fake import KEYS, OPERATOR, PREDICTOR, AppTransport, FakeBackend, app_of, audited
from tornio import Client, api, errors
from tornio.api import LabelIn, RecordIn
from tornio.spec import LabelSpec, TaskSpec

pytestmark = pytest.mark.unit

SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["billing", "bug"]})
TASK = "acme/support"


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


def client_of(backend: FakeBackend, key: str = OPERATOR, retry_seconds: float = 5.0) -> Client:
    transport = AppTransport(app_of(backend, KEYS))
    return Client("http://tornio", key, transport=transport, retry_seconds=retry_seconds)


@pytest.fixture
def client(backend: FakeBackend) -> Client:
    client = client_of(backend)
    client.apply(SPEC)
    return client


def test_a_task_may_be_given_as_model_mapping_or_yaml(backend: FakeBackend) -> None:
    client = client_of(backend)
    assert client.apply(SPEC).created
    assert not client.apply(SPEC.model_dump(mode="json")).created
    assert not client.apply("workspace: acme\nname: support\nlabels: [billing, bug]\n").created
    with pytest.raises(errors.InvalidSpec, match="line 3"):
        client.apply("workspace: acme\nname: support\nlabels: [billing]\n")
    with pytest.raises(errors.InvalidSpec, match="labels"):
        client.apply({"workspace": "acme", "name": "support"})


def test_what_goes_in_comes_out(client: Client, backend: FakeBackend) -> None:
    added = client.add_records(TASK, [RecordIn(record_id="1", text="a"), RecordIn(text="b")])
    assert (added.added, added.known) == (2, 0)
    labels = [LabelIn(record_id=str(n), text=f"text {n}\u2028\n", labels=["bug"]) for n in range(3)]
    assert client.import_labels(TASK, labels, "holdout", source="a.csv").imported == 3
    totals: list[int] = []
    assert [record.text for record in client.labels(TASK, totals.append)] == [label.text for label in labels]
    assert totals == [3]
    assert "3 labels to holdout from a.csv by operator" in backend.calls


def test_much_goes_in_several_requests_and_progress_is_told(client: Client, backend: FakeBackend) -> None:
    done: list[int] = []
    client.add_records(TASK, (RecordIn(text=f"text {n}") for n in range(12_001)), done.append)
    assert done == [5000, 5000, 2001]
    backend.serve(TASK)
    assert len(client.predict(TASK, (f"text {n}" for n in range(2500)))) == 2500
    assert [call for call in backend.calls if call.startswith("predict")] == ["predict 250"] * 10
    backend.calls.clear()
    client.predict(TASK, ["long " * 10_000] * 9)
    assert backend.calls == ["predict 2"] * 4 + ["predict 1"]


@pytest.mark.parametrize("text", ["x" * 90_000, "a\0\x1f" * 30_000, "ü" * 90_000, "😀" * 90_000])
def test_no_request_is_larger_than_the_server_takes(client: Client, backend: FakeBackend, text: str) -> None:
    backend.serve(TASK)
    assert len(client.predict(TASK, [text] * 100)) == 100


def test_predictions_carry_version_and_revision(client: Client, backend: FakeBackend) -> None:
    with pytest.raises(errors.NotServable, match="no version yet"):
        client.predict(TASK, ["a"])
    backend.serve(TASK, "v3", 7)
    (prediction,) = client.predict(TASK, ["a"])
    assert (prediction.labels, prediction.version, prediction.revision) == (("billing",), "v3", 7)
    assert client.predict(TASK, []) == []


def test_asking_of_the_loop(client: Client, backend: FakeBackend) -> None:
    assert client.pause(TASK).asks.paused
    assert client.status(TASK).phase == "paused"
    assert not client.resume(TASK).asks.paused
    assert client.train_now(TASK).asks.train_now
    backend.serve(TASK, "v2", 2, "v1")
    assert client.rollback(TASK, "odd").version == "v1"
    assert [task.task for task in client.tasks()] == ["support"]
    assert client.versions(TASK) == []


def test_what_was_answered_before_a_request_failed_is_kept(client: Client, backend: FakeBackend) -> None:
    backend.serve(TASK)
    answers = client.predict_each(TASK, [f"text {n}" for n in range(600)])
    kept = [next(answers) for _ in range(250)]
    backend.fails = errors.NotServable("gone")
    with pytest.raises(errors.NotServable, match="gone"):
        next(answers)
    assert len(kept) == 250


@pytest.mark.parametrize("empty", ["", " \n\t", "\u3000"])
def test_a_text_with_nothing_to_classify_is_refused_before_anything_is_sent(
    client: Client, backend: FakeBackend, empty: str
) -> None:
    backend.serve(TASK)
    backend.calls.clear()
    texts = [*["a"] * 300, empty]
    with pytest.raises(errors.InvalidInput, match="Text 301 is empty"):
        client.predict(TASK, texts)
    with pytest.raises(errors.InvalidInput, match="Text 301 is empty"):
        client.zero_shot(texts, ["praise", "anger"])
    assert backend.calls == []


def test_a_string_is_not_a_list_of_texts(client: Client) -> None:
    for call in (lambda: client.predict(TASK, "text"), lambda: client.zero_shot("text", ["praise", "anger"])):
        with pytest.raises(errors.InvalidInput, match="list of texts"):
            call()


def test_zero_shot(client: Client) -> None:
    said = client.zero_shot(["a", "b"], ["praise", LabelSpec(name="anger", description="Somebody is angry.")])
    assert [one.labels for one in said] == [["praise"], ["praise"]]


def test_readiness_is_an_answer_not_an_error(client: Client, backend: FakeBackend) -> None:
    assert client.ready().ready
    backend.is_ready = False
    assert client.ready().parts == {"object store": "away"}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda client: client.status("acme/missing"), errors.NotFound),
        (lambda client: client.status("other/secret"), errors.Forbidden),
        (lambda client: client.status("no-slash"), errors.InvalidInput),
        (lambda client: client.status("acme/../../x"), errors.InvalidInput),
        (lambda client: client.apply(SPEC.model_copy(update={"multi_label": True})), errors.ChangeRefused),
        (lambda client: client.import_labels(TASK, [LabelIn(text="a", labels=["x"])]), errors.InvalidInput),
        (lambda client: client.rollback(TASK), errors.NotFound),
        (lambda client: client.predict(TASK, ["\ud83d"]), errors.InvalidInput),
        (lambda client: client.predict(TASK, ["x" * 1_000_000]), errors.InvalidInput),
        (lambda client: next(client.labels("acme/missing")), errors.NotFound),
    ],
)
def test_problems_come_back_as_the_errors_they_were(
    client: Client, call: Callable[[Client], object], error: type[errors.TornioError]
) -> None:
    with pytest.raises(error) as raised:
        call(client)
    assert type(raised.value) is error


def test_keys(client: Client, backend: FakeBackend) -> None:
    with pytest.raises(errors.Unauthorized, match="unknown to this server"):
        client_of(backend, "not-a-key-of-this-server").tasks()
    predictor = client_of(backend, PREDICTOR)
    assert predictor.status(TASK).task == "support"
    with pytest.raises(errors.Forbidden, match="operate"):
        predictor.pause(TASK)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, none of which is waited for."""
    pauses: list[float] = []
    monkeypatch.setattr("tornio.client.wire.time.sleep", pauses.append)
    return pauses


def test_a_long_wait_is_explained_once(slept: list[float], caplog: pytest.LogCaptureFixture) -> None:
    short, long = (httpx.Response(503, headers={"Retry-After": seconds}) for seconds in ("1", "3"))
    done = httpx.Response(200, json={"tasks": []})
    Client("http://x", "key", transport=Answers(short, done)).tasks()
    assert caplog.messages == []
    Client("http://x", "key", transport=Answers(long, long, done)).tasks()
    assert caplog.messages == ["http://x is busy. Trying again ..."]


def test_the_pause_is_what_the_server_asks_for(slept: list[float]) -> None:
    for status in (429, 503):
        transport = Answers(
            httpx.Response(status, headers={"Retry-After": "7"}), httpx.Response(200, json={"tasks": []})
        )
        assert Client("http://x", "key", transport=transport).tasks() == []
    assert slept == [7, 7]
    for_an_hour = Answers(httpx.Response(503, headers={"Retry-After": "3600"}))
    with pytest.raises(errors.Unavailable, match="is busy: try again later"):
        Client("http://x", "key", transport=for_an_hour).tasks()
    assert slept == [7, 7]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:50 GMT", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 13),
        ({"Retry-After": "Sun, 06 Nov 1994 08:49:50", "Date": "Sun, 06 Nov 1994 08:49:37 GMT"}, 13),
    ],
)
def test_the_pause_may_be_a_date_of_the_servers_clock(
    slept: list[float], headers: dict[str, str], pause: float
) -> None:
    transport = Answers(httpx.Response(429, headers=headers), httpx.Response(200, json={"tasks": []}))
    assert Client("http://x", "key", transport=transport).tasks() == []
    assert slept == [pause]


@pytest.mark.parametrize("said", ["Sun, 06 Nov 1994 08:49:37 GMT", "soon", "-3", "", "1.5"])
def test_what_is_over_or_cannot_be_read_makes_no_long_pause(slept: list[float], said: str) -> None:
    transport = Answers(httpx.Response(503, headers={"Retry-After": said}), httpx.Response(200, json={"tasks": []}))
    assert Client("http://x", "key", transport=transport).tasks() == []
    assert 0 < slept[0] < 1


def test_what_was_refused_before_anything_happened_is_sent_again(slept: list[float]) -> None:
    """A rollback or a training must not happen twice, but a client beyond its share has had none."""
    refused = httpx.Response(429, headers={"Retry-After": "1"})
    with pytest.raises(errors.Conflict):
        Client("http://x", "key", transport=Answers(refused, refused, httpx.Response(409))).train_now(TASK)
    assert slept == [1, 1]
    for unclear in (httpx.Response(429), httpx.Response(503, headers={"Retry-After": "1"})):
        with pytest.raises(errors.Unavailable):
            Client("http://x", "key", transport=Answers(unclear)).rollback(TASK)
    assert slept == [1, 1]


def test_a_server_that_is_too_slow_is_busy_not_away(slept: list[float]) -> None:
    transport = Broken(httpx.ReadTimeout("timed out"), 1, httpx.Response(200, json={"predictions": []}))
    assert Client("http://x", "key", transport=transport).zero_shot([], ["a", "b"]) == []
    with pytest.raises(errors.TornioError, match="0 of 1 texts"):
        Client("http://x", "key", transport=transport).predict(TASK, ["a"])
    assert transport.tried == 2
    with pytest.raises(errors.Unavailable, match="is busy: it accepted the request, but did not answer within 60 s"):
        Client("http://x", "key", transport=Broken(httpx.ReadTimeout("timed out"), 9), retry_seconds=0).tasks()


def test_busy_is_tried_again_where_that_is_harmless(client: Client, backend: FakeBackend, slept: list[float]) -> None:
    backend.fails, backend.fail_times = errors.Unavailable("busy"), 2
    assert client.status(TASK).task == "support"
    backend.fail_times = 1
    with pytest.raises(errors.Unavailable, match="busy"):
        client.train_now(TASK)


def test_trying_again_ends(backend: FakeBackend) -> None:
    backend.fails = errors.Unavailable("busy")
    with pytest.raises(errors.Unavailable, match="busy"):
        client_of(backend, retry_seconds=0.0).status(TASK)


class Broken(httpx.BaseTransport):
    """Fails some times, then answers."""

    def __init__(self, error: Exception, times: int, answer: httpx.Response | None = None) -> None:
        self.error, self.times, self.tried = error, times, 0
        self.answer = answer or httpx.Response(200, json={"tasks": []})

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.tried += 1
        if self.tried <= self.times:
            raise self.error
        return self.answer


class Answers(httpx.BaseTransport):
    """Gives these answers, one after the other."""

    def __init__(self, *answers: httpx.Response) -> None:
        self._answers = iter(answers)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return next(self._answers)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.RemoteProtocolError("closed")])
def test_a_broken_connection_is_tried_again(error: Exception) -> None:
    transport = Broken(error, 2)
    assert Client("http://x", "key", transport=transport).tasks() == []
    assert transport.tried == 3


def test_what_may_have_been_done_is_not_done_twice() -> None:
    transport = Broken(httpx.RemoteProtocolError("closed"), 2)
    with pytest.raises(errors.Unavailable, match="http://x does not respond"):
        Client("http://x", "key", transport=transport).train_now(TASK)
    assert transport.tried == 1


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (httpx.Response(502, text="<html>"), errors.Unavailable, "502"),
        (httpx.Response(404, text="nginx"), errors.Unavailable, "not by Tornio"),
        (httpx.Response(418, text="tea"), errors.TornioError, "418"),
        (httpx.Response(302, headers={"location": "/login"}), errors.TornioError, "302"),
        (httpx.Response(200, text="<html>"), errors.TornioError, "Check that it is a Tornio server"),
        (
            httpx.Response(409, json={"type": "urn:tornio:problem:of-2030", "title": "", "status": 409, "detail": "x"}),
            errors.Conflict,
            "x",
        ),
    ],
)
def test_answers_that_are_not_ours(answer: httpx.Response, error: type[errors.TornioError], says: str) -> None:
    with pytest.raises(error, match=says):
        Client("http://x", "key", transport=Broken(ValueError(), 0, answer), retry_seconds=0).tasks()


def test_an_export_that_ends_early_is_an_error() -> None:
    line = api.LabelledRecord(record_id="1", text="a", labels=[], purpose=None, source="answer").model_dump_json()
    answer = httpx.Response(200, text=line + "\n", headers={api.COUNT_HEADER: "2"})
    with pytest.raises(errors.Unavailable, match="1 of 2"):
        list(Client("http://x", "key", transport=Broken(ValueError(), 0, answer)).labels(TASK))


def test_an_import_that_is_tried_again_carries_the_same_id(client: Client, backend: FakeBackend) -> None:
    sent = list[str | None]()
    real = backend.import_labels

    async def import_labels(task: api.TaskName, labels: api.LabelsIn, who: str) -> api.LabelsImported:
        sent.append(labels.request)
        if len(sent) == 1:
            raise errors.Unavailable("busy")
        return await real(task, labels, who)

    backend.import_labels = import_labels  # type: ignore[method-assign]
    labels = [LabelIn(text=f"text {n}", labels=["bug"]) for n in range(5001)]
    assert client.import_labels(TASK, labels).imported == 5001
    assert sent[0] is not None
    assert sent[0] == sent[1] != sent[2]


@pytest.mark.parametrize("module", ["tornio", "tornio.client", "tornio.cli"])
def test_the_client_is_light(module: str) -> None:
    heavy = ["torch", "ray", "numpy", "pyarrow", "boto3", "transformers", "fastapi"]
    code = (
        f"import sys, {module}, tornio; tornio.Client\n"
        f"loaded = [name for name in {heavy} if name in sys.modules]\n"
        "sys.exit(f'{loaded} were loaded' if loaded else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 0, done.stderr


def test_the_audit_log_is_read_page_by_page(client: Client, backend: FakeBackend) -> None:
    backend.audit.held = [audited(number) for number in range(5)]
    assert [event.id for event in client.audit("acme")] == [event.id for event in backend.audit.held]
    assert list(client.audit("acme", "other")) == []
    with pytest.raises(errors.InvalidInput, match="acme/support"):
        next(client.audit("acme/support"))
    with pytest.raises(errors.Forbidden):
        next(client_of(backend, PREDICTOR).audit("acme"))
