"""Stages on which the annotation contract is played: a tool, and annotators who use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self
from uuid import uuid4

import httpx

from services.embedded import ports
from services.embedded.argilla_server import ArgillaServer, find_python
from services.embedded.credentials import Credentials
from services.embedded.supervisor import Supervisor
from services.embedded.valkey import Valkey
from tornio.annotation.argilla import ArgillaTool
from tornio.annotation.argilla_markup import from_page
from tornio.annotation.argilla_wire import NONE_OF_THESE
from tornio.annotation.fake import FakeAnnotationTool
from tornio.annotation.port import AnnotationTool

DATASET = "mood"


@dataclass(frozen=True)
class Shown:
    """What an annotator sees of a record."""

    text: str
    suggested: tuple[str, ...] | None
    agent: str | None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Beside the text."""


class Stage(Protocol):
    """A tool and two annotators, ``ann`` and ``bob``, who work on the data set DATASET in a workspace of this test."""

    @property
    def tool(self) -> AnnotationTool: ...
    @property
    def workspace(self) -> str: ...
    def answer(self, record_id: str, annotator: str, labels: Sequence[str]) -> None: ...
    def discard(self, record_id: str, annotator: str) -> None: ...
    def draft(self, record_id: str, annotator: str, labels: Sequence[str]) -> None: ...
    def withdraw(self, record_id: str, annotator: str) -> None: ...
    def hire(self) -> str:
        """Make one more annotator, and return the name."""
        ...

    def dismiss(self, annotator: str) -> None:
        """Delete the account of an annotator who was hired. It may be deleted already."""
        ...

    def shown(self, record_id: str) -> Shown: ...
    def metadata(self, record_id: str) -> Mapping[str, Any]:
        """What an annotator may filter and sort by, less the batch."""
        ...

    def on_page(self, address: str) -> list[str]:
        """The records as they come to an annotator who opens this address."""
        ...

    def guidelines(self) -> tuple[str, Mapping[str, str | None]]:
        """The data set's guidelines, and the labels' descriptions."""
        ...

    def user_id(self, annotator: str) -> str:
        """The tool's permanent id of an account."""
        ...

    def pending(self, annotator: str) -> set[str]:
        """The records that this annotator has still to answer."""
        ...


@dataclass
class FakeStage:
    tool: FakeAnnotationTool = field(default_factory=FakeAnnotationTool)
    workspace: str = "team"

    def answer(self, record_id: str, annotator: str, labels: Sequence[str]) -> None:
        self.tool.answer(self.workspace, DATASET, record_id, annotator, labels)

    def discard(self, record_id: str, annotator: str) -> None:
        self.tool.discard(self.workspace, DATASET, record_id, annotator)

    def draft(self, record_id: str, annotator: str, labels: Sequence[str]) -> None:
        self.tool.draft(self.workspace, DATASET, record_id, annotator, labels)

    def withdraw(self, record_id: str, annotator: str) -> None:
        self.tool.withdraw(self.workspace, DATASET, record_id, annotator)

    def hire(self) -> str:
        return "carol"

    def dismiss(self, annotator: str) -> None:
        self.tool.delete_account(annotator)

    def shown(self, record_id: str) -> Shown:
        record = self.tool.records(self.workspace, DATASET)[record_id]
        if record.suggestion is None:
            return Shown(record.text, None, None, record.fields)
        return Shown(record.text, record.suggestion.labels, record.suggestion.agent, record.fields)

    def metadata(self, record_id: str) -> Mapping[str, Any]:
        given = self.tool.records(self.workspace, DATASET)[record_id].metadata
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}

    def on_page(self, address: str) -> list[str]:
        name = address.partition("?sort=")[2].removesuffix(".desc")
        losses = {key: record.metadata[name] for key, record in self.tool.records(self.workspace, DATASET).items()}
        return sorted(losses, key=lambda key: losses[key], reverse=True)

    def guidelines(self) -> tuple[str, Mapping[str, str | None]]:
        spec = self.tool.spec(self.workspace, DATASET)
        return spec.guidelines, {label.name: label.description for label in spec.labels}

    def user_id(self, annotator: str) -> str:
        return annotator

    def pending(self, annotator: str) -> set[str]:
        return self.tool.pending(self.workspace, DATASET, annotator)


