"""The scoring job compared with its engine in a plain process, its memory over a million rows, and the effect of kills.

    python -m bench.score_job [ratio] [memory] [kills]        any of them, or all three

``ratio``: rows per second of the Ray Data job from its first part on, divided by those of the same engine on the same
rows in this process; start-up is reported separately. ``memory``: proportional set size of the whole Ray tree while
short rows are scored. ``kills``: SIGKILL of the driver or a worker at moments spread over a run; the rows must be the
same.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tornio.models.sequence import SequenceClassifier
from tornio.models.sources import resolve_encoder
from tornio.schemas.keys import workspace_run
from tornio.schemas.runs import RunResult
from tornio.schemas.scoring import ScoreArgs, ScoreOutput
from tornio.storage import documents
from tornio.storage.local import LocalStore

DATA = Path(os.environ.get("TORNIO_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
PART_ROWS = ScoreArgs.model_fields["part_rows"].default
LABELS = ("Business", "Sci/Tech", "Sports", "World")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="ratio, memory, kills; default all")
    parser.add_argument("--rows", type=int, help="rows of ratio (default 50,000), memory (1,000,000), kills (100,000)")
    args = parser.parse_args()
    benches = {"ratio": ratio, "memory": memory, "kills": kills}
    if unknown := [what for what in args.what if what not in benches]:
        parser.error(f"there is no {unknown[0]}: choose from {', '.join(benches)}")
    for what in args.what or benches:
        with tempfile.TemporaryDirectory() as folder:
            benches[what](Path(folder), args.rows)


def ratio(folder: Path, rows: int | None) -> None:
    """Compare one worker with one process, with one thread each."""
    data = news(folder / "news.parquet", rows or 50_000)
    model = classifier(folder / "model", narrow=False)
    started = time.monotonic()
    run = Run(folder, data, model, workers=1)
    run.wait()
    total = time.monotonic() - started
    times, output = run.part_times(), run.output()
    first, last = min(times.values()), max(times.values())
    counted = output.rows - PART_ROWS  # without the first part, which includes the start-up
    texts = pq.read_table(data).column("text").to_pylist()
    torch.set_num_threads(1)
    engine = SequenceClassifier(model, LABELS, multi_label=False, max_length=256)
    engine.score(texts[:500])
    begun = time.monotonic()
    engine.score(texts[: len(texts) // 2])
    plain = len(texts) // 2 / (time.monotonic() - begun)
    job = counted / (last - first)
    print(f"rows {output.rows:,}; plain process {plain:.0f} rows/s, job {job:.0f} rows/s after its start-up")
    print(f"start-up and end {total - output.rows / job:.1f} s of {total:.1f} s")
    print(f"ratio of job to plain process: {job / plain:.2f} (bar .85)")


def memory(folder: Path, rows: int | None) -> None:
    """Measure the proportional set size of driver, Ray and workers together, every half second."""
    data = short_rows(folder / "short.parquet", rows or 1_000_000)
    run = Run(folder, data, classifier(folder / "model", narrow=True))
    peaks: dict[int, float] = {}
    while run.process.poll() is None:
        size = tree_bytes(run.process.pid) / 1e9
        tenth = 10 * run.rows_done() // (rows or 1_000_000)
        peaks[tenth] = max(peaks.get(tenth, 0.0), size)
        time.sleep(0.5)
    run.wait()
    print(f"rows {run.output().rows:,}; peak PSS of the Ray tree by tenth of the run, GB:")
    print("  " + " ".join(f"{peaks[tenth]:.2f}" for tenth in sorted(peaks)))
    after = [peak for tenth, peak in peaks.items() if 1 <= tenth < 10]
    print(f"peak {max(peaks.values()):.2f} GB (bar 4); after the first tenth it grew by {max(after) - after[0]:.2f} GB")


def kills(folder: Path, rows: int | None) -> None:
    data = short_rows(folder / "short.parquet", rows or 100_000)
    model = classifier(folder / "model", narrow=True)
    undisturbed = Run(folder / "undisturbed", data, model)
    undisturbed.wait()
    expected, parts = undisturbed.table(), undisturbed.output().parts
    rng = random.Random(7)
    for number, whom in enumerate(("driver", "worker", "driver", "worker", "driver"), 1):
        run = Run(folder / f"killed-{number}", data, model)
        at = round(parts * (number - 0.5) / 5)
        while len(run.part_times()) < at:
            assert run.process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        if whom == "driver":
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
            done = len(run.part_times())
            run = Run(folder / f"killed-{number}", data, model)
        else:
            worker = random.Random(number).choice(run.workers())
            done = len(run.part_times())
            worker.kill()
        run.wait()
        same = run.table().equals(expected)
        print(f"{whom} killed with {done} of {parts} parts done: {'the same rows' if same else 'OTHER ROWS'}")
        assert same


class Run:
    """``tornio score`` as a process of its own, over a store in the folder. A second one continues the first."""

    parts = "scores"
    """Folder of the run whose parts are counted."""

    def command(self, data: Path, model: Path) -> list[str]:
        argv = ["tornio", "score", "--data", str(data), "--model", str(model), "--json"]
        return [*argv, "--labels", ",".join(LABELS)]

    def __init__(self, folder: Path, data: Path, model: Path, workers: int = 2) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = LocalStore(folder / "store")
        self.log = folder / "log"
        environment = {
            **os.environ,
            "TORNIO_STORE_DIR": str(self.store.folder),
            "TORNIO_CACHE_DIR": str(folder / "cache"),
            "TORNIO_JOB_WORKERS": str(workers),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        argv = [sys.executable, "-m", *self.command(data, model)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, start_new_session=True)

    def wait(self) -> None:
        if self.process.wait() != 0:
            sys.exit(self.log.read_text()[-3000:])

    def part_times(self) -> dict[int, float]:
        """Return when each finished part was written."""
        parts = (self.store.folder / "default" / "runs").glob(f"*/{self.parts}/*.parquet")
        return {int(path.stem): path.stat().st_mtime for path in parts if not path.name.startswith(".")}

    def rows_done(self) -> int:
        return len(self.part_times()) * int(PART_ROWS)

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "MapBatches" in " ".join(child.cmdline()[:1])]

    def output(self) -> ScoreOutput:
        (folder,) = (self.store.folder / "default" / "runs").iterdir()
        result, _ = documents.load(self.store, workspace_run("default", folder.name).result, RunResult)
        return ScoreOutput.model_validate(result.output)

    def table(self) -> pa.Table:
        """Return all rows in the input's order."""
        folder = self.store.folder / "default" / "runs"
        return pa.concat_tables(pq.read_table(path) for path in sorted(folder.glob("*/scores/*.parquet")))


