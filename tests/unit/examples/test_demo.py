"""The parts of ``make demo``, without servers."""

from __future__ import annotations

import io
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from examples.support import demo
from examples.support.annotator import Annotator, known_answers, response
from examples.support.saved import ONE_RUN, compare, sentences
from examples.support.server import DemoFailed
from examples.support.story import Load
from examples.support.traffic import Traffic
from examples.support.watch import Curve, Split, _short, await_first, has_ended, view
from tests.unit.examples.sample import LABELS, sample_story
from tornio.client import Client
from tornio.errors import NotServable, Unavailable
from tornio.records import Prediction
from tornio.spec import NO_TEACHER
from tornio.specfile import read_spec
from tornio.training.methods import METHODS, check_training

pytestmark = pytest.mark.unit

DATA = demo.HERE / "data"


class FakeClient(Client):
    """Answers predictions from a list of versions or errors, the last one for ever."""

    def __init__(self, *answers: str | Exception) -> None:
        super().__init__("http://fake")
        self._answers = list(answers)
        self.asked: list[list[str]] = []
        self.drained = threading.Event()

    def predict(
        self, task: str, texts: Sequence[str] | object, progress: Callable[[int], None] = lambda _: None
    ) -> list[Prediction]:
        assert isinstance(texts, list)
        self.asked.append(texts)
        answer = self._answers[0]
        if len(self._answers) > 1:
            self._answers.pop(0)
        else:
            self.drained.set()
        if isinstance(answer, Exception):
            raise answer
        return [Prediction(("bug",), {"bug": 0.75, "login": 0.25}, False, answer, 1) for _ in texts]


def test_pool_answers_and_test_split_do_not_overlap() -> None:
    answers = known_answers(DATA / "answers.csv")
    test = Split.read(DATA / "test.csv")
    pool = (DATA / "pool.csv").read_text()
    assert len(answers) > 800
    assert not any(text in pool for text in test.texts)


def test_the_example_is_taught_before_anybody_has_labelled() -> None:
    spec = read_spec((demo.HERE / "task.yaml").read_text())
    assert set(known_answers(DATA / "answers.csv").values()) == set(spec.label_names)
    assert spec.bootstrap_method is not None
    assert METHODS.get(spec.training.method).asks_teacher
    check_training(spec)


def test_the_random_task_has_the_same_labels_and_nothing_of_a_teacher() -> None:
    spec = read_spec((demo.HERE / "task.yaml").read_text())
    random = demo.picked_at_random(spec, "other")
    assert (random.name, random.labels, random.workspace) == ("other", spec.labels, spec.workspace)
    assert (random.loop.strategy, random.loop.cold_start) == ("random", "random")
    assert random.bootstrap_method is None
    assert random.teacher.kind == NO_TEACHER
    assert not METHODS.get(random.training.method).asks_teacher
    assert random.loop.batch_size == spec.loop.batch_size
    assert random.loop.stop.max_iterations == demo.RANDOM_LABELS // spec.loop.batch_size
    assert (random.loop.holdout_share, random.classifier) == (spec.loop.holdout_share, spec.classifier)


def test_a_version_is_measured_once_and_whole() -> None:
    status = sample_story(iterations=3).status
    client = FakeClient("v0002", "v0003")
    curve = Curve(client, "demo/support", Split(["a", "b"], ["bug", "login"]))
    assert curve.measure(status) is None  # another version answered: a swap came in between
    point = curve.measure(status)
    assert point is not None
    assert (point.version, point.iteration, point.labels, point.accuracy) == ("v0003", 3, 18 * 3 + 2 * 3, 0.5)
    assert [(one.predicted, one.confidence, one.margin) for one in curve.answers] == [("bug", 0.75, 0.5)] * 2
    assert curve.measure(status) is None
    assert len(client.asked) == 2


def test_the_second_task_waits_until_a_version_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    served = sample_story(iterations=3).status
    looks = [served.model_copy(update={"serving": None}), served]
    client = FakeClient("v0003")
    monkeypatch.setattr(client, "status", lambda _: looks.pop(0))
    curve = Curve(client, "demo/support", Split(["a", "b"], ["bug", "login"]))
    await_first(curve, Console(file=io.StringIO()))
    assert [point.version for point in curve.points] == ["v0003"]
    assert looks == []


def test_the_system_sees_texts_of_the_test_split_and_never_labels() -> None:
    client = FakeClient("v0003")
    Curve(client, "demo/support", Split(["a", "b"], ["bug", "login"])).measure(sample_story(iterations=3).status)
    assert client.asked == [["a", "b"]]


def test_a_task_that_loads_a_version_has_not_ended() -> None:
    status = sample_story().status
    assert has_ended(status)
    assert not has_ended(status.model_copy(update={"candidate": "v0013"}))
    assert not has_ended(status.model_copy(update={"phase": "labelling"}))


def test_traffic_begins_when_the_task_serves_and_counts_what_fails() -> None:
    client = FakeClient("v1", NotServable("gone"), Unavailable("away"), "v2")
    with Traffic(client, "demo/support", ["a"], rate=1000.0) as traffic:
        assert client.drained.wait(5)
    load = traffic.load
    assert load.failed == ("although the task had served before: gone", "Unavailable: away")
    assert traffic.versions == ["v1", "v2"]
    assert load.sent == len(load.seconds) + 2


def test_before_the_first_version_nothing_counts() -> None:
    client = FakeClient(NotServable("not trained yet"))
    with Traffic(client, "demo/support", ["a"], rate=1000.0) as traffic:
        assert client.drained.wait(5)
    assert traffic.load == Load(0)


