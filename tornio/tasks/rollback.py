"""Rolling back: the version from before serves again, and nothing is promoted over it."""

from __future__ import annotations

from tornio.errors import Conflict, TornioError
from tornio.registry import CURRENT, Registry
from tornio.schemas.loop import Asks
from tornio.schemas.registry import Alias
from tornio.tasks.task import Task


def roll_back(task: Task, who: str, reason: str | None = None, expected_revision: int | None = None) -> Alias:
    """Move ``current`` to the version that served before, and hold promotions until ``resume``. Return the moved alias.

    Done twice, it goes one further back each time: see ``tornio.registry.earlier_version``.

    ``reason``: why, in the words of ``who``. ``expected_revision``: of ``current``; None means its present revision.

    Raises NotServable for a task without a current version, NotFound without an earlier version, Changed at another
    revision. In all these cases nothing is held. Where the store fails and the outcome is unknown, the hold stays
    and the error says so.
    """
    registry = Registry(task.store, task.keys)
    moves = registry.history(CURRENT)
    registry.check_rollback(moves, expected_revision)
    present = moves[0]
    why = f"{who} rolled back from {present.version}" + (f": {reason}" if reason else "")
    earlier = task.loop_state().asks
    task.hold(why)  # before the move: nothing may be promoted over the rollback
    try:
        return registry.rollback(who, why, present.revision, moves, task.document.label_set_rev)
    except Conflict:
        _release(task, why, earlier)
        raise
    except TornioError as error:
        return _after_fault(task, registry, why, earlier, error)


def _after_fault(task: Task, registry: Registry, why: str, earlier: Asks, error: TornioError) -> Alias:
    """Return the alias if it moved although the store's answer was lost.

    Raises ``error``, with the hold released, if it did not move. Raises an error that names the hold if neither can
    be found out.
    """
    try:
        now = registry.alias(CURRENT)
        if now is not None and now.why == why:
            return now
        _release(task, why, earlier)
    except TornioError as again:
        raise type(error)(
            f"The rollback of {task.full_name} was interrupted, and whether it was made is unknown ({error}). Look "
            f"with `tornio status {task.full_name}`; nothing is promoted until `tornio resume {task.full_name}`."
        ) from again
    raise error


def _release(task: Task, why: str, earlier: Asks) -> None:
    """Restore the hold and the choice from before the rollback, unless somebody has set another hold since."""

    def restored(asks: Asks) -> Asks:
        return asks.evolve(hold=earlier.hold, promote=earlier.promote) if asks.hold == why else asks

    task.update_asks(restored)