def rest(url: str, api_key: str) -> httpx.Client:
    return httpx.Client(base_url=f"{url}/api/v1/", headers={"X-Argilla-Api-Key": api_key}, timeout=60)


def expect(response: httpx.Response) -> Any:
    assert response.is_success, f"{response.request.method} {response.request.url}: {response.text}"
    return response.json() if response.content else None


@contextmanager
def argilla(folder: Path, **engine: str) -> Iterator[ArgillaServerUnderTest]:
    """An Argilla of its own, with the embedded search engine or with settings ARGILLA_... for another."""
    credentials = Credentials()
    chosen = ports.assign(folder / "ports.json", ("valkey", "argilla"))
    (folder / "valkey").mkdir()
    valkey = Valkey(folder / "valkey", chosen["valkey"], credentials.redis_password)
    server = ArgillaServer(folder / "argilla", chosen["argilla"], valkey.url, credentials, find_python())
    program = server.program()
    program = replace(program, env={**program.env, **engine})
    with Supervisor(folder) as supervisor:
        supervisor.wait_ready(supervisor.start(valkey.program()), valkey.ready, valkey.timeout_s)
        supervisor.wait_ready(supervisor.start(program), server.ready, server.timeout_s)
        with ArgillaServerUnderTest(server.url, credentials.argilla_api_key) as under_test:
            yield under_test


