"""Labelled files as a task of their own, for commands that learn from files without a server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornio.api import LabelIn, RunRequest, TaskName
from tornio.cli import screen
from tornio.cli.here import bars, check_extra, context_here
from tornio.cli.stores import folder_store
from tornio.errors import InvalidFile, InvalidInput
from tornio.files.whole import check_folder, writing
from tornio.records import Record, default_record_id
from tornio.specfile import read_spec

if TYPE_CHECKING:
    from jobs.context import JobContext
    from tornio.schemas.runs import RunPlan
    from tornio.spec import TaskSpec

WORKSPACE = "compare"
"""Workspace of the tasks that hold the labels of files. They are in a store of their own."""


def check_outputs(report: Path | None, output: Path | None, *inputs: str | None) -> None:
    """Raise InvalidFile for a file to write whose folder does not exist, and InvalidInput where it is one that is read,
    or where both are one file. Check it before a long run."""
    wanted = [path for path in (report, output) if path is not None]
    for path in wanted:
        check_folder(path)
        if any(given is not None and path.resolve() == Path(given).resolve() for given in inputs):
            raise InvalidInput(f"{path} is a file that is read: write to another one")
    if len({path.resolve() for path in wanted}) < len(wanted):
        raise InvalidInput(f"--report and --output are both {output}: give two paths")


class LabelledFiles:
    """How the files of --data and --test are read. ``spec``: the task.yaml that the task of these files follows."""

    def __init__(
        self, text: str | None, label: str | None, multi_label: bool, separator: str, spec: Path | None = None
    ) -> None:
        self._text, self._label, self._separator = text, label, separator
        self.multi_label, self.spec = multi_label, spec

    def labels(self, file: str, quiet: bool) -> list[LabelIn]:
        """Return the rows of a file that have a label. Raises InvalidFile."""
        from tornio import files
        from tornio.files import Columns, Options
        from tornio.files.skipped import skipped_lines
        from tornio.files.sources import find_files, on_disk

        items: list[LabelIn] = []
        columns = Columns(self._text, None, self._label, ())
        for source in find_files(file):
            with on_disk(source) as path:
                reader = files.open_data(path, Options(wanted=columns.named), file)
                read = files.read_labels(reader, columns, file, multi_label=self.multi_label, separator=self._separator)
            items += read.items
            lines = {row.line for row in read.skipped}
            others = [row for row in read.contradictions if row.line not in lines]
            for line in () if quiet else skipped_lines([*read.skipped, *others]):
                screen.note(f"{file}: {line}", style="yellow")
        return items


def task_of_files(read: LabelledFiles, data: str, test: str | None, quiet: bool) -> tuple[JobContext, TaskName]:
    """Make a task of the files, in a store of its own below the state folder. The same files are the same task."""
    if os.environ.get("RAY_ADDRESS"):
        raise InvalidInput("RAY_ADDRESS names a cluster, whose nodes do not have the files of --data. Unset it.")
    given = _given_spec(read)
    learned, judged = read.labels(data, quiet), read.labels(test, quiet) if test else []
    names = sorted({name for item in learned for name in item.labels})
    if len(names) < 2:
        raise InvalidInput(f"the rows of {data} that can be used have the labels {names}. Give texts of at least two.")
    os.environ.pop("TORNIO_S3_BUCKET", None)
    os.environ["TORNIO_STORE_DIR"] = str(folder_store().parent / "comparisons")
    context = context_here()
    rows = [[[item.text, item.labels] for item in items] for items in (learned, judged)]
    content = json.dumps([read.multi_label, *rows, *([given.model_dump(mode="json")] if given else [])])
    name = TaskName(WORKSPACE, "files-" + sha256(content.encode()).hexdigest()[:16])
    context.tasks.apply(_spec_for(name, names, read, given), "compare")
    opened = context.tasks.open(*name)
    opened.import_labels(list(map(_item, learned)), "train", Path(data).name)
    if judged:
        left = opened.import_labels(list(map(_item, judged)), "holdout", str(test))
        if left.trains and not quiet:
            screen.note(f"{test}: {left.trains:,} texts are left out, because {data} has them, too", style="yellow")
    return context, name


def _given_spec(read: LabelledFiles) -> TaskSpec | None:
    """Return what --spec names. Raises InvalidFile, InvalidSpec, and InvalidInput where the options contradict it."""
    if read.spec is None:
        return None
    try:
        spec = read_spec(read.spec.read_text("utf-8"), str(read.spec))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"Cannot read {read.spec}: {error}") from error
    if read.multi_label and not spec.multi_label:
        raise InvalidInput(f"{read.spec} says that a text has one label: set multi_label there, or omit --multi-label")
    read.multi_label = spec.multi_label
    return spec


def _spec_for(name: TaskName, found: list[str], read: LabelledFiles, given: TaskSpec | None) -> TaskSpec:
    """Return the spec of the task of the files, whose labels are ``found``. Raises InvalidInput for other labels than
    those of --spec."""
    from tornio.spec import TaskSpec

    if given is None:
        return TaskSpec.model_validate(
            {"workspace": name.workspace, "name": name.task, "labels": found, "multi_label": read.multi_label}
        )
    if unknown := sorted(set(found) - set(given.label_names)):
        raise InvalidInput(f"the data has the label {unknown[0]!r}, which {read.spec} does not have. Add it there")
    return given.model_copy(update={"workspace": name.workspace, "name": name.task})


def _item(given: LabelIn) -> tuple[Record, list[str]]:
    """The record of a row. Its id follows from its text, because two files may give the same id to two texts."""
    return Record(default_record_id(given.text), given.text), list(given.labels)


def run_on_labels(
    request: RunRequest,
    planned: Callable[..., RunPlan],
    task: str | None,
    data: str | None,
    test: str | None,
    read: LabelledFiles,
    report: Path | None,
    output: Path | None,
    quiet: bool,
) -> dict[str, Any]:
    """Do a run on the labels of a task, or of the files of --data and --test. Return its output.

    ``planned``: plans it, as ``jobs.compare.plan`` does. ``report``, ``output``: where its report and its results are
    written, if anywhere. Raises InvalidInput, InvalidFile, and the errors of the run.
    """
    if (task is None) == (data is None):
        raise InvalidInput("name a task, or give a labelled file with --data; not both")
    if read.spec is not None and data is None:
        raise InvalidInput("--spec needs --data: a task has a spec of its own")
    if test is not None and data is None:
        raise InvalidInput("--test needs --data: a task is judged by cross-validation over its own labels")
    check_extra()
    check_outputs(report, output, data, test)
    from jobs.running.driver import drive

    if data is None:
        context, name = context_here(), TaskName.parse(str(task))
    else:
        context, name = task_of_files(read, data, test, quiet)
    plan = planned(request, name, context, test is not None, data or "")
    if not quiet:
        screen.note(f"run {plan.run}. If it is interrupted, start the same command again: it goes on where it stopped")
    with bars(quiet=quiet) as watch:
        values: dict[str, Any] = drive(plan, context, watch).output
    for path, key in ((report, values["report"]), (output, values["results"])):
        if path is not None:
            with writing(path) as part:
                part.write_bytes(context.store.get(key).body)
    return values
