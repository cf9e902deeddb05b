"""From the request of a user to the plan of a score run, which freezes files, labels and model."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tornio.api import ScoreRequest, TaskName
from tornio.errors import InvalidInput, NotFound, NotServable
from tornio.files.sources import find_files
from tornio.models.folder import read_config
from tornio.models.loading import Loader
from tornio.models.outputs import class_number, read_outputs
from tornio.models.sequence import check_classifier, in_model_order
from tornio.registry import Registry
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import ScoreArgs
from tornio.scoring.ranking import RANKINGS, default_ranking
from tornio.scoring.staging import label_cells
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks
from tornio.tasks.encoder import encoder_of

MOST_LABELS = 1000
"""Most different labels in a data set. With more, the label column probably holds something else."""
DEFAULT_FOLDS = 5
DEFAULT_ENCODER = "minilm"
DEFAULT_LENGTH = 256


def plan_score(
    request: ScoreRequest, workspace: str, name: TaskName | None, store: ObjectStore, loader: Loader
) -> RunPlan:
    """Return the plan of the run that answers a request. The same request over the same bytes is the same run.

    With a task (``name``) the run is one of the task, else one of the workspace. Without task and model the plan is to
    cross-validate heads on an encoder, with the labels of the data itself.

    Raises InvalidFile and InvalidInput for data that cannot be used, NotFound for a task, version or model that does
    not exist, and NotServable for a task without a version.
    """
    _check(request, name)
    task = None if name is None else Tasks(store).open(*name)
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
        part_rows=request.part_rows or ScoreArgs.model_fields["part_rows"].default,
        seed=request.seed,
        strict=request.strict,
        precision=loader.precision,
    )
    stated = bool(args.labels)
    if not stated:
        labels, stated = labels_in(args)
        args = args.evolve(labels=labels)
    elif task is None:
        args = args.evolve(numbered=are_class_numbers(found_in(args, limit=len(args.labels)), args.labels))
    args = _with_model(args, request, task, loader)
    args = _labelled(args, stated, loader)
    args = args.evolve(ranking=request.ranking or default_ranking(bool(args.folds)))
    if args.ranking not in RANKINGS:
        raise InvalidInput(f"no ranking {args.ranking!r} exists. Choose one of {', '.join(RANKINGS)}")
    if task is None:
        return RunPlan.of(request.job, workspace, None, args)
    return RunPlan.of(request.job, task.spec.workspace, task.spec.name, args)


def _check(request: ScoreRequest, task: TaskName | None) -> None:
    """Raises InvalidInput for fields that contradict each other, or that the task determines."""
    if request.folds == 1:
        raise InvalidInput("cross-validation takes 2 models or more, because one would score its own training data")
    if request.folds and request.model:
        raise InvalidInput("cross-validation trains its own models. Give either --model or --cross-validate")
    if request.encoder and request.model:
        raise InvalidInput("a model has its own encoder. Give either --model or --encoder")
    own = {
        "--labels": request.labels,
        "--multi-label": request.multi_label,
        "--encoder": request.encoder,
        "--max-length": request.max_length and request.model is None,
    }
    if task is not None and (given := [option for option, value in own.items() if value]):
        raise InvalidInput(f"{task} determines {' and '.join(given)} itself. Leave them out, or score without a task")


def _labelled(args: ScoreArgs, stated: bool, loader: Loader) -> ScoreArgs:
    """Return the arguments with the labels in the order of the model. ``stated``: their order is given.

    Raises InvalidInput if model and labels do not fit, and for fewer labels than can be told apart.
    """
    use = args.classifier
    if use is not None:
        folder = loader.base_folder(use)
        outputs = read_outputs(read_config(folder))
        if not stated and outputs.named and are_class_numbers(args.labels, outputs.names):
            args = args.evolve(labels=outputs.names, numbered=True)
        elif not stated:
            args = args.evolve(labels=in_model_order(outputs, args.labels))
        check_classifier(
            folder,
            args.labels,
            multi_label=args.multi_label,
            max_length=use.max_length,
            precision=loader.precision,
        )
    if len(args.labels) < (1 if args.multi_label else 2):
        raise InvalidInput(f"--labels has {', '.join(args.labels)} only, and at least two labels are needed")
    return args


def are_class_numbers(labels: Collection[str], classes: Sequence[str]) -> bool:
    """Whether these labels of a data set can only be the numbers of classes, of which 0 is the first.

    They are all numbers of a class, 0 is among them, and no class has a number for its name.
    """
    numbers = {number for label in labels if (number := class_number(label)) is not None}
    return (
        bool(labels)
        and len(numbers) == len(labels)
        and min(numbers) == 0
        and max(numbers) < len(classes)
        and not any(name.isdecimal() for name in classes)
    )


def found_in(args: ScoreArgs, limit: int) -> Collection[str]:
    """Return the different labels of the data, or nothing as soon as they cannot be class numbers below ``limit``."""
    labels: set[str] = set()
    for names, cell in label_cells(args):
        if isinstance(cell, str):  # why the row has no labels
            continue
        if names is not None or any((number := class_number(label)) is None or number >= limit for label in cell):
            return ()
        labels.update(cell)
    return labels


def labels_in(args: ScoreArgs) -> tuple[tuple[str, ...], bool]:
    """Return the labels of the data, and whether the data states their order, as a ClassLabel column does.

    Raises InvalidInput for fewer than two labels, and for more than ``MOST_LABELS``.
    """
    labels: dict[str, None] = {}
    rejected: str | None = None
    for names, cell in label_cells(args):
        if names is not None:
            return names, True
        if isinstance(cell, str):
            rejected = rejected or cell
            continue
        labels.update(dict.fromkeys(cell))
        if len(labels) > MOST_LABELS:
            raise InvalidInput(
                f"{args.files[0].uri} has more than {MOST_LABELS} different labels, such as {list(labels)[:3]}. "
                "Check --label-column. If it is right, name the labels with --labels"
            )
    if len(labels) < 2:
        raise InvalidInput(
            f"{args.files[0].uri} has the labels {list(labels)}, and at least two are needed."
            f"{f' {rejected}.' if rejected else ''} Check --label-column"
        )
    return tuple(sorted(labels)), False


def _with_model(args: ScoreArgs, request: ScoreRequest, task: Task | None, loader: Loader) -> ScoreArgs:
    length = request.max_length or DEFAULT_LENGTH
    if request.folds or (task is None and request.model is None):
        args = args.evolve(folds=request.folds or DEFAULT_FOLDS)
        if task is not None:
            return args.evolve(encoder=encoder_of(task, task.spec.classifier, loader))
        return args.evolve(encoder=loader.encoder_use(request.encoder or DEFAULT_ENCODER, length))
    if task is not None and (version := version_of(task, request.model or "current")) is not None:
        if request.max_length:
            raise InvalidInput(f"{version} determines the length of its texts itself. Leave out --max-length")
        return args.evolve(version=version)
    if request.model is None:
        name = "the task" if task is None else task.full_name
        raise NotServable(f"{name} has no current version yet. Give --cross-validate {DEFAULT_FOLDS}")
    return args.evolve(classifier=loader.encoder_use(request.model, length))


def version_of(task: Task, name: str) -> str | None:
    """Return the version of this name or alias. None: the task has neither."""
    registry = Registry(task.store, task.keys)
    alias = registry.alias(name)
    if alias is not None:
        return alias.version
    try:
        return registry.manifest(name).version
    except NotFound:
        return None
