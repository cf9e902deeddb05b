"""The prediction job compared with a plain loop, its memory over a million rows, and the effect of five kills.

    python -m bench.predict_job [ratio] [million] [--rows N]

``ratio``: rows per second of the Ray Data job, with one worker, divided by those of a plain loop in this process that
reads the same rows, scores them with the same engine and writes them with their labels. Start-up is reported
separately. ``million``: proportional set size of the whole Ray tree while short rows are predicted by a small random
encoder; then the same run again, killed five times, driver and worker in turn. The rows must be the same.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from bench.score_job import LABELS, PART_ROWS, Run, classifier, news, short_rows, tree_bytes
from tornio.api import PredictRequest
from tornio.models.sequence import SequenceClassifier
from tornio.schemas.keys import workspace_run
from tornio.schemas.runs import RunResult
from tornio.schemas.scoring import PredictOutput
from tornio.storage import documents

KILLS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", help="ratio, million, or both")
    parser.add_argument("--rows", type=int, help="rows of ratio (default 50,000), million (1,000,000)")
    parser.add_argument("--narrow", action="store_true", help="ratio with two narrow layers, not with MiniLM's size")
    parser.add_argument("--drive", nargs=2, metavar=("DATA", "MODEL"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.drive:
        drive_one(*args.drive)
        return
    if unknown := [what for what in args.what if what not in ("ratio", "million")]:
        parser.error(f"there is no {unknown[0]}: choose ratio or million")
    for what in args.what or ("ratio", "million"):
        with tempfile.TemporaryDirectory() as folder:
            if what == "ratio":
                ratio(Path(folder), args.rows or 50_000, narrow=args.narrow)
            else:
                million(Path(folder), args.rows or 1_000_000)


def drive_one(data: str, model: str) -> None:
    """Do one run from this process, on a Ray of its own."""
    from jobs.running.driver import drive
    from jobs.running.process import job_context
    from tornio.scoring.predicting.planning import plan_predict

    context = job_context()
    request = PredictRequest(data=data, model=model, probabilities=True)
    drive(plan_predict(request, "default", None, context.store, context.loader), context)


def ratio(folder: Path, rows: int, *, narrow: bool) -> None:
    """Compare one worker with one process, with one thread each."""
    data = unlabelled(news(folder / "news.parquet", rows))
    model = classifier(folder / "model", narrow=narrow)
    run = PredictRun(folder, data, model, workers=1)
    started = time.time()
    run.wait()
    ended, times, output = time.time(), sorted(run.part_times().values()), run.predicted()
    steady = (output.rows - PART_ROWS) / (times[-1] - times[0])  # without the first part, which includes the start-up
    written = run.file().stat().st_mtime
    torch.set_num_threads(1)
    engine = SequenceClassifier(model, LABELS, multi_label=False, max_length=256)
    engine.score(["a text"] * 500)
    begun = time.monotonic()
    plain(data, engine, folder / "plain.parquet")
    loop = output.rows / (time.monotonic() - begun)
    print(
        f"rows {output.rows:,}; plain loop {loop:.0f} rows/s, job {steady:.0f} rows/s between its first and last part"
    )
    whole = output.rows / (output.rows / steady + written - times[-1])
    print(
        f"start-up {times[0] - started:.1f} s, writing the file {written - times[-1]:.1f} s of {ended - started:.1f} s"
    )
    print(f"ratio of job to plain loop: {steady / loop:.2f} (bar .9); with the writing of the file {whole / loop:.2f}")


def plain(data: Path, engine: SequenceClassifier, out: Path) -> None:
    """What anybody would write: read, score, write."""
    file = pq.ParquetFile(data)
    writer: pq.ParquetWriter | None = None
    for batch in file.iter_batches(PART_ROWS):
        p = engine.score(batch.column("text").to_pylist()).probabilities
        table = pa.Table.from_batches([batch])
        table = table.append_column("label", pa.array([LABELS[j] for j in p.argmax(axis=1)]))
        table = table.append_column("score", pa.array(p.max(axis=1).astype(np.float32)))
        for j, name in enumerate(LABELS):
            table = table.append_column(f"p({name})", pa.array(p[:, j]))
        writer = writer or pq.ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def million(folder: Path, rows: int) -> None:
    data = unlabelled(short_rows(folder / "short.parquet", rows))
    model = classifier(folder / "model", narrow=True)
    run = PredictRun(folder / "undisturbed", data, model)
    started, peaks = time.monotonic(), dict[int, float]()
    while run.process.poll() is None:
        size = tree_bytes(run.process.pid) / 1e9
        tenth = 10 * run.rows_done() // rows
        peaks[tenth] = max(peaks.get(tenth, 0.0), size)
        time.sleep(0.5)
    run.wait()
    print(
        f"rows {run.predicted().rows:,} in {time.monotonic() - started:.0f} s; peak PSS of the Ray tree by tenth, GB:"
    )
    print("  " + " ".join(f"{peaks[tenth]:.2f}" for tenth in sorted(peaks)))
    after = [peak for tenth, peak in peaks.items() if tenth >= 1]
    print(
        f"peak {max(peaks.values()):.2f} GB; after the first tenth it grew by {max(after) - after[0]:.2f} GB",
        flush=True,
    )
    expected, parts = run.table(), run.predicted().parts
    disturbed = killed(folder / "killed", data, model, parts)
    same = disturbed.table().equals(expected)
    print(f"killed {KILLS} times: {'the same rows' if same else 'OTHER ROWS'}")
    assert same


def killed(folder: Path, data: Path, model: Path, parts: int) -> Run:
    """Return a run that was killed five times, at moments spread over it, and has ended."""
    rng = random.Random(7)
    run = PredictRun(folder, data, model)
    for number in range(KILLS):
        at = round(parts * (number + 0.5) / KILLS)
        while len(run.part_times()) < at:
            assert run.process.poll() is None, run.log.read_text()[-3000:]
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        done = run.part_times()
        if number % 2 == 0:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
            done = run.part_times()
            run = PredictRun(folder, data, model)
        else:
            rng.choice(run.workers()).kill()
        whom = "worker" if number % 2 else "driver"
        print(f"{whom} killed with {len(done)} of {parts} parts done", flush=True)
    run.wait()
    again = [part for part, when in done.items() if run.part_times()[part] != when]
    assert not again, f"the parts {again} were made again"
    return run


class PredictRun(Run):
    """A prediction run as a process of its own, over a store in the folder. A second one continues the first."""

    parts = "predictions"

    def command(self, data: Path, model: Path) -> list[str]:
        return ["bench.predict_job", "--drive", str(data), str(model)]

    def predicted(self) -> PredictOutput:
        folder = self.file().parents[1]
        result, _ = documents.load(self.store, workspace_run("default", folder.name).result, RunResult)
        return PredictOutput.model_validate(result.output)

    def file(self) -> Path:
        """Return the file that the run has written."""
        (path,) = (self.store.folder / "default" / "runs").glob("*/predicted/*.parquet")
        return path

    def table(self) -> pa.Table:
        return pq.read_table(self.file())


def unlabelled(path: Path) -> Path:
    """Write a file again with its label under another name, because the run adds a column ``label``."""
    table = pq.read_table(path)
    pq.write_table(table.rename_columns(["topic" if name == "label" else name for name in table.column_names]), path)
    return path


if __name__ == "__main__":
    main()
