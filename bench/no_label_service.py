"""From a pool without labels to a version that serves: minutes, through the public commands and the whole stack.

    python -m bench.no_label_service [--texts 20000]

Adds that many texts of AG News to a task with a teacher, and waits until version 0 answers. Then it asks for the
teacher's labels of the pool once more, which are stored and must not be computed again. Prints the minutes of each,
what share of the first the second takes, and the accuracy on 1,000 test texts. Data: the folder in TORNIO_DATA, else
../shared/data beside the project.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from bench.texts import Texts, read
from bench.whole_loop import command
from services.embedded.up import Everything
from tornio.api import LabelRequest
from tornio.client import Client

TASK = "bench/news"
LABELS = {
    "World": "world news about politics, war and governments",
    "Sports": "sports, games, matches and players",
    "Business": "business, companies, markets and the economy",
    "Sci/Tech": "science, technology, computers and the internet",
}
MOST_MINUTES = 60
TESTED = 1000


def write_files(folder: Path, texts: Texts) -> None:
    """Write task.yaml and pool.csv."""
    spec = {
        "workspace": "bench",
        "name": "news",
        "labels": [{"name": name, "description": text} for name, text in LABELS.items()],
        "teacher": {"kind": "embedding"},
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(spec))
    with (folder / "pool.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows((f"r{row:06d}", text) for row, text in enumerate(texts.texts))


def minutes_until(done: Callable[[], bool]) -> float:
    start = time.monotonic()
    while not done():
        if time.monotonic() - start > 60 * MOST_MINUTES:
            raise SystemExit(f"not done after {MOST_MINUTES} minutes")
        time.sleep(1)
    return (time.monotonic() - start) / 60


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=20_000, help="at most; default: %(default)s")
    options = parser.parse_args(arguments)
    train, test = read("ag_news", "train"), read("ag_news", "test").drawn(TESTED, 0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool = train.drawn(options.texts, 0)
        write_files(folder, pool)
        with Everything(folder / "state", report=print) as tornio, Client(tornio.url, tornio.api_key) as client:
            os.environ["TORNIO_API_KEY"] = tornio.api_key
            command(tornio.url, "apply", str(folder / "task.yaml"))
            command(tornio.url, "pool", "add", TASK, str(folder / "pool.csv"), "--id-column", "id")
            served = minutes_until(lambda: client.status(TASK).serving is not None)
            run = client.start_run(TASK, LabelRequest()).run
            again = minutes_until(lambda: client.run(TASK, run).state not in ("waiting", "running"))
            state = client.run(TASK, run).state
            predictions = client.predict(TASK, test.texts)
    right = statistics.fmean(a.labels == b for a, b in zip(predictions, test.labels, strict=True))
    print(
        f"{len(pool)} texts without labels: version 0 serves after {served:.1f} minutes, accuracy {right:.3f}; the "
        f"teacher's labels again: {again:.1f} minutes, {again / served:.2f} of it"
    )
    return 0 if state == "done" else 1


if __name__ == "__main__":
    sys.exit(main())
