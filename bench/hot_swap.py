"""Hot swap under load: seconds from the move of `current` until every replica answers with it, and failed requests.

    python -m bench.hot_swap [--swaps 10] [--rate 15] [--replicas 2]

It uses a real SeaweedFS, Ray Serve and MiniLM on loopback. As with the real controller, each new version is `candidate`
before its swap until every replica reports it ready. Only the controller is a stand-in; all other code is that which
serves.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.swapping.rig import Rig, Traffic, cluster, environment, until
from bench.swapping.workshop import LABELS, Workshop
from services.embedded import objectstore, ports
from services.embedded.supervisor import Supervisor
from tornio.models.sources import MINILM
from tornio.settings import StorageSettings
from tornio.storage.s3 import open_store

BAR_S = 1.5
ACCESS_KEY, SECRET_KEY = "bench-access-key", "bench-secret-key"


@contextmanager
def object_store(folder: Path) -> Iterator[objectstore.ObjectStore]:
    """Run SeaweedFS until the block ends."""
    chosen = ports.assign(folder / "ports.json", objectstore.PORTS, {})
    store = objectstore.ObjectStore(folder / "seaweedfs", chosen, ACCESS_KEY, SECRET_KEY)
    store.dir.mkdir(parents=True, exist_ok=True)
    with Supervisor(folder) as supervisor:
        supervisor.wait_ready(supervisor.start(store.program()), store.ready, store.timeout_s)
        store.settle()
        yield store
    store.clean()


@contextmanager
def stage(name: str, more: Mapping[str, str] | None = None) -> Iterator[tuple[Path, str, dict[str, str]]]:
    """Run an object store, Ray and Serve until the block ends.

    Yields a scratch folder, the address of Serve's proxy and the variables of workers, to which ``more`` adds.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with object_store(folder) as store:
            variables = environment(store.endpoint, store.bucket, ACCESS_KEY, SECRET_KEY, name, folder / "node")
            variables |= more or {}
            with cluster(folder, variables) as url:
                yield folder, url, variables


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=10)
    parser.add_argument("--rate", type=float, default=15.0, help="requests per second")
    parser.add_argument("--replicas", type=int, default=2)
    args = parser.parse_args()
    with stage("hot-swap") as (folder, url, variables):
        return measure(folder, url, variables, args)


def measure(folder: Path, url: str, variables: dict[str, str], args: argparse.Namespace) -> int:
    """Run the benchmark and print its table. Returns the exit code."""
    swaps, rate, replicas = args.swaps, args.rate, args.replicas
    workshop = Workshop.over(open_store(StorageSettings()), folder / "trainer", MINILM)
    for number in range(swaps + 1):
        workshop.publish(f"v{number}", favourite=number % len(LABELS))
    workshop.promote("v0")
    rig = Rig(workshop, url, variables, replicas)
    begun = time.monotonic()
    rig.deploy()
    until(lambda: rig.all_ready("v0"), "both replicas are ready", 240)
    print(f"{replicas} replicas ready after {time.monotonic() - begun:.1f} s; {rate:g} requests/s\n")
    print("swap   preload s   swap s   ratio to bar   failures")
    took: list[float] = []
    with Traffic(rig, rate) as traffic:
        for number in range(1, swaps + 1):
            preload = rig.preload(f"v{number}")
            revision, moved = rig.promote(f"v{number}")
            took.append(traffic.wait_for(revision, replicas) - moved)
            time.sleep(1)
            failures = len(traffic.failures)
            print(f"{number:4d}   {preload:9.2f}   {took[-1]:6.2f}   {took[-1] / BAR_S:12.2f}   {failures:8d}")
        revision, moved = rig.promote(f"v{swaps - 1}")
        rollback = traffic.wait_for(revision, replicas) - moved
        time.sleep(1)
    return summary(traffic, took, rollback)


def summary(traffic: Traffic, took: list[float], rollback: float) -> int:
    """Print the summary. Returns the exit code."""
    waits = [one.done - one.sent for one in traffic.answered]
    wrong = [one for one in traffic.answered if not one.error and one.label != favourite(one.version)]
    print(f"\nrollback                {rollback:.2f} s")
    print(f"requests                {len(waits)}, failed {len(traffic.failures)}, by the wrong model {len(wrong)}")
    print(f"latency                 p50 {statistics.median(waits):.3f} s, max {max(waits):.3f} s")
    print(f"swap                    median {statistics.median(took):.2f} s, worst {max(took):.2f} s, bar {BAR_S} s")
    for one in traffic.failures[:5]:
        print(f"failure                 {one.error}")
    good = max(*took, rollback) <= BAR_S and not traffic.failures and not wrong
    print(f"\n{'within' if good else 'NOT within'} the bar: worst / bar = {max(took) / BAR_S:.2f}")
    return 0 if good else 1


def favourite(version: str) -> str:
    """Return the label that the version of this name predicts for every text."""
    return LABELS[int(version.removeprefix("v")) % len(LABELS)]


if __name__ == "__main__":
    sys.exit(main())
