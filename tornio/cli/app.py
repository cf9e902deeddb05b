"""The commands, in the order in which a user needs them."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from tornio import __version__
from tornio.cli import annotators, audit, data, deploy, encoders, keys, predict, review, runs, tasks, uploading
from tornio.cli.doctor import doctor
from tornio.cli.init import init
from tornio.cli.open_page import open_page
from tornio.cli.report import report

_CLUSTER_COMMANDS = ("up", "score", "compare", "simulate", "label", "job")
"""Modules with a function of the same name, which imports parts that a client does not have only when it is called."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train and serve text classifiers from unlabelled text and a few annotators, and keep improving them. Tasks "
    "are named workspace/task. The server is that of TORNIO_URL with the key TORNIO_API_KEY (or TORNIO_API_KEY_FILE), "
    "or else the one that `tornio up` started with the state folder TORNIO_STATE, or in this folder or above it, or "
    "else the only `tornio up` that runs.",
)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the program itself."""


def _join_lines(commands: typer.Typer) -> None:
    """Make each paragraph of the commands' help one line, so that only the width of the terminal breaks lines."""
    for command in commands.registered_commands:
        paragraphs = (command.help or inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _join_lines(group.typer_instance)


app.command("init")(init)
app.command("open")(open_page)
app.command("doctor")(doctor)
app.command("report")(report)
for _module in (tasks, annotators, data, predict, review, runs, audit, uploading, encoders, keys, deploy):
    _module.register(app)
for _name in _CLUSTER_COMMANDS:
    if find_spec(f"tornio.cli.{_name}"):
        app.command(_name)(getattr(import_module(f"tornio.cli.{_name}"), _name))
_join_lines(app)
