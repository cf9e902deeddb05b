"""Ray and the Serve application in one process on loopback, for ``tornio up``. This is a program of its own.

    python -m services.embedded.serving --port 8000 --dashboard-port 8265

The addresses of store and annotation tool come from the environment, as in production. RAY_TMPDIR names the folder in
which Ray makes its own.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from functools import partialmethod

import psutil
import ray
from ray import serve
from ray._private.parameter import RayParams
from ray.serve.schema import LoggingConfig

from jobs.running import ray_start
from services import loopback
from services.embedded.ports import HOST
from tornio.errors import TornioError

log = logging.getLogger(__name__)
NAME = "tornio"
LOGICAL_CPUS = 8
"""Logical processors, so that every actor starts on two cores, as actors are idle most of the time. The application
requests about 0.5, the warm worker 0.5, and each large run 0.5 plus up to 1 for the readers of Ray Data."""
OBJECT_STORE_BYTES = 200 << 20
"""Small, because no large data goes through Ray's object store: data is exchanged through S3."""


def run(port: int, dashboard_port: int) -> None:
    """Start everything, serve until SIGTERM or SIGINT, then stop everything."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    _start_ray(dashboard_port)
    try:
        serve.start(http_options={"host": HOST, "port": port, "request_timeout_s": 120})
        from services.app import build

        quiet = LoggingConfig(enable_access_log=False)  # one line per heartbeat would bury everything else
        serve.run(build(), name=NAME, route_prefix="/", blocking=False, logging_config=quiet)
        ended.wait()
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


class RayDidNotStart(TornioError):
    """Ray did not start, which happens on a busy machine: see `jobs.running.ray_start`."""


def any_agent_port() -> None:
    """Let Ray's agent, through which jobs are submitted, listen on any free port.

    ``ray.init`` only uses port 52365 and has no argument for it. The second of two clusters on one machine would never
    accept a job, with "No available agent".
    """
    if not isinstance(RayParams.__init__, partialmethod):
        RayParams.__init__ = partialmethod(RayParams.__init__, dashboard_agent_listen_port=0)  # type: ignore[method-assign, assignment]


def _start_ray(dashboard_port: int) -> None:
    any_agent_port()
    try:
        ray.init(
            address="local",  # a cluster of its own, even if another runs here
            num_cpus=LOGICAL_CPUS,
            include_dashboard=True,  # large runs are submitted through it
            dashboard_host=HOST,
            dashboard_port=dashboard_port,
            object_store_memory=OBJECT_STORE_BYTES,
            namespace=NAME,
            log_to_driver=True,
            _node_ip_address=HOST,
            runtime_env={"worker_process_setup_hook": loopback.HOOK},
        )
    except Exception as error:  # Ray raises no more specific class
        raise RayDidNotStart(
            "Ray did not start. See the logs of its last session, in ray/session_latest of the state folder."
        ) from error


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dashboard-port", type=int, required=True)
    parser.add_argument("--attempt", type=int, default=0, help="How often Ray has failed to start.")
    args = parser.parse_args()
    ray_start.be_patient(args.attempt)
    try:
        run(args.port, args.dashboard_port)
    except RayDidNotStart as error:
        if args.attempt + 1 >= ray_start.TRIES:
            raise
        log.warning("Ray did not start. Trying again with twice the time: %s", error.__cause__)
        ray_start.end_processes(psutil.Process().children(recursive=True))
        os.execv(sys.executable, again(sys.orig_argv, args.attempt + 1))  # Ray's modules keep state: a new process
    return 0


def again(argv: list[str], attempt: int) -> list[str]:
    """Return the command line of the next try."""
    known = argv.index("--attempt") if "--attempt" in argv else len(argv)
    return [*argv[:known], "--attempt", str(attempt)]


if __name__ == "__main__":
    sys.exit(main())
