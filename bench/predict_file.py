"""A whole file through `tornio predict FILE -o OUT`, compared with a plain loop over the same server.

    python -m bench.predict_file [--rows 8000] [--turns 3]

Starts the whole stack, imports 200 labels of AG News and waits for a version. Then it classifies the rows in turns:
with the command, and with a loop that posts 256 texts at a time and writes a CSV row for each answer. It prints the
rows per second of both and their ratio. Last, it ends the command with `kill -9` at five moments, lets it go on each
time, and checks that the file is the same, byte for byte. Data: the folder in TORNIO_DATA, else ../shared/data beside
the project.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import yaml

from bench.texts import Texts, read
from bench.whole_loop import command
from services.embedded.up import Everything
from tornio.client import Client
from tornio.files.partial import SUFFIX

TASK = "bench/news"
LABELLED, AT_ONCE, KILLS = 200, 256, 5
SERVED_S, LONGEST_S = 300, 600


def write_files(folder: Path, labelled: Texts, rows: Texts) -> None:
    """Write task.yaml, labelled.csv and rows.csv."""
    spec = {"workspace": "bench", "name": "news", "labels": [{"name": name} for name in labelled.names]}
    (folder / "task.yaml").write_text(yaml.safe_dump(spec))
    for name, texts in (("labelled", labelled), ("rows", rows)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "text", "label"])
            for row, (text, (label,)) in enumerate(zip(texts.texts, texts.labels, strict=True)):
                writer.writerow([f"{name}{row:06d}", text, label])


def predicting(folder: Path, out: Path) -> list[str]:
    """The command that is measured."""
    arguments = [str(folder / "rows.csv"), "--text-column", "text", "--prefix", "predicted_", "--output", str(out)]
    return [sys.executable, "-m", "tornio", "predict", TASK, *arguments]


def seconds_of_command(folder: Path, out: Path) -> float:
    begun = time.monotonic()
    subprocess.run(predicting(folder, out), check=True, stdout=subprocess.DEVNULL, timeout=LONGEST_S)
    return time.monotonic() - begun


def seconds_of_loop(folder: Path, out: Path, url: str, key: str) -> float:
    """Do the same by hand: read the file, post its texts one list after another, write the answers."""
    begun = time.monotonic()
    with (folder / "rows.csv").open(newline="") as source, out.open("w", newline="") as target:
        rows = list(csv.DictReader(source))
        writer = csv.writer(target)
        writer.writerow([*rows[0], "predicted", "score", "version"])
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
            for start in range(0, len(rows), AT_ONCE):
                part = rows[start : start + AT_ONCE]
                answer = http.post(f"/v1/tasks/{TASK}/predict", json={"texts": [row["text"] for row in part]})
                answer.raise_for_status()
                for row, one in zip(part, answer.json()["predictions"], strict=True):
                    score = max(one["probabilities"].values())
                    writer.writerow([*row.values(), one["labels"][0], score, one["version"]])
    return time.monotonic() - begun


def killed(folder: Path, out: Path, rows: int) -> int:
    """Start the command, end it when about a sixth of the rows was added, and so on. Returns the kills that met it."""
    partial, met = out.with_name(out.name + SUFFIX), 0
    for kill in range(1, KILLS + 1):
        process = subprocess.Popen(predicting(folder, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + LONGEST_S
        while process.poll() is None and time.monotonic() < deadline:
            if partial.exists() and lines(partial) >= rows * kill // (KILLS + 1):
                process.kill()
            time.sleep(0.05)
        met += process.wait() < 0
    seconds_of_command(folder, out)
    return met


def lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        everything = read("ag_news", "train").drawn(LABELLED + options.rows, 0)
        labelled = Texts(everything.texts[:LABELLED], everything.labels[:LABELLED])
        rows = Texts(everything.texts[LABELLED:], everything.labels[LABELLED:])
        write_files(folder, labelled, rows)
        with Everything(folder / "state", report=print) as tornio, Client(tornio.url, tornio.api_key) as client:
            os.environ["TORNIO_API_KEY"] = tornio.api_key
            command(tornio.url, "apply", str(folder / "task.yaml"))
            columns = ("--text-column", "text", "--label-column", "label", "--id-column", "id")
            command(tornio.url, "labels", "import", TASK, str(folder / "labelled.csv"), *columns)
            deadline = time.monotonic() + SERVED_S
            while client.status(TASK).serving is None:
                if time.monotonic() > deadline:
                    raise SystemExit(f"no version serves after {SERVED_S} s: {client.status(TASK).why}")
                time.sleep(0.5)
            ours, plain = [], []
            for turn in range(options.turns):
                plain.append(len(rows) / seconds_of_loop(folder, folder / "loop.csv", tornio.url, tornio.api_key))
                ours.append(len(rows) / seconds_of_command(folder, folder / f"whole{turn}.csv"))
                print(f"turn {turn}: command {ours[-1]:.0f} rows/s, loop {plain[-1]:.0f}", flush=True)
            met = killed(folder, folder / "killed.csv", len(rows))
            same = (folder / "killed.csv").read_bytes() == (folder / "whole0.csv").read_bytes()
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    print(f"{len(rows)} rows, median of {options.turns} turns: {ratio:.2f} times as many rows per second as the loop")
    print(f"killed {met} times: {'the same file, byte for byte' if same else 'ANOTHER FILE'}")
    return 0 if same and met == KILLS else 1


if __name__ == "__main__":
    sys.exit(main())
