"""What the unit costs come to, up to sizes that nobody has measured."""

from __future__ import annotations

from dataclasses import dataclass

from bench.scale.measuring import Requests

MONTH_H = 730.0
GB = 1e9


@dataclass(frozen=True)
class Prices:
    """Dollars. The defaults are the list prices of Amazon S3 Standard and of general-purpose processors in its region
    us-east-1, as of 2025, rounded. Give your own: see ``python -m bench.scale --help``."""

    thousand_puts: float = 0.005
    thousand_gets: float = 0.0004
    gigabyte_month: float = 0.023
    core_hour: float = 0.05

    def requests(self, requests: Requests) -> float:
        return (requests.puts * self.thousand_puts + requests.gets * self.thousand_gets) / 1000

    def storage(self, size: float) -> float:
        """Return what so many bytes cost in a month."""
        return size / GB * self.gigabyte_month


@dataclass(frozen=True)
class PerText:
    """Unit costs of a text, as measured: bytes in the store, bytes of memory, and processor seconds."""

    stored: float
    embedding: float
    held: float
    open_seconds: float
    recount_seconds: float
    embed_seconds: float


@dataclass(frozen=True)
class OneTask:
    """A task with so many texts. Memory is that of each process that reads the pool."""

    texts: int
    stored: float
    embeddings: float
    parts: int
    listings: int
    held: float
    open_hours: float
    recount_seconds: float
    embed_core_hours: float
    dollars_a_month: float
    dollars_to_embed: float


def one_task(texts: int, unit: PerText, part_rows: int, prices: Prices) -> OneTask:
    """Multiply. A listing returns at most 1,000 objects."""
    parts = -(-texts // part_rows)
    core_hours = unit.embed_seconds * texts / 3600
    return OneTask(
        texts,
        unit.stored * texts,
        unit.embedding * texts,
        parts,
        -(-parts // 1000),
        unit.held * texts,
        unit.open_seconds * texts / 3600,
        unit.recount_seconds * texts,
        core_hours,
        prices.storage((unit.stored + unit.embedding) * texts),
        core_hours * prices.core_hour,
    )


@dataclass(frozen=True)
class ManyTasks:
    """A deployment with so many quiet tasks."""

    tasks: int
    cores: float
    looks_dollars: float
    poll_dollars: float
    """Of one replica."""


def many_tasks(
    tasks: int, looks: float, look_seconds: float, requests: Requests, poll: Requests, polls: float, prices: Prices
) -> ManyTasks:  # fmt: skip
    """Multiply. ``looks`` and ``requests``: of a task in an hour; ``poll``: of one task in one poll of a replica;
    ``polls``: in an hour."""
    return ManyTasks(
        tasks,
        tasks * looks * look_seconds / 3600,
        tasks * prices.requests(requests) * MONTH_H,
        tasks * prices.requests(poll) * polls * MONTH_H,
    )
