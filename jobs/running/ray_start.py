"""Start a Ray of our own, again if needed: each try has twice the time of the one before.

Ray gives the parts of its node fixed times of 30 s and 60 s, which are too short on a busy machine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

import psutil
import ray
from ray._private import ray_constants, services

from tornio.errors import Unavailable

_get_node = services.get_node
log = logging.getLogger(__name__)
TRIES = 4
NODE_S = 30
"""Seconds that a node may take to appear at the first try, as Ray has it."""
POLL_S = 0.2
DASHBOARD_S = 60
"""Seconds that the dashboard may take at the first try, as Ray has it."""


def be_patient(attempt: int) -> None:
    """Set the times of this try in Ray's modules. The first try is 0; each further one has twice the time."""
    # Ray has no setting for it: `Node.__init__` asks for 30 s, and each of its questions now waits as long as it may.
    services.get_node = partial(_node_that_appears, NODE_S << attempt)
    ray_constants.RAY_DASHBOARD_STARTUP_TIMEOUT_S = DASHBOARD_S << attempt


def _node_that_appears(patience_s: float, gcs_address: str, node_id: str) -> object:
    """Return what Ray knows about the node. Raises RuntimeError, as Ray does, if it is unknown after ``patience_s``."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return _get_node(gcs_address, node_id)  # type: ignore[no-untyped-call]
        except RuntimeError:
            if time.monotonic() >= end:
                raise
        time.sleep(POLL_S)


def until_it_runs(start: Callable[[], object], tell: Callable[[str], None] = log.warning) -> None:
    """Call ``start``, which calls ``ray.init``, until it succeeds.

    Raises Unavailable after the last of `TRIES`. What a failed try has started is ended before the next.
    """
    me = psutil.Process()
    before = set(me.children(recursive=True))
    for attempt in range(TRIES):
        be_patient(attempt)
        try:
            start()
            return
        except Exception as error:  # Ray raises no more specific class
            ray.shutdown()
            end_processes([child for child in me.children(recursive=True) if child not in before])
            if attempt + 1 == TRIES:
                raise Unavailable(
                    f"Ray did not start in {TRIES} tries ({error}). This machine may be too busy or have too little "
                    "memory. Start again when it has more room: a run continues where it stopped."
                ) from error
            tell(f"Ray did not start ({error}). Trying again with twice the time.")


def end_processes(processes: list[psutil.Process]) -> None:
    """Kill these processes and wait until they have ended."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=5)
