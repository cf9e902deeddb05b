"""Many tasks in few replicas: the memory of the models, and the first answer of a task whose model is not loaded.

    python -m bench.many_tasks [--tasks 200] [--fine-tuned 50] [--replicas 2] [--room-mib 40]

It uses a store in a folder, and tiny random encoders: one that the few-shot versions share, and one for each fine-tuned
version. Each replica is a process with the classifier's own parts, without Ray. All replicas are asked for every task
twice, in a random order, at the same time. They are compared with one that has room for the models of all tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from bench.swapping.workshop import LABELS, Workshop, tiny_encoder
from services.classifier.aliases import AliasReader
from services.classifier.predictor import Predictor
from services.classifier.settings import ClassifierSettings
from services.messages import AliasUpdate, Heartbeat
from tornio.api import TaskName
from tornio.models.kinds import FEW_SHOT, FINE_TUNED
from tornio.models.loading import Loader
from tornio.registry import CURRENT, NodeCache
from tornio.settings import NodeSettings
from tornio.spec import TaskSpec
from tornio.storage.local import LocalStore
from tornio.storage.port import ObjectStore
from tornio.tasks import Tasks

BAR_S = 2.0
"""Seconds of the first answer of a few-shot task that is not loaded."""
IDLE_S = 15.0
"""Seconds over which the processor time of a replica that nobody asks is measured: one poll of the store."""
TEXT = "The parcel arrived two days late and the box was open."
MIB = 1 << 20
STORE, TASKS = "store", "tasks.json"


@dataclass
class Figures:
    """What a replica measured. ``cold`` and ``warm``: seconds of each answer, by kind. Memory in bytes, time in
    seconds."""

    start_s: float = 0.0
    rss_without: int = 0
    rss_most: int = 0
    models_most: int = 0
    cold: dict[str, list[float]] = field(default_factory=lambda: {FEW_SHOT: [], FINE_TUNED: []})
    warm: dict[str, list[float]] = field(default_factory=lambda: {FEW_SHOT: [], FINE_TUNED: []})
    read_s: float = 0.0
    idle: float = 0.0


class QuietController:
    """A controller that is there and has no news."""

    async def watch(self, token: str | None, timeout_s: float) -> AliasUpdate:
        if token is not None:
            await asyncio.sleep(timeout_s)
        return AliasUpdate("none", {})

    async def report(self, replica_id: str, heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""


def publish(store: ObjectStore, folder: Path, tasks: int, fine_tuned: int) -> dict[str, tuple[str, int]]:
    """Make the tasks, each with a version that serves. Return the kind of each, and the bytes of its files."""
    base = str(tiny_encoder(folder / "base"))
    loader = Loader(store, NodeCache(folder / "trainer", store), "float32")
    made = {}
    for number in range(tasks):
        task = f"many/task-{number:04d}"
        workspace, _, name = task.partition("/")
        Tasks(store).apply(TaskSpec.model_validate({"workspace": workspace, "name": name, "labels": LABELS}), "bench")
        workshop = Workshop(store, loader, base, task)
        few_shot = number >= fine_tuned
        manifest = workshop.publish(f"v{number}") if few_shot else workshop.publish_fine_tuned(f"v{number}", number)
        workshop.registry.move(CURRENT, manifest.version, 0, "bench", "bench")
        made[task] = manifest.kind, sum(blob.size for blob in manifest.blobs.values())
    return made


async def measure(store: ObjectStore, tasks: Mapping[str, tuple[str, int]], seed: int) -> Figures:
    """Ask one replica, in this process, for every task twice."""
    figures, process = Figures(), psutil.Process()
    predictor = Predictor(store, QuietController(), f"replica-{seed}", NodeSettings(), ClassifierSettings())
    shelf = predictor._shelf
    figures.rss_without = process.memory_info().rss
    begun = time.perf_counter()
    await predictor.start()
    figures.start_s = time.perf_counter() - begun
    order = random.Random(seed)
    for task in (*order.sample(sorted(tasks), len(tasks)), *order.sample(sorted(tasks), len(tasks))):
        kind = tasks[task][0]
        answers = figures.cold if shelf.peek(task) is None else figures.warm
        begun = time.perf_counter()
        await predictor.predict(TaskName.parse(task), [TEXT])
        answers[kind].append(time.perf_counter() - begun)
        held = sum(tasks[name][1] for name, one in shelf.report().items() if one.ready)
        figures.models_most = max(figures.models_most, held)
        figures.rss_most = max(figures.rss_most, process.memory_info().rss)
    reader = AliasReader(store)
    reader.read_all()
    begun = time.perf_counter()
    reader.read_all()
    figures.read_s = time.perf_counter() - begun
    before = _cpu(process)
    await asyncio.sleep(IDLE_S)
    figures.idle = (_cpu(process) - before) / IDLE_S
    await predictor.stop()
    return figures


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


def run(folder: Path, count: int, room: int) -> list[Figures]:
    """Run so many replicas at the same time, each with this room for models and a cache of its own."""
    running = []
    for number in range(count):
        own = {
            "TORNIO_CACHE_DIR": str(folder / f"cache-{room}-{number}"),
            "TORNIO_CLASSIFIER_MODEL_BYTES": str(room),
            "TORNIO_PRECISION": "float32",
        }
        command = [sys.executable, "-m", "bench.many_tasks", "--replica", str(folder), "--seed", str(number)]
        running.append(subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, text=True))
    answers = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit("A replica failed. Its error is above.")
    return [Figures(**json.loads(answer.splitlines()[-1])) for answer in answers]


def show(name: str, replicas: Sequence[Figures]) -> None:
    print(f"\n{name}")
    for one in replicas:
        print(
            f"  ready after {one.start_s:.1f} s; models at most {one.models_most / MIB:.1f} MiB; memory without models "
            f"{one.rss_without / MIB:.0f} MiB, at most {one.rss_most / MIB:.0f} MiB; idle {100 * one.idle:.1f} % of a "
            f"core; one look at all aliases {one.read_s:.2f} s"
        )
    for kind in (FEW_SHOT, FINE_TUNED):
        for what in ("cold", "warm"):
            waits = [wait for one in replicas for wait in getattr(one, what)[kind]]
            if waits:
                print(
                    f"  {kind}, {what}: {len(waits)} answers, median {1000 * statistics.median(waits):.0f} ms, "
                    f"longest {1000 * max(waits):.0f} ms"
                )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--fine-tuned", type=int, default=50)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--room-mib", type=int, default=40)
    parser.add_argument("--replica", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.replica:
        tasks = json.loads((args.replica / TASKS).read_text())
        figures = asyncio.run(measure(LocalStore(args.replica / STORE), tasks, args.seed))
        print(json.dumps(asdict(figures)))
        return 0
    room = args.room_mib * MIB
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tasks = publish(LocalStore(folder / STORE), folder, args.tasks, args.fine_tuned)
        (folder / TASKS).write_text(json.dumps(tasks))
        bounded = run(folder, args.replicas, room)
        everything = run(folder, 1, 1 << 40)
    show(f"{args.replicas} replicas with room for {args.room_mib} MiB of models", bounded)
    show("baseline: one replica with room for all", everything)
    most = max(one.models_most for one in bounded)
    worst = max((wait for one in bounded for wait in one.cold[FEW_SHOT]), default=float("nan"))
    ratio = max(one.rss_most - one.rss_without for one in bounded) / (
        everything[0].rss_most - everything[0].rss_without
    )
    print(f"\nmodels against the setting: {most / room:.2f} (bar 1)")
    print(f"memory of models and requests against the baseline's: {ratio:.2f}")
    print(f"longest first answer of a cold few-shot task: {worst:.2f} s (bar {BAR_S:g} s)")
    return 0 if most <= room and worst <= BAR_S else 1


if __name__ == "__main__":
    sys.exit(main())
