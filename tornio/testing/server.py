"""``FakeServer``: what tests say to it, and what it remembers."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import httpx
from pydantic import BaseModel

from tornio import api, errors
from tornio.spec import TaskSpec
from tornio.testing import routes
from tornio.testing.answers import Choice, Rule, chosen
from tornio.testing.problems import problem
from tornio.testing.tasks import FakeTask, Tasks
from tornio.testing.transport import FakeTransport, Received


@dataclass(slots=True)
class _Failure:
    error: int | Exception
    left: int
    path: str
    retry_after: float


class FakeServer:
    """A Tornio server in memory, for tests of programs that use ``Client`` or ``AsyncClient``.

    It answers predictions as you tell it, and keeps what is added to its tasks. It trains nothing. Requests and answers
    are those of the real server: they are made and checked by the same models.

    ``url``: any address will do; this one is for the client. ``transport``: for both clients. ``requests``: what was
    received, oldest first, also what was answered with an error. ``api_key``: the only key that is accepted; with None
    every one is.
    """

    url = "http://tornio.test"

    def __init__(self, api_key: str | None = None) -> None:
        self.requests: list[Received] = []
        self.transport = FakeTransport(self._respond)
        self._api_key = api_key
        self._tasks = Tasks()
        self._failures: list[_Failure] = []
        self._canned: dict[tuple[str, str], BaseModel] = {}
        self._lock = Lock()

    def task(self, name: str, labels: list[str], version: str | None = "v1", *, multi_label: bool = False) -> None:
        """Create a task, ``workspace/task``. ``version``: the one that serves; with None it cannot predict yet."""
        workspace, task = api.TaskName.parse(name)
        values = {"workspace": workspace, "name": task, "labels": labels, "multi_label": multi_label}
        self._tasks.held[api.TaskName(workspace, task)] = FakeTask(TaskSpec.model_validate(values))
        if version is not None:
            self.serve(name, version)

    def answer(self, task: str, rule: Rule | None = None, otherwise: Choice | None = None) -> None:
        """Say what the texts of a task get.

        ``rule``: a mapping from texts, or a function of a text. Its values are a label, several labels, or the
        probability of each label. ``otherwise``: what a text gets that the rule does not know. A text without an answer
        raises AssertionError in the test. Raises ValueError for labels that the task does not have.
        """
        held = self._held(task)
        known = () if rule is None or callable(rule) else tuple(rule.values())
        for choice in known if otherwise is None else (*known, otherwise):
            chosen(choice, held.spec.label_names, held.spec.multi_label)
        held.rule, held.otherwise = rule, otherwise

    def answer_zero_shot(self, rule: Rule | None = None, otherwise: Choice | None = None) -> None:
        """Say what texts get that are classified without a task. See ``answer``."""
        self._tasks.zero_shot = rule, otherwise

    def serve(self, task: str, version: str) -> None:
        """Let a version serve. The one that served before becomes the previous one, for a rollback."""
        self._held(task).serve(version)

    def set_status(self, task: str, **fields: Any) -> None:
        """Set fields of what ``Client.status`` returns, such as ``phase="stopped", why="..."``. Raises ValueError."""
        held = self._held(task)
        if unknown := fields.keys() - api.TaskStatus.model_fields.keys():
            raise ValueError(f"{sorted(unknown)} are no fields of TaskStatus")
        api.TaskStatus.model_validate(held.status().model_dump() | fields)
        held.shown |= fields

    def set_versions(self, task: str, versions: list[api.VersionOut]) -> None:
        """Set what ``Client.versions`` returns, newest first."""
        self._held(task).versions = list(versions)

    def respond(self, method: str, path: str, answer: BaseModel) -> None:
        """Set the answer to requests that the fake server does not know by itself, such as those for runs.

        ``answer``: a message of ``tornio.api``, for example
        ``respond("GET", "/v1/tasks/acme/reviews/runs", api.Runs(runs=[]))``.
        """
        self._canned[method, path] = answer

    def fail(self, error: int | Exception, times: int = 1, *, path: str = "", retry_after: float = 0) -> None:
        """Let the next requests fail.

        ``error``: the status of an answer that is not of Tornio (such as a proxy's 503), an error of ``tornio.errors``,
        or an error of the connection (such as ``httpx.ReadTimeout("too slow")``). ``times``: how many requests.
        ``path``: only those whose path ends with this, such as ``"/predict"``. ``retry_after``: the seconds that the
        client is asked to wait; it really waits.
        """
        self._failures.append(_Failure(error, times, path, retry_after))

    def _held(self, task: str) -> FakeTask:
        return self._tasks.get(api.TaskName.parse(task))

    def _respond(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests.append(Received.of(request))
            try:
                self._fail(request)
                self._admit(request)
                canned = self._canned.get((request.method, request.url.path))
                return routes.of_model(canned) if canned is not None else routes.answer(self._tasks, request)
            except errors.TornioError as error:
                return problem(error)
            except _Status as status:
                return status.response

    def _fail(self, request: httpx.Request) -> None:
        for failure in self._failures:
            if failure.left > 0 and request.url.path.endswith(failure.path):
                failure.left -= 1
                headers = {"Retry-After": f"{failure.retry_after:g}"}
                if isinstance(failure.error, int):
                    raise _Status(httpx.Response(failure.error, headers=headers))
                if isinstance(failure.error, errors.TornioError):
                    raise _Status(problem(failure.error, failure.retry_after))
                raise failure.error

    def _admit(self, request: httpx.Request) -> None:
        """Raises Unauthorized."""
        said = request.headers.get("Authorization")
        if self._api_key is not None and said != f"Bearer {self._api_key}" and request.url.path != routes.READY:
            raise errors.Unauthorized("The API key is missing, or unknown to this server.")


class _Status(Exception):
    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response
