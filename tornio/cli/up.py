"""``tornio up``: everything on one machine, on loopback, until Ctrl-C."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from tornio.cli import screen
from tornio.cli.connect import Json

WATCH_S = 1.0
"""Seconds between looks whether all processes live."""


def up(
    state: Annotated[Path, typer.Option(help="Folder that keeps data, logs and credentials.")] = Path(".tornio"),
    port: Annotated[int | None, typer.Option(help="Port of the HTTP API; a free one by default.")] = None,
    argilla_port: Annotated[int | None, typer.Option(help="Port of Argilla; a free one by default.")] = None,
    s3_port: Annotated[int | None, typer.Option(help="Port of the object store; a free one by default.")] = None,
    as_json: Json = False,
) -> None:
    """Start object store, Argilla, Ray and the application on 127.0.0.1, and end them all on Ctrl-C.

    With --json one line on standard output says where everything is, once it serves; the rest goes to stderr.
    """
    try:
        from services.embedded.up import Everything
    except ImportError as error:
        raise typer.BadParameter(
            f"`tornio up` needs the extras: pip install 'tornio[cluster,embedded]' ({error})"
        ) from error
    console = screen.err() if as_json else screen.out()
    given = {"argilla": argilla_port, "seaweedfs_s3": s3_port}
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell that starts us in the background ignores Ctrl-C for us
        signal.signal(number, signal.default_int_handler)
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
            f"Credentials: {tornio.stack.credentials_file}\nCtrl-C ends everything; `tornio up` goes on here."
        )
        try:
            while True:
                time.sleep(WATCH_S)
                tornio.stack.check()
        except KeyboardInterrupt:
            console.print("Ending ...")
