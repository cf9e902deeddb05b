"""People who annotate in Argilla: its REST API, as a second user who knows nothing of Tornio."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import httpx

from services.embedded.argilla_users import ensure_user
from tests.running import until
from tornio.annotation.argilla_markup import from_page
from tornio.client import Client

Decide = Callable[[str, str], list[str] | str | None]
"""Record id and text -> label, or labels; None discards."""


@dataclass(frozen=True)
class Shown:
    """A record as its annotator gets it."""

    id: str
    record_id: str
    text: str
    suggestion: Mapping[str, Any] | None


class ArgillaAddress(Protocol):
    """A server, and the key of an account that may make others."""

    @property
    def argilla_url(self) -> str: ...

    @property
    def argilla_api_key(self) -> str: ...


class Annotator:
    """One annotator of one workspace, with an own account."""

    def __init__(self, at: ArgillaAddress, workspace: str, name: str = "ann") -> None:
        user = ensure_user(
            at.argilla_url,
            at.argilla_api_key,
            name,
            workspaces=(workspace,),
            password=f"the password of {name}",
        )
        self.name, self.password = name, user.password
        self._http = httpx.Client(
            base_url=f"{at.argilla_url}/api/v1",
            headers={"X-Argilla-Api-Key": user.api_key},
            timeout=60,
            limits=httpx.Limits(
                max_keepalive_connections=0
            ),  # Argilla closes those that idle, under an answer at times
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def pending(self, dataset: str) -> list[Shown]:
        """What waits for an answer; nothing while the data set is not there."""
        return self._search(dataset, {"entity": "response", "property": "status"}, "pending")

    def answer(self, record: Shown, labels: list[str] | str | None) -> None:
        """Submit an answer; None discards."""
        body: dict[str, Any] = {"status": "discarded", "values": {}}
        if labels is not None:
            body = {"status": "submitted", "values": {"label": {"value": labels}}}
        self._http.post(f"/records/{record.id}/responses", json=body).raise_for_status()

    def answer_all(self, dataset: str, decide: Decide) -> dict[str, list[str] | str | None]:
        """Answer everything that waits; returns what was said by record id."""
        said = {}
        for record in self.pending(dataset):
            said[record.record_id] = decide(record.record_id, record.text)
            self.answer(record, said[record.record_id])
        return said

    def records(self, dataset: str) -> list[str]:
        """Ids of all records of the data set, as often as they are there."""
        return [record.record_id for record in self._search(dataset, None, "")]

    def _search(self, dataset: str, scope: Mapping[str, str] | None, value: str) -> list[Shown]:
        found = [each for each in self._get("/me/datasets")["items"] if each["name"] == dataset]
        if not found:
            return []
        body = {} if scope is None else {"filters": {"and": [{"type": "terms", "scope": scope, "values": [value]}]}}
        answer = self._http.post(
            f"/me/datasets/{found[0]['id']}/records/search",
            params={"limit": 500, "include": ["suggestions", "responses"]},
            json=body,
        )
        return [_shown(item["record"]) for item in answer.raise_for_status().json()["items"]]

    def _get(self, path: str) -> Any:
        return self._http.get(path).raise_for_status().json()


def whole_batch(client: Client, annotator: Annotator, task: str) -> list[Shown]:
    """The records of the open batches, once all of them are in Argilla."""
    dataset = task.split("/")[1]

    def look() -> list[Shown] | None:
        open_batches = [batch for batch in client.status(task).batches if not batch.closed]
        waiting = sum((batch.total or 0) - (batch.answered or 0) for batch in open_batches)
        pending = annotator.pending(dataset)
        return pending if len(pending) == waiting else None

    return until(look, f"a whole batch of {task} is in Argilla")


def nothing_is_lost(client: Client, ann: Annotator, task: str, said: Mapping[str, str]) -> None:
    """The log has just what was answered, each once, and Argilla has no record twice."""
    exported = [record for record in client.labels(task) if record.source == "answer"]
    assert {record.record_id: record.labels for record in exported} == {i: [label] for i, label in said.items()}
    assert max(Counter(ann.records(task.split("/")[1])).values()) == 1
    numbers = [point.iteration for point in client.status(task).curve]
    assert numbers == list(range(1, len(numbers) + 1))


def _shown(record: Mapping[str, Any]) -> Shown:
    suggestions = record.get("suggestions") or [None]
    return Shown(record["id"], record["external_id"], from_page(record["fields"]["text"]), suggestions[0])
