"""Start a Ray of our own, again if needed: each try has twice the time of the one before.

Ray gives the parts of its node fixed times of 30 s and 60 s, which are too short on a busy machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import psutil
import ray
from ray._private import ray_constants, services

from tornio.errors import Unavailable

log = logging.getLogger(__name__)
TRIES = 4
NODE_S = 30
"""Seconds that a node may take to appear at the first try, as Ray has it."""
DASHBOARD_S = 60
"""Seconds that the dashboard may take at the first try, as Ray has it."""


def be_patient(attempt: int) -> None:
    """Set the times of this try in Ray's modules. The first try is 0; each further one has twice the time."""
    services.wait_for_node.__defaults__ = (NODE_S << attempt,)  # Ray has no setting for it
    ray_constants.RAY_DASHBOARD_STARTUP_TIMEOUT_S = DASHBOARD_S << attempt


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
