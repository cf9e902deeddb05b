"""From the request of a user to the plan of a prediction run, which freezes the data, the model and the layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from tornio.api import PredictRequest, TaskName
from tornio.errors import InvalidInput, NotFound, NotServable
from tornio.files.sources import find_files
from tornio.files.tables import BY_SUFFIX, Format
from tornio.models.folder import read_config
from tornio.models.loading import Loader
from tornio.models.outputs import read_outputs
from tornio.models.sequence import check_classifier
from tornio.registry import CURRENT, Registry
from tornio.schemas.keys import seq_of
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import InputFile, PredictArgs
from tornio.scoring.planning import DEFAULT_LENGTH, version_of
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks, last_deletion

_WRITTEN = frozenset({Format.PARQUET, Format.CSV, Format.TSV, Format.JSONL})
"""Formats that a run can write."""


def plan_predict(
    request: PredictRequest, workspace: str, name: TaskName | None, store: ObjectStore, loader: Loader
) -> RunPlan:
    """Return the plan of the run that answers a request. The same request over the same bytes is the same run.

    An alias is looked up here and never again, so one version predicts all rows. Without a task (``name``) the run is
    one of the workspace, and a model predicts.

    Raises InvalidFile and InvalidInput for data that cannot be used and for fields that contradict each other, NotFound
    for a task, version or model that does not exist, and NotServable for a task without a version.
    """
    _check(request, name)
    task = None if name is None else Tasks(store).open(*name)
    files = () if request.data is None else find_files(request.data)
    args = PredictArgs(
        files=files,
        text_column=request.text_column,
        encoding=request.encoding,
        delimiter=request.delimiter,
        labels=(),
        probabilities=request.probabilities,
        top_k=request.top_k,
        least_certain_first=request.sort == "least-certain",
        prefix=request.prefix,
        format=request.format or _format_of(files),
        escape_formulas=not request.no_escape_formulas,
        part_rows=request.part_rows or PredictArgs.model_fields["part_rows"].default,
        strict=request.strict,
        precision=loader.precision,
    )
    if request.pool and task is not None:
        args = args.evolve(**_pool(task))
    args = _with_classifier(args, request, loader) if request.model else _with_version(args, request, task)
    return RunPlan.of(request.job, workspace, None if task is None else task.spec.name, args)


def _check(request: PredictRequest, task: TaskName | None) -> None:
    """Raises InvalidInput for fields that contradict each other."""
    if request.pool == (request.data is not None):
        raise InvalidInput("a run predicts a data set or the task's pool. Give either --data or --pool")
    if request.model and request.version:
        raise InvalidInput("one model predicts all rows. Give either --model or --version")
    if request.max_length and not request.model:
        raise InvalidInput("a version determines the length of its texts itself. Leave out --max-length")
    if request.probabilities and request.top_k:
        raise InvalidInput("--probabilities writes those of all labels. Leave it out, or --top-k")
    if task is None and (request.pool or not request.model):
        raise InvalidInput("without a task there is no pool and no version. Give --data and --model, or name a task")


def _format_of(files: Sequence[InputFile]) -> str:
    """Return the format of all these files if it can be written, and else Parquet."""
    found = {BY_SUFFIX.get(PurePosixPath(file.uri).suffix.lower()) for file in files}
    (only,) = found if len(found) == 1 else (None,)
    return only if only in _WRITTEN else Format.PARQUET


def _pool(task: Task) -> dict[str, int]:
    """Which pool is predicted. It lists the parts, and reads none."""
    parts = [seq_of(info.key) for info in task.store.list(task.keys.pool)]
    if not parts:
        raise InvalidInput(f"the pool of {task.full_name} is empty. Add texts with `tornio pool add`")
    return {"pool_seq": max(parts), "label_seq": last_deletion(task.labels.read())}


def _with_version(args: PredictArgs, request: PredictRequest, task: Task | None) -> PredictArgs:
    """Return the arguments with the version that the request names, its labels, and how it gives them."""
    if task is None:
        raise InvalidInput("a version belongs to a task. Name the task")
    name = request.version or CURRENT
    version = version_of(task, name)
    if version is None and name == CURRENT:
        raise NotServable(f"{task.full_name} has no current version yet. Label a batch first, or give --model")
    if version is None:
        raise NotFound(
            f"{task.full_name} has no version and no alias {name!r}. `tornio versions {task.full_name}` lists them"
        )
    manifest = Registry(task.store, task.keys).manifest(version)
    return args.evolve(version=version, labels=manifest.labels, multi_label=manifest.multi_label)


def _with_classifier(args: PredictArgs, request: PredictRequest, loader: Loader) -> PredictArgs:
    """Return the arguments with the model that the request names, which names its classes itself."""
    use = loader.encoder_use(request.model or "", request.max_length or DEFAULT_LENGTH)
    folder = loader.base_folder(use)
    outputs = read_outputs(read_config(folder))
    several = outputs.several is True
    check_classifier(folder, outputs.names, multi_label=several, max_length=use.max_length, precision=loader.precision)
    return args.evolve(classifier=use, labels=outputs.names, multi_label=several)
