"""A closed load: so many connections, each of which sends its next request when it has the answer to the last."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field

import numpy as np
import psutil


@dataclass
class Load:
    """What came of it. ``waits``: seconds of each request. ``cpu_s``: processor seconds of the server's processes."""

    seconds: float
    waits: list[float] = field(default_factory=list)
    failures: int = 0
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.waits) / self.seconds

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu_s / max(len(self.waits), 1)

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.waits, share)) if self.waits else float("nan")


def run(host: str, port: int, path: str, texts: list[str], connections: int, seconds: float, pids: list[int]) -> Load:
    """Send one-text requests to ``path`` for some seconds."""
    before = _cpu(pids)
    load = Load(seconds)
    asyncio.run(_run(load, host, port, path, texts, connections))
    load.cpu_s = _cpu(pids) - before
    return load


async def _run(load: Load, host: str, port: int, path: str, texts: list[str], connections: int) -> None:
    end = time.perf_counter() + load.seconds
    requests = [_request(host, port, path, text) for text in texts]
    await asyncio.gather(*(_connection(load, host, port, requests[n:] + requests[:n], end) for n in range(connections)))


async def _connection(load: Load, host: str, port: int, requests: list[bytes], end: float) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    number = 0
    while time.perf_counter() < end:
        begun = time.perf_counter()
        writer.write(requests[number % len(requests)])
        status, closes = await _response(reader)
        number += 1
        if status == 200:
            load.waits.append(time.perf_counter() - begun)
        else:
            load.failures += 1
        if closes:
            writer.close()
            reader, writer = await asyncio.open_connection(host, port)
    writer.close()


async def _response(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Read a response to its end. Returns its status, and whether the server closes the connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    if length:
        await reader.readexactly(int(length))
    else:  # chunked
        while size := int((await reader.readline()).strip() or b"0", 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return int(head.split(b" ", 2)[1]), b"connection: close" in head


def _request(host: str, port: int, path: str, text: str) -> bytes:
    body = json.dumps({"texts": [text]}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _cpu(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        used = psutil.Process(pid).cpu_times()
        total += used.user + used.system
    return total
