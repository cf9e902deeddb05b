"""``tornio review report`` and ``tornio export corrected``: what reviewers made of a score run.

For a run of a task, the server writes both as a run of its own, and this machine fetches them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tornio.api import ReviewExportRequest, RunOut
from tornio.cli import screen
from tornio.cli.connect import Context, Json, NoEscapeFormulas, Url, connect
from tornio.cli.options import request_of
from tornio.cli.results import TABLES, fetch_result, waited_for
from tornio.cli.scored import OfTask, Run, Workspace, check_url, check_workspace, open_scored
from tornio.client import Client
from tornio.errors import InvalidFile
from tornio.files.pushing import HUB, check_name
from tornio.files.whole import check_empty, check_folder, writing
from tornio.storage.local import LocalStore

if TYPE_CHECKING:
    from tornio.review.corrected import CorrectedSet


def report(
    ctx: Context,
    run: Run,
    task: OfTask = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Path of the HTML file.")] = Path("report.html"),
    workspace: Workspace = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write the run's report, including the reviewers' answers so far: how many of the suspicious labels were wrong."""
    check_workspace(task, workspace)
    if task is not None:
        check_folder(output)
        if output.suffix.lower() != ".html":
            raise typer.BadParameter(f"--output {output}: the report is HTML. Give a name that ends in .html.")
        with connect(ctx, url) as client:
            done = _exported(client, task, run, quiet=as_json)
            fetch_result(client, task, done, output, escape=True, quiet=as_json)
    else:
        check_url(url)
        scored = open_scored(run, workspace)
        from tornio.review.report import run_report

        with writing(output) as part:
            part.write_text(run_report(scored), encoding="utf-8")
    if as_json:
        screen.dump({"path": str(output)})
    else:
        screen.say(f"wrote {output}")


def export_corrected(
    ctx: Context,
    run: Run,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="A .parquet, .jsonl or .csv file; a name without extension is a folder for the `datasets` library; "
            "hub:NAME is the Hugging Face hub, with the token of HF_TOKEN.",
            show_default=False,
        ),
    ],
    task: OfTask = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make a new data set on the hub public. Default: private.")
    ] = False,
    no_escape_formulas: NoEscapeFormulas = False,
    workspace: Workspace = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write all rows of a run with the labels that reviewers corrected: text, original, corrected, who, when."""
    check_workspace(task, workspace)
    is_file = _check_output(output)
    if task is None:
        check_url(url)
        scored = open_scored(run, workspace)
        from tornio.review.corrected import CorrectedSet, corrected, schema
        from tornio.review.write import writer_for

        if is_file:
            write = writer_for(Path(output), escape=not no_escape_formulas)
            rows = write(corrected(scored), schema(scored.multi_label))
        else:
            output, rows = _as_dataset(CorrectedSet.of(scored), output, private=not public)
    elif is_file:
        with connect(ctx, url) as client:
            done = _exported(client, task, run, quiet=as_json)
            fetch_result(client, task, done, Path(output), escape=not no_escape_formulas, quiet=as_json)
            rows = int((done.output or {})["rows"])
    else:
        with connect(ctx, url) as client, _of_server(client, task, run, quiet=as_json) as made:
            output, rows = _as_dataset(made, output, private=not public)
    if as_json:
        screen.dump({"path": output, "rows": rows})
    else:
        screen.say(f"wrote {rows:,} rows to {output}")


def _check_output(output: str) -> bool:
    """Return whether the output is one file. Raises InvalidFile and InvalidInput for one that cannot be written."""
    name = output.removeprefix(HUB)
    path = Path(output)
    if name != output:
        check_name(name, "data set")
        return False
    if not path.suffix:
        check_empty(path)
        return False
    check_folder(path)
    if path.suffix.lower() not in TABLES:
        raise InvalidFile(
            f"{output}: the extension {path.suffix!r} is not a known format. Use .parquet, .jsonl or .csv, a name "
            "without extension for a folder of `datasets`, or hub:NAME."
        )
    return True


def _as_dataset(made: CorrectedSet, output: str, *, private: bool) -> tuple[str, int]:
    """Write a folder of `datasets`, or push to the hub. Returns where it is and its number of rows."""
    from tornio.review import hub
    from tornio.review.card import card

    dataset = hub.as_dataset(made.tables(), made.labels, made.multi_label)
    name = output.removeprefix(HUB)
    if name == output:
        hub.save(dataset, Path(output))
        return output, len(dataset)
    text = card(
        title=name.rpartition("/")[2],
        run=made.run,
        model=made.model,
        ranking=made.suspicion,
        labels=made.labels,
        multi_label=made.multi_label,
        rows=len(dataset),
        so_far=made.so_far,
    )
    return hub.push(dataset, name, text, private=private), len(dataset)


def _exported(client: Client, task: str, run: str, *, quiet: bool) -> RunOut:
    """Let the server write the corrected set and the report, and return that run when it is done."""
    asked = client.start_run(task, request_of(ReviewExportRequest, {"run": run}))
    if not quiet:
        screen.note(f"The server writes it: run {asked.run}")
    return waited_for(client, task, asked.run, quiet=quiet)


@contextmanager
def _of_server(client: Client, task: str, run: str, *, quiet: bool) -> Iterator[CorrectedSet]:
    """Yield the corrected set that the server writes, as long as its parts are on this machine."""
    try:
        from tornio.review.export import fetched
    except ImportError as error:
        raise typer.BadParameter(
            f"This command needs an extra that is not installed ({error}). Run: pip install 'tornio[cluster]'"
        ) from error

    done = _exported(client, task, run, quiet=quiet)
    with tempfile.TemporaryDirectory(prefix="tornio-") as scratch:
        folder = Path(scratch) / "result"
        fetch_result(client, task, done, folder, escape=True, quiet=quiet)
        yield fetched(done.output or {}, LocalStore(folder))
