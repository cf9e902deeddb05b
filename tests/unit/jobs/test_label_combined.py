"""Several teachers together, from task.yaml to stored soft labels: each is asked once, and one of them over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import label, query
from jobs.context import JobContext, RunContext
from jobs.label_file import label_texts
from tests.chat_server import ChatServer, chat_server, problem, said, text_of
from tests.unit.controller.turning import make_pool, quick_fit
from tests.unit.jobs.test_compare import done, planned
from tests.unit.jobs.test_distillation import LABELS, KnowingTeacher, TaughtLoader
from tests.unit.jobs.test_training_inputs import World
from tornio.api import LabelRequest, TaskName
from tornio.arrays import FloatMatrix
from tornio.errors import BudgetSpent, InvalidInput, MissingPlugin
from tornio.models.combined import combine
from tornio.models.loading import Loader
from tornio.models.teachers import TEACHERS
from tornio.records import Record
from tornio.registry import NodeCache
from tornio.schemas.jobs import LabelOutput, QueryOutput
from tornio.schemas.runs import RunPlan, RunProgress
from tornio.settings import LlmEndpoint
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit
NAME = TaskName("w", "t")
HERE, THERE = {"kind": "embedding"}, {"kind": "llm", "endpoint": "gpt"}
BOTH = {"kind": "combined", "members": [HERE, THERE]}
RECORDS, TRUTH = make_pool(30)
TEXTS = [record.text for record in RECORDS]


def spec(teacher: dict[str, Any]) -> TaskSpec:
    return TaskSpec.model_validate({"workspace": "w", "name": "t", "labels": list(LABELS), "teacher": teacher})


class HalfFake(TaughtLoader):
    """The real loader, but for the encoder and the embedding teacher."""

    def teacher(self, spec: Any, classifier: Any) -> Any:
        return self.known if spec.kind == "embedding" else Loader.teacher(self, spec, classifier)

    def teacher_digest(self, spec: Any, classifier: Any) -> str:
        return "test" if spec.kind == "embedding" else Loader.teacher_digest(self, spec, classifier)


class Scene:
    """A task with a pool, a teacher in this process, and one behind an endpoint."""

    def __init__(self, folder: Path, server: ChatServer, teacher: dict[str, Any] = BOTH, **limits: Any) -> None:
        self.folder, self.server, self.store = folder, server, MemoryStore()
        self.here = KnowingTeacher({record.text: TRUTH[record.record_id] for record in RECORDS})
        self.said: list[RunProgress] = []
        self.open(**limits)
        self.apply(teacher)
        self.task = self.context.tasks.open(*NAME)
        self.task.add_records([Record(record.record_id, record.text) for record in RECORDS])

    def open(self, **limits: Any) -> None:
        """Make the context of a new process."""
        values = {"url": self.server.url, "model": "m", "max_requests": 1000, "max_tokens": 10**6, "retries": 0}
        self.endpoints = {"gpt": LlmEndpoint.model_validate({**values, **limits})}
        cache = NodeCache(self.folder, self.store)
        loader = HalfFake(self.store, cache, "float32", self.endpoints)
        loader.known = self.here
        self.context = JobContext(self.store, cache, loader, Tasks(self.store))
        self.context.watch = lambda _plan, progress: self.said.append(progress)

    def apply(self, teacher: dict[str, Any]) -> None:
        Tasks(self.store, endpoints=self.endpoints).apply(spec(teacher), "test")

    def label(self) -> LabelOutput:
        plan = label.plan(LabelRequest(), NAME, self.context)
        return label.run(label.LabelArgs.model_validate(plan.args), RunContext(self.context, plan, 1))

    def soft(self, teacher: dict[str, Any]) -> FloatMatrix:
        """The soft labels of a teacher."""
        run = RunContext(self.context, label.plan(LabelRequest(), NAME, self.context), 1)
        return run.soft_labels(spec(teacher), self.task.pool.last_seq()).probabilities

    def suggest(self) -> QueryOutput:
        args = query.QueryArgs(
            batch="g1-b0001", number=1, generation=1, version=None, label_seq=0, pool_seq=1, spec_rev=1
        )
        return query.run(args, RunContext(self.context, RunPlan.of("query", *NAME, args), 1))


def label_of(text: str) -> str:
    return next(TRUTH[record.record_id] for record in RECORDS if record.text == text)


def test_each_teacher_is_asked_once_and_what_they_say_together_is_the_mean(tmp_path: Path) -> None:
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server)
        output = scene.label()
        assert (output.records, output.without, output.agent) == (30, 0, "teacher:combined:test+llm:gpt:m")
        assert output.tally["requests"] == 30
        asking = [one for one in scene.said if one.stage.startswith("asks m about 30 texts (0 are answered)")]
        assert (asking[0].done, scene.said[-1].done, scene.said[-1].total) == (0, 30, 30)
        assert scene.label().tally == {}
        np.testing.assert_array_equal(
            scene.soft(BOTH), combine([scene.soft(HERE), scene.soft(THERE)], multi_label=False)
        )
        assert len(list(scene.store.list(output.key))) == 1, "what they say together is stored, too"
        assert sorted(scene.here.asked) == sorted(TEXTS)
        assert set(server.texts().values()) == {1}


@pytest.mark.parametrize("first", [HERE, THERE], ids=["embedding", "llm"])
def test_who_has_labelled_the_pool_alone_is_not_asked_again(tmp_path: Path, first: dict[str, Any]) -> None:
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server, first)
        scene.label()
        alone = scene.soft(first)
        scene.apply(BOTH)
        assert scene.label().agent == "teacher:combined:test+llm:gpt:m"
        assert (sorted(scene.here.asked), len(server.requests)) == (sorted(TEXTS), 30)
        np.testing.assert_array_equal(scene.soft(first), alone)


def test_a_text_has_the_labels_of_those_who_answer(tmp_path: Path) -> None:
    silent = {TEXTS[3], TEXTS[5]}
    with chat_server(label_of, rude=lambda _n, body: said("?") if text_of(body) in silent else None) as server:
        scene = Scene(tmp_path, server)
        scene.here.silent = {TEXTS[5], TEXTS[8]}
        output = scene.label()
        assert (output.records, output.without, output.tally["unanswered"]) == (29, 1, 2)
        together, here, there = (scene.soft(one) for one in (BOTH, HERE, THERE))
        assert np.flatnonzero(np.isnan(together).any(axis=1)).tolist() == [5]
        np.testing.assert_array_equal(together[3], combine([here[3:4]], multi_label=False)[0])
        np.testing.assert_array_equal(together[8], combine([there[8:9]], multi_label=False)[0])


def test_a_run_that_ends_early_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server, max_requests=7)
        with pytest.raises(BudgetSpent, match="raise max_requests or max_tokens"):
            scene.label()
        scene.open(max_requests=100)
        assert scene.label().records == 30
        assert sorted(scene.here.asked) == sorted(TEXTS)
        assert set(server.texts().values()) == {1}
        scene.task.add_records([Record("new", "apple fig")])
        scene.here.truth["apple fig"] = LABELS[0]
        server.label_of = lambda _text: LABELS[0]
        assert scene.label().records == 31
        assert (scene.here.asked[30:], len(server.requests)) == (["apple fig"], 31)


def test_suggestions_are_those_of_all_and_a_batch_goes_out_without_them_where_one_fails(tmp_path: Path) -> None:
    with chat_server(label_of, rude=lambda *_: problem(500, "on fire")) as server:
        scene = Scene(tmp_path, server)
        output = scene.suggest()
        assert output.items
        assert all(item.suggestion is None for item in output.items)
        assert "on fire" in output.why_not
        server.rude = lambda *_: None
        again = scene.suggest()
        assert (again.agent, again.why_not) == ("teacher:combined:test+llm:gpt:m", "")
        assert any(item.suggestion is not None for item in again.items)


def test_a_member_names_only_what_an_operator_has_configured(tmp_path: Path) -> None:
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server)
        with pytest.raises(InvalidInput, match=r"'other'.*no endpoint of this name. It has: gpt"):
            scene.apply({"kind": "combined", "members": [HERE, {"kind": "llm", "endpoint": "other"}]})
        assert server.requests == []


def test_a_release_that_cannot_combine_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server)
        older = {name: kind for name, kind in TEACHERS.items() if name != "combined"}
        monkeypatch.setattr("tornio.models.teachers.TEACHERS", older)
        with pytest.raises(MissingPlugin, match="no teacher of kind 'combined': upgrade Tornio"):
            scene.label()


def test_a_student_of_a_file_is_taught_by_all(tmp_path: Path) -> None:
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server)
        labelled = label_texts(TEXTS, spec(BOTH), scene.context, teacher_only=False)
        assert labelled.taught_by == "teacher:combined:test+llm:gpt:m"
        assert (sorted(scene.here.asked), len(server.requests)) == (sorted(TEXTS), 30)


def test_a_comparison_has_one_row_for_all(tmp_path: Path) -> None:
    other = {"kind": "embedding", "templates": ["{}"]}
    world = World(tmp_path, teacher={"kind": "combined", "members": [HERE, other]})
    with quick_fit():
        output = done(world, planned(world, sizes=("2",), seeds=1))
    assert [row.errors for row in output.rows if row.contender == "teacher (no labels)"] == [()]
