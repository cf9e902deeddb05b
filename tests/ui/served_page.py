"""The web page with a backend in memory on a free port of this machine, for tests that look at it in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.gateway.app import create_app
from services.gateway.auth import FixedKeys, KeyRing, read_keys
from tests.unit.gateway.fake import KEYS, FakeBackend, FakeTask
from tests.unit.gateway.serving import listening
from tornio.api import TaskName
from tornio.spec import TaskSpec


def seeded() -> FakeBackend:
    """Return a backend with three tasks in the workspace acme: reviews and topics have versions, empty has none."""
    backend = FakeBackend()
    for name, labels in {
        "reviews": ["praise", "complaint", "question"],
        "topics": ["sports", "business"],
        "empty": ["a", "b"],
    }.items():
        spec = TaskSpec.model_validate({"workspace": "acme", "name": name, "labels": labels})
        backend.held[TaskName("acme", name)] = FakeTask(spec)
    backend.serve("acme/reviews", "v0007-3fa1", 7, "v0006-9c2e")
    backend.serve("acme/topics", "v0001-77aa")
    return backend


@contextmanager
def served_page(backend: FakeBackend | None = None, keys: str = KEYS) -> Iterator[str]:
    """Serve the page on a backend, by default the seeded one. Yields its address.

    ``keys``: those of ``tests.unit.gateway.fake`` by default; log in with its ``OPERATOR``. ``[]``: a server without
    keys, which asks nobody to log in.
    """
    ring = KeyRing(FixedKeys(read_keys(keys, "keys")), insecure=True)
    with listening(create_app(backend or seeded(), ring)) as port:
        yield f"http://127.0.0.1:{port}"
