"""One key at ten times its rate, and how long the requests of another key take meanwhile.

    python -m bench.noisy_neighbour [--rounds 5] [--seconds 10]

The real gateway runs on uvicorn on loopback, with the real batcher in front of a model that takes a fixed time: 5 ms a
batch and 0.5 ms a text. The quiet key sends one text every 50 ms. The loud key may have 100 texts a second and sends
1,000, in requests of ten. Rounds alone, beside the loud key, and beside the same load from a key without a limit take
turns. It prints the quiet key's p50 and p99, and the median ratio of p99 to that of the same round alone, whose bar is
1.5.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import httpx
import numpy as np
import uvicorn

from bench.swapping.rig import until
from services.batching import Batcher
from services.clients import CLIENT
from services.embedded import ports
from services.gateway.app import create_app
from services.gateway.auth import FixedKeys, KeyRing, read_keys
from services.gateway.port import Backend
from tornio.api import Prediction, TaskName

BAR = 1.5
BATCH_S, TEXT_S = 0.005, 0.0005
RATE = 100
"""Texts a second that the loud key may have."""
PATH = "/v1/tasks/acme/support/predict"
QUIET, LOUD, FREE = (f"key-of-the-{name}-client" for name in ("quiet", "loud", "free"))
KEYS = [
    {"name": "quiet", "key": QUIET, "workspaces": ["acme"], "role": "predict"},
    {"name": "free", "key": FREE, "workspaces": ["acme"], "role": "predict"},
    {"name": "loud", "key": LOUD, "workspaces": ["acme"], "role": "predict", "texts_per_second": RATE},
]
SIDES = {"alone": None, "beside a key with a limit": LOUD, "beside one without": FREE}


class FixedTime:
    """The part of a backend that predicts, by a model that takes a fixed time."""

    def __init__(self) -> None:
        self._batcher = Batcher[TaskName, Prediction](self._bind, batch_tokens=8192, queue_tokens=131_072)

    async def predict(self, task: TaskName, texts: Sequence[str], version: str | None = None) -> Sequence[Prediction]:
        return await self._batcher.submit(task, texts, CLIENT.get())

    def _bind(self, task: TaskName) -> Callable[[Sequence[str]], Sequence[Prediction]]:
        def answer(texts: Sequence[str]) -> Sequence[Prediction]:
            time.sleep(BATCH_S + TEXT_S * len(texts))
            one = Prediction(labels=("a",), probabilities={"a": 1.0}, truncated=False, version="v1", revision=1)
            return [one] * len(texts)

        return answer


def serve(port: int) -> None:
    """Serve until the process is ended."""
    keys = KeyRing(FixedKeys(read_keys(json.dumps(KEYS), "keys")))
    app = create_app(cast(Backend, FixedTime()), keys)
    uvicorn.run(app, host=ports.HOST, port=port, log_level="warning", access_log=False)


async def load(port: int, key: str, texts: int, every_s: float, seconds: float) -> tuple[list[float], Counter[int]]:
    """Send a request every so often, answered or not. Returns the seconds of the answers, and the statuses."""
    times: list[float] = []
    statuses = Counter[int]()
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=f"http://{ports.HOST}:{port}", headers=headers, limits=limits, timeout=60
    ) as http:

        async def one() -> None:
            begun = time.perf_counter()
            answer = await http.post(PATH, json={"texts": ["Where is my parcel?"] * texts})
            statuses[answer.status_code] += 1
            if answer.is_success:
                times.append(time.perf_counter() - begun)

        await one()
        times.clear()
        async with asyncio.TaskGroup() as group:
            for number in range(int(seconds / every_s)):
                due = number * every_s
                if number == 0:
                    start = time.perf_counter()
                await asyncio.sleep(max(0.0, start + due - time.perf_counter()))
                group.create_task(one())
    return times, statuses


@contextmanager
def beside(port: int, key: str | None, seconds: float) -> Iterator[None]:
    """Run the load of another key in a process of its own."""
    if key is None:
        yield
        return
    command = [sys.executable, "-m", "bench.noisy_neighbour", "--noise", key, "--port", str(port)]
    with subprocess.Popen([*command, "--seconds", str(seconds + 6)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        time.sleep(2)  # its burst is spent
        try:
            yield
        finally:
            print(f"    the other key: {process.communicate()[0].strip()}")


def measure(port: int, args: argparse.Namespace) -> int:
    """Measure in turns, and print the table. Returns the exit code."""
    ratios: dict[str, list[float]] = {side: [] for side in SIDES}
    failures = 0
    for number in range(args.rounds):
        alone = 0.0
        for side, key in SIDES.items():
            with beside(port, key, args.seconds):
                times, statuses = asyncio.run(load(port, QUIET, 1, 0.05, args.seconds))
            p50, p99 = np.percentile(times, [50, 99]) * 1000
            alone = alone or p99
            ratios[side].append(p99 / alone)
            failures += sum(count for status, count in statuses.items() if status != 200)
            print(
                f"round {number + 1}, {side}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, ratio {p99 / alone:.2f}", flush=True
            )
    for side in list(SIDES)[1:]:
        print(f"{side}: median ratio of p99 {statistics.median(ratios[side]):.2f}")
    found = statistics.median(ratios["beside a key with a limit"])
    print(f"bar {BAR}: {'met' if found <= BAR else 'missed'}; {failures} of the quiet key's requests failed")
    return int(found > BAR or failures > 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--noise", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.port)
        return 0
    if args.noise:
        print("begun", flush=True)
        print(dict(asyncio.run(load(args.port, args.noise, 10, 10 / (10 * RATE), args.seconds))[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        port = ports.assign(Path(folder) / "ports.json", ["gateway"])["gateway"]
        with subprocess.Popen(
            [sys.executable, "-m", "bench.noisy_neighbour", "--serve", "--port", str(port)]
        ) as server:
            try:
                until(lambda: not ports.is_free(port), "the gateway listens", 60)
                return measure(port, args)
            finally:
                server.terminate()


if __name__ == "__main__":
    sys.exit(main())
