"""Argilla 2.8 behind the port, over its REST API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Self, TypeVar

import httpx

from tornio.annotation import argilla_wire as wire
from tornio.annotation.argilla_api import ArgillaApi
from tornio.annotation.argilla_wire import Handle, Json
from tornio.annotation.checks import check_outgoing, check_same_question
from tornio.annotation.port import AnnotatedRecord, DatasetSpec, OutgoingRecord
from tornio.errors import AlreadyExists, Forbidden, InvalidInput, NotFound, Unavailable

T = TypeVar("T")

PAGE = 250
"""Records a listing asks for at once: 250 texts of 10,000 characters are 2.5 MB."""
DELETE_IDS = 100
SWEEP_ATTEMPTS = 3


class ArgillaTool:
    """The port on a real server. Safe to share between threads; connects at the first call.

    The account needs the role *admin* in each workspace that it works in, or *owner*, which may create workspaces.
    Raises ``InvalidInput`` at the first call where the server is older than 2.8, and ``Unauthorized`` where it does
    not know the key.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout_s: float = 30.0,
        retry_s: float = 5.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._api = ArgillaApi(url, api_key, timeout_s=timeout_s, retry_s=retry_s, transport=transport)
        self._handles: dict[tuple[str, str], Handle] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def version(self) -> str:
        """The server's version, e.g. ``2.8.0``. Raises InvalidInput where it is too old."""
        return self._api.version()

    def ensure_dataset(self, spec: DatasetSpec) -> None:
        wire.check_limits(spec)
        with self._rights(spec.workspace):
            workspace_id = self._find_workspace(spec.workspace) or self._create_workspace(spec.workspace)
            dataset = self._find_dataset(workspace_id, spec.name) or self._create_dataset(spec, workspace_id)
            if dataset["status"] == "draft":
                dataset = self._complete(dataset, spec)
            question, fields = self._question(dataset)
            check_same_question(spec.name, wire.found_question(dataset, question, fields), wire.wanted_question(spec))
            self._update(dataset, question, spec)
            self._handles[spec.workspace, spec.name] = self._handle(dataset, question, fields)

    def log(self, workspace: str, dataset: str, records: Sequence[OutgoingRecord]) -> None:
        def send(handle: Handle) -> None:
            check_outgoing(records, handle.labels, handle.multi_label, handle.fields, handle.metadata)
            for chunk in wire.chunks(records):
                items = [wire.record_payload(record, handle) for record in chunk]
                logged = self._api.put(f"datasets/{handle.dataset_id}/records/bulk", {"items": items})["items"]
                self._drop_suggestions(logged, {record.record_id for record in chunk if record.suggestion is None})

        self._on_dataset(workspace, dataset, send)

    def read(self, workspace: str, dataset: str, record_ids: Sequence[str]) -> Sequence[AnnotatedRecord]:
        def fetch(handle: Handle) -> list[AnnotatedRecord]:
            records = self._search(handle, record_ids, include="responses")
            return [found for record in records if (found := wire.annotated(record, handle)) is not None]

        return self._on_dataset(workspace, dataset, fetch)

    def sweep(self, workspace: str, dataset: str) -> Iterator[AnnotatedRecord]:
        def fetch(handle: Handle) -> list[AnnotatedRecord]:
            return [record for record in self._list(handle) if record is not None and record.responses]

        return iter(self._on_dataset(workspace, dataset, fetch))

    def page(self, workspace: str, dataset: str, sort_by: str) -> str:
        def address(handle: Handle) -> str:
            where = f"{self._api.url}/dataset/{handle.dataset_id}/annotation-mode"
            return f"{where}?page=1&status=pending&sort=metadata.{sort_by}.desc"

        return self._on_dataset(workspace, dataset, address)

    def last_activity(self, workspace: str, dataset: str) -> datetime | None:
        def fetch(handle: Handle) -> datetime:
            return wire.moment(self._api.get(f"datasets/{handle.dataset_id}")["last_activity_at"])

        return self._on_dataset(workspace, dataset, fetch)

    def delete(self, workspace: str, dataset: str, record_ids: Iterable[str]) -> None:
        def remove(handle: Handle) -> None:
            ids = [record["id"] for record in self._search(handle, wanted)]
            for chunk in _chunks(ids, DELETE_IDS):
                self._api.delete(f"datasets/{handle.dataset_id}/records", ids=",".join(chunk))

        wanted = list(record_ids)
        self._on_dataset(workspace, dataset, remove)

    def delete_dataset(self, workspace: str, dataset: str) -> None:
        self._handles.pop((workspace, dataset), None)
        with self._rights(workspace):
            workspace_id = self._find_workspace(workspace)
            found = self._find_dataset(workspace_id, dataset) if workspace_id else None
            if found is not None:
                with suppress(NotFound):
                    self._api.delete(f"datasets/{found['id']}")

    # Records.

    def _search(self, handle: Handle, record_ids: Sequence[str], **params: str) -> Iterator[Json]:
        """These records by the ids that we gave them. The index names them; all else comes from the database."""
        for chunk in _chunks(list(dict.fromkeys(record_ids)), wire.MAX_TERMS):
            path = f"datasets/{handle.dataset_id}/records/search"
            found = self._api.post(path, wire.external_id_filter(chunk), limit=len(chunk), **params)
            yield from (item["record"] for item in found["items"])

    def _list(self, handle: Handle) -> list[AnnotatedRecord | None]:
        """All records, complete: each that was there at the start and still is at the end (None for one not ours).

        Straight from the database (the search index may lag), in order of creation and *from the last page to the
        first*: a deletion meanwhile moves records that are still to come towards pages still to come, never past
        them. Records created in the same microsecond have no certain order: where nothing else explains a count that
        falls short, the listing is read again.
        """
        for _ in range(SWEEP_ATTEMPTS):
            seen, total = self._page(handle, offset=0)
            still = total
            # The first page is read again at the end: what moved into it meanwhile must not be missed.
            for offset in range((total - 1) // PAGE * PAGE, -1, -PAGE) if total > PAGE else ():
                page, still = self._page(handle, offset)
                seen |= page
            if still != total or len(seen) >= total:
                return list(seen.values())
        raise Unavailable(f"data set {handle.dataset_id} in Argilla changes faster than it can be listed: try again")

    def _page(self, handle: Handle, offset: int) -> tuple[dict[str, AnnotatedRecord | None], int]:
        """Records by the server's own ids, and how many there are in all."""
        path = f"datasets/{handle.dataset_id}/records"
        page = self._api.get(path, include="responses", offset=offset, limit=PAGE)
        return {record["id"]: wire.annotated(record, handle) for record in page["items"]}, page["total"]

    def _drop_suggestions(self, logged: Sequence[Json], record_ids: set[str]) -> None:
        """An upsert leaves an earlier suggestion alone; these records must come without one."""
        for record in logged:
            if record["external_id"] in record_ids and record.get("suggestions"):
                ids = ",".join(suggestion["id"] for suggestion in record["suggestions"])
                with suppress(NotFound):
                    self._api.delete(f"records/{record['id']}/suggestions", ids=ids)

    # Data sets.

    def _on_dataset(self, workspace: str, name: str, act: Callable[[Handle], T]) -> T:
        """Act on the data set: with its remembered ids, and if they are gone with those it has now."""
        with self._rights(workspace):
            known = self._handles.get((workspace, name))
            if known is not None:
                try:
                    return act(known)
                except NotFound:
                    self._handles.pop((workspace, name), None)
            return act(self._find(workspace, name))

    def _find(self, workspace: str, name: str) -> Handle:
        workspace_id = self._find_workspace(workspace)
        if workspace_id is None:
            self._refuse_stranger()
        dataset = self._find_dataset(workspace_id, name) if workspace_id else None
        if dataset is None or dataset["status"] != "ready":
            raise NotFound(f"Argilla at {self._api.url} has no data set {workspace}/{name}: apply the task again")
        handle = self._handle(dataset, *self._question(dataset))
        self._handles[workspace, name] = handle
        return handle

    def _handle(self, dataset: Json, question: Json, fields: Sequence[str]) -> Handle:
        properties = self._api.get(f"me/datasets/{dataset['id']}/metadata-properties")["items"]
        return Handle.of(dataset, question, fields, properties)

    def _find_dataset(self, workspace_id: str, name: str) -> Json | None:
        found: list[Json] = self._api.get("me/datasets", workspace_id=workspace_id, name=name)["items"]
        return found[0] if found else None

    def _create_dataset(self, spec: DatasetSpec, workspace_id: str) -> Json:
        with suppress(AlreadyExists):  # another controller, or our own request whose answer got lost
            self._api.post("datasets", wire.dataset_payload(spec, workspace_id))
        dataset = self._find_dataset(workspace_id, spec.name)
        if dataset is None:
            raise Unavailable(f"the data set {spec.workspace}/{spec.name} was deleted while it was created: try again")
        return dataset

    def _complete(self, dataset: Json, spec: DatasetSpec) -> Json:
        """Give a draft what it lacks and publish it: a new one, or one whose maker was killed half way."""
        path = f"datasets/{dataset['id']}"
        try:
            self._add(f"{path}/fields", f"{path}/fields", wire.field_payloads(spec))
            self._add(f"{path}/questions", f"{path}/questions", [wire.question_payload(spec)])
            self._add_metadata(dataset, spec)
            question, fields = self._question(dataset)
            check_same_question(spec.name, wire.found_question(dataset, question, fields), wire.wanted_question(spec))
            self._api.put(f"{path}/publish")
        except InvalidInput:  # or has somebody else completed it meanwhile?
            if self._api.get(path)["status"] == "draft":
                raise
        published: Json = self._api.get(path)
        return published

    def _add_metadata(self, dataset: Json, spec: DatasetSpec) -> None:
        path = f"datasets/{dataset['id']}/metadata-properties"
        self._add(f"me/{path}", path, wire.metadata_payloads(spec))

    def _add(self, listing: str, path: str, payloads: Sequence[Json]) -> None:
        there = {item["name"] for item in self._api.get(listing)["items"]}
        for payload in payloads:
            if payload["name"] not in there:
                with suppress(AlreadyExists):
                    self._api.post(path, payload)

    def _question(self, dataset: Json) -> tuple[Json, list[str]]:
        """The label question and the names of all fields. Raises InvalidInput where a data set of ours cannot look
        like this."""
        fields = self._api.get(f"datasets/{dataset['id']}/fields")["items"]
        strange = [field["name"] for field in fields if field["required"] and field["name"] != wire.FIELD]
        if strange or wire.FIELD not in {field["name"] for field in fields}:
            raise InvalidInput(
                f"the data set {dataset['name']} in Argilla shows the fields {[field['name'] for field in fields]}, "
                f"and a task's data set shows {wire.FIELD!r} alone: delete or rename it, or name the task otherwise"
            )
        questions: list[Json] = self._api.get(f"datasets/{dataset['id']}/questions")["items"]
        for question in questions:
            if question["name"] == wire.QUESTION and question["settings"]["type"].endswith("label_selection"):
                return question, [field["name"] for field in fields]
        asked = [f"{question['name']} ({question['settings']['type']})" for question in questions]
        raise InvalidInput(
            f"the data set {dataset['name']} in Argilla asks {asked}, and a task's data set asks for a label in "
            f"{wire.QUESTION!r}: delete or rename it, or name the task otherwise"
        )

    def _update(self, dataset: Json, question: Json, spec: DatasetSpec) -> None:
        """Bring guidelines, label descriptions, their order and metadata up to date. Writes only what differs."""
        if spec.metadata:
            self._add_metadata(dataset, spec)
        if (dataset["guidelines"] or "") != spec.guidelines:
            self._api.patch(f"datasets/{dataset['id']}", {"guidelines": spec.guidelines or None})
        if question["settings"]["options"] != wire.options(spec):
            settings = {"type": question["settings"]["type"], "options": wire.options(spec)}
            self._api.patch(f"questions/{question['id']}", {"settings": settings})

    # Workspaces and rights.

    def _find_workspace(self, name: str) -> str | None:
        found = [item["id"] for item in self._api.get("me/workspaces")["items"] if item["name"] == name]
        return found[0] if found else None

    def _create_workspace(self, name: str) -> str:
        self._refuse_stranger()
        with suppress(AlreadyExists):
            self._api.post("workspaces", {"name": name})
        workspace_id = self._find_workspace(name)
        if workspace_id is None:
            raise Unavailable(f"the workspace {name} was deleted while it was created: try again")
        return workspace_id

    def _refuse_stranger(self) -> None:
        """Raise Forbidden for all but owners: a workspace that is not theirs looks to them as if it did not exist."""
        if self._api.get("me")["role"] != "owner":
            raise Forbidden("the workspace is not there, or the account is no member of it")

    @contextmanager
    def _rights(self, workspace: str) -> Iterator[None]:
        """Say who lacks the right, and what to ask whom for."""
        try:
            yield
        except Forbidden as error:
            me = self._api.get("me")
            raise Forbidden(
                f"account {me['username']!r} ({me['role']}) may not do this in workspace {workspace!r}: ask an owner "
                f"of {self._api.url} to create workspace {workspace!r} if it is not there, and to add user "
                f"{me['username']!r} to it with the role admin ({error})"
            ) from error


def _chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
