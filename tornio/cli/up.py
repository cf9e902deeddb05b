"""``tornio up``: run everything on one machine, on loopback, until Ctrl-C."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from tornio.cli import screen
from tornio.cli.connect import Json

WATCH_S = 1.0
"""Seconds between two checks that all processes are alive."""


def up(
    state: Annotated[Path, typer.Option(help="Folder for data, logs and credentials.")] = Path(".tornio"),
    port: Annotated[int | None, typer.Option(help="Port of the HTTP API.", show_default="a free one")] = None,
    argilla_port: Annotated[int | None, typer.Option(help="Port of Argilla.", show_default="a free one")] = None,
    s3_port: Annotated[int | None, typer.Option(help="Port of the object store.", show_default="a free one")] = None,
    as_json: Json = False,
) -> None:
    """Start object store, Argilla, Ray and the application on 127.0.0.1, and stop all of them on Ctrl-C.

    The next start continues from the saved state. With --json, one line on standard output gives all addresses as soon
    as the application answers. Other output then goes to standard error.
    """
    try:
        from services.embedded.up import Everything
    except ImportError as error:
        raise typer.BadParameter(
            f"`tornio up` needs extras that are not installed ({error}). Run: pip install 'tornio[cluster,embedded]'"
        ) from error
    console = screen.err() if as_json else screen.out()
    given = {"argilla": argilla_port, "seaweedfs_s3": s3_port}
    console.print(f"Starting Tornio in {state}/ (half a minute the first time) ...")
    with Everything(
        state,
        port=port,
        given_ports={name: number for name, number in given.items() if number is not None},
        report=lambda line: console.print(f"  {line}", highlight=False),
    ) as tornio:
        if as_json:
            addresses = tornio.addresses
            screen.dump_line(
                {
                    "url": tornio.url,
                    "argilla_url": addresses.argilla_url,
                    "argilla_username": addresses.argilla_username,
                    "s3_endpoint": addresses.s3_endpoint,
                    "s3_bucket": addresses.s3_bucket,
                    "credentials_file": str(tornio.stack.credentials_file),
                }
            )
        console.print(f"\n[bold]API[/]      {tornio.url}  (docs: {tornio.url}/docs)")
        console.print(f"[bold]Argilla[/]  {tornio.addresses.argilla_url}  (user {tornio.addresses.argilla_username})")
        console.print(f"[bold]S3[/]       {tornio.addresses.s3_endpoint}/{tornio.addresses.s3_bucket}")
        console.print(
            f"Credentials: {tornio.stack.credentials_file}\nCtrl-C stops everything; `tornio up` continues from here."
        )
        try:
            while True:
                time.sleep(WATCH_S)
                tornio.stack.check()
        except KeyboardInterrupt:
            console.print("Stopping ...")
