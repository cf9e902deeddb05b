"""``tornio export model``: take a version away, as a folder that other libraries load."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tornio.cli import screen
from tornio.cli.connect import Context, Json, Task, Url, connect
from tornio.files.pushing import HUB, check_name
from tornio.files.whole import check_empty, writing_folder

if TYPE_CHECKING:
    from tornio.exchange.writers import Form


def export_model(
    ctx: Context,
    task: Task,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder to write. It must be empty or not exist.")
    ] = None,
    push: Annotated[
        str | None,
        typer.Option(metavar="hub:NAME", help="Upload it to the Hugging Face hub instead, with the token of HF_TOKEN."),
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Version, or 'previous'.", show_default="the one that serves")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make a new model on the hub public. Default: private.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write a version as a folder that transformers or sentence-transformers load, with a card that says what it was
    trained on, how it scored, and how to use it.

    This machine needs the extra 'cluster', and disk for twice the model. The key needs the role 'operate'.
    """
    if (output is None) == (push is None):
        raise typer.BadParameter("give either --output FOLDER or --push hub:NAME")
    name = _hub_name(push)
    if output is not None:
        check_empty(output)
    try:
        from tornio.exchange.source import read_source
        from tornio.exchange.writers import write_version
    except ImportError as error:
        raise typer.BadParameter(
            f"This command needs an extra that is not installed ({error}). Run: pip install 'tornio[cluster]'"
        ) from error

    with tempfile.TemporaryDirectory(prefix="tornio-") as scratch:
        got = Path(scratch) / "got"
        with connect(ctx, url) as client, screen.progress("reading bytes", None, quiet=as_json) as advance:
            client.download_version(task, got, version, advance)
        source = read_source(got)
        made = Path(scratch) / "made"
        made.mkdir()
        with nullcontext(made) if output is None else writing_folder(output) as folder:
            form = write_version(source, folder)
            where = str(output) if name is None else _pushed(folder, name, private=not public)
    _say(task, source.manifest.version, form, where, as_json)


def _hub_name(push: str | None) -> str | None:
    if push is None:
        return None
    if not push.startswith(HUB):
        raise typer.BadParameter(f"--push takes hub:NAME or hub:OWNER/NAME, not {push!r}")
    check_name(push.removeprefix(HUB), "model")
    return push.removeprefix(HUB)


def _pushed(folder: Path, name: str, *, private: bool) -> str:
    from tornio.exchange.hub import push

    return push(folder, name, private=private)


def _say(task: str, version: str, form: Form, where: str, as_json: bool) -> None:
    if as_json:
        screen.dump({"task": task, "version": version, "form": form.name, "path": where})
    else:
        screen.say(f"wrote version {version} of {task} to {where}, for {form.name}; its README.md says how to use it")
