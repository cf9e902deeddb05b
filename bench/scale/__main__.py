"""What grows how, up to 10^9 texts and 10^4 tasks.

    python -m bench.scale [--large] [--only tasks] [--write] [--core-hour 0.05] [--thousand-puts 0.005] ...

Measures unit costs with the real code over a store in memory, on small sizes, and multiplies. The plot goes into
docs/scale.svg and, with ``--write``, the tables into docs/scale.md. Processor time is that of one thread. Nothing here
has been run with 10^9 texts. It prints what grows faster than by the power 1.2 of its number.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pyarrow as pa
import torch

from bench import query_pool
from bench.scale import controller, replicas, texts
from bench.scale.costs import PerText, Prices, many_tasks, one_task
from bench.scale.drawing import Curve, plot
from bench.scale.measuring import Requests, exponent
from bench.texts import encoder
from docs import markdown
from services.classifier.follow import Pace
from tornio.pool.pool import PART_ROWS
from tornio.spec import LoopSpec

DOCS = Path(__file__).parents[2] / "docs"
SUPPORT = DOCS.parent / "examples" / "support" / "data" / "pool.csv"
PAGE, DRAWING = DOCS / "scale.md", DOCS / "scale.svg"
BEGIN = "<!-- From here on written by `python -m bench.scale --write`. -->\n"
STEEP = 1.2
FAR = (10**5, 10**6, 10**7, 10**8, 10**9)
MACHINE_GB = 64.0


@dataclass(frozen=True)
class Sizes:
    """What is measured, and at which sizes."""

    pool: tuple[int, ...] = (1_000, 3_000)
    query: tuple[int, ...] = (10_000, 30_000)
    labels: tuple[int, ...] = (200, 600)
    tasks: tuple[int, ...] = (5, 20)
    shelf: tuple[int, ...] = (50, 200)
    requests: int = 200
    embedded: int = 40


LARGE = Sizes(
    (10_000, 100_000), (100_000, 1_000_000), (1_000, 10_000), (100, 1_000, 10_000), (100, 1_000, 10_000), 3_000, 400
)
TASKS = 10_000


def embed_seconds(count: int) -> float:
    """Return the processor seconds of embedding a text of the demo with MiniLM, in one thread."""
    torch.set_num_threads(1)
    with SUPPORT.open(encoding="utf-8", newline="") as file:
        found = [row["text"] for row in csv.DictReader(file)][:count]
    model = encoder()
    model.embed(found[:8])
    began = time.process_time()
    model.embed(found)
    return (time.process_time() - began) / len(found)


def query(rows: int) -> tuple[float, float]:
    """Return seconds and GB of a query of the default strategy, with the embeddings of all texts in memory."""
    pool = query_pool.made_up(rows, 384, 20)
    known = list(range(query_pool.KNOWN))
    source = query_pool.LargePool(pool, known, pool.fit(known, 0))
    _ = source.predicted
    return query_pool.measured(pool, source, LoopSpec().strategy, 20, cold=False, multi_label=False)


@dataclass
class Report:
    """Collects tables, and what grows faster than ``STEEP``."""

    lines: list[str]
    steep: list[str]

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        self.lines.append(f"\n### {title}\n\n{markdown.table(head, rows)}")
        print(self.lines[-1], flush=True)

    def grows(self, what: str, costs: dict[int, float]) -> str:
        power = exponent(costs)
        if power > STEEP:
            self.steep.append(f"{what}: {power:.2f}")
        return f"{power:.2f}"


def of_texts(report: Report, sizes: Sizes, prices: Prices) -> None:
    pools = [texts.pool_costs(count) for count in sizes.pool]
    rows: list[tuple[str, ...]] = [
        (f"{one.texts:,}", f"{one.stored / one.texts:.0f}", f"{one.objects}", f"{one.held / one.texts:.0f}",
         f"{1e6 * one.open_seconds / one.texts:.1f}", f"{1e6 * one.recount_seconds / one.texts:.1f}")
        for one in pools
    ]  # fmt: skip
    powers = [
        report.grows(name, {one.texts: getattr(one, name) for one in pools})
        for name in ("stored", "held", "open_seconds", "recount_seconds")
    ]
    rows.append(("*grows with the power*", powers[0], "", *powers[1:]))
    report.table(
        "A text of a pool (measured)",
        ("texts", "bytes stored", "parts", "bytes of memory", "µs to open", "µs to count again"),
        rows,
    )
    last, size = pools[-1], pools[-1].texts
    unit = PerText(
        last.stored / size, texts.embedded_bytes(), last.held / size, last.open_seconds / size,
        last.recount_seconds / size, embed_seconds(sizes.embedded),
    )  # fmt: skip
    of_one_task(report, unit, prices)
    DRAWING.write_text(draw(unit, sizes.pool), "utf-8")


def of_one_task(report: Report, unit: PerText, prices: Prices) -> None:
    rows = []
    for count in FAR:
        one = one_task(count, unit, PART_ROWS, prices)
        rows.append(
            (f"{count:,}", f"{one.stored / 1e9:,.2f}", f"{one.embeddings / 1e9:,.1f}", f"{one.parts:,}",
             f"{one.listings:,}",
             f"{one.held / 1e9:,.2f}", f"{60 * one.open_hours:,.1f}", f"{one.recount_seconds:,.1f}",
             f"{one.embed_core_hours:,.1f}", f"{one.dollars_to_embed:,.2f}", f"{one.dollars_a_month:,.2f}")
        )  # fmt: skip
    report.table(
        "One task (extrapolated from the largest pool above)",
        ("texts", "pool, GB stored", "embeddings, GB stored", "objects of each", "requests of a listing",
         "GB of memory in each process that reads the pool", "processor minutes to open it",
         "processor seconds to count again", "processor hours to embed", "$ to embed", "$ of storage a month"),
        rows,
    )  # fmt: skip


def of_queries(report: Report, sizes: Sizes, _: Prices) -> None:
    found = {count: query(count) for count in sizes.query}
    rows = [(f"{count:,}", f"{seconds:.2f}", f"{gigabytes:.2f}") for count, (seconds, gigabytes) in found.items()]
    rows.append(("*grows with the power*", report.grows("query", {n: one[0] for n, one in found.items()}), ""))
    report.table(
        "A query of the default strategy (measured; wall seconds, and memory above the embeddings)",
        ("texts", "seconds", "GB"), rows,
    )  # fmt: skip


def of_labels(report: Report, sizes: Sizes, _: Prices) -> None:
    rows: list[tuple[str, ...]] = []
    for part in (1, 20):
        found = [texts.log_costs(count, part) for count in sizes.labels]
        rows.extend(
                (f"{one.labels:,}", f"{part}", f"{(one.stored - one.snapshots) / one.labels:,.0f}",
                 f"{one.snapshots / one.labels:,.0f}", f"{one.objects:,}", f"{one.held / one.labels:,.0f}",
                 f"{1e6 * one.open_seconds / one.labels:.0f}")
            for one in found
        )  # fmt: skip
        powers = [
            report.grows(f"labels, {name}", {one.labels: getattr(one, name) for one in found})
            for name in ("stored", "held", "open_seconds")
        ]
        rows.append(("*grows with the power*", f"{part}", f"both {powers[0]}", "", "", powers[1], powers[2]))
    report.table(
        "A label of a log (measured)",
        ("labels", "in one part", "bytes in parts", "bytes in snapshots", "objects", "bytes of memory", "µs to open"),
        rows,
    )


def of_tasks(report: Report, sizes: Sizes, prices: Prices) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, annotation = controller.waiting_task(Path(folder))

        def many(count: int) -> controller.Many:
            return controller.Many(count, store, annotation, Path(folder))

        hour = many(3).run(controller.SETTLED_S, controller.SETTLED_S + controller.HOUR_S)
        busy = many(1).run(10.0, 70.0, answers_every=6.0)
        found = [many(count).run(0.0, 60.0) for count in sizes.tasks]
    if found[-1].tasks < TASKS:
        found.append(replace(found[-1], tasks=TASKS))
    rows = [
        (name, f"{one.looks:,.0f}", f"{one.requests.puts:,.0f}", f"{one.requests.gets:,.0f}",
         f"{prices.requests(one.requests) * (730 if one is hour else 1):.2f}")
        for name, one in (("quiet, a month of hours like this", hour), ("an answer every 6 s, one hour", busy))
    ]  # fmt: skip
    report.table(
        "A task that waits for annotators (measured, simulated clock)",
        ("task", "looks an hour", "puts and lists an hour", "gets an hour", "$"), rows,
    )  # fmt: skip
    one_poll = controller.shared(100)
    poll = Requests(one_poll.poll.puts / 100, one_poll.poll.gets / 100)
    polls = controller.HOUR_S / Pace().slowest_poll
    rows = []
    for one in found:
        all_of = many_tasks(one.tasks, hour.looks, one.look_seconds, hour.requests, poll, polls, prices)
        rows.append(
            (f"{one.tasks:,}" + (", extrapolated" if one.tasks > sizes.tasks[-1] else ""),
             f"{1000 * one.look_seconds:.1f}", f"{all_of.cores:.3f}",
             f"{all_of.looks_dollars:,.2f}", f"{all_of.poll_dollars:,.2f}")
        )  # fmt: skip
    report.table(
        f"Quiet tasks under one controller (time measured; the month is {polls:.0f} polls and "
        f"{hour.looks:.0f} looks an hour, multiplied)",
        ("tasks", "processor ms of a look", "cores while all are quiet",
         "$ a month for looks", "$ a month for the polls of each replica"),
        rows,
    )  # fmt: skip


def of_replicas(report: Report, sizes: Sizes, _: Prices) -> None:
    room = 2 << 30
    found = [replicas.shelf_costs(count, room, sizes.requests) for count in sizes.shelf]
    rows = [
        (f"{one.tasks:,}", f"{one.loads:,}", f"{one.start_seconds:.2f}", f"{one.awake:,}", f"{100 * one.cold:.1f} %")
        for one in found
    ]
    report.table(
        "Models in a replica with room for 2 GiB (simulated requests by Zipf's law; one task in ten is fine-tuned)",
        ("tasks", "loaded at the start", "processor seconds of the shelf for it", "tasks awake at the end",
         "requests that waited for a model"),
        rows,
    )  # fmt: skip


def draw(unit: PerText, measured: Sequence[int]) -> str:
    counts = sorted({*measured, *FAR})

    def line(name: str, cost: float, known: bool = True) -> Curve:
        return Curve(
            name, [(n, cost * n / 1e9) for n in counts], sum(n <= max(measured) for n in counts) if known else 1
        )

    curves = [
        line("embeddings in the store", unit.embedding), line("pool in the store", unit.stored),
        line("pool in memory", unit.held),
    ]  # fmt: skip
    return plot(curves, "Gigabytes of one task over its texts", "texts of one task", "GB", ("64 GB", MACHINE_GB))


PARTS = {
    "texts": of_texts, "labels": of_labels, "queries": of_queries, "tasks": of_tasks, "replicas": of_replicas,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="larger sizes, which take about ten times as long")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone; repeat for several")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/scale.md")
    for field in fields(Prices):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    options = parser.parse_args(arguments)
    prices = replace(Prices(), **{field.name: getattr(options, field.name) for field in fields(Prices)})
    sizes, report = LARGE if options.large else Sizes(), Report([], [])
    pa.set_cpu_count(1)
    for part in options.only or PARTS:
        PARTS[part](report, sizes, prices)
    if options.write:
        page = PAGE.read_text("utf-8").partition(BEGIN)[0]
        PAGE.write_text(page + BEGIN + "".join(report.lines), "utf-8")
    print(f"Growth above the power {STEEP}: {'; '.join(report.steep) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