def test_what_a_thread_dies_of_is_told() -> None:
    client = FakeClient(ZeroDivisionError("a bug"))
    with Traffic(client, "demo/support", ["a"], rate=1000.0) as traffic:
        assert client.drained.wait(5)
    with pytest.raises(RuntimeError, match="Traffic has failed"):
        traffic.check()


def test_the_annotator_is_mostly_right_and_says_the_same_again() -> None:
    answers = {f"r{n}": LABELS[n % 7] for n in range(5000)}
    said = {name: response("ann", name, answers, LABELS) for name in answers}
    discarded = [name for name, one in said.items() if one["status"] == "discarded"]
    wrong = [
        name
        for name, one in said.items()
        if one["status"] == "submitted" and one["values"]["label"]["value"] != answers[name]
    ]
    assert 0.01 < len(discarded) / 5000 < 0.03
    assert 0.02 < len(wrong) / 5000 < 0.04
    assert said == {name: response("ann", name, answers, LABELS) for name in answers}


class FakeArgilla:
    """As much of Argilla's API as the annotator uses; one pending record in each of two data sets."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.users: dict[str, str] = {"annotator-support": "an earlier one"}
        self.responses: list[tuple[str, str | None]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        owner = request.headers.get("X-Argilla-Api-Key") == "owner-key"
        mine = request.headers.get("Authorization") == "Bearer token"
        match (request.method, *request.url.path.removeprefix("/api/v1/").split("/")):
            case "GET", "me", "workspaces" if owner:
                return httpx.Response(200, json={"items": [{"id": "w1", "name": "demo"}]})
            case "GET", "users" if owner:
                return httpx.Response(200, json={"items": [{"username": n, "id": n} for n in self.users]})
            case "DELETE", "users", name if owner:
                del self.users[name]
                return httpx.Response(200, json={})
            case "POST", "users" if owner:
                self.users["annotator-support"] = "new"
                return httpx.Response(201, json={"id": "u1"})
            case "POST", "workspaces", "w1", "users" if owner:
                return httpx.Response(201, json={})
            case "POST", "token":
                return httpx.Response(201, json={"access_token": "token"})
            case "GET", "me", "datasets" if mine:
                sets = [{"id": "d1", "name": "support"}, {"id": "d2", "name": "other"}]
                return httpx.Response(200, json={"items": sets})
            case "POST", "me", "datasets", dataset, "records", "search" if mine:
                record = {"record": {"id": f"{dataset}-a1", "external_id": "r1"}}
                return httpx.Response(200, json={"items": [] if self.responses else [record]})
            case "POST", "records", record_id, "responses" if mine:
                self.responses.append((record_id, request.headers.get("Authorization")))
                self.answered.set()
                return httpx.Response(201, json={})
        return httpx.Response(403, json={})


def test_the_annotator_answers_its_own_data_set_as_itself() -> None:
    argilla = FakeArgilla()
    annotator = Annotator(
        "http://argilla", "owner-key", "demo/support", {"r1": "bug"}, LABELS, httpx.MockTransport(argilla)
    )
    with annotator:
        assert argilla.answered.wait(5)
    annotator.check()
    assert argilla.responses == [("d1-a1", "Bearer token")]
    assert argilla.users == {"annotator-support": "new"}


def test_a_demo_that_shows_too_little_complains() -> None:
    story = sample_story(iterations=12)
    assert demo.complaints(story) == []
    few = f"there were only 2 swaps, but at least {demo.LEAST_SWAPS} are expected"
    assert demo.complaints(sample_story(iterations=2)) == [few]
    failed = replace(story, load=Load(sent=9, failed=("Unavailable: away",)))
    assert demo.complaints(failed) == ["1 predictions failed, the first: Unavailable: away"]
    assert demo.complaints(replace(story, load=Load(0))) == ["no prediction was sent"]
    nothing = "no version served before the first label was given"
    assert demo.complaints(replace(story, points=story.points[1:])) == [nothing]


def test_the_last_lines_tell_what_was_saved_and_that_it_is_one_run() -> None:
    story = sample_story(iterations=12)
    saved = compare(story.points, story.random)
    assert saved is not None
    said = demo.closing(story, 171.4)
    assert said[0].startswith("24 s after the messages were added, and before anybody had labelled one")
    assert [said[1], *said[3:6]] == sentences(saved, len(story.answers))
    assert said[2].startswith("That, with 240 labels, the watched task is above its first version was not shown: +7.9")
    assert said[5] == ONE_RUN
    assert said[6] == "12 swaps, 512 predictions, 0 failed, 171 s in all."
    assert len(demo.closing(replace(story, points=[], random=[]), 1.0)) == 2


def test_the_table_shows_the_random_arm_beside_the_watched_one() -> None:
    story = sample_story(iterations=3)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(view(story.status, story.points, story.random[:2], None))
    rows = [line.split() for line in console.export_text().splitlines()[-4:]]
    first, last = story.points[0], story.points[-1]
    low, high = first.interval
    assert rows[0][:4] == ["0", "0", _short(first.accuracy, 3), f"({_short(low, 2)}-{_short(high, 2)})"]
    assert story.random[1].labels == 40 == int(rows[2][4])
    assert _short(story.random[1].accuracy, 3) == rows[2][5]
    assert rows[3] == ["3", "60", _short(last.accuracy, 3), rows[3][3], "v0003", "0.80", "s"]


def test_an_up_that_does_not_start_fails_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.support.server.TORNIO", ("false",))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DemoFailed, match="ended"):
        demo.run(Namespace(state=tmp_path / "state", fresh=False, keep=False), Console())
    assert not (tmp_path / "demo-report.html").exists()
