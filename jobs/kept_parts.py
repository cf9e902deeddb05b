"""Parts that each keep a result of their own: a run that is repeated does only those that have none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import OutOfMemoryError

from jobs.context import RunContext
from jobs.parts import InlineMapper, Stages
from tornio.errors import BudgetSpent, Forbidden, TemporaryError, describe
from tornio.schemas.base import Document
from tornio.storage import documents
from tornio.storage.port import ObjectStore

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Document)


def missing(store: ObjectStore, keys: Sequence[str]) -> list[int]:
    """Return the numbers of the parts that have no result. ``keys``: of the results, by the part's number."""
    return [number for number, key in enumerate(keys) if store.head(key) is None]


def completed(
    context: RunContext, stages: Stages, stage: str, keys: Sequence[str], left: Sequence[int], unit: str, kind: type[R]
) -> list[R]:
    """Do the parts that are left, and return the results of all. ``unit``: what progress counts."""
    store, done = context.job.store, len(keys) - len(left)
    mapper = context.job.mapper or InlineMapper(stages, store, context.job.loader)

    def count(_part: int) -> None:
        nonlocal done
        done += 1
        context.progress(unit, done, len(keys), unit)

    mapper.run(stage, context.plan, left, count)
    return [documents.load(store, key, kind)[0] for key in keys]


def keep(store: ObjectStore, key: str, what: str, do: Callable[[], R], failed: Callable[[str], R]) -> None:
    """Do a part and store its result. One that fails for good has a result, too, so that it does not end the others.

    ``what``: the part, for the log. ``failed``: makes a result of why it failed. Raises what may succeed at the next
    attempt, or when an operator has mended it.
    """
    try:
        result = do()
    except (TemporaryError, BudgetSpent, Forbidden, OSError, MemoryError, OutOfMemoryError):
        raise
    except Exception as error:  # code of another package may raise anything
        log.warning("%s failed", what, exc_info=True)
        result = failed(describe(error))
    documents.create_or_get(store, key, result)
