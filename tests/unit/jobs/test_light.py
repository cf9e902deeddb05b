"""What a controller imports stays light: torch costs it seconds and half a gigabyte, and it computes nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.unit

HEAVY = ("torch", "transformers", "sklearn", "scipy")


@pytest.mark.parametrize(
    "module", ["jobs.table", "jobs.running.measuring", "tornio.tasks.names", "tornio.loop.advance"]
)
def test_a_module_of_the_controller_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == "[]", f"{module} imports {found}"
