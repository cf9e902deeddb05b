"""kill -9 of the controller at five moments of a six-iteration run, against real S3, Argilla and Ray.

    python -m bench.controller_kills

Runs the same task twice from its creation, undisturbed and with the kills, and compares: the same batches, the same set
of (record, annotator, labels, purpose), no record twice in the store or in Argilla, and an end. A phase may pass before
it is seen. Such a missed kill is reported, and tried again in a later iteration; a moment that was never hit is a
failure. Data: the support example.
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

import httpx
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
MOMENTS = ("querying", "labelling", "training", "gating", "swapping")
"""The phases in which the controller is killed, one per iteration from the first one on."""
LABELLING, SWAPPING = "labelling", "swapping"
SEEN_S = 20.0
"""Seconds in which a phase must be seen after a batch was answered; otherwise it is missed."""


@dataclass
class Facts:
    """Facts that must not depend on kills."""

    batches: dict[str, list[str]]
    labels: list[tuple[Any, ...]]
    in_argilla: list[str]
    """The record ids in Argilla, with duplicates."""
    iterations: int
    stopped: bool
    hit: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def controller_of(pid: int) -> psutil.Process | None:
    """Return the controller's process among the descendants of ``tornio up``'s Ray."""
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
    raise TimeoutError("No controller was found.")


def turn(folder: Path, kills: bool) -> Facts:
    """Run a task once, from its creation to its end."""
    spec = yaml.safe_load((SUPPORT / "task.yaml").read_text())
    stop = {"criterion": "max-iterations", "max_iterations": ITERATIONS}
    spec["loop"] |= {"batch_size": BATCH, "bootstrap": "none", "stop": stop}
    del spec["training"]  # iterations of the default method, and none before them
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    task = f"{spec['workspace']}/{spec['name']}"
    left, missed = list(MOMENTS if kills else ()), list[str]()
    with Everything(folder / "state", report=print) as tornio, Client(tornio.url, tornio.api_key) as client:
        os.environ |= {"TORNIO_URL": tornio.url, "TORNIO_API_KEY": tornio.api_key}
        ray_pid = next(child.pid for child in tornio.stack.supervisor.children if child.name == "ray")
        pool = str(SUPPORT / "data" / "pool.csv")
        for args in (["apply", str(path)], ["pool", "add", task, pool, "--id-column", "id"]):
            if tornio_command(args):
                raise SystemExit("a command failed")
        answers = known_answers(SUPPORT / "data" / "answers.csv")
        person = Person(tornio.addresses, spec["workspace"], spec["name"], answers)
        for number in range(1, ITERATIONS + 1):
            records = person.wait(BATCH, PATIENCE_S)
            moment = next(iter(left), None)
            if moment == "querying" and number == ITERATIONS:  # no batch follows
                moment = next(iter(left[1:]), None)
            person.answer(records[: BATCH // 2])
            if moment == LABELLING:
                killed = strike(ray_pid, client, task, moment)
            person.answer(records[BATCH // 2 :])
            if moment is not None and moment != LABELLING:
                killed = strike(ray_pid, client, task, moment)
            if moment is not None:
                left.remove(moment)
                if not killed:  # after the others, while there are iterations
                    missed.append(f"{moment} in iteration {number}")
                    left.append(moment)
            kill = "" if moment is None else f", controller {'killed' if killed else 'not caught'} while {moment}"
            print(f"  batch {number} answered{kill}", flush=True)
        stopped = wait_until(lambda: client.status(task).phase == "stopped")
        hit = [moment for moment in MOMENTS if moment not in left] if kills else []
        return facts(tornio, task, stopped, hit, missed)


def strike(ray_pid: int, client: Client, task: str, moment: str) -> bool:
    """Kill the controller when the task is in the phase. Returns False if the phase passed before it was seen."""
    deadline = time.monotonic() + SEEN_S
    while time.monotonic() < deadline:
        status = client.status(task)
        if moment == status.phase or (moment == SWAPPING and status.candidate):  # a swap runs beside other phases
            kill_controller(ray_pid)
            return True
    return False


def wait_until(done: Callable[[], bool]) -> bool:
    """Wait for a condition. Returns whether it became true in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def facts(tornio: Everything, task: str, stopped: bool, hit: list[str], missed: list[str]) -> Facts:
    os.environ.update(tornio.addresses.environment())
    workspace, _, name = task.partition("/")
    opened = Tasks(open_store(StorageSettings())).open(workspace, name)
    names = annotators(tornio)
    return Facts(
        batches={batch.batch: [item.record_id for item in batch.items] for batch in opened.batches()},
        labels=sorted(
            (e.record_id, names.get(e.annotator or "", ""), e.labels, str(e.event), str(e.purpose))
            for e in opened.labels.read()
        ),
        in_argilla=in_argilla(tornio, workspace, name),
        iterations=len(opened.iterations()),
        stopped=stopped,
        hit=hit,
        missed=missed,
    )


def argilla(tornio: Everything) -> httpx.Client:
    where = tornio.addresses
    headers = {"X-Argilla-Api-Key": where.argilla_api_key}
    return httpx.Client(base_url=f"{where.argilla_url}/api/v1", headers=headers, timeout=30)


def annotators(tornio: Everything) -> dict[str, str]:
    """Return the names of annotators by id, as ids differ between runs."""
    with argilla(tornio) as api:
        return {user["id"]: user["username"] for user in api.get("/users").raise_for_status().json()["items"]}


def in_argilla(tornio: Everything, workspace: str, dataset: str) -> list[str]:
    """Return the external ids of all records, from Argilla's database, in its order."""
    with argilla(tornio) as api:
        spaces = api.get("/me/workspaces").raise_for_status().json()["items"]
        space = next(one["id"] for one in spaces if one["name"] == workspace)
        datasets = api.get("/me/datasets", params={"workspace_id": space}).raise_for_status().json()["items"]
        path = next(f"/datasets/{one['id']}/records" for one in datasets if one["name"] == dataset)
        ids = list[str]()
        while True:
            page = api.get(path, params={"offset": len(ids), "limit": 500}).raise_for_status().json()["items"]
            if not page:
                return ids
            ids += [record["external_id"] for record in page]


def main() -> int:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        print("undisturbed")
        calm = turn(Path(one), kills=False)
        print("with kills")
        rough = turn(Path(other), kills=True)
    asked = [record for records in rough.batches.values() for record in records]
    checks = {
        "each moment was hit": set(rough.hit) == set(MOMENTS),
        "same batches": calm.batches == rough.batches,
        "same (record, annotator, labels, purpose)": calm.labels == rough.labels,
        "every answer has its annotator": all(who for _, who, *_ in rough.labels),
        "no record asked twice": len(asked) == len(set(asked)),
        "no label twice": len(rough.labels) == len(set(rough.labels)),
        "Argilla has each requested record once": sorted(rough.in_argilla) == sorted(asked),
        "both ended": calm.stopped and rough.stopped,
        "ended after the same number of iterations": calm.iterations == rough.iterations == ITERATIONS,
    }
    print(f"killed while: {', '.join(rough.hit) or 'never'}; missed: {', '.join(rough.missed) or 'none'}")
    for check, held in checks.items():
        print(f"{'ok    ' if held else 'FAILED'} {check}")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
