"""From what a user asks to the plan of a score run: files, labels and model are frozen here."""

from __future__ import annotations

from dataclasses import dataclass

from tornio.api import TaskName
from tornio.errors import InvalidInput, NotFound, NotServable
from tornio.files.sources import find_files
from tornio.models.loading import Loader
from tornio.models.sequence import in_model_order
from tornio.registry import Registry
from tornio.schemas.jobs import ScoreArgs
from tornio.schemas.runs import RunPlan
from tornio.scoring.ranking import RANKINGS, default_ranking
from tornio.scoring.staging import label_cells
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks
from tornio.tasks.encoder import encoder_of

MOST_LABELS = 1000
"""Different labels in a data set after which its label column is taken for something else."""
DEFAULT_FOLDS = 5
DEFAULT_ENCODER = "minilm"
DEFAULT_LENGTH = 256


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What is asked. Without task and model, heads on ``encoder`` are cross-validated on the data's own labels."""

    data: str
    workspace: str
    task: TaskName | None = None
    model: str | None = None
    """With a task an alias or version of it; a path or hub id of a sequence classifier. Default: ``current``."""
    labels: tuple[str, ...] = ()
    """Default: the task's; without one those in the data."""
    multi_label: bool = False
    folds: int = 0
    ranking: str | None = None
    """Default: the best one for what scores."""
    encoder: str | None = None
    """Default: ``DEFAULT_ENCODER``."""
    max_length: int | None = None
    """Tokens. Default: ``DEFAULT_LENGTH``."""
    text_column: str | None = None
    label_column: str | None = None
    id_column: str | None = None
    separator: str = "|"
    encoding: str | None = None
    delimiter: str | None = None
    part_rows: int = 4096
    seed: int = 0
    strict: bool = False


def plan_score(request: ScoreRequest, store: ObjectStore, loader: Loader) -> RunPlan:
    """The run that answers this request; the same request over the same bytes is the same run.

    Raises InvalidFile and InvalidInput for data that cannot be used, NotFound for a task, version or model.
    """
    _check(request)
    task = None if request.task is None else Tasks(store).open(*request.task)
    args = ScoreArgs(
        files=find_files(request.data),
        text_column=request.text_column,
        label_column=request.label_column,
        id_column=request.id_column,
        encoding=request.encoding,
        delimiter=request.delimiter,
        separator=request.separator,
        labels=request.labels if task is None else task.spec.label_names,
        multi_label=request.multi_label if task is None else task.spec.multi_label,
        part_rows=request.part_rows,
        seed=request.seed,
        strict=request.strict,
        precision=loader.precision,
    )
    stated = bool(args.labels)
    if not stated:
        labels, stated = labels_in(args)
        args = args.evolve(labels=labels)
    args = _with_model(args, request, task, loader)
    if args.classifier is not None and not stated:
        args = args.evolve(labels=in_model_order(loader.base_folder(args.classifier), args.labels))
    args = args.evolve(ranking=request.ranking or default_ranking(bool(args.folds)))
    if args.ranking not in RANKINGS:
        raise InvalidInput(f"there is no ranking {args.ranking!r}: choose one of {', '.join(RANKINGS)}")
    if task is None:
        return RunPlan.of("score", request.workspace, None, args)
    return RunPlan.of("score", task.spec.workspace, task.spec.name, args)


def _check(request: ScoreRequest) -> None:
    """Raises InvalidInput for words that contradict each other."""
    if request.folds == 1:
        raise InvalidInput("cross-validation takes 2 models or more: one would score what it was trained on")
    if request.folds and request.model:
        raise InvalidInput("cross-validation trains models of its own: give either --model or --cross-validate")
    if request.encoder and request.model:
        raise InvalidInput("a model has an encoder of its own: give either --model or --encoder")
    own = {
        "--labels": request.labels,
        "--multi-label": request.multi_label,
        "--encoder": request.encoder,
        "--max-length": request.max_length and request.model is None,
    }
    if request.task is not None and (said := [option for option, value in own.items() if value]):
        raise InvalidInput(f"{request.task} says itself what {' and '.join(said)} would say: leave them out, or --task")


def labels_in(args: ScoreArgs) -> tuple[tuple[str, ...], bool]:
    """The labels that the data has, and whether it states their order, as a ClassLabel column does.

    Raises InvalidInput for too many.
    """
    found: dict[str, None] = {}
    for names, cell in label_cells(args):
        if names is not None:
            return names, True
        found.update(dict.fromkeys(cell))
        if len(found) > MOST_LABELS:
            raise InvalidInput(
                f"{args.files[0].uri} has more than {MOST_LABELS} different labels, such as {list(found)[:3]}: is "
                "--label-column right? If it is, name the labels with --labels"
            )
    if len(found) < 2:
        raise InvalidInput(f"{args.files[0].uri} has the labels {list(found)}: at least two are needed to compare")
    return tuple(sorted(found)), False


def _with_model(args: ScoreArgs, request: ScoreRequest, task: Task | None, loader: Loader) -> ScoreArgs:
    length = request.max_length or DEFAULT_LENGTH
    if request.folds or (task is None and request.model is None):
        args = args.evolve(folds=request.folds or DEFAULT_FOLDS)
        if task is not None:
            return args.evolve(encoder=encoder_of(task, task.spec.classifier, loader))
        return args.evolve(encoder=loader.encoder_use(request.encoder or DEFAULT_ENCODER, length))
    if task is not None and (version := _version(task, request.model or "current")) is not None:
        if request.max_length:
            raise InvalidInput(f"{version} says itself how long its texts are: leave out --max-length")
        return args.evolve(version=version)
    if request.model is None:
        raise NotServable(f"{request.task} has no current version yet: give --cross-validate {DEFAULT_FOLDS}")
    return args.evolve(classifier=loader.encoder_use(request.model, length))


def _version(task: Task, name: str) -> str | None:
    """The version of this name or alias; None where the name can only be a model's."""
    registry = Registry(task.store, task.keys)
    alias = registry.alias(name)
    if alias is not None:
        return alias.version
    try:
        return registry.manifest(name).version
    except NotFound:
        return None
