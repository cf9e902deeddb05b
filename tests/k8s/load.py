"""Inside a pod: posts predictions at a steady pace until a file `stop` is there, and prints as JSON what came of it.

``load.py URL PER_SECOND``. Every other request goes over a connection of its own, the rest over kept ones. Nothing is
tried a second time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

BODY = {"texts": ["Where is my parcel?"]}
HEADERS = {"Authorization": f"Bearer {os.environ['KEY']}"}
TIMEOUT_S = 30.0
KEPT = 16
"""Connections that are kept, used in turn: each idles for some seconds between two requests."""


def over_its_own(url: str) -> httpx.Response:
    with httpx.Client(timeout=TIMEOUT_S) as client:
        return client.post(url, json=BODY, headers=HEADERS)


def main() -> None:
    url, pause = sys.argv[1], 1 / float(sys.argv[2])
    began = time.monotonic()
    failed: list[tuple[float, str]] = []
    versions: set[str] = set()
    took: list[float] = []

    def send(how: Callable[[], httpx.Response]) -> None:
        at = time.monotonic()
        try:
            answer = how()
            if answer.status_code == 200:
                versions.add(answer.json()["predictions"][0]["version"])
            else:
                failed.append((round(at - began, 1), f"{answer.status_code}: {answer.text[:200]}"))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no prediction
            failed.append((round(at - began, 1), f"{type(error).__name__}: {error}"))
        took.append(time.monotonic() - at)

    kept = [httpx.Client(timeout=TIMEOUT_S) for _ in range(KEPT)]
    with ThreadPoolExecutor(2 * KEPT) as pool:
        Path("sending").touch()
        due, turn = time.monotonic(), 0
        while not Path("stop").exists():
            turn += 1
            client = kept[turn // 2 % KEPT]
            own, reused = partial(over_its_own, url), partial(client.post, url, json=BODY, headers=HEADERS)
            pool.submit(send, own if turn % 2 else reused)
            due += pause
            time.sleep(max(0.0, due - time.monotonic()))
    assert len(took) == turn
    slowest = round(max(took), 2)
    print(json.dumps({"sent": len(took), "failed": sorted(failed), "versions": sorted(versions), "slowest_s": slowest}))


if __name__ == "__main__":
    main()
