"""``make demo``: turn unlabelled messages into a served classifier, and say what that saved.

It starts ``tornio up``, and then only uses what users have: the command line, the client, and Argilla's own API. Two
tasks run at the same time, each with a simulated annotator: the watched one is taught by a teacher before anybody has
labelled, and then asks for the labels from which it learns most; the other one gets labels of messages picked at
random, and has no teacher. Only this script reads the test split: the system gets its texts to classify, but never its
labels.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import shutil
import signal
import sys
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from examples.support import report
from examples.support.annotator import WRONG, Annotator, known_answers
from examples.support.saved import compare, learned_sentence, sentences
from examples.support.server import Server, command, tornio_up
from examples.support.story import Story
from examples.support.traffic import Traffic
from examples.support.watch import Curve, Split, await_first, follow
from tornio.client import Client
from tornio.errors import TornioError
from tornio.spec import TaskSpec
from tornio.specfile import read_spec

HERE = Path(__file__).parent
STATE = Path(".tornio") / "demo"
REPORT = Path("demo-report.html")
LEAST_SWAPS = 3
RANDOM_LABELS = 160
EXAMPLES = ("My card was charged twice, please send one of them back.", "The app closes as soon as I open the basket.")


class Demo:
    """One run of the demo, on a running server."""

    def __init__(self, server: Server, client: Client, state: Path, console: Console) -> None:
        self._server, self._client, self._state, self._console = server, client, state, console
        self._test = Split.read(HERE / "data" / "test.csv")
        self._answers = known_answers(HERE / "data" / "answers.csv")
        self._suffix = time.strftime("%m%d-%H%M%S")  # new tasks, so that the demo can be run again

    def run(self) -> Story:
        began = time.monotonic()
        spec = _named(read_spec((HERE / "task.yaml").read_text(), "task.yaml"), f"support-{self._suffix}")
        zero_shot = self._zero_shot(spec)
        self._print(
            "\nThe teacher (similarity to the labels' descriptions) is right on "
            f"{zero_shot:.3f} of the {len(self._test.texts)} test messages. It now teaches a first version, which "
            f"serves before anybody has labelled. Then {spec.loop.strategy} picks messages, and a simulated annotator "
            "labels them in Argilla. A second task gets labels of messages picked at random:\n"
        )
        specs = spec, picked_at_random(spec, f"random-{self._suffix}")
        added = datetime.now(UTC)
        self._create(spec)
        chosen, random = (Curve(self._client, one.full_name, self._test) for one in specs)
        with ExitStack() as stack:
            once = stack.enter_context(Client(self._server.url, self._server.api_key, retry_seconds=0))
            traffic = stack.enter_context(Traffic(once, spec.full_name, self._test.texts))
            await_first(chosen, self._console)  # the other task does not slow it down
            self._create(specs[1])
            annotators = [stack.enter_context(self._annotator(one)) for one in specs]
            status = follow(chosen, random, annotators, traffic, self._console)
        self._print("\nThis is how a user requests predictions:\n")
        command(self._server, self._console, "predict", spec.full_name, *EXAMPLES)
        first = next((swap.at for swap in status.swaps if swap.previous is None), None)
        return Story(
            status=status,
            points=chosen.points,
            random=random.points,
            answers=chosen.answers,
            load=traffic.load,
            strategy=spec.loop.strategy,
            zero_shot=zero_shot,
            first_s=None if first is None else (first - added).total_seconds(),
            annotator_errors=WRONG,
            seconds=time.monotonic() - began,
        )

    def _create(self, spec: TaskSpec) -> None:
        """Create a task and add the messages, with the commands of a user."""
        path = self._state / f"{spec.name}.yaml"
        path.write_text(spec.model_dump_json(indent=2))  # JSON is YAML
        command(self._server, self._console, "apply", str(path))
        pool = HERE / "data" / "pool.csv"
        with suppress(ValueError):
            pool = pool.relative_to(Path.cwd())  # shorter to read
        command(self._server, self._console, "pool", "add", spec.full_name, str(pool))

    def _annotator(self, spec: TaskSpec) -> Annotator:
        server = self._server
        return Annotator(server.argilla_url, server.owner_key, spec.full_name, self._answers, spec.label_names)

    def _zero_shot(self, spec: TaskSpec) -> float:
        predictions = self._client.zero_shot(self._test.texts, spec.labels, templates=spec.teacher.templates)
        right = [one.labels == [label] for one, label in zip(predictions, self._test.labels, strict=True)]
        return sum(right) / len(right)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=not self._console.is_terminal)


def _named(template: TaskSpec, name: str) -> TaskSpec:
    return TaskSpec.model_validate({**template.model_dump(), "name": name})


def picked_at_random(spec: TaskSpec, name: str) -> TaskSpec:
    """Return a task with the same labels and size of batches that is labelled at random, without a teacher.

    It goes on for ``RANDOM_LABELS`` answers, to show with how many it reaches what the watched task reaches.
    """
    stop = {"criterion": "max-iterations", "max_iterations": RANDOM_LABELS // spec.loop.batch_size}
    values = spec.model_dump(exclude={"teacher", "training", "loop"})
    loop = {"batch_size": spec.loop.batch_size, "strategy": "random", "bootstrap": "none", "stop": stop}
    return TaskSpec.model_validate({**values, "name": name, "teacher": {"kind": "none"}, "loop": loop})


def complaints(story: Story) -> list[str]:
    """Return what a demo must show and this one did not."""
    problems = []
    if story.load.failed:
        problems.append(f"{len(story.load.failed)} predictions failed, the first: {story.load.failed[0]}")
    if not story.load.sent:
        problems.append("no prediction was sent")
    if story.taught is None:
        problems.append("no version served before the first label was given")
    if len(story.status.swaps) < LEAST_SWAPS:
        problems.append(f"there were only {len(story.status.swaps)} swaps, but at least {LEAST_SWAPS} are expected")
    return problems


def closing(story: Story, seconds: float) -> list[str]:
    """Return the last lines. ``seconds``: what the demo took, with the start of the services."""
    lines = []
    if story.taught is not None and story.first_s is not None:
        lines.append(
            f"{story.first_s:.0f} s after the messages were added, and before anybody had labelled one, a first "
            f"version served. It is right on {100 * story.taught.accuracy:.1f} % of the test messages."
        )
    saved = compare(story.points, story.random)
    if saved is not None:
        said = sentences(saved, len(story.answers))
        if story.taught is not None:
            said.insert(1, learned_sentence(story.taught, saved.chosen))
        lines += said
    return [
        *lines,
        f"{len(story.status.swaps)} swaps, {story.load.sent} predictions, {len(story.load.failed)} failed, "
        f"{seconds:.0f} s in all.",
        f"Report: {REPORT}",
    ]


def run(options: argparse.Namespace, console: Console) -> int:
    state: Path = options.state
    if options.fresh and state.exists():
        shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with tornio_up(state, console) as server, Client(server.url, server.api_key) as client:
        story = Demo(server, client, state, console).run()
        REPORT.write_text(report.render(story), "utf-8")
        console.print("\n" + "\n".join(closing(story, time.monotonic() - began)), highlight=False)
        problems = complaints(story)
        for problem in problems:
            console.print(f"[red]{problem}[/]")
        if options.keep:
            console.print(
                f"\nEverything keeps running until Ctrl-C.\nPage: {server.url}/ (log in with the api_key)\n"
                f"Argilla: {server.argilla_url} (user owner, with the argilla_password)\n"
                f"Both are in {state}/credentials.json. In another terminal, in this folder:\n"
                f"source .venv/bin/activate; export TORNIO_STATE={shlex.quote(str(state.resolve()))}",
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
