"""The routes of a fake server: what each takes, gives and does. A test compares them with the real ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from tornio import api
from tornio.errors import InvalidInput, InvalidSpec
from tornio.testing.tasks import FakeTask, Tasks


@dataclass(frozen=True, slots=True)
class Route:
    """``gives``: the model of the answer; None for lines of JSON. ``takes``: the form of the body, if it has one."""

    method: str
    path: str
    gives: type[BaseModel] | None
    do: Callable[[Tasks, api.TaskName, Any], Any]
    takes: Any = None

    def match(self, method: str, path: str) -> api.TaskName | None:
        found = re.fullmatch(self.path.replace("{workspace}", "([^/]+)").replace("{task}", "([^/]+)"), path)
        if method != self.method or found is None:
            return None
        return api.TaskName(*found.groups()) if found.groups() else api.TaskName("", "")


def answer(tasks: Tasks, request: httpx.Request) -> httpx.Response:
    """Answer a request. Raises the errors of ``tornio.errors``, and AssertionError where there is no route for it."""
    method, path = request.method, request.url.path
    for route in ROUTES:
        name = route.match(method, path)
        if name is not None:
            gives = route.do(tasks, name, _read(route.takes, request.content))
            return of_lines(gives) if route.gives is None else of_model(gives)
    raise AssertionError(
        f"The fake server does not know {method} {path}. Give it an answer with "
        f"FakeServer.respond({method!r}, {path!r}, answer)."
    )


def of_model(gives: BaseModel) -> httpx.Response:
    """Return an answer as the real server writes it."""
    return httpx.Response(200, headers={"Content-Type": "application/json"}, content=gives.model_dump_json())


def of_lines(gives: list[api.LabelledRecord]) -> httpx.Response:
    lines = "".join(record.model_dump_json() + "\n" for record in gives)
    headers = {"Content-Type": api.JSON_LINES, api.COUNT_HEADER: str(len(gives))}
    return httpx.Response(200, headers=headers, content=lines.encode())


def _read(takes: Any, content: bytes) -> Any:
    if takes is None:
        return content
    try:
        return TypeAdapter(takes).validate_json(content or b"null")
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:3]]
        raise InvalidInput("; ".join(faults)) from error


def _apply(tasks: Tasks, name: api.TaskName, body: bytes) -> api.Applied:
    spec = api.checked_spec(body.decode(), "the request's body")
    if (spec.workspace, spec.name) != name:
        raise InvalidSpec(f"The request's body describes {spec.full_name}, but the address {name}.")
    return tasks.apply(name, spec)


def _of_task(do: Callable[[FakeTask, Any], Any]) -> Callable[[Tasks, api.TaskName, Any], Any]:
    return lambda tasks, name, body: do(tasks.get(name), body)


READY = "/readyz"
"""Open to all: it needs no key."""
_TASK = "/v1/tasks/{workspace}/{task}"
ROUTES = (
    Route("GET", READY, api.Readiness, lambda *_: api.Readiness(ready=True, parts={"fake": "ok"})),
    Route("GET", "/v1/tasks", api.Tasks, lambda tasks, *_: api.Tasks(tasks=tasks.summaries())),
    Route("POST", "/v1/zero-shot", api.ZeroShotOut, lambda tasks, _, body: tasks.classify(body), api.ZeroShotIn),
    Route("PUT", _TASK, api.Applied, _apply),
    Route("GET", _TASK, api.TaskStatus, _of_task(lambda task, _: task.status())),
    Route("GET", f"{_TASK}/versions", api.Versions, _of_task(lambda task, _: api.Versions(versions=task.versions))),
    Route(
        "POST",
        f"{_TASK}/predict",
        api.Predictions,
        _of_task(lambda task, body: api.Predictions(predictions=task.predict(body.texts))),
        api.PredictIn,
    ),
    Route(
        "POST",
        f"{_TASK}/records",
        api.RecordsAdded,
        _of_task(lambda task, body: task.add_records(body)),
        api.RecordsIn,
    ),
    Route(
        "POST",
        f"{_TASK}/labels",
        api.LabelsImported,
        _of_task(lambda task, body: task.import_labels(body.labels)),
        api.LabelsIn,
    ),
    Route("GET", f"{_TASK}/labels", None, _of_task(lambda task, _: task.export())),
    Route(
        "POST",
        f"{_TASK}/rollback",
        api.Serving,
        _of_task(lambda task, body: task.rollback(body or api.RollbackIn())),
        api.RollbackIn | None,
    ),
    Route("POST", f"{_TASK}/pause", api.Asked, _of_task(lambda task, _: task.ask("It is paused.", paused=True))),
    Route(
        "POST",
        f"{_TASK}/resume",
        api.Asked,
        _of_task(lambda task, _: task.ask("It goes on.", paused=False, hold=None)),
    ),
    Route(
        "POST",
        f"{_TASK}/train-now",
        api.Asked,
        _of_task(lambda task, _: task.ask("It trains.", train_now=True)),
        api.TrainNowIn | None,
    ),
)
