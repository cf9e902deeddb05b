"""What every test shares: no hub, one thread for numerics, and a hypothesis that times nothing."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before anything imports torch, numpy or transformers.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# A `tornio up` that a developer runs on this machine is none of the tests' business, nor are theirs of the developer's.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="tornio-tests-state-")
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# Machines are shared and slow at times: a deadline would test them, not the code.
settings.register_profile("tornio", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("tornio"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "tornio")

_SETS = {"unit", "model", "integration", "ui", "k8s"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test's folder says which set it belongs to, unless it says so itself, as the contracts do."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in _SETS):
            folder = item.path.relative_to(Path(__file__).parent).parts[0]
            if folder not in _SETS:
                raise pytest.UsageError(
                    f"{item.nodeid} is in no set of tests: mark it one of {', '.join(sorted(_SETS))}"
                )
            item.add_marker(folder)
