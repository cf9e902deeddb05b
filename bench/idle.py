"""What an idle `tornio up` costs: the processor time of each process while nothing happens, and of one more task.

    python -m bench.idle [--tasks 3 13] [--settle 330] [--seconds 60]

Each task has a pool, and one open batch that nobody answers. Bars: with three quiet tasks, Tornio's own processes take
at most 5 % of one core together; each further quiet task costs at most 0.1 % of a core. The processes of Ray, the
object store and Argilla are printed beside them, each also with what a further task costs. After 330 seconds, the
pauses of quiet tasks have grown to a minute, and the warm worker has ended.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import psutil

from services.embedded.up import Everything
from tornio.api import RecordIn
from tornio.client import Client

OWN_BAR, TASK_BAR = 0.05, 0.001
OPEN_S = 300.0
OWN = ("ray::ServeReplica:tornio:", "ray::WarmWorker", "services.embedded.serving", "bench.idle")
STORE = ("weed",)
ARGILLA = ("argilla_app", "valkey-server", "redis-server")


def title(words: list[str]) -> str:
    """A short name of a process, the same at each look."""
    if words[0].startswith("ray::"):
        return words[0].partition(".")[0]
    modules = [word for word in words[1:3] if not word.startswith("-")]
    return " ".join([Path(words[0]).name, *(Path(word).name for word in modules)])


def group(words: list[str]) -> str:
    """Whose process it is. This one stands for that of `tornio up`."""
    line = " ".join(words)
    if any(part in line for part in OWN) and "/ray/" not in line:
        return "own"
    if any(part in Path(words[0]).name for part in STORE):
        return "object store"
    if any(part in " ".join(words[:2]) for part in ARGILLA):
        return "Argilla"
    return "Ray"


def spent() -> dict[tuple[int, float], tuple[str, str, float]]:
    """Group, name and processor seconds of this process and of all that it has started, by id and time of the start."""
    found = dict[tuple[int, float], tuple[str, str, float]]()
    root = psutil.Process()
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
            words = process.cmdline() or [process.name()]
            found[process.pid, process.create_time()] = (group(words), title(words), times.user + times.system)
        except psutil.NoSuchProcess:
            continue
    return found


def idle(tornio: Everything, seconds: float) -> None:
    """Do what `tornio up` does meanwhile."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        tornio.stack.keep()
        time.sleep(1.0)


def measure(tornio: Everything, seconds: float) -> dict[str, dict[str, float]]:
    """Cores taken over some seconds, by group and name."""
    before, began = spent(), time.monotonic()
    idle(tornio, seconds)
    after, wall = spent(), time.monotonic() - began
    shares = defaultdict[str, dict[str, float]](lambda: defaultdict(float))
    for key, (of, name, total) in after.items():
        shares[of][name] += (total - (before[key][2] if key in before else 0.0)) / wall
    return shares


def open_task(client: Client, number: int) -> str:
    """Make a task whose batch is opened at once and never answered."""
    name = f"bench/idle{number:03d}"
    spec = {"workspace": "bench", "name": name.partition("/")[2], "labels": ["yes", "no"], "teacher": {"kind": "none"},
            "loop": {"batch_size": 10}}  # fmt: skip
    client.apply(spec)
    texts = [RecordIn(record_id=f"r{row}", text=f"text {row} of task {number}") for row in range(100)]
    client.add_records(name, texts)
    return name


def wait_open(client: Client, names: list[str]) -> None:
    deadline = time.monotonic() + OPEN_S
    while not all(client.status(name).batches for name in names):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not all batches are open: {[client.status(name).why for name in names]}")
        time.sleep(2.0)


def show(count: int, shares: Mapping[str, Mapping[str, float]]) -> None:
    print(f"\n{count} quiet tasks, percent of a core:")
    for of in ("own", "Ray", "object store", "Argilla"):
        print(f"  {of:<14} {100 * total(shares, of):6.2f}")
        for name, share in sorted(shares[of].items(), key=lambda pair: -pair[1]):
            if share >= 0.0005:
                print(f"    {name:<60.60} {100 * share:6.2f}")


def total(shares: Mapping[str, Mapping[str, float]], of: str) -> float:
    return sum(shares[of].values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[3, 13], help="Numbers of tasks to measure with.")
    parser.add_argument("--settle", type=float, default=330.0, help="Seconds until the tasks count as quiet.")
    parser.add_argument("--seconds", type=float, default=60.0, help="Seconds of a measurement.")
    parser.add_argument("--state", type=Path, help="Folder for the state; default a temporary one.")
    args = parser.parse_args()
    measured = list[tuple[int, dict[str, dict[str, float]]]]()
    with tempfile.TemporaryDirectory() as folder:
        state = args.state or Path(folder)
        with Everything(state, report=print) as tornio, Client(tornio.url, tornio.api_key) as client:
            names = list[str]()
            for count in args.tasks:
                names += [open_task(client, number) for number in range(len(names), count)]
                wait_open(client, names)
                print(f"{count} batches are open; waiting {args.settle:g} s", flush=True)
                idle(tornio, args.settle)
                measured.append((count, measure(tornio, args.seconds)))
                show(*measured[-1])
                sys.stdout.flush()
    first, last = measured[0], measured[-1]
    own = total(first[1], "own")
    print(f"\nTornio's own processes: {100 * own:.2f} % of a core with {first[0]} tasks, bar {100 * OWN_BAR:g} %")
    if last[0] == first[0]:
        return int(own > OWN_BAR)
    slopes = {of: (total(last[1], of) - total(first[1], of)) / (last[0] - first[0]) for of in first[1]}
    each = ", ".join(f"{of} {100 * slope:.3f} %" for of, slope in slopes.items())
    print(f"Each further task: {each}; bar for Tornio's own {100 * TASK_BAR:g} %")
    return int(own > OWN_BAR or slopes["own"] > TASK_BAR)


if __name__ == "__main__":
    sys.exit(main())
