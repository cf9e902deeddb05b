"""Argilla 2.8 as the annotation tool, over its REST API."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Self, TypeVar

import httpx

from tornio.annotation import argilla_wire as wire
from tornio.annotation.argilla_activity import ActivityListing
from tornio.annotation.argilla_api import ArgillaApi
from tornio.annotation.argilla_wire import Handle, Json
from tornio.annotation.checks import check_outgoing, check_same_question
from tornio.annotation.port import AnnotatedRecord, DatasetSpec, OutgoingRecord
from tornio.errors import AlreadyExists, Forbidden, InvalidInput, NotFound, Unavailable

T = TypeVar("T")

PAGE = 250
"""Records per request of a listing: 250 texts of 10,000 characters are 2.5 MB."""
DELETE_IDS = 100
SWEEP_ATTEMPTS = 3


class ArgillaTool:
    """``AnnotationTool`` on a real Argilla server. Thread-safe; connects at the first call.

    The account needs the role *admin* in each workspace that it works in, or *owner*, which may create workspaces.
    ``public_url``: the address that people use, for pages and messages; default ``url``. The first call raises
    ``InvalidInput`` if the server is older than 2.8, and ``Unauthorized`` if it does not know the key.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        public_url: str | None = None,
        timeout_s: float = 30.0,
        retry_s: float = 5.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._api = ArgillaApi(url, api_key, timeout_s=timeout_s, retry_s=retry_s, transport=transport)
        self._public_url = (public_url or url).rstrip("/")
        self._activity = ActivityListing(self._api)
        self._handles: dict[tuple[str, str], Handle] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def version(self) -> str:
        """Return the server's version, e.g. ``2.8.0``. Raises InvalidInput if it is too old."""
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
            drafts = self._drafts(workspace, handle, records)
            for chunk in wire.chunks(records):
                items = [wire.record_payload(record, handle, drafts.get(record.record_id, ())) for record in chunk]
                logged = self._api.put(f"datasets/{handle.dataset_id}/records/bulk", {"items": items})["items"]
                self._drop_suggestions(logged, {record.record_id for record in chunk if record.suggestion is None})

        self._on_dataset(workspace, dataset, send)

    def read(self, workspace: str, dataset: str, record_ids: Sequence[str]) -> Sequence[AnnotatedRecord]:
        def fetch(handle: Handle) -> list[AnnotatedRecord]:
            records = self._search(handle, record_ids, include="responses")
            return [parsed for record in records if (parsed := wire.annotated(record, handle)) is not None]

        return self._on_dataset(workspace, dataset, fetch)

    def sweep(self, workspace: str, dataset: str) -> Iterator[AnnotatedRecord]:
        def fetch(handle: Handle) -> list[AnnotatedRecord]:
            return [record for record in self._list(handle) if record is not None and record.responses]

        return iter(self._on_dataset(workspace, dataset, fetch))

    def accounts(self, workspace: str) -> Mapping[str, str]:
        with self._rights(workspace):
            workspace_id = self._find_workspace(workspace)
            if workspace_id is None:
                self._refuse_outsider()
                raise NotFound(f"Argilla at {self._api.url} has no workspace {workspace}. Apply the task again.")
            try:
                users = self._api.get("users")["items"]
            except Forbidden:  # an admin sees the members of its own workspaces
                users = self._api.get(f"workspaces/{workspace_id}/users")["items"]
        return {user["id"]: user["username"] for user in users}

    def page(self, workspace: str, dataset: str, sort_by: str) -> str:
        def address(handle: Handle) -> str:
            where = f"{self._public_url}/dataset/{handle.dataset_id}/annotation-mode"
            return f"{where}?page=1&status=pending&sort=metadata.{sort_by}.desc"

        return self._on_dataset(workspace, dataset, address)

    def last_activity(self, workspace: str, dataset: str) -> datetime | None:
        def fetch(handle: Handle) -> datetime:
            return wire.moment(self._api.get(f"datasets/{handle.dataset_id}")["last_activity_at"])

        return self._on_dataset(workspace, dataset, fetch)

    def activity(self, workspaces: Collection[str]) -> Mapping[tuple[str, str], datetime]:
        return self._activity(workspaces)

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
            existing = self._find_dataset(workspace_id, dataset) if workspace_id else None
            if existing is not None:
                with suppress(NotFound):
                    self._api.delete(f"datasets/{existing['id']}")

    # Records.

    def _search(self, handle: Handle, record_ids: Sequence[str], **params: str) -> Iterator[Json]:
        """Yield these records by our ids. The search index finds them; their content comes from the database."""
        for chunk in _chunks(list(dict.fromkeys(record_ids)), wire.MAX_TERMS):
            path = f"datasets/{handle.dataset_id}/records/search"
            page = self._api.post(path, wire.external_id_filter(chunk), limit=len(chunk), **params)
            yield from (item["record"] for item in page["items"])

    def _drafts(self, workspace: str, handle: Handle, records: Sequence[OutgoingRecord]) -> dict[str, list[str]]:
        """Return the accounts that get an empty draft of a record. Records that exist get none: they have theirs, and a
        draft would replace an answer."""
        wanted = {record.record_id: record.answered_by for record in records if record.answered_by}
        if not wanted:
            return {}
        there = {record["external_id"] for record in self._search(handle, list(wanted))}
        accounts = self.accounts(workspace).keys()
        return {name: sorted(given & accounts) for name, given in wanted.items() if name not in there}

    def _list(self, handle: Handle) -> list[AnnotatedRecord | None]:
        """Return a complete listing: every record that existed from start to end (None for one that is not ours).

        It is read directly from the database, because the search index may lag, in order of creation and *from the
        last page to the first*: a deletion meanwhile moves unread records towards pages that are still to be read,
        never past them. Records created in the same microsecond have no certain order, so the listing is read again
        if its count falls short for no other reason.
        """
        for _ in range(SWEEP_ATTEMPTS):
            seen, total = self._page(handle, offset=0)
            still = total
            # The first page is read again at the end, because records may have moved into it meanwhile.
            for offset in range((total - 1) // PAGE * PAGE, -1, -PAGE) if total > PAGE else ():
                page, still = self._page(handle, offset)
                seen |= page
            if still != total or len(seen) >= total:
                return list(seen.values())
        raise Unavailable(f"Data set {handle.dataset_id} in Argilla changes faster than it can be listed. Try again.")

    def _page(self, handle: Handle, offset: int) -> tuple[dict[str, AnnotatedRecord | None], int]:
        """Return one page of records by the server's own ids, and the total number of records."""
        path = f"datasets/{handle.dataset_id}/records"
        page = self._api.get(path, include="responses", offset=offset, limit=PAGE)
        return {record["id"]: wire.annotated(record, handle) for record in page["items"]}, page["total"]

    def _drop_suggestions(self, logged: Sequence[Json], record_ids: set[str]) -> None:
        """Delete the suggestions of these records. An upsert without a suggestion would keep an earlier one."""
        for record in logged:
            if record["external_id"] in record_ids and record.get("suggestions"):
                ids = ",".join(suggestion["id"] for suggestion in record["suggestions"])
                with suppress(NotFound):
                    self._api.delete(f"records/{record['id']}/suggestions", ids=ids)

    # Data sets.

    def _on_dataset(self, workspace: str, name: str, act: Callable[[Handle], T]) -> T:
        """Call ``act`` on the data set with its remembered ids or, if those no longer exist, with its present ids."""
        with self._rights(workspace):
            handle = self._handles.get((workspace, name))
            if handle is not None:
                try:
                    return act(handle)
                except NotFound:
                    self._handles.pop((workspace, name), None)
            return act(self._find(workspace, name))

    def _find(self, workspace: str, name: str) -> Handle:
        workspace_id = self._find_workspace(workspace)
        if workspace_id is None:
            self._refuse_outsider()
        dataset = self._find_dataset(workspace_id, name) if workspace_id else None
        if dataset is None or dataset["status"] != "ready":
            raise NotFound(f"Argilla at {self._api.url} has no data set {workspace}/{name}. Apply the task again.")
        handle = self._handle(dataset, *self._question(dataset))
        self._handles[workspace, name] = handle
        return handle

    def _handle(self, dataset: Json, question: Json, fields: Sequence[str]) -> Handle:
        properties = self._api.get(f"me/datasets/{dataset['id']}/metadata-properties")["items"]
        return Handle.of(dataset, question, fields, properties)

    def _find_dataset(self, workspace_id: str, name: str) -> Json | None:
        datasets: list[Json] = self._api.get("me/datasets", workspace_id=workspace_id, name=name)["items"]
        return datasets[0] if datasets else None

    def _create_dataset(self, spec: DatasetSpec, workspace_id: str) -> Json:
        with suppress(AlreadyExists):  # by another controller, or by our own request whose response was lost
            self._api.post("datasets", wire.dataset_payload(spec, workspace_id))
        dataset = self._find_dataset(workspace_id, spec.name)
        if dataset is None:
            raise Unavailable(f"The data set {spec.workspace}/{spec.name} was deleted while it was created. Try again.")
        return dataset

    def _complete(self, dataset: Json, spec: DatasetSpec) -> Json:
        """Add what a draft lacks and publish it. It may be new, or left over from a controller that was killed."""
        path = f"datasets/{dataset['id']}"
        try:
            self._add(f"{path}/fields", f"{path}/fields", wire.field_payloads(spec))
            self._add(f"{path}/questions", f"{path}/questions", [wire.question_payload(spec)])
            self._add_metadata(dataset, spec)
            question, fields = self._question(dataset)
            check_same_question(spec.name, wire.found_question(dataset, question, fields), wire.wanted_question(spec))
            self._api.put(f"{path}/publish")
        except InvalidInput:  # another controller may have completed it meanwhile
            if self._api.get(path)["status"] == "draft":
                raise
        published: Json = self._api.get(path)
        return published

    def _add_metadata(self, dataset: Json, spec: DatasetSpec) -> None:
        path = f"datasets/{dataset['id']}/metadata-properties"
        self._add(f"me/{path}", path, wire.metadata_payloads(spec))

    def _add(self, listing: str, path: str, payloads: Sequence[Json]) -> None:
        existing = {item["name"] for item in self._api.get(listing)["items"]}
        for payload in payloads:
            if payload["name"] not in existing:
                with suppress(AlreadyExists):
                    self._api.post(path, payload)

    def _question(self, dataset: Json) -> tuple[Json, list[str]]:
        """Return the label question and the names of all fields.

        Raises InvalidInput if the data set cannot be one of ours.
        """
        fields = self._api.get(f"datasets/{dataset['id']}/fields")["items"]
        strange = [field["name"] for field in fields if field["required"] and field["name"] != wire.FIELD]
        if strange or wire.FIELD not in {field["name"] for field in fields}:
            raise InvalidInput(
                f"The data set {dataset['name']} in Argilla shows the fields {[field['name'] for field in fields]}, "
                f"but the data set of a task only requires {wire.FIELD!r}. Delete or rename it, or rename the task."
            )
        questions: list[Json] = self._api.get(f"datasets/{dataset['id']}/questions")["items"]
        for question in questions:
            if question["name"] == wire.QUESTION and question["settings"]["type"].endswith("label_selection"):
                return question, [field["name"] for field in fields]
        existing = [f"{question['name']} ({question['settings']['type']})" for question in questions]
        raise InvalidInput(
            f"The data set {dataset['name']} in Argilla has the questions {existing}, but the data set of a task asks "
            f"for a label in {wire.QUESTION!r}. Delete or rename it, or rename the task."
        )

    def _update(self, dataset: Json, question: Json, spec: DatasetSpec) -> None:
        """Update guidelines, label descriptions, label order and metadata. Writes only what differs."""
        if spec.metadata:
            self._add_metadata(dataset, spec)
        guidelines = wire.guidelines(spec)
        if (dataset["guidelines"] or None) != guidelines:
            self._api.patch(f"datasets/{dataset['id']}", {"guidelines": guidelines})
        if question["settings"]["options"] != wire.options(spec):
            settings = {"type": question["settings"]["type"], "options": wire.options(spec)}
            self._api.patch(f"questions/{question['id']}", {"settings": settings})

    # Workspaces and rights.

    def _find_workspace(self, name: str) -> str | None:
        ids = [item["id"] for item in self._api.get("me/workspaces")["items"] if item["name"] == name]
        return ids[0] if ids else None

    def _create_workspace(self, name: str) -> str:
        self._refuse_outsider()
        with suppress(AlreadyExists):
            self._api.post("workspaces", {"name": name})
        workspace_id = self._find_workspace(name)
        if workspace_id is None:
            raise Unavailable(f"The workspace {name} was deleted while it was created. Try again.")
        return workspace_id

    def _refuse_outsider(self) -> None:
        """Raise Forbidden for all but owners: to others, a workspace of others looks as if it did not exist."""
        if self._api.get("me")["role"] != "owner":
            raise Forbidden("The workspace does not exist, or the account is not a member of it.")

    @contextmanager
    def _rights(self, workspace: str) -> Iterator[None]:
        """Replace Forbidden by an error that names the account and the right to request."""
        try:
            yield
        except Forbidden as error:
            me = self._api.get("me")
            raise Forbidden(
                f"Account {me['username']!r} ({me['role']}) may not do this in workspace {workspace!r}. Ask an owner "
                f"of {self._public_url} to create workspace {workspace!r} if it does not exist, and to add user "
                f"{me['username']!r} to it with the role admin ({error})"
            ) from error


def _chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
