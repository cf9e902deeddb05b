"""An annotation tool in memory with Argilla's semantics, and annotators that a test controls.

A test responds as any annotator with ``answer``, ``discard``, ``draft`` and ``withdraw``, moves the tool's clock with
``advance``, and injects faults with the ``before`` and ``after`` hooks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tornio.annotation.checks import Question, check_outgoing, check_same_question
from tornio.annotation.port import AnnotatedRecord, DatasetSpec, OutgoingRecord, Response, ResponseStatus
from tornio.errors import InvalidInput, NotFound

Hook = Callable[[str], None]
"""Called with the operation's name (``log``, ``read``, ...). Its exceptions are passed on to the caller."""

TICK = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Dataset:
    spec: DatasetSpec
    last_activity: datetime
    records: dict[str, OutgoingRecord] = field(default_factory=dict)
    responses: dict[str, dict[str, Response]] = field(default_factory=dict)
    """By record id, then annotator."""
    created: dict[str, datetime] = field(default_factory=dict)
    """When each record was first logged."""

    def annotated(self, record_id: str) -> AnnotatedRecord:
        responses = tuple(self.responses.get(record_id, {}).values())
        return AnnotatedRecord(record_id, self.records[record_id].batch_id, responses, self.created[record_id])


class FakeAnnotationTool:
    """``AnnotationTool`` in memory; thread-safe.

    ``before`` runs before an operation has any effect; ``after`` runs when its effect is complete but the caller has no
    response yet, so that raising there simulates a lost response. Both may be set at any time. They run outside the
    lock, so that a hook can let an annotator answer in between.
    """

    def __init__(
        self,
        *,
        start: datetime = datetime(2025, 1, 1, tzinfo=UTC),
        before: Hook | None = None,
        after: Hook | None = None,
    ) -> None:
        self.before = before
        self.after = after
        self._now = start
        self._datasets: dict[tuple[str, str], _Dataset] = {}
        self._response_count = 0
        self._accounts: set[str] = set()
        self._lock = threading.RLock()

    # The interface.

    def ensure_dataset(self, spec: DatasetSpec) -> None:
        with self._operation("ensure_dataset"):
            existing = self._datasets.get((spec.workspace, spec.name))
            if existing is None:
                self._datasets[spec.workspace, spec.name] = _Dataset(spec, self._tick())
                return
            check_same_question(spec.name, Question.of(existing.spec), Question.of(spec))
            existing.spec = spec

    def log(self, workspace: str, dataset: str, records: Sequence[OutgoingRecord]) -> None:
        with self._operation("log"):
            data = self._find(workspace, dataset)
            question = Question.of(data.spec)
            shape = (question.labels, question.multi_label, question.fields, data.spec.metadata)
            check_outgoing(records, *shape)
            for record in records:
                new = record.record_id not in data.records
                data.records[record.record_id] = record
                data.created.setdefault(record.record_id, self._tick())
                for annotator in sorted(record.answered_by & self._accounts) if new else ():
                    self._respond(workspace, dataset, record.record_id, annotator, ResponseStatus.DRAFT, ())

    def read(self, workspace: str, dataset: str, record_ids: Sequence[str]) -> Sequence[AnnotatedRecord]:
        with self._operation("read"):
            data = self._find(workspace, dataset)
            return [data.annotated(record_id) for record_id in dict.fromkeys(record_ids) if record_id in data.records]

    def sweep(self, workspace: str, dataset: str) -> Iterator[AnnotatedRecord]:
        with self._operation("sweep"):
            data = self._find(workspace, dataset)
            return iter([data.annotated(record_id) for record_id in data.records if data.responses.get(record_id)])

    def accounts(self, workspace: str) -> Mapping[str, str]:
        with self._operation("accounts"):
            return {annotator: annotator.capitalize() for annotator in sorted(self._accounts)}

    def page(self, workspace: str, dataset: str, sort_by: str) -> str:
        with self._operation("page"):
            self._find(workspace, dataset)
            return f"fake://{workspace}/{dataset}?sort={sort_by}.desc"

    def last_activity(self, workspace: str, dataset: str) -> datetime | None:
        with self._operation("last_activity"):
            return self._find(workspace, dataset).last_activity

    def activity(self, workspaces: Collection[str]) -> Mapping[tuple[str, str], datetime]:
        with self._operation("activity"):
            return {name: data.last_activity for name, data in self._datasets.items() if name[0] in workspaces}

    def delete(self, workspace: str, dataset: str, record_ids: Iterable[str]) -> None:
        with self._operation("delete"):
            data = self._find(workspace, dataset)
            for record_id in record_ids:
                data.records.pop(record_id, None)
                data.responses.pop(record_id, None)
                data.created.pop(record_id, None)

    def delete_dataset(self, workspace: str, dataset: str) -> None:
        with self._operation("delete_dataset"):
            self._datasets.pop((workspace, dataset), None)

    # Actions of annotators; no hooks run.

    def answer(self, workspace: str, dataset: str, record_id: str, annotator: str, labels: Sequence[str]) -> Response:
        """Submit an answer, or change this annotator's earlier one (same response id, later ``updated_at``).

        Labels are read back in the data set's order.
        """
        question = Question.of(self._find(workspace, dataset).spec)
        if unknown := [label for label in labels if label not in question.labels]:
            raise InvalidInput(
                f"The data set {dataset} has no labels {unknown}. Its labels are {list(question.labels)}."
            )
        if not question.multi_label and len(labels) != 1:
            raise InvalidInput(f"The data set {dataset} takes exactly one label per record, not {list(labels)}.")
        return self._respond(workspace, dataset, record_id, annotator, ResponseStatus.SUBMITTED, labels)

    def discard(self, workspace: str, dataset: str, record_id: str, annotator: str) -> Response:
        """Discard the record, replacing any answer that this annotator gave."""
        return self._respond(workspace, dataset, record_id, annotator, ResponseStatus.DISCARDED, ())

    def draft(self, workspace: str, dataset: str, record_id: str, annotator: str, labels: Sequence[str]) -> Response:
        """Save labels without submitting them."""
        return self._respond(workspace, dataset, record_id, annotator, ResponseStatus.DRAFT, labels)

    def withdraw(self, workspace: str, dataset: str, record_id: str, annotator: str) -> None:
        """Delete this annotator's response. Raises NotFound if it does not exist."""
        with self._lock:
            data = self._find(workspace, dataset)
            if data.responses.get(record_id, {}).pop(annotator, None) is None:
                raise NotFound(f"{annotator} has no response to record {record_id!r}.")
            data.last_activity = self._tick()

    def delete_account(self, annotator: str) -> None:
        """Delete an account. All its responses vanish, and no data set shows activity."""
        with self._lock:
            self._accounts.discard(annotator)
            for data in self._datasets.values():
                for responses in data.responses.values():
                    responses.pop(annotator, None)

    # What a test inspects and controls.

    def records(self, workspace: str, dataset: str) -> Mapping[str, OutgoingRecord]:
        """Return a copy of the records by id, as last logged, in the order in which they were first logged."""
        with self._lock:
            return dict(self._find(workspace, dataset).records)

    def pending(self, workspace: str, dataset: str, annotator: str) -> set[str]:
        """Return the records that this annotator has still to answer: too few answers so far, and no response of
        theirs, not even a draft."""
        with self._lock:
            data = self._find(workspace, dataset)
            return {
                record_id
                for record_id in data.records
                if annotator not in (given := data.responses.get(record_id, {}))
                and sum(one.status is ResponseStatus.SUBMITTED for one in given.values()) < data.spec.min_submitted
            }

    def spec(self, workspace: str, dataset: str) -> DatasetSpec:
        """Return the data set's present specification."""
        with self._lock:
            return self._find(workspace, dataset).spec

    @property
    def now(self) -> datetime:
        """The tool's clock. Every change advances it by a millisecond, so no two changes share a time."""
        return self._now

    def advance(self, step: timedelta) -> None:
        """Advance the clock. Raises ValueError for a negative step."""
        if step < timedelta():
            raise ValueError(f"The tool's clock cannot go back by {step}.")
        with self._lock:
            self._now += step

    @contextmanager
    def _operation(self, name: str) -> Iterator[None]:
        if self.before is not None:
            self.before(name)
        with self._lock:
            yield
        if self.after is not None:
            self.after(name)

    def _find(self, workspace: str, dataset: str) -> _Dataset:
        with self._lock:
            data = self._datasets.get((workspace, dataset))
        if data is None:
            raise NotFound(f"The data set {workspace}/{dataset} does not exist. Create it with ensure_dataset.")
        return data

    def _respond(
        self,
        workspace: str,
        dataset: str,
        record_id: str,
        annotator: str,
        status: ResponseStatus,
        labels: Sequence[str],
    ) -> Response:
        with self._lock:
            data = self._find(workspace, dataset)
            if record_id not in data.records:
                raise NotFound(f"Record {record_id!r} does not exist in {workspace}/{dataset}.")
            in_order = tuple(label.name for label in data.spec.labels if label.name in labels)
            responses = data.responses.setdefault(record_id, {})
            given, now = responses.get(annotator), self._tick()
            if given is None:
                self._response_count += 1
                response = Response(f"response-{self._response_count}", annotator, status, in_order, now)
            else:
                response = replace(given, status=status, labels=in_order, updated_at=now)
            responses[annotator] = response
            data.last_activity = now
            self._accounts.add(annotator)
            return response

    def _tick(self) -> datetime:
        self._now += TICK
        return self._now
