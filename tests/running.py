"""A whole Tornio that runs, as `tornio up` starts it, and what tests need around it."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from services.embedded.stack import Addresses
from services.embedded.supervisor import Child
from services.embedded.up import Everything
from tornio.api import LabelIn, RecordIn, TaskStatus
from tornio.client import Client

T = TypeVar("T")
DATA = Path(__file__).parents[1] / "examples" / "support" / "data"
LABELS = ("billing", "delivery", "login", "bug", "cancel", "how_to", "feedback")


@dataclass(frozen=True)
class Running:
    """Everything, up, with a client of its API."""

    everything: Everything
    client: Client

    @property
    def url(self) -> str:
        return self.everything.url

    @property
    def addresses(self) -> Addresses:
        return self.everything.addresses

    def child(self, name: str) -> Child:
        """The process that was started last under this name: seaweedfs, valkey, argilla or ray."""
        return next(child for child in reversed(self.everything.stack.supervisor.children) if child.name == name)

    def restart(self, name: str) -> None:
        """Start a child that has ended once more, on the same ports."""
        self.everything.stack.supervisor.start(self.child(name).program)

    def actors(self, title: str) -> list[psutil.Process]:
        """Living Ray workers of this stack alone whose title begins so: ``ServeReplica:tornio:controller``."""
        return [process for process in psutil.Process(self.child("ray").pid).children(True) if _is(process, title)]


def _is(process: psutil.Process, title: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and " ".join(process.cmdline()).startswith(f"ray::{title}")
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running(state_dir: Path) -> Iterator[Running]:
    """All of Tornio on free ports, until the block ends; about half a minute."""
    with (
        Everything(state_dir) as everything,
        Client(everything.url, everything.api_key) as client,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TORNIO_API_KEY", everything.api_key)  # for clients and commands that a test starts
        yield Running(everything, client)


def until(look: Callable[[], T | None], what: str, seconds: float = 300.0, pause: float = 0.1) -> T:
    """What ``look`` finds (anything true), as soon as it does. Patient: machines are shared and slow at times."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)
    return found


def serving(client: Client, task: str, revision: int, seconds: float = 300.0) -> TaskStatus:
    """The status once ``current`` has got that far. Replicas follow in their own time: see ``all_answer_with``."""
    last: list[TaskStatus] = []

    def look() -> TaskStatus | None:
        last[:] = [client.status(task)]
        return last[0] if last[0].serving and last[0].serving.revision >= revision else None

    try:
        return until(look, f"{task} serves revision {revision}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; {last[0].phase}: {last[0].why}") from error


def all_answer_with(client: Client, task: str, revision: int, replicas: int = 2) -> bool:
    """Whether this revision is what every replica answers with, by its own report: none goes back to an earlier one."""
    reports = client.status(task).replicas  # none while the controller is away, or too busy to say
    return len(reports) == replicas and all(report.revision == revision for report in reports)


def spec(name: str, **changes: Any) -> dict[str, Any]:
    """A task over the example's messages, with small batches."""
    loop = {"batch_size": 8, "stop": {"criterion": "none"}, **changes.pop("loop", {})}
    return {"workspace": "shop", "name": name, "labels": list(LABELS), "loop": loop, **changes}


def served_task(client: Client, name: str, known: dict[str, tuple[str, str]], seconds: float = 300.0) -> str:
    """A task that serves its first version: the first 60 of what is known are labels, the rest its pool."""
    task, records = f"shop/{name}", [(i, *said) for i, said in known.items()]
    client.apply(spec(name))
    client.add_records(task, [RecordIn(record_id=i, text=text) for i, text, _ in records[60:]])
    client.import_labels(task, [LabelIn(record_id=i, text=text, labels=[said]) for i, text, said in records[:60]])
    serving(client, task, 1, seconds)
    return task


def labelled_csv(rows: int, known: dict[str, tuple[str, str]]) -> bytes:
    """Columns id, text and label; what is known comes again and again, each time as another text."""
    out, records = io.StringIO(), list(known.items())
    table = csv.writer(out)
    table.writerow(["id", "text", "label"])
    for n in range(rows):
        record_id, (text, label) = records[n % len(records)]
        table.writerow([f"{record_id}-{n}", f"{text} {n}", label])
    return out.getvalue().encode()


def messages(count: int, start: int = 0) -> dict[str, tuple[str, str]]:
    """Record id -> text and label, of the example's pool."""
    answers = {row["id"]: row["label"] for row in _rows(DATA / "answers.csv")}
    pool = {row["id"]: (row["text"], answers[row["id"]]) for row in _rows(DATA / "pool.csv")}
    return dict(list(pool.items())[start : start + count])


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
