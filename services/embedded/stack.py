"""The parts that production has elsewhere, started together on loopback: object store, Redis, Argilla.

    with EmbeddedStack(Path(".tornio")) as stack:
        os.environ.update(stack.addresses.environment())

Ray and the Serve application are not part of it; they are started on top, under the same `supervisor`.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import psutil
from pydantic import BaseModel, ConfigDict, Field

from services.embedded import objectstore, ports
from services.embedded.argilla_server import ArgillaServer, find_python
from services.embedded.credentials import Credentials
from services.embedded.objectstore import ObjectStore
from services.embedded.redis import Redis
from services.embedded.supervisor import Child, Program, Supervisor

log = logging.getLogger(__name__)

CREDENTIALS_FILE = "credentials.json"
PORTS_FILE = "ports.json"
PORTS = (*objectstore.PORTS, "redis", "argilla")


class Service(Protocol):
    """A program that the stack starts."""

    @property
    def name(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...
    def program(self) -> Program:
        """Writes its configuration and says how to start it."""
        ...

    def ready(self) -> bool:
        """One quick look whether it serves."""
        ...

    def settle(self) -> None:
        """What must be done once it serves."""
        ...


class Addresses(BaseModel):
    """Where the parts are and how to log in to them."""

    model_config = ConfigDict(frozen=True)

    s3_endpoint: str
    s3_bucket: str
    s3_access_key: str
    s3_secret_key: str = Field(repr=False)
    argilla_url: str
    argilla_username: str
    argilla_password: str = Field(repr=False)
    argilla_api_key: str = Field(repr=False)

    def environment(self) -> dict[str, str]:
        """The variables by which jobs and services find the parts, here as in production."""
        return {
            "TORNIO_S3_ENDPOINT": self.s3_endpoint,
            "TORNIO_S3_BUCKET": self.s3_bucket,
            "AWS_ACCESS_KEY_ID": self.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3_secret_key,
            "TORNIO_ARGILLA_URL": self.argilla_url,
            "TORNIO_ARGILLA_API_KEY": self.argilla_api_key,
        }


class EmbeddedStack:
    """Object store, Redis and Argilla, with their state in one folder; goes on where it stopped.

    Args:
        state_dir: Holds data, credentials (0600), ports and logs; made if missing.
        ports: Ports to use by name (`PORTS`); others are free ones, remembered for the next start.
        also: Names of further ports that the caller needs, chosen together with these so that no two are the same.
        argilla_python: Interpreter of Argilla's own environment; see `argilla_server.find_python`.
        report: Called with a line for the user when something takes a while or is done.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        ports: Mapping[str, int] | None = None,
        also: Sequence[str] = (),
        argilla_python: Path | None = None,
        report: Callable[[str], None] = log.info,
    ) -> None:
        self.state_dir = state_dir.resolve()
        self.supervisor = Supervisor(self.state_dir)
        self._given_ports = dict(ports or {})
        self._port_names = (*PORTS, *also)
        self.ports: Mapping[str, int] = {}
        """Known from `launch` on, by name."""
        self._argilla_python = argilla_python
        self._report = report
        self._waiting: list[tuple[Service, Child]] = []
        self._store: ObjectStore | None = None
        self._addresses: Addresses | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def credentials_file(self) -> Path:
        return self.state_dir / CREDENTIALS_FILE

    @property
    def addresses(self) -> Addresses:
        """Known from `launch` on."""
        if self._addresses is None:
            raise RuntimeError("The stack has not been started: call start() first")
        return self._addresses

    def start(self) -> Self:
        """Starts all parts and waits until they serve; ends all of them if one fails or on Ctrl-C.

        Raises:
            Conflict: the folder is in use by another process, or a given port is taken.
            ChildDied: a part ended by itself, with the end of its log.
            Unavailable: a part did not serve in time, or is not installed.
        """
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        """Starts all processes without waiting, so that a caller can start others meanwhile; then call `wait`."""
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Waits until every part serves; ends all of them if one fails or on Ctrl-C."""
        try:
            while self._waiting:
                service, child = self._waiting[0]
                self.supervisor.wait_ready(child, service.ready, service.timeout_s)
                service.settle()
                self._report(f"{service.name} is ready after {time.monotonic() - child.started:.1f} s")
                self._waiting.pop(0)
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raises `ChildDied`, with the end of its log, if any process has ended."""
        self.supervisor.check()

    def stop(self) -> None:
        """Ends everything that was started. Safe to call again."""
        self._waiting.clear()
        self.supervisor.stop()
        if self._store is not None:
            self._store.clean()

    def memory(self) -> dict[str, int]:
        """Proportional set size in bytes by process, children included (resident size where PSS is unknown)."""
        return {child.name: _tree_memory(child.pid) for child in self.supervisor.children}

    def _launch(self) -> None:
        python = find_python(self._argilla_python)
        self.supervisor.open()
        credentials = Credentials.load_or_create(self.credentials_file)
        self.ports = chosen = ports.assign(self.state_dir / PORTS_FILE, self._port_names, self._given_ports)
        self._store = ObjectStore(
            self._folder("seaweedfs"),
            {name: chosen[name] for name in objectstore.PORTS},
            credentials.s3_access_key,
            credentials.s3_secret_key,
        )
        redis = Redis(self._folder("redis"), chosen["redis"], credentials.redis_password)
        argilla = ArgillaServer(self._folder("argilla"), chosen["argilla"], redis.url, credentials, python)
        self._addresses = Addresses(
            s3_endpoint=self._store.endpoint,
            s3_bucket=self._store.bucket,
            s3_access_key=credentials.s3_access_key,
            s3_secret_key=credentials.s3_secret_key,
            argilla_url=argilla.url,
            argilla_username=credentials.argilla_username,
            argilla_password=credentials.argilla_password,
            argilla_api_key=credentials.argilla_api_key,
        )
        services: tuple[Service, ...] = (redis, argilla, self._store)
        launched = [(service, self.supervisor.start(service.program())) for service in services]
        # Argilla is the slowest: the store is made ready while it loads.
        self._waiting = sorted(launched, key=lambda pair: pair[0] is argilla)

    def _folder(self, name: str) -> Path:
        folder = self.state_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _tree_memory(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in tree:
        try:
            full = process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total += int(getattr(full, "pss", full.rss))
    return total