class ArgillaServerUnderTest:
    """A server with the annotators of all its tests."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self.api_key = api_key
        self.owner = rest(url, api_key)
        self._users: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.owner.close()

    def user(self, name: str, role: str = "annotator") -> Any:
        """A user of this name, made at first use, with ``id``, ``username`` and ``api_key``."""
        if name not in self._users:
            body = {
                "first_name": name, "username": f"{name}-{uuid4().hex[:6]}", "role": role, "password": uuid4().hex,
            }  # fmt: skip
            self._users[name] = expect(self.owner.post("users", json=body))
        return self._users[name]

    def workspace_id(self, workspace: str) -> str:
        items = expect(self.owner.get("me/workspaces"))["items"]
        return next(str(item["id"]) for item in items if item["name"] == workspace)

    def join(self, workspace: str, name: str) -> None:
        """Make the user a member."""
        path = f"workspaces/{self.workspace_id(workspace)}/users"
        expect(self.owner.post(path, json={"user_id": self.user(name)["id"]}))


class ArgillaStage:
    """A workspace of its own on a shared server."""

    def __init__(self, server: ArgillaServerUnderTest) -> None:
        self.server = server
        self.workspace = f"w-{uuid4().hex[:12]}"
        self.tool = ArgillaTool(server.url, server.api_key)
        expect(server.owner.post("workspaces", json={"name": self.workspace}))
        for name in ("ann", "bob"):
            server.join(self.workspace, name)
        self._people = {name: rest(server.url, server.user(name)["api_key"]) for name in ("ann", "bob")}

    def close(self) -> None:
        self.tool.delete_dataset(self.workspace, DATASET)
        expect(self.server.owner.delete(f"workspaces/{self.server.workspace_id(self.workspace)}"))
        self.tool.close()
        for client in self._people.values():
            client.close()

    def answer(self, record_id: str, annotator: str, labels: Sequence[str]) -> None:
        self._respond(record_id, annotator, "submitted", labels)

    def discard(self, record_id: str, annotator: str) -> None:
        self._respond(record_id, annotator, "discarded", None)

    def discard_with_null(self, record_id: str, annotator: str) -> None:
        """As clients do that leave out the values; Argilla's page sends an empty object."""
        body = {"status": "discarded", "record_id": self.record(record_id)["id"], "values": None}
        expect(self._people[annotator].post("me/responses/bulk", json={"items": [body]}))

    def draft(self, record_id: str, annotator: str, labels: Sequence[str]) -> None:
        self._respond(record_id, annotator, "draft", labels)

    def withdraw(self, record_id: str, annotator: str) -> None:
        response = next(r for r in self.record(record_id)["responses"] if r["user_id"] == self.user_id(annotator))
        expect(self._people[annotator].delete(f"responses/{response['id']}"))

    def hire(self) -> str:
        name = f"guest-{uuid4().hex[:6]}"
        self.server.join(self.workspace, name)
        self._people[name] = rest(self.server.url, self.server.user(name)["api_key"])
        return name

    def dismiss(self, annotator: str) -> None:
        if (client := self._people.pop(annotator, None)) is not None:
            client.close()
            expect(self.server.owner.delete(f"users/{self.user_id(annotator)}"))

    def shown(self, record_id: str) -> Shown:
        record = self.record(record_id)
        suggestion = next(iter(record["suggestions"]), None)
        fields = {name: from_page(shown) for name, shown in record["fields"].items()}
        text = fields.pop("text")
        if suggestion is None:
            return Shown(text, None, None, fields)
        value = suggestion["value"]
        suggested = (value,) if isinstance(value, str) else tuple(label for label in value if label != NONE_OF_THESE)
        return Shown(text, suggested, suggestion["agent"], fields)

    def metadata(self, record_id: str) -> Mapping[str, Any]:
        shown = dict(self.record(record_id, annotator="ann")["metadata"])
        del shown["batch"]
        return shown

    def on_page(self, address: str) -> list[str]:
        url = httpx.URL(address)
        entity, name, order = url.params["sort"].split(".")
        body = {"sort": [{"scope": {"entity": entity, "metadata_property": name}, "order": order}]}
        path = f"me/datasets/{url.path.split('/')[-2]}/records/search"
        items = expect(self._people["ann"].post(path, json=body, params={"limit": 500}))["items"]
        return [item["record"]["external_id"] for item in items]

    def guidelines(self) -> tuple[str, Mapping[str, str | None]]:
        dataset = self.dataset()
        options = self._question(dataset["id"])["settings"]["options"]
        return dataset["guidelines"] or "", {option["value"]: option["description"] for option in options}

    def user_id(self, annotator: str) -> str:
        return str(self.server.user(annotator)["id"])

    def pending(self, annotator: str) -> set[str]:
        filters = [
            {"type": "terms", "scope": {"entity": "response", "property": "status"}, "values": ["pending"]},
            {"type": "terms", "scope": {"entity": "record", "property": "status"}, "values": ["pending"]},
        ]
        path = f"me/datasets/{self.dataset()['id']}/records/search"
        found = expect(self._people[annotator].post(path, json={"filters": {"and": filters}}, params={"limit": 500}))
        return {item["record"]["external_id"] for item in found["items"]}

    # What only a real server has.

    def dataset(self) -> Any:
        params = {"workspace_id": self.server.workspace_id(self.workspace), "name": DATASET}
        (dataset,) = expect(self.server.owner.get("me/datasets", params=params))["items"]
        return dataset

    def record(self, record_id: str, annotator: str | None = None) -> Any:
        """The record's JSON as the owner sees it, or as an annotator does."""
        scope = {"entity": "record", "property": "external_id"}
        query = {"filters": {"and": [{"type": "terms", "scope": scope, "values": [record_id]}]}}
        path = f"datasets/{self.dataset()['id']}/records/search"
        client = self._people[annotator] if annotator else self.server.owner
        params = {"include": ["responses", "suggestions"]}
        (item,) = expect(client.post(f"me/{path}" if annotator else path, json=query, params=params))["items"]
        return item["record"]

    def _respond(self, record_id: str, annotator: str, status: str, labels: Sequence[str] | None) -> None:
        body: dict[str, Any] = {"status": status, "record_id": self.record(record_id)["id"], "values": {}}
        if labels is not None:
            multi_label = self._question(self.dataset()["id"])["settings"]["type"] == "multi_label_selection"
            value = (list(labels) or [NONE_OF_THESE]) if multi_label else labels[0]
            body["values"] = {"label": {"value": value}}
        (item,) = expect(self._people[annotator].post("me/responses/bulk", json={"items": [body]}))["items"]
        assert item["error"] is None, item["error"]

    def _question(self, dataset_id: str) -> Any:
        (question,) = expect(self.server.owner.get(f"datasets/{dataset_id}/questions"))["items"]
        return question
