"""TREC through the public commands and a real Argilla: how long annotators wait for the next batch, and the memory.

    python -m bench.whole_loop [--iterations 11]

Bars: at least 5 iterations; from the last answer of a batch until the next batch is visible in Argilla, median of 10,
at most 5 s with a pool of 5,452. It also prints the proportional set size of everything that ``tornio up`` starts
(target 5 GB). Data: the folder in TORNIO_DATA, else ../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import yaml

from bench.annotating import Person
from services.embedded.up import Everything
from tornio.cli import main as tornio_command
from tornio.client import Client

LATENCY_BAR_S, MEMORY_TARGET = 5.0, 5 << 30
BATCH = 20
FIRST_BATCH_S = 600.0
"""The first batch only waits for the pool; the second waits for the embeddings of the whole pool."""


def trec(part: str) -> tuple[list[str], list[str]]:
    root = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    table = pq.read_table(root / "trec" / f"{part}.parquet")
    return table["text"].to_pylist(), table["label"].to_pylist()


def write_files(folder: Path, iterations: int) -> dict[str, str]:
    """Write task.yaml and pool.csv. Returns the annotator's answers."""
    texts, labels = trec("train")
    spec = {
        "workspace": "bench",
        "name": "trec",
        "labels": sorted(set(labels)),
        "loop": {"batch_size": BATCH, "stop": {"criterion": "max-iterations", "max_iterations": iterations}},
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(spec))
    ids = [f"r{row:05d}" for row in range(len(texts))]
    with (folder / "pool.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(zip(ids, texts, strict=True))
    return dict(zip(ids, labels, strict=True))


def command(url: str, *args: str) -> None:
    print(f"$ tornio {' '.join(args)}", flush=True)
    os.environ["TORNIO_URL"] = url
    if tornio_command(list(args)):
        raise SystemExit("the command failed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        answers = write_files(folder, options.iterations)
        with Everything(folder / "state", report=print) as tornio, Client(tornio.url, tornio.api_key) as client:
            os.environ["TORNIO_API_KEY"] = tornio.api_key
            command(tornio.url, "apply", str(folder / "task.yaml"))
            command(tornio.url, "pool", "add", "bench/trec", str(folder / "pool.csv"), "--id-column", "id")
            person = Person(tornio.addresses, "bench", "trec", answers)
            waits = []
            records = person.wait(BATCH, FIRST_BATCH_S)
            for number in range(1, options.iterations):
                answered = person.answer(records)
                records = person.wait(BATCH, FIRST_BATCH_S)
                waits.append(time.monotonic() - answered)
                print(f"batch {number}: the next one visible after {waits[-1]:.2f} s", flush=True)
            person.answer(records)
            deadline = time.monotonic() + 120
            while client.status("bench/trec").phase != "stopped" and time.monotonic() < deadline:
                time.sleep(0.5)
            status = client.status("bench/trec")
            texts, labels = trec("test")
            predictions = client.predict("bench/trec", texts)
            right = statistics.fmean(a.labels[0] == b for a, b in zip(predictions, labels, strict=True))
            memory = tornio.stack.memory()
    timed = waits[1:]  # the first includes embedding the whole pool
    median = statistics.median(timed)
    total = sum(memory.values())
    parts = ", ".join(f"{part} {size / 2**20:.0f}" for part, size in memory.items())
    print(f"iterations {len(status.curve)}, swaps {len(status.swaps)}, test accuracy {right:.3f}")
    ratio = median / LATENCY_BAR_S
    spread = f"median {median:.2f} s of {len(timed)} (max {max(timed):.2f})"
    print(f"last answer -> next batch: {spread}, {ratio:.2f} of the bar")
    print(f"the first, which includes embedding the whole pool: {waits[0]:.1f} s")
    print(f"memory (PSS): {total / 2**30:.2f} GB of {MEMORY_TARGET / 2**30:.0f}; MB: {parts}")
    return 0 if median <= LATENCY_BAR_S and len(status.curve) >= 5 else 1


if __name__ == "__main__":
    sys.exit(main())
