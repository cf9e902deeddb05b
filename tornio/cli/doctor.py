"""``tornio doctor``: check this machine, this installation, and the server that commands find from here."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import typer

from tornio import __version__
from tornio.cli import findings_view, screen
from tornio.cli.connect import Context, Json, Url, connect
from tornio.cli.diagnosis import Server, check_machine, check_server
from tornio.cli.machine import environment_of, look
from tornio.client import Client
from tornio.client.address import session_environment, state_folder
from tornio.errors import Conflict, Forbidden, InvalidInput, NotFound, TornioError, Unauthorized, Unavailable
from tornio.findings import Finding, note

_ANSWER_S = 10.0


def doctor(ctx: Context, url: Url = None, as_json: Json = False) -> None:
    """Check this machine, this installation and the server that is found from here, and say what to do.

    The exit code is 0 if nothing is wrong, 1 if something is missing or wrong, and 3 if something could not be
    checked. A note may be as you want it. `tornio deploy check` checks a Kubernetes cluster.
    """
    results = list(_findings(ctx, url))
    if as_json:
        screen.dump({"version": __version__, "findings": findings_view.as_json(results)})
    else:
        for finding in results:
            findings_view.say(finding)
    if code := findings_view.exit_code(results):
        raise typer.Exit(code)


def _findings(ctx: Context, url: str | None) -> Iterator[Finding]:
    yield from check_machine(look(state_folder().resolve()))
    yield from check_server(_server(ctx, url), __version__)
    try:
        session = session_environment(anywhere=True) or {}
    except (Conflict, InvalidInput):
        session = {}  # the check of the server has said so
    given, wrong = environment_of()
    yield from wrong
    yield from _outside({**session, **given})


def _server(ctx: Context, url: str | None) -> Server:
    """What the server says, and how it takes the key."""
    try:
        client = connect(ctx, url)
    except (NotFound, Conflict, InvalidInput) as error:
        return Server(None, str(error))
    with client:
        try:
            version, skew = _asked(client.url)
        except (httpx.HTTPError, ValueError) as error:
            return Server(client.url, f"{type(error).__name__}: {error}")
        try:
            tasks = client.tasks()
        except (Unauthorized, Forbidden) as error:
            return Server(client.url, version=version, skew=skew, refused=str(error))
        except TornioError as error:
            return Server(client.url, str(error))
        workspace = next((task.workspace for task in tasks), None)
        operates = None if workspace is None else _operates(client, workspace)
        return Server(client.url, "", version, skew, len(tasks), "", operates)


def _asked(url: str) -> tuple[str | None, float | None]:
    """The version of a server, and how many seconds its clock is ahead. Raises HTTPError, ValueError."""
    answer = httpx.get(f"{url}/openapi.json", timeout=_ANSWER_S)
    here, said = datetime.now(UTC), answer.headers.get("date")
    document: Any = answer.json() if answer.is_success else {}
    version = document.get("info", {}).get("version") if isinstance(document, dict) else None
    skew = (parsedate_to_datetime(said) - here).total_seconds() if said else None
    return version if isinstance(version, str) else None, skew


def _operates(client: Client, workspace: str) -> bool | None:
    """Whether the key may change tasks: whoever may do so may read the audit log."""
    try:
        next(iter(client.audit(workspace)), None)
    except Forbidden:
        return False
    except (NotFound, Unavailable):
        return None
    return True


def _outside(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check bucket and Argilla, where this shell or the running `tornio up` names them."""
    if not environment.get("TORNIO_S3_BUCKET"):
        yield note("S3 and Argilla", "not checked, because TORNIO_S3_BUCKET is not set", "only a server needs them")
        return
    try:
        from services.checking import check_outside
    except ImportError as error:
        todo = "pip install 'tornio[cluster]'"
        yield note("S3 and Argilla", f"not checked, because an extra is not installed ({error})", todo)
        return
    logging.getLogger("tornio.storage").setLevel(logging.ERROR)  # an unreachable store is reported once, as a finding
    yield from check_outside(environment, inside=True)
