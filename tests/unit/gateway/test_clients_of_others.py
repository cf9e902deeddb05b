"""Official clients of other servers ask a running server, each in an environment of its own because of its pins."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.gateway.fake import OPERATOR
from tests.unit.gateway.serving import served

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "tests" / "clients"
CLIENTS = {"triton": ".venv-clients", "kserve_rest": ".venv-clients", "mlserver_infer": ".venv-mlserver"}
"""Each script, and the environment that has its client."""
VARIABLE = "TORNIO_TEST_CLIENTS"
"""Folder that has the environments. Default the tree's own."""


@pytest.mark.parametrize("name", CLIENTS)
def test_an_official_client_works_unmodified(name: str) -> None:
    made = Path(os.environ.get(VARIABLE, ROOT)) / CLIENTS[name]
    if not (made / ".made").exists():
        pytest.skip(f"{made} does not exist: `make env-clients` makes it")
    with served() as port:
        command = [str(made / "bin" / "python"), str(SCRIPTS / f"{name}.py"), f"127.0.0.1:{port}", OPERATOR]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
