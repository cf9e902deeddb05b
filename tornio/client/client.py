"""``tornio.Client``: all operations of users, over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from tornio import api
from tornio.api import TaskName
from tornio.client import address, streams
from tornio.client.chunks import chunks, json_size
from tornio.client.http import Patience, Session
from tornio.client.predictions import REQUEST_BYTES, REQUEST_TEXTS, Progress, predict_each, readable, silent, whole
from tornio.client.results import ResultMethods, run_path
from tornio.client.uploads import UploadMethods
from tornio.errors import InvalidInput, Unavailable
from tornio.records import Prediction, Purpose
from tornio.spec import LabelSpec, TaskSpec
from tornio.specfile import read_spec


class Client(UploadMethods, ResultMethods):
    """A client of a Tornio server. Tasks are named ``workspace/task``.

    Without arguments, address and key are taken from TORNIO_URL and TORNIO_API_KEY (or TORNIO_API_KEY_FILE), or else
    from the ``tornio up`` of TORNIO_STATE, or of this folder or above it. Requests that may be sent twice without harm
    are repeated while the server is busy or does not answer, for ``retry_seconds`` after the first failure (at most 10
    if it accepts no connection). ``timeout`` (in seconds) applies to each request.

    Every method raises the errors of ``tornio.errors``: Unauthorized, Forbidden, NotFound, InvalidInput, Conflict
    (NotServable if a task has no version yet), Unavailable.

    >>> with Client() as tornio:                                              # doctest: +SKIP
    ...     tornio.predict("acme/support", ["where is my parcel?"])[0].labels
    ('delivery',)
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        retry_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        where = address.find(url, api_key)
        self.url = where.url
        self._session = Session(where.url, where.api_key, timeout, retry_seconds, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    # Input

    def apply(self, spec: TaskSpec | Mapping[str, Any] | str, *, migrate_labels: bool = False) -> api.Applied:
        """Create a task or change its spec. A string is the text of a task.yaml. Raises InvalidSpec, ChangeRefused.

        ``migrate_labels``: also change its labels; without it, such a change is refused with what would become of them.
        """
        if isinstance(spec, str):
            spec = read_spec(spec)
        elif not isinstance(spec, TaskSpec):
            spec = api.checked_spec(spec)
        body = spec.model_dump(mode="json", exclude_unset=True)  # defaults are the server's
        query = "?migrate_labels=true" if migrate_labels else ""
        return self._session.put(_path(spec.full_name) + query, api.Applied, body)

    def migrate_labels(
        self, task: str, wanted: api.LabelMigrationIn, *, dry_run: bool = False, expected_spec_rev: int | None = None
    ) -> api.Applied:
        """Rename, merge, remove and add labels of a task. Raises InvalidSpec, ChangeRefused.

        ``dry_run``: only say what would become of them. ``expected_spec_rev``: the revision of the spec that you saw;
        at any other it raises ChangeRefused.
        """
        body = wanted.model_copy(update={"dry_run": dry_run, "expected_spec_rev": expected_spec_rev})
        return self._session.post(
            _path(task, "labels/migrate"), api.Applied, body.model_dump(mode="json"), repeatable=dry_run
        )

    def add_records(
        self,
        task: str,
        records: Iterable[api.RecordIn],
        progress: Progress = silent,
        *,
        duplicates: bool = False,
    ) -> api.RecordsAdded:
        """Add texts to the pool. Adding them again is harmless, because records are identified by their id.

        ``duplicates``: also add records whose text the pool has under another id. Otherwise they are left out.
        """
        total = api.RecordsAdded()
        path = _path(task, "records") + ("?duplicates=true" if duplicates else "")
        for chunk in chunks(records, api.MAX_RECORDS, api.MAX_BODY_BYTES - api.MIB, _record_size):
            body = [record.model_dump(mode="json", exclude_defaults=True) for record in chunk]
            total += self._session.post(path, api.RecordsAdded, body, repeatable=True)
            progress(len(chunk))
        return total

    def import_labels(
        self,
        task: str,
        labels: Iterable[api.LabelIn],
        purpose: Purpose | str = "train",
        source: str | None = None,
        progress: Progress = silent,
        *,
        auto: bool = False,
    ) -> api.LabelsImported:
        """Import existing labels. ``purpose``: 'train', or 'holdout' for labels that models are evaluated on.

        ``auto``: a model gave them, which ``source`` names. They train until somebody labels the text, and never judge.
        """
        total = api.LabelsImported()
        path = _path(task, "labels")
        for chunk in chunks(labels, api.MAX_RECORDS, api.MAX_BODY_BYTES - api.MIB, _record_size):
            body = {
                "purpose": str(purpose),
                **({"auto": True} if auto else {}),
                "source": source,
                "request": uuid4().hex,  # same on a retry, so that later imports of others stay newest
                "labels": [label.model_dump(mode="json", exclude_defaults=True) for label in chunk],
            }
            total += self._session.post(path, api.LabelsImported, body, repeatable=True)
            progress(len(chunk))
        return total

    def delete_records(self, task: str, record_ids: Iterable[str], *, dry_run: bool = False) -> api.RecordsDeleted:
        """Delete records of the pool for ever, all of them or, where the pool lacks one (InvalidInput), none.

        Nobody is shown or learns from them from then on. ``dry_run``: only return what a deletion would do.
        """
        ids = list(dict.fromkeys(record_ids))
        if not 0 < len(ids) <= api.MAX_DELETED:
            raise InvalidInput(f"Delete 1 to {api.MAX_DELETED:,} records at once, not {len(ids):,}.")
        body = {"record_ids": ids, "dry_run": dry_run}
        return self._session.post(_path(task, "records/delete"), api.RecordsDeleted, body, repeatable=True)

    # Output

    def predict(self, task: str, texts: Iterable[str], progress: Progress = silent) -> list[Prediction]:
        """Classify texts, in their order. Raises NotServable before the task's first version serves.

        Raises InvalidInput for a text without a visible character, before anything is sent.
        """
        return list(self.predict_each(task, list(readable(texts)), progress))

    def predict_each(
        self,
        task: str,
        texts: Iterable[str],
        progress: Progress = silent,
        *,
        at_once: int = 1,
        retry_seconds: float | None = None,
    ) -> Iterator[Prediction]:
        """Yield the predictions of ``predict`` as they arrive, so that they are kept when a later request fails.

        The texts are read as they are needed. ``at_once``: how many requests are under way at the same time.
        ``retry_seconds``: how long each request after the first is repeated, also while no connection is accepted.
        """
        path = _path(task, "predict")

        def ask(chunk: list[str], patience: Patience | None) -> list[Prediction]:
            body = {"texts": chunk}
            return self._session.post(path, api.Predictions, body, repeatable=True, patience=patience).predictions

        return predict_each(ask, texts, progress, at_once, retry_seconds)

    def zero_shot(
        self,
        texts: Iterable[str],
        labels: Sequence[str | LabelSpec],
        templates: Sequence[str] | None = None,
        multi_label: bool = False,
        progress: Progress = silent,
    ) -> list[api.ZeroShotPrediction]:
        """Classify texts without training, by the names and descriptions of the labels.

        Raises InvalidInput for a text without a visible character, before anything is sent.
        """
        return list(self.zero_shot_each(list(readable(texts)), labels, templates, multi_label, progress))

    def zero_shot_each(
        self,
        texts: Iterable[str],
        labels: Sequence[str | LabelSpec],
        templates: Sequence[str] | None = None,
        multi_label: bool = False,
        progress: Progress = silent,
    ) -> Iterator[api.ZeroShotPrediction]:
        """Yield the predictions of ``zero_shot`` as they arrive, so that they are kept when a later request fails."""
        request = {
            "labels": [label if isinstance(label, str) else label.model_dump() for label in labels],
            "templates": None if templates is None else list(templates),
            "multi_label": multi_label,
        }
        pairs = max(1, len(labels))  # an NLI teacher reads each text once per label
        for chunk in chunks(readable(texts), max(1, REQUEST_TEXTS // pairs), REQUEST_BYTES // pairs, json_size):
            answer = self._session.post("/v1/zero-shot", api.ZeroShotOut, {"texts": chunk, **request}, repeatable=True)
            yield from whole(answer.predictions, chunk)
            progress(len(chunk))

    def labels(self, task: str, total: Progress = silent) -> Iterator[api.LabelledRecord]:
        """Iterate over the labels that the task takes as true now, with their texts.

        ``total`` is called with their number first. Raises Unavailable when the stream ends early.
        """
        with self._session.stream(_path(task, "labels")) as response:
            count = int(response.headers[api.COUNT_HEADER])
            total(count)
            lines = 0
            for line in streams.lines(response):
                yield api.LabelledRecord.model_validate_json(line)
                lines += 1
            if lines != count:
                raise Unavailable(f"The export ended after {lines} of {count} labels. Try again.")

    def download_version(
        self, task: str, folder: Path, version: str | None = None, progress: Progress = silent
    ) -> None:
        """Write the documents and files of a version (``previous``; None: the one that serves) into a folder.

        Raises NotFound, NotServable, and Unavailable when the stream ends early."""
        asked = "" if version is None else f"?{urlencode({'version': version})}"
        with self._session.stream(_path(task, "model") + asked) as response:
            streams.unpack(response, folder, progress)

    # State

    def status(self, task: str) -> api.TaskStatus:
        """Return the state of the task, and the reasons for it."""
        return self._session.get(_path(task), api.TaskStatus)

    def tasks(self) -> list[api.TaskSummary]:
        """List the tasks that the key may see."""
        return self._session.get("/v1/tasks", api.Tasks).tasks

    def annotators(self, task: str) -> api.Annotators:
        """Return how the annotators agree: each with the others, each two, and label by label."""
        return self._session.get(_path(task, "annotators"), api.Annotators)

    def versions(self, task: str) -> list[api.VersionOut]:
        """List the versions that were trained and what became of them, newest first."""
        return self._session.get(_path(task, "versions"), api.Versions).versions

    def ready(self) -> api.Readiness:
        """Return whether the server can answer predictions and, if not, the reasons."""
        return self._session.get("/readyz", api.Readiness, also=503)

    # Runs

    def start_run(self, task: str, request: api.RunRequest | Mapping[str, Any]) -> api.RunOut:
        """Ask for a run on the cluster: ``ScoreRequest`` scores a data set, ``PredictRequest`` predicts one or the
        pool, ``LabelRequest`` labels the pool, ``AdaptRequest`` adapts a base model to it.

        The same request over the same bytes is the same run. A run that is under way goes on. A run that has failed or
        was cancelled begins again, and does what is missing.
        """
        if isinstance(request, api.RunRequest):
            request = {"job": request.job, **request.model_dump(mode="json", exclude_defaults=True)}
        return self._session.post(_path(task, "runs"), api.RunOut, dict(request), repeatable=True)

    def runs(self, task: str, most: int = 20) -> list[api.RunOut]:
        """Return the runs of the loop and those that users asked for, newest first. ``most``: how many at most."""
        return self._session.get(f"{_path(task, 'runs')}?most={most}", api.Runs).runs

    def run(self, task: str, run: str) -> api.RunOut:
        """Return one run: how far it is, why it failed, or its result."""
        return self._session.get(run_path(task, run), api.RunOut)

    def cancel_run(self, task: str, run: str) -> api.RunOut:
        """End a run that a user asked for. Raises Conflict for a run that is over, or that the loop started."""
        return self._session.post(run_path(task, run) + "/cancel", api.RunOut, repeatable=True)

    def audit(self, workspace: str, task: str | None = None) -> Iterator[api.AuditEventOut]:
        """Yield who did what in a workspace, newest first. ``task``: the name of a task, without its workspace.

        It asks for more as you go on, so take only what you need: the log never ends to grow.
        """
        name = TaskName.parse(f"{workspace}/{task or 'any'}")
        query = {"limit": str(api.MAX_AUDIT)} | ({"task": name.task} if task else {})
        after: str | None = ""
        while after is not None:
            asked = urlencode(query | ({"after": after} if after else {}))
            page = self._session.get(f"/v1/workspaces/{name.workspace}/audit?{asked}", api.AuditPage)
            yield from page.events
            after = page.next

    # Control

    def rollback(self, task: str, why: str | None = None, expected_revision: int | None = None) -> api.Serving:
        """Deploy the version again that served before. Nothing is promoted until ``resume``.

        A second rollback goes one further back. With ``expected_revision``, the revision of ``current`` that you saw,
        it raises Conflict instead.
        """
        body = {"why": why, "expected_revision": expected_revision}
        return self._session.post(_path(task, "rollback"), api.Serving, body, repeatable=expected_revision is not None)

    def pause(self, task: str) -> api.Asked:
        """Start neither batches nor trainings. Predictions are still answered."""
        return self._session.post(_path(task, "pause"), api.Asked, repeatable=True)

    def resume(self, task: str) -> api.Asked:
        """Continue after a pause, or allow promotions again after a rollback."""
        return self._session.post(_path(task, "resume"), api.Asked, repeatable=True)

    def train_now(self, task: str, force: bool = False) -> api.Asked:
        """Train with the present labels now. ``force``: even if none of them is new.

        Raises Conflict without ``force`` and new labels, and where the labels do not suffice for a training.
        """
        body = {"force": True} if force else None
        return self._session.post(_path(task, "train-now"), api.Asked, body, repeatable=False)


def _path(task: str, suffix: str = "") -> str:
    name = TaskName.parse(task)
    return f"/v1/tasks/{name.workspace}/{name.task}" + (f"/{suffix}" if suffix else "")


def _record_size(record: api.RecordIn | api.LabelIn) -> int:
    extra = sum(json_size(name) + json_size(str(value)) for name, value in record.metadata.items())
    labels = sum(map(json_size, record.labels)) if isinstance(record, api.LabelIn) else 0
    return json_size(record.text) + extra + labels + 300
