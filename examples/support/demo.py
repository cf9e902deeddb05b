"""``make demo``: turn unlabelled messages into a served classifier, batch by batch.

It starts ``tornio up``, and then only uses what users have: the command line, the client, and Argilla's own API. A
simulated annotator answers. Only this script reads the test split: the system gets its texts to classify, but never
its labels.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from examples.support import report
from examples.support.annotator import WRONG, Annotator, known_answers
from examples.support.server import Server, command, tornio_up
from examples.support.story import Load, Story
from examples.support.traffic import Traffic
from examples.support.watch import Curve, Split, follow
from tornio.api import TaskStatus
from tornio.client import Client
from tornio.errors import TornioError
from tornio.spec import TaskSpec
from tornio.specfile import read_spec

HERE = Path(__file__).parent
STATE = Path(".tornio") / "demo"
REPORT = Path("demo-report.html")
LEAST_SWAPS = 6
ITERATIONS = 12
EXAMPLES = ("My card was charged twice, please send one of them back.", "The app closes as soon as I open the basket.")


@dataclass(frozen=True)
class Turned:
    """The outcome of a task."""

    curve: Curve
    status: TaskStatus
    load: Load


class Demo:
    """One run of the demo, on a running server."""

    def __init__(self, server: Server, client: Client, state: Path, console: Console) -> None:
        self._server, self._client, self._state, self._console = server, client, state, console
        self._test = Split.read(HERE / "data" / "test.csv")
        self._answers = known_answers(HERE / "data" / "answers.csv")
        self._suffix = time.strftime("%m%d-%H%M%S")  # new tasks, so that the demo can be run again

    def run(self) -> Story:
        began = time.monotonic()
        template = read_spec((HERE / "task.yaml").read_text(), "task.yaml")
        zero_shot = self._zero_shot(template)
        self._print(
            "\nBefore anybody has labelled a message, the teacher (similarity to the labels' descriptions) is right on "
            f"{zero_shot:.3f} of the {len(self._test.texts)} test messages. Now {template.loop.strategy} picks the "
            "messages to label, and a simulated annotator labels them in Argilla:\n"
        )
        spec = _changed(template, f"support-{self._suffix}", max_iterations=ITERATIONS)
        chosen = self._turn(spec, watched=True)
        self._print("\nThe same again with randomly picked messages, for comparison:\n")
        spec = _changed(
            template,
            f"random-{self._suffix}",
            strategy="random",
            criterion="max-iterations",
            max_iterations=max(len(chosen.status.curve), 1),
        )
        random = self._turn(spec, watched=False)
        self._print("\nThis is how a user requests predictions:\n")
        command(self._server, self._console, "predict", chosen.curve.task, *EXAMPLES)
        return Story(
            status=chosen.status,
            points=chosen.curve.points,
            random=random.curve.points,
            answers=chosen.curve.answers,
            load=chosen.load,
            strategy=template.loop.strategy,
            zero_shot=zero_shot,
            annotator_errors=WRONG,
            seconds=time.monotonic() - began,
        )

    def _turn(self, spec: TaskSpec, watched: bool) -> Turned:
        """Run a task from its creation to its end, with the commands of a user."""
        path = self._state / f"{spec.name}.yaml"
        path.write_text(spec.model_dump_json(indent=2))  # JSON is YAML
        command(self._server, self._console, "apply", str(path))
        pool = HERE / "data" / "pool.csv"
        with suppress(ValueError):
            pool = pool.relative_to(Path.cwd())  # shorter to read
        command(self._server, self._console, "pool", "add", spec.full_name, str(pool))
        curve = Curve(self._client, spec.full_name, self._test)
        with ExitStack() as stack:
            annotator = stack.enter_context(
                Annotator(
                    self._server.argilla_url, self._server.owner_key, spec.full_name, self._answers, spec.label_names
                )
            )
            traffic = None
            if watched:
                once = stack.enter_context(Client(self._server.url, self._server.api_key, retry_seconds=0))
                traffic = stack.enter_context(Traffic(once, spec.full_name, self._test.texts))
            status = follow(curve, annotator, traffic, self._console)
        return Turned(curve, status, traffic.load if traffic else Load(0))

    def _zero_shot(self, spec: TaskSpec) -> float:
        predictions = self._client.zero_shot(self._test.texts, spec.labels, templates=spec.teacher.templates)
        right = [one.labels == [label] for one, label in zip(predictions, self._test.labels, strict=True)]
        return sum(right) / len(right)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=not self._console.is_terminal)


def _changed(template: TaskSpec, name: str, *, strategy: str | None = None, **stop: object) -> TaskSpec:
    """Return the example's task with another name, strategy and stopping rule."""
    values = template.model_dump()
    values["name"] = name
    values["loop"]["strategy"] = strategy or template.loop.strategy
    values["loop"]["stop"] |= stop
    return TaskSpec.model_validate(values)


def complaints(story: Story) -> list[str]:
    """Return what a demo must show and this one did not."""
    problems = []
    if story.load.failed:
        problems.append(f"{len(story.load.failed)} predictions failed, the first: {story.load.failed[0]}")
    if not story.load.sent:
        problems.append("no prediction was sent")
    if len(story.status.swaps) < LEAST_SWAPS:
        problems.append(f"there were only {len(story.status.swaps)} swaps, but at least {LEAST_SWAPS} are expected")
    return problems


def run(options: argparse.Namespace, console: Console) -> int:
    state: Path = options.state
    if options.fresh and state.exists():
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tornio_up(state, console) as server, Client(server.url, server.api_key) as client:
        story = Demo(server, client, state, console).run()
        REPORT.write_text(report.render(story), "utf-8")
        console.print(
            f"\n{len(story.status.swaps)} swaps, {story.load.sent} predictions, {len(story.load.failed)} failed, "
            f"test accuracy {story.accuracy:.3f} with {story.labels} labels, {time.monotonic() - began:.0f} s in all.\n"
            f"Report: {REPORT}",
            highlight=False,
        )
        problems = complaints(story)
        for problem in problems:
            console.print(f"[red]{problem}[/]")
        if options.keep:
            console.print(
                f"\nEverything keeps running until Ctrl-C. In another terminal: export TORNIO_URL={server.url}\n"
                f"Argilla: {server.argilla_url} (user owner, password in {state}/credentials.json)",
                highlight=False,
            )
            with suppress(KeyboardInterrupt):
                signal.pause()
    return 1 if problems else 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--keep", action="store_true", help="Keep everything running at the end, until Ctrl-C.")
    parser.add_argument("--fresh", action="store_true", help="Delete the state of earlier demos first.")
    parser.add_argument("--state", type=Path, default=STATE, help="Folder for the demo's data and logs.")
    options = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # each stops everything that was started
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # respect nohup
            signal.signal(number, _interrupt)
    console = Console()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=console)])
    try:
        return run(options, console)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except TornioError as error:
        console.print(f"[red]{type(error).__name__}: {error}[/]", highlight=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())
