"""One-text requests to Tornio and to a bare uvicorn with the same model and the same batcher, in turns.

    python -m bench.serving_speed [--front haproxy|proxy] [--replicas 1] [--rounds 5] [--seconds 4]

It uses a real SeaweedFS, Ray Serve and MiniLM on loopback. For 1, 16 and 64 connections it prints the processor time of
a request, the rate and the time of the slowest hundredth, each as a ratio to the bare server's. Processor time counts
the proxy and the replicas; the rest of Ray idles. The bars are for HAProxy in front; Serve's own proxy is only printed.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from bench.hot_swap import stage
from bench.serving import load
from bench.serving.load import Load
from bench.swapping.rig import Rig, until
from bench.swapping.workshop import FULL_NAME, Workshop
from services.embedded import ports
from tornio.models.sources import MINILM
from tornio.settings import StorageSettings
from tornio.storage.s3 import open_store

PATH = f"/v1/tasks/{FULL_NAME}/predict"
CONNECTIONS = (1, 16, 64)
HAPROXY = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_HAPROXY_MAXCONN": "4000"}
BARS = {"processor": 1.5, "rate": 0.7, "p99": 2.0}
POOL = Path(__file__).parents[1] / "examples" / "support" / "data" / "pool.csv"


@contextmanager
def bare(folder: Path) -> Iterator[tuple[int, list[int]]]:
    """Run the bare server until the block ends. Yields its port and its processes."""
    port = ports.assign(folder / "ports-of-bare.json", ["bare"])["bare"]
    with subprocess.Popen([sys.executable, "-m", "bench.serving.bare", "--port", str(port)]) as process:
        try:
            until(lambda: not ports.is_free(port), "the bare server listens", 120)
            yield port, [process.pid]
        finally:
            process.terminate()


def serving_processes() -> list[int]:
    """Return what answers requests: Serve's proxy and the replicas, of this process's cluster."""
    found = []
    for process in psutil.Process().children(recursive=True):
        title = " ".join(process.cmdline())
        if (
            title.startswith(("ray::ServeReplica", "ray::ProxyActor", "ray::HAProxyManager"))
            and "controller" not in title
        ) or process.name() == "haproxy":
            found.append(process.pid)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--front", choices=("haproxy", "proxy"), default="haproxy")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    args = parser.parse_args()
    with stage("speed", HAPROXY if args.front == "haproxy" else None) as (folder, url, variables):
        workshop = Workshop.over(open_store(StorageSettings()), folder / "trainer", MINILM)
        workshop.publish("v0")
        workshop.promote("v0")
        rig = Rig(workshop, url, variables, args.replicas)
        rig.deploy()
        until(lambda: rig.all_ready("v0"), "the replicas are ready", 240)
        with bare(folder) as (port, pids):
            return measure(rig, port, pids, args)


def measure(rig: Rig, port: int, pids: list[int], args: argparse.Namespace) -> int:
    """Measure in turns, and print the table. Returns the exit code."""
    with POOL.open() as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    ours = int(rig.url.rpartition(":")[2])
    sides = {"bare": (port, pids), "tornio": (ours, serving_processes())}
    print(f"{args.replicas} replica(s) behind {args.front}, processes {sides['tornio'][1]}, {os.cpu_count()} cores\n")
    print("connections  side     requests/s   p50 ms   p99 ms   cpu ms/request   failures")
    worst = 0
    for connections in CONNECTIONS:
        for at, processes in sides.values():  # connections and caches warm up
            load.run(ports.HOST, at, PATH, texts, connections, 1.0, processes)
        rounds: dict[str, list[Load]] = {side: [] for side in sides}
        for _ in range(args.rounds):
            for side, (at, processes) in sides.items():
                rounds[side].append(load.run(ports.HOST, at, PATH, texts, connections, args.seconds, processes))
                time.sleep(0.2)
        for side, loads in rounds.items():
            worst += sum(one.failures for one in loads)
            print(f"{connections:11d}  {side:7s}  {row(loads)}")
        found = ratios(rounds["tornio"], rounds["bare"])
        print(
            "             ratio    " + ", ".join(f"{name} {found[name]:.2f} (bar {BARS[name]})" for name in BARS) + "\n"
        )
        missed = found["rate"] < BARS["rate"] or any(found[name] > BARS[name] for name in ("processor", "p99"))
        worst += missed and args.front == "haproxy"
    return 1 if worst else 0


def median(loads: Sequence[Load], pick: Callable[[Load], float]) -> float:
    return statistics.median(map(pick, loads))


def row(loads: Sequence[Load]) -> str:
    """Return the medians of the rounds, as a row of the table."""
    rate, cpu = median(loads, lambda one: one.rate), median(loads, lambda one: one.cpu_ms)
    p50, p99 = (1000 * median(loads, partial(Load.percentile, share=share)) for share in (50, 99))
    failures = sum(one.failures for one in loads)
    return f"{rate:9.1f}  {p50:7.1f}  {p99:7.1f}  {cpu:15.2f}  {failures:9d}"


def ratios(ours: Sequence[Load], theirs: Sequence[Load]) -> dict[str, float]:
    """Return the medians of the ratios of two rounds that ran one after the other."""
    pairs = list(zip(ours, theirs, strict=True))
    return {
        "processor": statistics.median(a.cpu_ms / b.cpu_ms for a, b in pairs),
        "rate": statistics.median(a.rate / b.rate for a, b in pairs),
        "p99": statistics.median(a.percentile(99) / b.percentile(99) for a, b in pairs),
    }


if __name__ == "__main__":
    sys.exit(main())
