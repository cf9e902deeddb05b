"""The command line ``tornio``. Most commands use ``tornio.Client``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tornio.cli.app import app
from tornio.cli.connect import OpenClient
from tornio.cli.screen import complain
from tornio.client import Client
from tornio.errors import TornioError


def main(argv: Sequence[str] | None = None, open_client: OpenClient = Client) -> int:
    """Run a command and return its exit code: 0, 1 after an error (printed in red), or 2 for wrong usage.

    ``open_client`` creates the client for an address. Tests pass one that needs no network.
    """
    try:
        app(None if argv is None else list(argv), prog_name="tornio", obj=open_client)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except TornioError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0
