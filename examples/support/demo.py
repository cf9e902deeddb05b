"""``make demo``: unlabelled messages become a served classifier, batch after batch.

Starts ``tornio up``, and from there on uses what a user has: the command line, the client, and Argilla's own page.
A simulated annotator answers. The test split is looked at by this script alone: no gate, threshold or choice of
the system ever reads it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from rich.console import Console
from rich.live import Live
from rich.table import Table

from examples.support import report
from examples.support.annotator import Annotator, known_answers
from examples.support.report import Point, Story
from examples.support.traffic import Traffic
from tornio.api import TaskStatus
from tornio.client import Client
from tornio.errors import TornioError

HERE = Path(__file__).parent
TORNIO = (sys.executable, "-m", "tornio")
START_S, TASK_S = 300.0, 600.0
console = Console()


@dataclass(frozen=True)
class Split:
    """Texts and their true labels, for the eyes of this script."""

    texts: list[str]
    labels: list[str]

    @classmethod
    def read(cls, path: Path) -> Split:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return cls([row["text"] for row in rows], [row["label"] for row in rows])


@dataclass
class Curve:
    """Measures each version that serves, once, on the test split."""

    client: Client
    task: str
    test: Split
    points: list[Point] = field(default_factory=list)

    def measure(self, status: TaskStatus) -> None:
        serving = status.serving
        if serving is None or any(point.version == serving.version for point in self.points):
            return
        answers = self.client.predict(self.task, self.test.texts)
        versions = {answer.version for answer in answers}
        if len(versions) != 1:  # a swap happened in between: the next look measures one version whole
            return
        (version,) = versions
        said = [answer.labels[0] for answer in answers]
        right = sum(a == b for a, b in zip(said, self.test.labels, strict=True))
        iteration = next((p for p in status.curve if p.version == version), None)
        self.points.append(
            Point(
                version=version,
                iteration=iteration.iteration if iteration else 0,
                labels=(iteration.labels if iteration else 0) + status.holdout.labelled,
                accuracy=right / len(said),
                signal=iteration.signal if iteration else None,
                swap_s=next((s.seconds for s in status.swaps if s.version == version), None),
                answers=tuple(said),
                confidences=tuple(max(answer.probabilities.values()) for answer in answers),
            )
        )


def run_cli(*args: str, cwd: Path) -> None:
    """A command as a user types it; its output is shown."""
    console.print(f"[bold cyan]$ tornio {' '.join(args)}[/]")
    subprocess.run([*TORNIO, *args], cwd=cwd, check=True)


@contextmanager
def tornio_up(folder: Path) -> Iterator[dict[str, str]]:
    """``tornio up`` as a process of its own, until the block ends."""
    console.print("[bold cyan]$ tornio up[/]")
    session = folder / ".tornio" / "session.json"
    session.unlink(missing_ok=True)
    process = subprocess.Popen([*TORNIO, "up"], cwd=folder, start_new_session=True)
    try:
        deadline = time.monotonic() + START_S
        while not session.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("`tornio up` did not start; see above")
            time.sleep(0.2)
        yield json.loads(session.read_text())
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        process.wait(60)


def live_table(task: str, status: TaskStatus, curve: Curve, traffic: Traffic | None) -> Table:
    table = Table(title=f"{task}   {status.phase}: {status.why}", title_justify="left")
    for column in ("iteration", "labels", "test accuracy", "stop signal", "version serving", "swap"):
        table.add_column(column, justify="right")
    for point in curve.points:
        signal_text = "" if point.signal is None else f"{point.signal:.3f}"
        swap = "" if point.swap_s is None else f"{point.swap_s:.2f} s"
        table.add_row(
            str(point.iteration), str(point.labels), f"{point.accuracy:.3f}", signal_text, point.version, swap
        )
    if traffic is not None:
        table.caption = f"{traffic.sent} predictions sent meanwhile, {len(traffic.failed)} failed"
    return table


def follow(client: Client, curve: Curve, traffic: Traffic | None) -> TaskStatus:
    """Show the task until it stops by itself and its last version serves."""
    deadline = time.monotonic() + TASK_S
    with Live(console=console, refresh_per_second=4) as live:
        while True:
            status = client.status(curve.task)
            curve.measure(status)
            live.update(live_table(curve.task, status, curve, traffic))
            if status.phase == "stopped" and status.candidate in (None, status.serving and status.serving.version):
                curve.measure(status)
                live.update(live_table(curve.task, status, curve, traffic))
                return status
            if time.monotonic() > deadline:
                raise TornioError(f"{curve.task} did not stop in {TASK_S:.0f} s: {status.phase}, {status.why}")
            time.sleep(0.5)


def write_task(folder: Path, name: str, strategy: str) -> Path:
    """The example's task.yaml under another name and strategy."""
    spec = yaml.safe_load((HERE / "task.yaml").read_text())
    spec["name"] = name
    spec["loop"]["strategy"] = strategy
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def turn(client: Client, folder: Path, argilla_url: str, spec: Path, test: Split, watched: bool) -> tuple[Curve, TaskStatus, Traffic | None]:
    """One task from nothing to its end, by the commands that a user has."""
    loaded = yaml.safe_load(spec.read_text())
    task = f"{loaded['workspace']}/{loaded['name']}"
    run_cli("apply", str(spec), cwd=folder)
    run_cli("pool", "add", task, str(HERE / "data" / "pool.csv"), "--id-column", "id", cwd=folder)
    owner = json.loads((folder / ".tornio" / "credentials.json").read_text())
    annotator = Annotator(
        url=argilla_url,
        owner_key=owner["argilla_api_key"],
        workspace=loaded["workspace"],
        dataset=loaded["name"],
        answers=known_answers(HERE / "data" / "answers.csv"),
        labels=tuple(label["name"] for label in loaded["labels"]),
        name=f"annotator-{loaded['name']}",
    )
    curve = Curve(client, task, test)
    traffic = Traffic(client, task, test.texts) if watched else None
    annotator.start()
    if traffic is not None:
        traffic.start()
    try:
        status = follow(client, curve, traffic)
    finally:
        annotator.end()
        if traffic is not None:
            traffic.end()
    return curve, status, traffic


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end, until Ctrl-C")
    parser.add_argument("--fresh", action="store_true", help="forget an earlier demo's state first")
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where state and report are kept")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    started = time.monotonic()
    test = Split.read(HERE / "data" / "test.csv")
    suffix = time.strftime("%m%d-%H%M%S")  # each demo makes tasks of its own, so it can be run again
    with tornio_up(folder) as session, Client(session["url"]) as client:
        argilla_url = session["argilla_url"]
        chosen = turn(client, folder, argilla_url, write_task(folder, f"support-{suffix}", "breaking-ties"), test, True)
        console.print("\nThe same with records picked at random, for comparison:")
        random = turn(client, folder, argilla_url, write_task(folder, f"random-{suffix}", "random"), test, False)
        curve, status, traffic = chosen
        assert traffic is not None
        path = folder.parent / "demo-report.html"
        story = Story(status, curve.points, random[0].points, test.texts, test.labels, traffic.sent, traffic.failed)
        path.write_text(report.render(story))
        seconds = time.monotonic() - started
        console.print(f"\n{len(status.swaps)} swaps, {traffic.sent} predictions, {len(traffic.failed)} failed, {seconds:.0f} s")
        console.print(f"Report: {path}")
        if options.keep:
            console.print(f"Argilla: {argilla_url} (credentials in {folder}/.tornio/credentials.json). Ctrl-C ends.")
            with suppress(KeyboardInterrupt):
                signal.pause()
    return 1 if traffic.failed else 0


if __name__ == "__main__":
    sys.exit(main())
