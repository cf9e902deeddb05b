"""The command ``tornio score``: find the labels of a data set that are probably wrong."""

from __future__ import annotations

import os
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tornio.api import ScoreRequest, TaskName
from tornio.cli import screen
from tornio.cli.connect import TASK_NAME, Json, NoEscapeFormulas
from tornio.cli.here import Watch, bars, check_extra, context_here
from tornio.cli.options import options_of
from tornio.cli.stores import is_default_folder
from tornio.client.address import looked_in
from tornio.errors import InvalidInput, NotFound
from tornio.files.whole import check_folder, writing
from tornio.settings import KubeSettings, StorageSettings

if TYPE_CHECKING:
    from jobs.context import JobContext
    from tornio.schemas.runs import RunPlan
    from tornio.schemas.scoring import ScoreOutput
    from tornio.scoring.scored_run import ScoredRun
    from tornio.storage.port import ObjectStore


class Place(StrEnum):
    """Where a run is executed."""

    HERE = "here"
    KUBERAY = "kuberay"


_SHOWN = 60
_NAMED = 20
"""Characters of a text that the table on the terminal shows."""


@options_of(ScoreRequest)
def score(
    request: ScoreRequest,
    task: Annotated[
        str | None,
        typer.Option(
            metavar=TASK_NAME,
            help="Use the labels, model and encoder of this task. Without a task, the labels come from the data (or "
            "--labels), and the rows are scored by cross-validation with 5 folds (or by --model).",
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="Show this many of the most suspicious rows.")] = 10,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write all rows, most suspicious first: .parquet, .csv or .jsonl."),
    ] = None,
    no_escape_formulas: NoEscapeFormulas = False,
    report: Annotated[Path | None, typer.Option(help="Write the report, one HTML file, to this path.")] = None,
    workspace: Annotated[str, typer.Option(help="Without --task: workspace that the run belongs to.")] = "default",
    on: Annotated[
        Place,
        typer.Option(
            help="here: on this machine, or on the Ray cluster of RAY_ADDRESS. kuberay: as a RayJob on the Kubernetes "
            "cluster of KUBECONFIG; --data must then be an address that begins with s3://."
        ),
    ] = Place.HERE,
    job_template: Annotated[
        Path | None,
        typer.Option(
            help="With --on kuberay: manifest of the RayJob to start from.", show_default="TORNIO_KUBE_JOB_TEMPLATE"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sort a labelled data set by its loss, so that wrong labels come first.

    Start the same command again to continue an interrupted run. The run uses Ray on this machine, or the cluster that
    RAY_ADDRESS names. A RayJob continues when this command ends; start the command again to follow it.

    The results are stored in the first of these places that is configured: the bucket of TORNIO_S3_..., the store of
    the `tornio up` of TORNIO_STATE, of this folder or of a folder above it, or the folder .tornio/store (with
    TORNIO_STATE: store in that folder).
    """
    _check_there(request.data)  # before imports that take seconds
    check_extra()
    _check_writable(output, report)
    named = None if task is None else TaskName.parse(task)
    template = None if on is Place.HERE else _checked_template(request.data, job_template)
    _say_left_out(request.data)
    context = context_here()
    plan = _planned(request, workspace, named, context)
    if not as_json:
        screen.note(f"run {plan.run}. If it is interrupted, start the same command again: it goes on where it stopped")
    with bars(quiet=as_json) as watch:
        _run(plan, context, template, watch)
    scored = _opened(plan, context.store)
    _write(scored, output, report, escape=not no_escape_formulas)
    if as_json:
        screen.dump({"run": plan.run, **scored.output.model_dump(mode="json")})
    else:
        _show(scored, top)


def _check_there(data: str) -> None:
    """Raises InvalidFile for a path that does not exist."""
    from tornio.files.sources import check_there

    check_there(data)


def _say_left_out(data: str) -> None:
    """Say which files of the data are left out."""
    from tornio.files.sources import left_out

    if aside := left_out(data):
        screen.note(f"left out {len(aside):,} files of {data}: {', '.join(aside[:5])}", style="yellow")


def _check_writable(output: Path | None, report: Path | None) -> None:
    """Raises InvalidFile for a path that cannot be written to after the run."""
    from tornio.scoring.results import check_writable

    if output is not None:
        check_writable(output)
    if report is not None:
        check_folder(report)


def _planned(request: ScoreRequest, workspace: str, task: TaskName | None, context: JobContext) -> RunPlan:
    from tornio.scoring.planning import plan_score
    from tornio.tasks import Tasks

    if task is not None and is_default_folder() and tuple(task) not in set(Tasks(context.store).names()):
        raise NotFound(
            f"The task {task} is in the store of its server, and that is not known here: TORNIO_S3_BUCKET and "
            f"TORNIO_STORE_DIR are not set, and there is no {looked_in()}. Set them as for the server."
        )
    return plan_score(request, workspace, task, context.store, context.loader)


def _run(plan: RunPlan, context: JobContext, template: Path | None, watch: Watch) -> None:
    """Do the run: here, or as a RayJob if there is a template of one."""
    from jobs.running.driver import drive

    if template is None:
        drive(plan, context, watch)
    else:
        _on_kuberay(plan, context.store, template, watch)


def _opened(plan: RunPlan, store: ObjectStore) -> ScoredRun:
    from tornio.scoring.scored_run import ScoredRun

    return ScoredRun.open(store, plan.run, plan.workspace)


def _write(scored: ScoredRun, output: Path | None, report: Path | None, *, escape: bool) -> None:
    from tornio.scoring.results import write_scores

    if output is not None:
        write_scores(scored, output, escape=escape)
    if report is not None:
        with writing(report) as part:
            part.write_bytes(scored.store.get(scored.output.report).body)


def _checked_template(data: str, template: Path | None) -> Path:
    """The template of the RayJob, checked before anything is read. Raises InvalidInput."""
    if not data.startswith("s3://"):
        raise InvalidInput(f"{data} is not in S3, and a run on Kubernetes reads nothing else. Write s3://bucket/key")
    if not os.environ.get("TORNIO_S3_BUCKET"):
        raise InvalidInput("a run on Kubernetes stores its documents in a bucket that it shares. Set TORNIO_S3_BUCKET")
    from jobs.running.kuberay import check_store, read_template

    template = template or KubeSettings().job_template
    if template is None:
        raise InvalidInput(
            "no template of a RayJob: give --job-template, such as k8s/examples/rayjob-template.yaml, or set "
            "TORNIO_KUBE_JOB_TEMPLATE"
        )
    check_store(read_template(template), StorageSettings())
    return template


def _on_kuberay(plan: RunPlan, store: ObjectStore, template: Path, watch: Watch) -> None:
    from jobs.running.following import follow
    from jobs.running.kuberay import RUN, kuberay_runner
    from tornio.kube.client import connect

    cluster = connect()
    screen.note(f"it runs as a RayJob. Look at it with: kubectl -n {cluster.namespace} get rayjobs -l {RUN}={plan.run}")
    try:
        follow(plan, kuberay_runner(lambda: cluster, template, store), store, watch)
    except KeyboardInterrupt:
        screen.note("the RayJob goes on. The same command follows it again; delete the RayJob to end the run")
        raise


def _show(scored: ScoredRun, top: int) -> None:
    """Show the counts, and the rows to look at first."""
    counts = scored.output
    rejected = f"; {counts.rejected_rows:,} were put aside, see {counts.rejected}" if counts.rejected_rows else ""
    if counts.first_rejected:
        screen.note(f"the first row that was put aside: {counts.first_rejected}", style="yellow")
    if counts.contradictions:
        screen.note(f"{counts.contradictions:,} texts have different labels in different rows", style="yellow")
    screen.say(
        f"scored {counts.rows:,} rows with {counts.model}{rejected}; {screen.percent(counts.agreement)} of the labels "
        f"agree with the model{_unjudged(counts)}"
    )
    rows = [
        (f"{row.ranking:.3f}", f"{row.loss:.3f}", "|".join(row.given), "|".join(row.predicted), _beginning(row.text))
        for row in islice(scored.showable(), top)
    ]
    if rows:
        screen.show(screen.table(("#suspicion", "#loss", "given", "predicted", "text"), rows))


def _unjudged(counts: ScoreOutput) -> str:
    """How many rows could not be judged, and their labels."""
    if not counts.unjudged:
        return ""
    more = f" and {len(counts.unjudged_labels) - _NAMED} more" if len(counts.unjudged_labels) > _NAMED else ""
    return (
        f"; {counts.unjudged:,} could not be judged and come last, because no other text has their label: "
        f"{', '.join(counts.unjudged_labels[:_NAMED])}{more}"
    )


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."
