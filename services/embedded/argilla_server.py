"""Argilla's server on SQLite, with a search engine that needs no Elasticsearch (see `argilla_app`).

It runs in a Python environment of its own, because its pins (FastAPI 0.115, pydantic 2.9) conflict with Ray Serve's.
"""

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from services.embedded.credentials import Credentials
from services.embedded.ports import HOST
from services.embedded.supervisor import Program
from tornio.errors import Unavailable

APP = Path(__file__).parent / "argilla_app"
PYTHON_VARIABLE = "TORNIO_ARGILLA_PYTHON"
DEFAULT_VENV = ".venv-argilla"


@dataclass(frozen=True)
class ArgillaServer:
    """Argilla's server. It migrates its database, creates the owner if missing, and serves API and web page."""

    dir: Path
    port: int
    redis_url: str = field(repr=False)
    credentials: Credentials
    python: Path
    name: str = "argilla"
    timeout_s: float = 120.0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def program(self) -> Program:
        self.dir.mkdir(parents=True, exist_ok=True)
        # Each start copies the web page to a new temporary folder that Argilla never removes.
        temporary = self.dir / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        return Program(
            self.name,
            (str(self.python), str(APP / "run.py"), "--host", HOST, "--port", str(self.port)),
            env={
                "ARGILLA_HOME_PATH": str(self.dir),
                "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{self.dir / 'argilla.db'}",
                "ARGILLA_REDIS_URL": self.redis_url,
                "ARGILLA_SEARCH_ENGINE": "sql",
                # Its own page needs no other origin. By default it allows every page of the web to use a user's login.
                "ARGILLA_CORS_ORIGINS": json.dumps([self.url]),
                "ARGILLA_AUTH_SECRET_KEY": self.credentials.argilla_auth_secret,
                "TORNIO_ARGILLA_OWNER": self.credentials.argilla_username,
                "TORNIO_ARGILLA_OWNER_PASSWORD": self.credentials.argilla_password,
                "TORNIO_ARGILLA_OWNER_API_KEY": self.credentials.argilla_api_key,
                "HF_HUB_OFFLINE": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "ARGILLA_ENABLE_TELEMETRY": "false",
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "TMPDIR": str(temporary),
            },
            cwd=self.dir,
            grace_s=8,
        )

    def ready(self) -> bool:
        """Whether it serves and accepts the owner's key."""
        headers = {"X-Argilla-Api-Key": self.credentials.argilla_api_key}
        try:
            return httpx.get(f"{self.url}/api/v1/me", headers=headers, timeout=5).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def settle(self) -> None:
        """Do nothing: the server needs no further setup."""


def find_python(given: Path | None = None) -> Path:
    """Return the interpreter of Argilla's environment.

    It is the given one, that of TORNIO_ARGILLA_PYTHON, or that of ``.venv-argilla`` in this folder or beside the source
    code. Raises `Unavailable` if none exists.
    """
    source = Path(__file__).resolve().parents[2]
    named = given or (Path(os.environ[PYTHON_VARIABLE]) if os.environ.get(PYTHON_VARIABLE) else None)
    candidates = [named] if named else [root / DEFAULT_VENV / "bin" / "python" for root in (Path.cwd(), source)]
    for candidate in candidates:
        if candidate.exists():
            return candidate.absolute()  # not resolved, because the link selects the environment
    raise Unavailable(
        f"Argilla's own Python environment was not found at {' or '.join(map(str, candidates))}. Create it with "
        f"`make env-argilla` in a checkout, or with `python -m venv {DEFAULT_VENV}` and install argilla-server "
        f"in it, or name its interpreter in {PYTHON_VARIABLE}."
    )
