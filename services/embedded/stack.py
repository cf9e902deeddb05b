"""The services that run elsewhere in production, started together on loopback: object store, Valkey, Argilla.

    with EmbeddedStack(Path(".tornio")) as stack:
        os.environ.update(stack.addresses.environment())

Ray and the Serve application are not part of the stack. They are started on top of it, under the same `supervisor`.
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
from services.embedded.revival import Revival
from services.embedded.room import Room
from services.embedded.supervisor import Child, Program, Supervisor
from services.embedded.valkey import Valkey

log = logging.getLogger(__name__)

CREDENTIALS_FILE = "credentials.json"
PORTS_FILE = "ports.json"
PORTS = (*objectstore.PORTS, "valkey", "argilla")


class Service(Protocol):
    """A program that the stack starts."""

    @property
    def name(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...
    def program(self) -> Program:
        """Write the program's configuration and return how to start it."""
        ...

    def ready(self) -> bool:
        """Check once, quickly, whether it serves."""
        ...

    def settle(self) -> None:
        """Do what must be done once it serves."""
        ...


class Addresses(BaseModel):
    """Addresses and credentials of the services."""

    model_config = ConfigDict(frozen=True)

    s3_endpoint: str
    s3_bucket: str
    s3_access_key: str
    s3_secret_key: str = Field(repr=False)
    argilla_url: str
    argilla_username: str
    argilla_password: str = Field(repr=False)
    argilla_api_key: str = Field(repr=False)
    api_key: str = Field(repr=False)
    """Key of the application's HTTP API."""

    def environment(self) -> dict[str, str]:
        """Return the variables by which jobs and services find the parts, as in production."""
        return {
            "TORNIO_S3_ENDPOINT": self.s3_endpoint,
            "TORNIO_S3_BUCKET": self.s3_bucket,
            "AWS_ACCESS_KEY_ID": self.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3_secret_key,
            "TORNIO_ARGILLA_URL": self.argilla_url,
            "TORNIO_ARGILLA_API_KEY": self.argilla_api_key,
        }


class EmbeddedStack:
    """Object store, Valkey and Argilla, with their state in one folder. A later start continues from that state.

    Args:
        state_dir: Folder for data, credentials (0600), ports and logs; created if missing.
        ports: Ports to use, by name (`PORTS`); the others are free ones, remembered for the next start.
        also: Names of further ports that the caller needs, chosen together with these so that no two are the same.
        argilla_python: Interpreter of Argilla's own environment; see `argilla_server.find_python`.
        report: Called with a line for the user when something takes long or is done.
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
        """Ports by name, set by `launch`."""
        self._argilla_python = argilla_python
        self._report = report
        self._revival = Revival(self.supervisor, report)
        self._room = Room(self.state_dir, report)
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
        """The addresses, set by `launch`."""
        if self._addresses is None:
            raise RuntimeError("The stack has not been started. Call start() first.")
        return self._addresses

    def start(self) -> Self:
        """Start all parts and wait until they serve. If one fails, or on Ctrl-C, all are ended.

        Raises:
            Conflict: The folder is in use by another process, or a given port is in use.
            ChildDied: A part ended by itself; the message contains the end of its log.
            Unavailable: A part did not serve in time, or is not installed.
        """
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        """Start all processes without waiting, so that the caller can start others meanwhile. Then call `wait`."""
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Wait until every part serves. If one fails, or on Ctrl-C, all are ended."""
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

    def keep(self) -> None:
        """Start again what has ended, and say when the disk is full. Call it every second or so."""
        self._revival.look()
        self._room.look()

    def stop(self) -> None:
        """End everything that was started. May be called again."""
        self._waiting.clear()
        self.supervisor.stop()
        if self._store is not None:
            self._store.clean()

    def memory(self) -> dict[str, int]:
        """Return the proportional set size in bytes by process, with its children (resident size if PSS is unknown)."""
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
        valkey = Valkey(self._folder("valkey"), chosen["valkey"], credentials.redis_password)
        argilla = ArgillaServer(self._folder("argilla"), chosen["argilla"], valkey.url, credentials, python)
        self._addresses = Addresses(
            s3_endpoint=self._store.endpoint,
            s3_bucket=self._store.bucket,
            s3_access_key=credentials.s3_access_key,
            s3_secret_key=credentials.s3_secret_key,
            argilla_url=argilla.url,
            argilla_username=credentials.argilla_username,
            argilla_password=credentials.argilla_password,
            argilla_api_key=credentials.argilla_api_key,
            api_key=credentials.api_key,
        )
        services: tuple[Service, ...] = (valkey, argilla, self._store)
        launched = [(service, self.supervisor.start(service.program)) for service in services]
        # Argilla is the slowest, so it comes last: the store is set up while it loads.
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
