"""``tornio score``: which labels of a data set are probably wrong?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tornio.api import TaskName
from tornio.cli import screen
from tornio.cli.connect import Json
from tornio.cli.stores import is_default_folder, use_store
from tornio.errors import InvalidInput
from tornio.files.whole import check_folder, writing
from tornio.settings import KubeSettings, StorageSettings

if TYPE_CHECKING:
    from tornio.schemas.jobs import ScoreOutput
    from tornio.schemas.runs import RunPlan, RunProgress, RunResult
    from tornio.scoring.scored_run import ScoredRow
    from tornio.storage.port import ObjectStore


class Place(StrEnum):
    """Where a run is done."""

    HERE = "here"
    KUBERAY = "kuberay"


_SHOWN = 60
"""Characters of a text in the terminal's table."""


def score(
    data: Annotated[
        str,
        typer.Option(
            help="Parquet, CSV, TSV, JSON lines or Arrow, a folder of them or of a saved `datasets` data set, by path "
            "or s3://bucket/key; hub:NAME[SPLIT] for one of the hub.",
            show_default=False,
        ),
    ],
    task: Annotated[str | None, typer.Option(metavar="WORKSPACE/TASK", help="Whose labels, model, encoder.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Alias or version of the task; else path or hub id of a sequence classifier."),
    ] = None,
    cross_validate: Annotated[
        int, typer.Option(min=0, max=100, help="Score each row by one of so many models that did not see it.")
    ] = 0,
    ranking: Annotated[
        str | None,
        typer.Option(
            help="What rows are sorted by: pooled-loss, loss, normalized-margin, confidence-weighted-entropy or "
            "confident-learning.",
            show_default="pooled-loss out of sample, else loss",
        ),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Without a task: the labels, with commas between.")] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Without a task: a text may have several.")
    ] = False,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.", show_default="text")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label.", show_default="label")] = None,
    id_column: Annotated[str | None, typer.Option(help="Column that holds the id.", show_default="id")] = None,
    separator: Annotated[str, typer.Option(help="Between the labels of a text that has several.")] = "|",
    encoding: Annotated[str | None, typer.Option(help="Of a CSV or JSON file.", show_default="UTF-8")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of a CSV.", show_default="found out")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="Without a task: the base model for --cross-validate.", show_default="minilm"),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(min=8, help="Without a task: tokens after which a text is cut.", show_default="256"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End at the first row that cannot be used.")] = False,
    seed: Annotated[int, typer.Option(help="Of the folds.")] = 0,
    top: Annotated[int, typer.Option(min=0, help="So many of the most suspicious rows are shown.")] = 10,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="All rows, most suspicious first: .parquet, .csv or .jsonl.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Where to put the report, one HTML file.")] = None,
    workspace: Annotated[str, typer.Option(help="Without a task: whose run it is.")] = "default",
    on: Annotated[
        Place, typer.Option(help="here; or kuberay: as a RayJob of the Kubernetes of KUBECONFIG.")
    ] = Place.HERE,
    job_template: Annotated[
        Path | None,
        typer.Option(
            help="With --on kuberay: manifest of a RayJob to make it from.", show_default="TORNIO_KUBE_JOB_TEMPLATE"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sort a labelled data set by its loss: wrong labels come first. Started again, it goes on where it stopped.

    Runs here, on a Ray of its own or the cluster that RAY_ADDRESS names. Documents go to the store of TORNIO_S3_...,
    else that of the `tornio up` in this folder or above it, else to .tornio/store. As a RayJob it goes on without this
    command, which, started again, follows it again.
    """
    from tornio.files.sources import check_there

    check_there(data)  # told before seconds of imports
    try:
        from jobs.running.driver import drive
        from jobs.running.process import job_context
        from tornio.review.showable import showable
        from tornio.schemas.jobs import ScoreOutput
        from tornio.scoring.planning import ScoreRequest, plan_score
        from tornio.scoring.results import check_writable, write_scores
        from tornio.scoring.scored_run import ScoredRun
    except ImportError as error:
        raise typer.BadParameter(f"scoring needs the extra: pip install 'tornio[cluster]' ({error})") from error
    if output is not None:
        check_writable(output)
    if report is not None:
        check_folder(report)
    named = None if task is None else TaskName.parse(task)
    template = None
    if on is Place.KUBERAY:
        _check_reachable(data)
        template = _checked_template(job_template)
    use_store()
    if os.environ.get("RAY_ADDRESS") and is_default_folder():
        raise InvalidInput(
            "RAY_ADDRESS names a cluster, whose nodes do not have the folder .tornio/store: set TORNIO_S3_BUCKET, here "
            "and on the cluster, or unset RAY_ADDRESS"
        )
    context = job_context()
    plan = plan_score(
        ScoreRequest(
            data=data,
            workspace=workspace,
            task=named,
            model=model,
            labels=tuple(name.strip() for name in labels.split(",") if name.strip()) if labels else (),
            multi_label=multi_label,
            folds=cross_validate,
            ranking=ranking,
            encoder=encoder,
            max_length=max_length,
            text_column=text_column,
            label_column=label_column,
            id_column=id_column,
            separator=separator,
            encoding=encoding,
            delimiter=delimiter,
            seed=seed,
            strict=strict,
        ),
        context.store,
        context.loader,
    )
    if not as_json:
        screen.note(f"run {plan.run}; started again, it goes on where it stopped")
    with _bars(quiet=as_json) as watch:
        result = drive(plan, context, watch) if template is None else _on_kuberay(plan, context.store, template, watch)
    scored = ScoreOutput.model_validate(result.output)
    found = ScoredRun.open(context.store, plan.run, plan.workspace)
    if output is not None:
        write_scores(found, output)
    if report is not None:
        with writing(report) as part:
            part.write_bytes(context.store.get(scored.report).body)
    if as_json:
        screen.dump({"run": plan.run, **scored.model_dump(mode="json")})
        return
    _tell(scored, islice(showable(found), top))


def _check_reachable(data: str) -> None:
    """Raises InvalidInput for what a cluster elsewhere does not see."""
    if not data.startswith("s3://"):
        raise InvalidInput(f"{data} is not in S3, and what runs on Kubernetes sees nothing else: write s3://bucket/key")
    if not os.environ.get("TORNIO_S3_BUCKET"):
        raise InvalidInput("a run on Kubernetes keeps its documents in the bucket that it shares: set TORNIO_S3_BUCKET")


def _checked_template(template: Path | None) -> Path:
    """The template of the RayJob, before anything is read. Raises InvalidInput."""
    from jobs.running.kuberay import check_store, read_template

    template = template or KubeSettings().job_template
    if template is None:
        raise InvalidInput(
            "no template of a RayJob: give --job-template, such as k8s/examples/rayjob-template.yaml, or set "
            "TORNIO_KUBE_JOB_TEMPLATE"
        )
    check_store(read_template(template), StorageSettings())
    return template


def _on_kuberay(
    plan: RunPlan, store: ObjectStore, template: Path, watch: Callable[[RunPlan, RunProgress], None]
) -> RunResult:
    from jobs.running.following import follow
    from jobs.running.kuberay import RUN, kuberay_runner
    from tornio.kube.client import connect

    cluster = connect()
    screen.note(f"as a RayJob; look at it with: kubectl -n {cluster.namespace} get rayjobs -l {RUN}={plan.run}")
    try:
        return follow(plan, kuberay_runner(lambda: cluster, template, store), store, watch)
    except KeyboardInterrupt:
        screen.note("the RayJob goes on; the same command follows it again, and deleting it ends the run")
        raise


def _tell(scored: ScoreOutput, worst: Iterable[ScoredRow]) -> None:
    """The counts, and the rows to look at first."""
    rejected = f"; {scored.rejected_rows:,} put aside, see {scored.rejected}" if scored.rejected_rows else ""
    screen.say(
        f"scored {scored.rows:,} rows with {scored.model}{rejected}; {screen.percent(scored.agreement)} of the labels "
        "are what the model says"
    )
    shown = screen.table("#suspicion", "#loss", "given", "predicted", "text")
    for row in worst:
        text = " ".join(row.text.split())
        shown.add_row(
            f"{row.ranking:.3f}",
            f"{row.loss:.3f}",
            "|".join(row.given),
            "|".join(row.predicted),
            text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...",
        )
    if shown.row_count:
        screen.show(shown)


@contextmanager
def _bars(quiet: bool) -> Iterator[Callable[[RunPlan, RunProgress], None]]:
    """A bar for each stage of a run, on a terminal."""
    console = screen.err()
    if quiet or not console.is_terminal:
        yield lambda _plan, _progress: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        known = {}

        def watch(_plan: RunPlan, progress: RunProgress) -> None:
            if progress.stage not in known:
                known[progress.stage] = bars.add_task(progress.stage, total=progress.total)
            bars.update(known[progress.stage], completed=progress.done, total=progress.total)

        yield watch
