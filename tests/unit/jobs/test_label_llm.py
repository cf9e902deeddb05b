"""The teacher llm from task.yaml to stored soft labels, over HTTP; and who may name which server."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import label
from jobs.context import JobContext, RunContext
from tests.chat_server import ChatServer, chat_server, problem, said, text_of
from tornio.api import LabelRequest, TaskName
from tornio.errors import BudgetSpent, InvalidInput
from tornio.records import Record
from tornio.schemas.jobs import LabelOutput
from tornio.schemas.runs import RunPlan, RunProgress
from tornio.settings import LlmEndpoint, LlmSettings
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit
NAME = TaskName("w", "t")
TEXTS = [f"{name} number {number}" for number in range(10) for name in ("fruit", "metal")]


def label_of(text: str) -> str:
    return text.partition(" ")[0]


def spec(**teacher: Any) -> TaskSpec:
    values = {"workspace": "w", "name": "t", "labels": ["fruit", "metal"], "teacher": {"kind": "llm", **teacher}}
    return TaskSpec.model_validate(values)


class Scene:
    """A task with a pool whose teacher is behind an endpoint."""

    def __init__(self, folder: Path, server: ChatServer, **limits: Any) -> None:
        values = {"url": server.url, "model": "m", "max_requests": 1000, "max_tokens": 10**6, "retries": 0, **limits}
        endpoints = {"gpt": LlmEndpoint.model_validate(values)}
        store = MemoryStore()
        self.context = JobContext.over(store, folder, "float32", endpoints)
        self.said: list[RunProgress] = []
        self.context.watch = lambda _plan, progress: self.said.append(progress)
        Tasks(store, endpoints=endpoints).apply(spec(endpoint="gpt"), "test")
        self.task = self.context.tasks.open(*NAME)
        self.task.add_records([Record(f"r{number}", text) for number, text in enumerate(TEXTS)])

    def plan(self) -> RunPlan:
        return label.plan(LabelRequest(), NAME, self.context)

    def run(self) -> LabelOutput:
        plan = self.plan()
        return label.run(label.LabelArgs.model_validate(plan.args), RunContext(self.context, plan, 1))


def test_the_pool_is_labelled_once_and_what_it_costs_is_said_before(tmp_path: Path) -> None:
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server)
        output = scene.run()
        assert (output.records, output.without, output.agent) == (20, 0, "teacher:llm:gpt:m")
        assert output.tally == {"answered": 20, "requests": 20, "tokens": 900}
        first, last = scene.said[0], scene.said[-1]
        assert first.stage.startswith("asks m about 20 texts (0 are answered): about ")
        assert first.stage.endswith("the budget has 1,000 requests and 1,000,000 tokens left")
        assert (first.done, last.done) == (0, 20)
        taught = RunContext(scene.context, scene.plan(), 1).soft_labels(spec(endpoint="gpt"), 1).probabilities
        assert taught.argmax(axis=1).tolist() == [0, 1] * 10
        assert scene.run().tally == {}
        assert len(server.requests) == 20


def test_a_text_without_an_answer_has_no_soft_label(tmp_path: Path) -> None:
    with chat_server(label_of, rude=lambda _n, body: said("?") if text_of(body) == TEXTS[3] else None) as server:
        scene = Scene(tmp_path, server)
        output = scene.run()
        assert (output.records, output.without) == (19, 1)
        taught = RunContext(scene.context, scene.plan(), 1).soft_labels(spec(endpoint="gpt"), 1).probabilities
        assert np.flatnonzero(np.isnan(taught).any(axis=1)).tolist() == [3]


def test_a_budget_that_ends_fails_the_run_and_the_rest_is_asked_when_it_is_raised(tmp_path: Path) -> None:
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server, max_requests=7)
        with pytest.raises(BudgetSpent, match="raise max_requests or max_tokens"):
            scene.run()
        more = {"gpt": scene.context.loader.endpoints["gpt"].model_copy(update={"max_requests": 100})}
        scene.context = JobContext.over(scene.context.store, tmp_path, "float32", more)
        assert scene.run().records == 20
        assert set(server.texts().values()) == {1}


@pytest.mark.parametrize("named", ["other", "gpt2"])
def test_only_an_operator_says_where_texts_go(tmp_path: Path, named: str) -> None:
    store = MemoryStore()
    with pytest.raises(
        InvalidInput, match=rf"'{named}'.*has no endpoint of this name. It has none.*TORNIO_LLM_ENDPOINTS"
    ):
        Tasks(store).apply(spec(endpoint=named), "test")
    assert list(Tasks(store).names()) == []
    with chat_server(label_of) as server:
        scene = Scene(tmp_path, server)
        with pytest.raises(InvalidInput, match="It has: gpt"):
            Tasks(scene.context.store, endpoints=scene.context.loader.endpoints).apply(spec(endpoint=named), "test")
        gone = JobContext.over(scene.context.store, tmp_path, "float32")
        with pytest.raises(InvalidInput, match="It has none"):
            label.plan(LabelRequest(), NAME, gone)


@pytest.mark.parametrize("field", ["url", "api_key_file", "api_key_variable", "max_requests", "proxy"])
def test_a_spec_can_name_neither_an_address_nor_a_key_nor_a_limit(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        spec(endpoint="gpt", **{field: "http://127.0.0.1/"})
    with pytest.raises(ValueError, match=r"needs teacher\.endpoint"):
        spec()
    with pytest.raises(ValueError, match=r"no teacher\.model"):
        spec(endpoint="gpt", model="other")
    with pytest.raises(ValueError, match=r"needs teacher\.kind 'llm'"):
        spec(endpoint="gpt", kind="embedding")
    with pytest.raises(ValueError, match=r"teacher\.instruction needs teacher\.kind 'llm'"):
        spec(instruction="In doubt choose metal.", kind="embedding")
    with pytest.raises(ValueError, match=r"lower-case letters|pattern"):
        spec(endpoint="http://evil")


def test_a_batch_goes_out_without_suggestions_where_the_endpoint_gives_none(tmp_path: Path) -> None:
    from jobs import query

    with chat_server(label_of, rude=lambda *_: problem(500, "on fire")) as server:
        scene = Scene(tmp_path, server)
        args = query.QueryArgs(
            batch="g1-b0001", number=1, generation=1, version=None, label_seq=0, pool_seq=1, spec_rev=1
        )
        run = RunContext(scene.context, RunPlan.of("query", "w", "t", args), 1)
        output = query.run(args, run)
        assert output.items
        assert all(item.suggestion is None for item in output.items)
        assert "on fire" in output.why_not
        server.rude = lambda *_: None
        again = query.run(args, run)
        assert (again.agent, again.why_not) == ("teacher:llm:gpt:m", "")
        assert any(item.suggestion is not None for item in again.items)


def test_endpoints_are_read_from_the_environment_without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "TORNIO_LLM_ENDPOINTS",
        '{"gpt": {"url": "https://x/v1", "model": "m", "max_requests": 5, "max_tokens": 9, "api_key_variable": "K"}}',
    )
    settings = LlmSettings()
    assert settings.endpoints["gpt"].max_requests == 5
    assert settings.variables() == ("TORNIO_LLM_ENDPOINTS", "K")
    wrongs = ('{"gpt": {"url": "https://me:secret@x/v1"}}', '{"gpt": {"api_key": "secret"}}', '{"A B": {}}', "[secret")
    for wrong in wrongs:
        monkeypatch.setenv("TORNIO_LLM_ENDPOINTS", wrong)
        with pytest.raises(ValueError, match="endpoints") as caught:
            LlmSettings()
        assert "secret" not in "".join(traceback.format_exception(caught.value))
