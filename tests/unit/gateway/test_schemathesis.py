"""The API does what its description says: schemathesis makes requests from it, and checks the answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.gateway.fake import ADMIN
from tests.unit.gateway.serving import served

pytestmark = pytest.mark.model

LEFT_OUT = {
    "positive_data_acceptance": "the description cannot say that a label must be one of the task's, or names differ",
    "negative_data_rejection": "numbers are read from strings in queries, and YAML takes any text for its schema",
}
"""Checks that are not made, and why."""


def test_no_request_of_any_phase_meets_an_error_of_the_server(tmp_path: Path) -> None:
    with served(most_per_client=1_000) as port:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "run",
            f"http://127.0.0.1:{port}/openapi.json",
            "--phases=examples,coverage,fuzzing,stateful",
            f"--exclude-checks={','.join(LEFT_OUT)}",
            "--max-examples=20",
            "--generation-deterministic",
            "--suppress-health-check=all",
            "--continue-on-failure",
            "--no-color",
            f"--header=Authorization: Bearer {ADMIN}",
        ]
        hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(Path(__file__).with_name("hooks"))}
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False, env=os.environ | hooks
        )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
