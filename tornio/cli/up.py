"""``tornio up``: run everything on one machine, on loopback, until Ctrl-C."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tornio.cli import screen
from tornio.cli.connect import Json
from tornio.client import stacks
from tornio.client.address import STATE_FOLDER, STATE_VARIABLE, state_folder

if TYPE_CHECKING:
    from services.embedded.up import Everything

WATCH_S = 1.0
"""Seconds between two looks at the processes, which are started again when they end, and at the disk."""


def up(
    state: Annotated[
        Path | None,
        typer.Option(
            help="Folder for data, logs and credentials.",
            show_default=f"{STATE_VARIABLE}, or {STATE_FOLDER} here",
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the HTTP API.", show_default="a free one")] = None,
    argilla_port: Annotated[int | None, typer.Option(help="Port of Argilla.", show_default="a free one")] = None,
    s3_port: Annotated[int | None, typer.Option(help="Port of the object store.", show_default="a free one")] = None,
    as_json: Json = False,
) -> None:
    """Start object store, Argilla, Ray and the application on 127.0.0.1, and stop all of them on Ctrl-C.

    The next start continues from the saved state. Other commands find it from any folder, unless several run. With
    --json, one line on standard output gives all addresses as soon as the application answers. Other output then goes
    to standard error.
    """
    try:
        from services.embedded.up import Everything
    except ImportError as error:
        raise typer.BadParameter(
            f"`tornio up` needs extras that are not installed ({error}). Run: pip install 'tornio[cluster,embedded]'"
        ) from error
    console = screen.err() if as_json else screen.out()

    def tell(line: str | screen.Text) -> None:
        console.print(line, soft_wrap=True)  # a broken path or address could not be copied

    state = state or state_folder()
    given = {"argilla": argilla_port, "seaweedfs_s3": s3_port}
    tell(f"Starting Tornio in {state}/ (half a minute the first time) ...")
    with (
        Everything(
            state,
            port=port,
            given_ports={name: number for name, number in given.items() if number is not None},
            report=lambda line: tell(f"  {line}"),
        ) as tornio,
        stacks.registered(state, tell),
    ):
        if as_json:
            screen.dump_line(_addresses(tornio))
        for line in _lines(tornio, state):
            tell(line)
        try:
            while True:
                time.sleep(WATCH_S)
                tornio.stack.keep()
        except KeyboardInterrupt:
            tell("Stopping ...")


def _addresses(tornio: Everything) -> dict[str, str]:
    addresses = tornio.addresses
    return {
        "url": tornio.url,
        "argilla_url": addresses.argilla_url,
        "argilla_username": addresses.argilla_username,
        "s3_endpoint": addresses.s3_endpoint,
        "s3_bucket": addresses.s3_bucket,
        "credentials_file": str(tornio.stack.credentials_file),
    }


def _lines(tornio: Everything, state: Path) -> Iterator[str | screen.Text]:
    """Where everything is, for people: first the page, which leads to everything else."""
    addresses = tornio.addresses
    yield ""
    for name, where in (
        ("Page", f"{tornio.url}/  (log in with the API key)"),
        ("API", f"{tornio.url}  (docs: {tornio.url}/docs)"),
        ("Argilla", f"{addresses.argilla_url}  (user {addresses.argilla_username})"),
        ("S3", f"{addresses.s3_endpoint}/{addresses.s3_bucket}"),
    ):
        yield screen.Text.assemble((f"{name:<9}", "bold"), where)
    yield f"Credentials, with the API key: {tornio.stack.credentials_file}"
    if state.resolve() != state_folder().resolve():
        chosen = f"export {STATE_VARIABLE}={shlex.quote(str(state.resolve()))}"
        yield f"While no other one runs, all commands find it. To choose it: {chosen}"
    yield "Ctrl-C stops everything; `tornio up` continues from here."