def tree_bytes(pid: int) -> int:
    """Return the proportional set size of a process and its descendants."""
    total = 0
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += int(process.memory_full_info().pss)
    return total


def news(path: Path, rows: int) -> Path:
    """Write AG News, with its rows repeated until there are enough."""
    table = pq.read_table(DATA / "ag_news" / "train.parquet")
    pq.write_table(pa.concat_tables([table] * (rows // len(table) + 1)).slice(0, rows), path)
    return path


def short_rows(path: Path, rows: int) -> Path:
    """Write invented messages of three to ten words."""
    rng = random.Random(0)
    words = ("order", "late", "refund", "please", "where", "card", "login", "broken", "thanks", "invoice", "again")
    texts = [" ".join(rng.choices(words, k=rng.randint(3, 10))) for _ in range(rows)]
    labels = rng.choices(LABELS, k=rows)
    pq.write_table(pa.table({"text": texts, "label": labels}), path)
    return path


def classifier(folder: Path, *, narrow: bool) -> Path:
    """Create a random classifier with MiniLM's tokenizer, of MiniLM's size or of two narrow layers."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    layers, width = (2, 64) if narrow else (6, 384)
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        initializer_range=0.1,
        id2label=dict(enumerate(LABELS)),
        label2id={name: number for number, name in enumerate(LABELS)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    source = resolve_encoder("minilm").folder
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copy(source / name, folder / name)
    return folder


if __name__ == "__main__":
    main()
