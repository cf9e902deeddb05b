"""All of Tornio on one machine: the embedded stack, with Ray and the Serve application on top of it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from jobs.running import ray_folder
from services import proxy
from services.embedded.credentials import write_private
from services.embedded.ports import HOST
from services.embedded.stack import Addresses, EmbeddedStack
from services.embedded.supervisor import Program
from services.gateway import key_file
from services.gateway.auth import FILE_VARIABLE, Entry, key_digest
from services.gateway.callers import EVERYWHERE, Role
from tornio.settings import LlmSettings

SESSION_FILE = "session.json"
KEYS_FILE = "keys.json"
"""As `tornio.client.address` names it, where `tornio keys` looks for it."""
API_PORT = "api"
DASHBOARD_PORT = "dashboard"
OWN_KEY = "tornio-up"
"""Name of the key that this folder's command line and page use, in the file of API keys and in the audit log."""
CODE = Path(__file__).parents[2]
"""The source tree of this module."""
START_S = 1500.0
"""Seconds that Ray and the application may take. They need half a minute. On a busy machine, the tries of
`jobs.running.ray_start` may take 1350 s together, and the application comes after them."""


class Everything:
    """``with Everything(Path(".tornio")) as tornio: ...``. A later start continues from the folder's state."""

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int | None = None,
        given_ports: Mapping[str, int] | None = None,
        argilla_python: Path | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        given = {**(given_ports or {}), **({API_PORT: port} if port is not None else {})}
        self.stack = EmbeddedStack(
            state_dir, ports=given, also=(API_PORT, DASHBOARD_PORT), argilla_python=argilla_python, report=report
        )
        self._report = report
        self.url = ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def addresses(self) -> Addresses:
        return self.stack.addresses

    @property
    def api_key(self) -> str:
        """The key that every request needs, except health checks and the documentation."""
        return self.addresses.api_key

    @property
    def session_file(self) -> Path:
        """File in which the command line finds address and key (mode 0600)."""
        return self.stack.state_dir / SESSION_FILE

    def start(self) -> Self:
        """Start everything and wait until it serves. Raises what `EmbeddedStack.start` raises."""
        self.stack.launch()
        try:
            port = self.stack.ports[API_PORT]
            self.url = f"http://{HOST}:{port}"
            dashboard_port = self.stack.ports[DASHBOARD_PORT]
            prepare = partial(application, self.addresses, self.stack.state_dir, port, dashboard_port)
            child = self.stack.supervisor.start(prepare)
            self.stack.wait()
            self.stack.supervisor.wait_ready(child, lambda: is_ready(self.url), START_S)
        except BaseException:
            self.stack.stop()
            raise
        self._report(f"Ray and the application are ready after {time.monotonic() - child.started:.1f} s")
        session = {
            "url": self.url,
            "api_key": self.api_key,
            "argilla_url": self.addresses.argilla_url,
            "environment": self.addresses.environment(),  # for jobs that a user starts beside the stack
        }
        write_private(self.session_file, json.dumps(session))
        return self

    def stop(self) -> None:
        """End everything that was started. May be called again."""
        self.session_file.unlink(missing_ok=True)
        self.stack.stop()


def application(
    addresses: Addresses, state: Path, port: int, dashboard_port: int, *, code: Path = CODE, name: str = "ray"
) -> Program:
    """Make a token and an empty folder for Ray; return the program that runs it and the application of ``code``.

    ``code``: a source tree. ``state``: an existing folder for the token, Ray's session, the file of API keys and the
    cache of models. Raises InvalidInput or InvalidFile if there is such a file that cannot be used.
    """
    environment = {
        **addresses.environment(),
        FILE_VARIABLE: str(_key_file(state, addresses.api_key)),
        "TORNIO_CACHE_DIR": str(state / "cache"),
        "TORNIO_JOB_WORKERS": "1",  # per large run: with logical processors, more would wait
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # otherwise it listens on the machine's public address
        **ray_folder.private(state),
        **proxy.ENVIRONMENT,
        **{name: os.environ[name] for name in LlmSettings().variables() if name in os.environ},
        # Serve replaces its proxy after three failed checks. With its own period, 10 s, nobody is answered for 40 s.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        # Ray collects metrics every ten seconds. By default, replicas and handles write them ten times a second.
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "5000",
        "RAY_worker_niceness": "0",  # by default Ray's workers have a lower priority
        "PYTHONPATH": os.pathsep.join(filter(None, (str(code), os.environ.get("PYTHONPATH")))),
    }
    ports = ("--port", str(port), "--dashboard-port", str(dashboard_port))
    argv = (sys.executable, "-m", "services.embedded.serving", *ports)
    return Program(name, argv, environment, cwd=state, grace_s=30.0)


def _key_file(state: Path, api_key: str) -> Path:
    """Return the file of the keys that the application accepts. It has this key and those that the user added."""
    path = state / KEYS_FILE
    entry = Entry(name=OWN_KEY, sha256=key_digest(api_key), workspaces=[EVERYWHERE], role=Role.ADMIN)
    own = entry.model_dump(mode="json", exclude_none=True)
    if own not in key_file.read(path):  # a full disk must not keep the application from being started again
        with key_file.changing(path) as entries:
            entries[:] = [own, *(other for other in entries if other["name"] != OWN_KEY)]
    return path


def is_ready(url: str) -> bool:
    """Whether the application at this address can answer predictions."""
    try:
        return httpx.get(f"{url}/readyz", timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
