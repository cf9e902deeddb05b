"""The append-only pool of a task's texts."""

from tornio.pool.checks import record_problem
from tornio.pool.pool import Added, Pool
from tornio.pool.view import PoolView

__all__ = ["Added", "Pool", "PoolView", "record_problem"]
