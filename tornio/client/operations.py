"""All operations of users, over HTTP: the methods of ``Client`` and ``AsyncClient``, written once."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from tornio import api
from tornio.api import TaskName
from tornio.client import streams
from tornio.client.chunks import chunks, json_size
from tornio.client.http import Patience, Session
from tornio.client.predictions import REQUEST_BYTES, REQUEST_TEXTS, Progress, predict_each, readable, silent, whole
from tornio.client.results import ResultMethods, run_path
from tornio.client.uploads import UploadMethods
from tornio.errors import InvalidInput, Unavailable
from tornio.records import Prediction, Purpose
from tornio.spec import LabelSpec, TaskSpec
from tornio.specfile import read_spec


class Operations(UploadMethods, ResultMethods):
    """What a client does, over its session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def close(self) -> None:
        """Close the connections. The client cannot be used after that."""
        await self._session.wire.close()

    # Input

    async def apply(self, spec: TaskSpec | Mapping[str, Any] | str, *, migrate_labels: bool = False) -> api.Applied:
        """Create a task or change its spec. A string is the text of a task.yaml. Raises InvalidSpec, ChangeRefused.

        ``migrate_labels``: also change its labels; without it, such a change is refused with what would become of them.
        """
        if isinstance(spec, str):
            spec = read_spec(spec)
        elif not isinstance(spec, TaskSpec):
            spec = api.checked_spec(spec)
        body = spec.model_dump(mode="json", exclude_unset=True)  # defaults are the server's
        query = "?migrate_labels=true" if migrate_labels else ""
        return await self._session.put(_path(spec.full_name) + query, api.Applied, body)

    async def migrate_labels(
        self, task: str, wanted: api.LabelMigrationIn, *, dry_run: bool = False, expected_spec_rev: int | None = None
    ) -> api.Applied:
        """Rename, merge, remove and add labels of a task. Raises InvalidSpec, ChangeRefused.

        ``dry_run``: only say what would become of them. ``expected_spec_rev``: the revision of the spec that you saw;
        at any other it raises ChangeRefused.
        """
        body = wanted.model_copy(update={"dry_run": dry_run, "expected_spec_rev": expected_spec_rev})
        return await self._session.post(
            _path(task, "labels/migrate"), api.Applied, body.model_dump(mode="json"), repeatable=dry_run
        )

    async def add_records(
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
            total += await self._session.post(path, api.RecordsAdded, body, repeatable=True)
            progress(len(chunk))
        return total

    async def import_labels(
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
            total += await self._session.post(path, api.LabelsImported, body, repeatable=True)
            progress(len(chunk))
        return total

    async def delete_records(
        self, task: str, record_ids: Iterable[str], *, dry_run: bool = False
    ) -> api.RecordsDeleted:
        """Delete records of the pool for ever, all of them or, where the pool lacks one (InvalidInput), none.

        Nobody is shown or learns from them from then on. ``dry_run``: only return what a deletion would do.
        """
        ids = list(dict.fromkeys(record_ids))
        if not 0 < len(ids) <= api.MAX_DELETED:
            raise InvalidInput(f"Delete 1 to {api.MAX_DELETED:,} records at once, not {len(ids):,}.")
        body = {"record_ids": ids, "dry_run": dry_run}
        return await self._session.post(_path(task, "records/delete"), api.RecordsDeleted, body, repeatable=True)

    # Output

    async def predict(self, task: str, texts: Iterable[str], progress: Progress = silent) -> list[Prediction]:
        """Classify texts, in their order. Raises NotServable before the task's first version serves.

        Raises InvalidInput for a text without a visible character, before anything is sent.
        """
        return [one async for one in self.predict_each(task, list(readable(texts)), progress)]

    def predict_each(
        self,
        task: str,
        texts: Iterable[str],
        progress: Progress = silent,
        *,
        at_once: int = 1,
        retry_seconds: float | None = None,
    ) -> AsyncGenerator[Prediction, None]:
        """Yield the predictions of ``predict`` as they arrive, so that they are kept when a later request fails.

        The texts are read as they are needed. ``at_once``: how many requests are under way at the same time.
        ``retry_seconds``: how long each request after the first is repeated, also while no connection is accepted.
        """
        path = _path(task, "predict")

        async def ask(chunk: list[str], patience: Patience | None) -> list[Prediction]:
            body = {"texts": chunk}
            answer = await self._session.post(path, api.Predictions, body, repeatable=True, patience=patience)
            return answer.predictions

        return predict_each(self._session.wire, ask, texts, progress, at_once, retry_seconds)

    async def zero_shot(
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
        asked = self.zero_shot_each(list(readable(texts)), labels, templates, multi_label, progress)
        return [one async for one in asked]

    async def zero_shot_each(
        self,
        texts: Iterable[str],
        labels: Sequence[str | LabelSpec],
        templates: Sequence[str] | None = None,
        multi_label: bool = False,
        progress: Progress = silent,
    ) -> AsyncGenerator[api.ZeroShotPrediction, None]:
        """Yield the predictions of ``zero_shot`` as they arrive, so that they are kept when a later request fails."""
        request = {
            "labels": [label if isinstance(label, str) else label.model_dump() for label in labels],
            "templates": None if templates is None else list(templates),
            "multi_label": multi_label,
        }
        pairs = max(1, len(labels))  # an NLI teacher reads each text once per label
        for chunk in chunks(readable(texts), max(1, REQUEST_TEXTS // pairs), REQUEST_BYTES // pairs, json_size):
            answer = await self._session.post(
                "/v1/zero-shot", api.ZeroShotOut, {"texts": chunk, **request}, repeatable=True
            )
            for prediction in whole(answer.predictions, chunk):
                yield prediction
            progress(len(chunk))

    async def labels(self, task: str, total: Progress = silent) -> AsyncGenerator[api.LabelledRecord, None]:
        """Iterate over the labels that the task takes as true now, with their texts.

        ``total`` is called with their number first. Raises Unavailable when the stream ends early.
        """
        async with self._session.stream(_path(task, "labels")) as stream:
            count = int(stream.response.headers[api.COUNT_HEADER])
            total(count)
            lines = 0
            async for line in streams.lines(stream.pieces):
                yield api.LabelledRecord.model_validate_json(line)
                lines += 1
            if lines != count:
                raise Unavailable(f"The export ended after {lines} of {count} labels. Try again.")

    async def download_version(
        self, task: str, folder: Path, version: str | None = None, progress: Progress = silent
    ) -> None:
        """Write the documents and files of a version (``previous``; None: the one that serves) into a folder.

        Raises NotFound, NotServable, and Unavailable when the stream ends early."""
        asked = "" if version is None else f"?{urlencode({'version': version})}"
        aside = self._session.wire.aside
        await aside(folder.mkdir, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            async with self._session.stream(_path(task, "model") + asked) as stream:
                async for piece in stream.pieces:
                    await aside(file.write, piece)
                    progress(len(piece))
            file.seek(0)
            await aside(streams.unpack, file, folder)

    # State

    async def report(self, task: str) -> str:
        """Return the page of the task as one HTML file, which loads nothing and runs no script. It contains texts."""
        return (await self._session.get_bytes(_path(task, "report"), {})).decode()

    async def status(self, task: str) -> api.TaskStatus:
        """Return the state of the task, and the reasons for it."""
        return await self._session.get(_path(task), api.TaskStatus)

    async def tasks(self) -> list[api.TaskSummary]:
        """List the tasks that the key may see."""
        return (await self._session.get("/v1/tasks", api.Tasks)).tasks

    async def annotators(self, task: str) -> api.Annotators:
        """Return how the annotators agree: each with the others, each two, and label by label."""
        return await self._session.get(_path(task, "annotators"), api.Annotators)

    async def versions(self, task: str) -> list[api.VersionOut]:
        """List the versions that were trained and what became of them, newest first."""
        return (await self._session.get(_path(task, "versions"), api.Versions)).versions

    async def ready(self) -> api.Readiness:
        """Return whether the server can answer predictions and, if not, the reasons."""
        return await self._session.get("/readyz", api.Readiness, also=503)

    # Runs

    async def start_run(self, task: str, request: api.RunRequest | Mapping[str, Any]) -> api.RunOut:
        """Ask for a run on the cluster: ``ScoreRequest`` scores a data set, ``PredictRequest`` predicts one or the
        pool, ``LabelRequest`` labels the pool, ``AdaptRequest`` adapts a base model to it.

        The same request over the same bytes is the same run. A run that is under way goes on. A run that has failed or
        was cancelled begins again, and does what is missing.
        """
        if isinstance(request, api.RunRequest):
            request = {"job": request.job, **request.model_dump(mode="json", exclude_defaults=True)}
        return await self._session.post(_path(task, "runs"), api.RunOut, dict(request), repeatable=True)

    async def runs(self, task: str, most: int = 20) -> list[api.RunOut]:
        """Return the runs of the loop and those that users asked for, newest first. ``most``: how many at most."""
        return (await self._session.get(f"{_path(task, 'runs')}?most={most}", api.Runs)).runs

    async def run(self, task: str, run: str) -> api.RunOut:
        """Return one run: how far it is, why it failed, or its result."""
        return await self._session.get(run_path(task, run), api.RunOut)

    async def cancel_run(self, task: str, run: str) -> api.RunOut:
        """End a run that a user asked for. Raises Conflict for a run that is over, or that the loop started."""
        return await self._session.post(run_path(task, run) + "/cancel", api.RunOut, repeatable=True)

    async def audit(self, workspace: str, task: str | None = None) -> AsyncGenerator[api.AuditEventOut, None]:
        """Yield who did what in a workspace, newest first. ``task``: the name of a task, without its workspace.

        It asks for more as you go on, so take only what you need: the log never ends to grow.
        """
        name = TaskName.parse(f"{workspace}/{task or 'any'}")
        query = {"limit": str(api.MAX_AUDIT)} | ({"task": name.task} if task else {})
        after: str | None = ""
        while after is not None:
            asked = urlencode(query | ({"after": after} if after else {}))
            page = await self._session.get(f"/v1/workspaces/{name.workspace}/audit?{asked}", api.AuditPage)
            for event in page.events:
                yield event
            after = page.next

    # Control

    async def rollback(self, task: str, why: str | None = None, expected_revision: int | None = None) -> api.Serving:
        """Deploy the version again that served before. Nothing is promoted until ``resume``.

        A second rollback goes one further back. With ``expected_revision``, the revision of ``current`` that you saw,
        it raises Conflict instead.
        """
        body = {"why": why, "expected_revision": expected_revision}
        return await self._session.post(
            _path(task, "rollback"), api.Serving, body, repeatable=expected_revision is not None
        )

    async def promote(self, task: str, version: str, why: str = "", *, force: bool = False) -> api.Asked:
        """Let a version serve that was trained before. Nothing newer is promoted until ``resume``.

        The classifier loads it first, so that it serves some seconds later. ``force``: also one that the gate or a
        trial refused for its scores. Raises NotFound, and Conflict with the reason for one that may not serve.
        """
        path = _path(task, f"versions/{quote(version, safe='')}/promote")
        return await self._session.post(path, api.Asked, {"why": why, "force": force}, repeatable=True)

    async def pause(self, task: str) -> api.Asked:
        """Start neither batches nor trainings. Predictions are still answered."""
        return await self._session.post(_path(task, "pause"), api.Asked, repeatable=True)

    async def resume(self, task: str) -> api.Asked:
        """Continue after a pause, or allow promotions again after a rollback."""
        return await self._session.post(_path(task, "resume"), api.Asked, repeatable=True)

    async def train_now(self, task: str, force: bool = False) -> api.Asked:
        """Train with the present labels now. ``force``: even if none of them is new.

        Raises Conflict without ``force`` and new labels, and where the labels do not suffice for a training.
        """
        body = {"force": True} if force else None
        return await self._session.post(_path(task, "train-now"), api.Asked, body, repeatable=False)


def _path(task: str, suffix: str = "") -> str:
    name = TaskName.parse(task)
    return f"/v1/tasks/{name.workspace}/{name.task}" + (f"/{suffix}" if suffix else "")


def _record_size(record: api.RecordIn | api.LabelIn) -> int:
    extra = sum(json_size(name) + json_size(str(value)) for name, value in record.metadata.items())
    labels = sum(map(json_size, record.labels)) if isinstance(record, api.LabelIn) else 0
    return json_size(record.text) + extra + labels + 300
