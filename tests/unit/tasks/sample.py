"""A task of sixty texts, in memory."""

from __future__ import annotations

from tornio.records import Record
from tornio.spec import TaskSpec
from tornio.storage.memory import MemoryStore
from tornio.tasks import Task, Tasks


def task_of(spec: TaskSpec) -> Task:
    """Return a new task of this spec, with the records r00 to r59."""
    tasks = Tasks(MemoryStore())
    tasks.apply(spec, "test")
    task = tasks.open(spec.workspace, spec.name)
    task.add_records([Record(f"r{number:02}", f"Text number {number}.") for number in range(60)])
    return task
