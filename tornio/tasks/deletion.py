"""Deleting records: tombstones, and what must be known before they are written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from tornio.errors import InvalidInput, MissingPlugin
from tornio.labels.automatic import without_versions
from tornio.labels.events import EventKind, LabelEvent
from tornio.labels.log import LogView
from tornio.labels.resolve import by_record, resolve_under
from tornio.pool import Pool, PoolView
from tornio.records import Purpose
from tornio.registry import Registry
from tornio.schemas.registry import Manifest
from tornio.schemas.runs import RunPlan
from tornio.storage import documents
from tornio.tasks.data import reserve, select_training, unlabelled_rows
from tornio.tasks.task import Task
from tornio.training.methods import METHODS

_SHOWN = 10
"""Most ids that an error names."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A version that has learned from some of the records.

    ``labelled``: how many of them were among its training labels. ``read``: how many others its method may have read
    without their label, because it also learns from the rest of the pool.
    """

    version: str
    labelled: int
    read: int


@dataclass(frozen=True, slots=True)
class Deletion:
    """Records that are, or would be, deleted. All counts are of ``records``, which were not deleted before.

    ``already``: records that were deleted before. ``labelled``: have a label. ``holdout``: belong to the hold-out.
    ``open``: are in a batch that is not closed. ``versions``: those that have learned from them, oldest first.
    """

    records: int
    already: int
    labelled: int
    holdout: int
    open: int
    versions: tuple[Learned, ...]


def preview_deletion(task: Task, record_ids: Sequence[str]) -> Deletion:
    """Return what a deletion of these records would do. Raises InvalidInput for one that the pool does not have."""
    wanted, log = set(record_ids), task.labels.read()
    view, spec = task.view(), task.spec
    _refuse([one for one in dict.fromkeys(record_ids) if one not in view])
    new = wanted - log.deleted
    events = [event for event in task.translated(log).events if event.record_id in new]
    truth = resolve_under(spec, events)
    held = reserve(task, view, log.events)
    opened = {one.batch for one in task.loop_state().batches if not one.closed}
    asked = {item.record_id for batch in task.batches() if batch.batch in opened for item in batch.items}
    return Deletion(
        records=len(new),
        already=len(wanted) - len(new),
        labelled=sum(one.labels is not None for one in truth.values()),
        holdout=len(held & new),
        open=len(asked & new),
        versions=learned_from(task, new),
    )


def delete_records(task: Task, record_ids: Sequence[str], who: str) -> Deletion:
    """Write a tombstone for each of these records that has none, all at once. May be repeated.

    From then on no one reads them: see ``LogView.deletions``. Raises InvalidInput, before anything is written, for a
    record that the pool does not have. ``who``: the name of the caller's key.
    """
    preview = preview_deletion(task, record_ids)
    task.labels.append(tombstones(dict.fromkeys(record_ids), f"api:{who}", task.document.label_set_rev))
    return preview


def last_deletion(log: LogView) -> int:
    """Return the sequence number of the last tombstone in a label log; 0 if nothing was deleted."""
    found = [seq for seq, part in enumerate(log.parts, 1) if any(one.event is EventKind.TOMBSTONE for one in part)]
    return max(found, default=0)


def tombstones(record_ids: Iterable[str], source: str, label_set_rev: int = 1) -> list[LabelEvent]:
    """Return the event that deletes each record. Its key follows from the record, so that a replay does no harm."""
    return [
        LabelEvent(EventKind.TOMBSTONE, one, (), label_set_rev, source, origin=f"delete:{one}") for one in record_ids
    ]


def learned_from(task: Task, record_ids: Collection[str]) -> tuple[Learned, ...]:
    """Return the versions that have learned from these records, oldest first.

    It is found out from what each version's manifest names: the label log and the pool as they were, and the spec. The
    tombstones do not count here. After a purge the digest of a text is not known any more, and with it whether the
    keyed hash held the text out. This only matters for records that were never asked nor imported; they count as read.
    """
    if not record_ids:
        return ()
    pool = Pool(task.store, task.keys)  # one that still has the digests of what was not purged yet
    found = (_learned(task, pool, manifest, set(record_ids)) for manifest in Registry(task.store, task.keys).versions())
    return tuple(one for one in found if one.labelled or one.read)


def _learned(task: Task, pool: Pool, manifest: Manifest, record_ids: set[str]) -> Learned:
    view, spec = pool.read(manifest.pool_seq), task.spec_at(manifest.spec_rev)
    there = {one for one in record_ids if one in view}
    if not there:
        return Learned(manifest.version, 0, 0)
    logged = task.labels_as_they_were(manifest.label_seq, manifest.spec_rev)
    events = list(_about(view, there, logged if spec.auto_label.train else without_versions(logged)))
    key, digests = task.document.holdout_key, view.text_digests
    truth = resolve_under(spec, events)
    judging = {one for one, said in truth.items() if said.purpose is Purpose.HOLDOUT}
    purged = {one for one in there if not digests[int(view.rows_of([one])[0])]}
    labelled = set(select_training(view, events, spec, key).record_ids) & there - purged
    labelled |= {one for one in purged - judging if one in truth and truth[one].labels is not None}
    if not _reads_pool(task, manifest):
        return Learned(manifest.version, len(labelled), 0)
    free = {view.record_ids[row] for row in unlabelled_rows(view, events, spec, key)} & there - purged
    return Learned(manifest.version, len(labelled), len((free | purged - judging) - labelled))


def _about(view: PoolView, record_ids: set[str], events: Sequence[LabelEvent]) -> Iterator[LabelEvent]:
    """Yield the events about these records and about others with their texts, which decide who is held out."""
    digests = view.text_digests
    wanted = {digests[row] for row in view.rows_of(sorted(record_ids)).tolist()} - {""}
    of_record = by_record(events)
    near = {one for one in of_record if (row := view.row(one)) is not None and digests[row] in wanted} | record_ids
    return (event for event in events if event.record_id in near)


def _reads_pool(task: Task, manifest: Manifest) -> bool:
    """Whether the method of this version may have read texts of the pool that have no label."""
    plan = documents.find(task.store, task.keys.run(manifest.run).plan, RunPlan)
    asked = str(plan[0].args.get("method", "")) if plan else ""
    name = asked or task.spec_at(manifest.spec_rev).training.method
    try:
        return METHODS.get(name).reads_pool
    except MissingPlugin:  # of a package that is gone: it may have
        return True


def _refuse(unknown: Sequence[str]) -> None:
    if unknown:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        named = ", ".join(map(repr, unknown[:_SHOWN]))
        raise InvalidInput(
            f"The pool has no record {named}{more}, so nothing was deleted. Check the ids: `tornio export labels` "
            "shows those of labelled records."
        )
