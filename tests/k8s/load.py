"""Inside a pod: posts predictions at a steady pace until a file `stop` is there, and prints as JSON what came of it.

``load.py URL PER_SECOND``. Every other request goes over a connection of its own, the rest over kept ones. Nothing is
tried a second time.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

BODY = {"texts": ["Where is my parcel?"]}
HEADERS = {"Authorization": f"Bearer {os.environ['KEY']}"}
TIMEOUT_S = 30.0
kept = threading.local()


def over_its_own(url: str) -> httpx.Response:
    with httpx.Client(timeout=TIMEOUT_S) as client:
        return client.post(url, json=BODY, headers=HEADERS)


def over_a_kept_one(url: str) -> httpx.Response:
    if not hasattr(kept, "client"):
        kept.client = httpx.Client(timeout=TIMEOUT_S)
    client: httpx.Client = kept.client
    return client.post(url, json=BODY, headers=HEADERS)


def main() -> None:
    url, pause = sys.argv[1], 1 / float(sys.argv[2])
    began = time.monotonic()
    failed: list[tuple[float, str]] = []
    versions: set[str] = set()
    took: list[float] = []

    def send(how: Callable[[str], httpx.Response]) -> None:
        at = time.monotonic()
        try:
            answer = how(url)
            if answer.status_code == 200:
                versions.add(answer.json()["predictions"][0]["version"])
            else:
                failed.append((round(at - began, 1), f"{answer.status_code}: {answer.text[:200]}"))
        except httpx.HTTPError as error:
            failed.append((round(at - began, 1), f"{how.__name__}: {type(error).__name__}: {error}"))
        took.append(time.monotonic() - at)

    with ThreadPoolExecutor(16) as own, ThreadPoolExecutor(4) as kept_ones:
        Path("sending").touch()
        due, turn = time.monotonic(), 0
        while not Path("stop").exists():
            turn += 1
            if turn % 2:
                own.submit(send, over_its_own)
            else:
                kept_ones.submit(send, over_a_kept_one)
            due += pause
            time.sleep(max(0.0, due - time.monotonic()))
    slowest = round(max(took), 2)
    print(json.dumps({"sent": len(took), "failed": sorted(failed), "versions": sorted(versions), "slowest_s": slowest}))


if __name__ == "__main__":
    main()
