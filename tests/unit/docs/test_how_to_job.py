"""The page about jobs: its example is put where the page says, and is planned, run, and asked for by a command."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import jobs.table
from jobs.context import JobContext
from jobs.requests import plan_request
from jobs.running.execute import execute
from tornio import api
from tornio.api import RunOut, RunRequest
from tornio.api import runs as api_runs
from tornio.cli import runs
from tornio.records import Record
from tornio.schemas import jobs as schemas
from tornio.schemas.keys import TaskKeys
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "job.md"
SPEC = TaskSpec.model_validate({"workspace": "acme", "name": "support", "labels": ["bug", "other"]})


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code blocks of the page, each in its place."""
    models, request, module, entry = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

    def executed(code: str, place: ModuleType) -> dict[str, Any]:
        (tmp_path / "block.py").write_text(code)
        return runpy.run_path(str(tmp_path / "block.py"), dict(vars(place)), place.__name__)

    for place, block in ((schemas, models), (api_runs, request)):
        names = executed(block, place)
        for name in re.findall(r"^class (\w+)", block, re.MULTILINE):
            for room in (place, jobs.table, api):
                monkeypatch.setattr(room, name, names[name], raising=False)
    job = ModuleType("jobs.count")
    vars(job).update(executed(module, job))
    monkeypatch.setitem(sys.modules, "jobs.count", job)
    entries = executed(f"entries = {{{entry}}}", jobs.table)["entries"]
    monkeypatch.setitem(jobs.table.JOBS, "count", entries["count"])


@pytest.mark.usefixtures("example")
def test_the_example_is_planned_and_run(tmp_path: Path) -> None:
    store = MemoryStore()
    Tasks(store).apply(SPEC, "test")
    texts = ("my parcel is late", "the parcel is here", "I cannot log in")
    records = [Record(record_id=f"r{n}", text=text) for n, text in enumerate(texts)]
    Task(store, TaskKeys("acme", "support")).add_records(records)
    context = JobContext.over(store, tmp_path)
    plan = plan_request("count", "acme", "support", {"word": "parcel"}, context)
    assert plan == plan_request("count", "acme", "support", {"word": "parcel"}, context)
    assert execute(plan, 1, context).output == {"texts": 2}


class Asked:
    """A client that keeps what it is asked for."""

    def __init__(self) -> None:
        self.requests: list[RunRequest] = []

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        pass

    def start_run(self, _task: str, request: RunRequest) -> RunOut:
        self.requests.append(request)
        return RunOut(run="count-1", job=request.job, state="waiting", attempt=0)


@pytest.mark.usefixtures("example")
def test_the_example_has_a_command() -> None:
    app, client = typer.Typer(), Asked()
    runs.register(app)
    result = CliRunner().invoke(app, ["run", "count", "acme/support", "--word", "parcel"], obj=lambda _url: client)
    assert (result.exit_code, "run count-1 is waiting" in result.output) == (0, True)
    assert [request.model_dump() for request in client.requests] == [{"job": "count", "word": "parcel"}]
    assert "Word to look for." in CliRunner().invoke(app, ["run", "count", "--help"]).output
