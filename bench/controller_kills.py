"""kill -9 of the controller at five moments of a six-iteration run, against real S3, Argilla and Ray.

    python -m bench.controller_kills

Turns the same task twice from nothing, undisturbed and with the kills, and compares: the same batches, the same set of
(record, labels, purpose), no record twice, and an end. Data: the support example.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from bench.annotating import Person
from examples.support.annotator import known_answers
from services.embedded.up import Everything
from tornio.cli import main as tornio_command
from tornio.client import Client
from tornio.settings import StorageSettings
from tornio.storage.s3 import open_store
from tornio.tasks import Tasks

SUPPORT = Path(__file__).resolve().parents[1] / "examples" / "support"
ITERATIONS, BATCH = 6, 20
PATIENCE_S = 300.0
MOMENTS = ("querying", "labelling", "training", "gating", "any")
"""In iteration 2, 3, ...: the phase in which the controller is killed (phases that pass too fast: right after)."""


@dataclass
class Facts:
    """What must not depend on kills."""

    batches: dict[str, list[str]]
    labels: list[tuple[Any, ...]]
    iterations: int
    stopped: bool
    killed: list[str] = field(default_factory=list)


def controller_of(pid: int) -> psutil.Process | None:
    """The controller's process among the descendants of ``tornio up``'s Ray."""
    for process in psutil.Process(pid).children(recursive=True):
        if "ServeReplica:tornio:controller" in " ".join(process.cmdline()):
            return process
    return None


def kill_controller(ray_pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        process = controller_of(ray_pid)
        if process is not None:
            os.kill(process.pid, signal.SIGKILL)
            return
        time.sleep(0.2)
    raise TimeoutError("there is no controller to kill")


def turn(folder: Path, kills: bool) -> Facts:
    """One run from nothing to its end."""
    spec = yaml.safe_load((SUPPORT / "task.yaml").read_text())
    spec["loop"] |= {"batch_size": BATCH, "stop": {"criterion": "max-iterations", "max_iterations": ITERATIONS}}
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    task = f"{spec['workspace']}/{spec['name']}"
    killed: list[str] = []
    with Everything(folder / "state", report=print) as tornio, Client(tornio.url) as client:
        os.environ["TORNIO_URL"] = tornio.url
        ray_pid = next(child.pid for child in tornio.stack.supervisor.children if child.name == "ray")
        pool = str(SUPPORT / "data" / "pool.csv")
        for args in (["apply", str(path)], ["pool", "add", task, pool, "--id-column", "id"]):
            if tornio_command(args):
                raise SystemExit("a command failed")
        answers = known_answers(SUPPORT / "data" / "answers.csv")
        person = Person(tornio.addresses, spec["workspace"], spec["name"], answers)
        for number in range(1, ITERATIONS + 1):
            records = person.wait(BATCH, PATIENCE_S)
            moment = MOMENTS[number - 2] if kills and 2 <= number < 2 + len(MOMENTS) else None
            person.answer(records[: BATCH // 2])
            if moment == "labelling":
                killed.append(strike(ray_pid, client, task, "any"))
            person.answer(records[BATCH // 2 :])
            if moment not in (None, "labelling"):
                killed.append(strike(ray_pid, client, task, str(moment)))
            print(f"  batch {number} answered{f', controller killed while {killed[-1]}' if moment else ''}", flush=True)
        wait_until(lambda: client.status(task).phase == "stopped")
        return facts(tornio, task, killed)


def strike(ray_pid: int, client: Client, task: str, moment: str) -> str:
    """Kill the controller when the task is in the phase; or after a while, when that passes too fast to be seen."""
    deadline = time.monotonic() + 5
    while True:
        phase = client.status(task).phase
        if moment in (phase, "any") or time.monotonic() > deadline:
            kill_controller(ray_pid)
            return phase


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the task did not stop")
        time.sleep(0.5)


def facts(tornio: Everything, task: str, killed: list[str]) -> Facts:
    os.environ.update(tornio.addresses.environment())
    workspace, _, name = task.partition("/")
    opened = Tasks(open_store(StorageSettings())).open(workspace, name)
    return Facts(
        batches={batch.batch: [item.record_id for item in batch.items] for batch in opened.batches()},
        labels=sorted((e.record_id, e.labels, str(e.event), str(e.purpose)) for e in opened.labels.read()),
        iterations=len(opened.iterations()),
        stopped=True,
        killed=killed,
    )


def main() -> int:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        print("undisturbed")
        calm = turn(Path(one), kills=False)
        print("with kills")
        rough = turn(Path(other), kills=True)
    asked = [record for records in rough.batches.values() for record in records]
    checks = {
        "same batches": calm.batches == rough.batches,
        "same (record, labels, purpose)": calm.labels == rough.labels,
        "no record twice": len(asked) == len(set(asked)) and len(rough.labels) == len(set(rough.labels)),
        "ended after as many iterations": calm.iterations == rough.iterations == ITERATIONS,
    }
    print(f"killed while: {', '.join(rough.killed)}")
    for check, held in checks.items():
        print(f"{'ok    ' if held else 'FAILED'} {check}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
