"""Parts that workers do: a run that is repeated does only those that are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobs.context import RunContext
from jobs.parts import InlineMapper, Stages
from tornio.errors import RunFailed


def check_precision(precision: str, context: RunContext) -> None:
    """Raises RunFailed where this process, which does the parts itself, computes in another precision than planned."""
    if context.job.mapper is None and context.job.loader.precision != precision:
        raise RunFailed(
            f"the run was planned in {precision}, but this node computes in {context.job.loader.precision}. All "
            "parts must have the same precision. Set TORNIO_PRECISION to the same value on all nodes"
        )


def do_missing(context: RunContext, stages: Stages, stage: str, missing: Sequence[int], rows: Sequence[int]) -> None:
    """Do the missing parts of a stage. ``rows``: how many each part has, by which progress is counted."""
    mapper = context.job.mapper or InlineMapper(stages, context.job.store, context.job.loader)
    mapper.run(stage, context.plan, missing, _counter(context, stage, missing, rows))


def _counter(context: RunContext, stage: str, missing: Sequence[int], rows: Sequence[int]) -> Callable[[int], None]:
    """Return a function that reports how many rows are done, those of earlier attempts included."""
    total = sum(rows)
    done = total - sum(rows[part] for part in missing)

    def count(part: int) -> None:
        nonlocal done
        done += rows[part]
        context.progress(f"{stage} rows", done, total, "rows")

    return count
