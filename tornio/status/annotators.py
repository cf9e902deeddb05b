"""How the annotators of a task agree, with their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from tornio.api import AgreementStatus, AnnotatorOut, Annotators, ConsensusOut, LabelAgreementOut, PairOut
from tornio.labels.agreement import agreement
from tornio.labels.annotators import annotator_report
from tornio.labels.events import LabelEvent
from tornio.spec.task import MAJORITY
from tornio.tasks import Task
from tornio.tasks.answers import ENOUGH, select_answered


def read_annotators(task: Task, names: Mapping[str, str], controller_away: str | None, now: datetime) -> Annotators:
    """Return how the annotators agree. Blocking; raises the errors of the store.

    ``names``: of annotators by id, as far as they are known. ``controller_away``: why they are not known. ``now``: the
    last hour and the last day end then.
    """
    events, spec = task.label_view().events, task.spec
    report, overall = annotator_report(events, spec.label_names, spec.multi_label), agreement(events)

    def name(annotator: str) -> str:
        return names.get(annotator, annotator)

    return Annotators(
        annotators=[
            AnnotatorOut(
                annotator=one.annotator, name=name(one.annotator), answers=one.answers, discards=one.discards,
                compared=one.compared, agrees=one.agrees, last_hour=one.since(now - timedelta(hours=1)),
                last_day=one.since(now - timedelta(days=1)), last_at=one.times[-1] if one.times else None,
            )
            for one in report.annotators
        ],
        pairs=[
            PairOut(first=name(pair.first), second=name(pair.second), records=pair.records, agrees=pair.agrees,
                    kappa=pair.kappa)
            for pair in report.pairs
        ],
        labels=[LabelAgreementOut.model_validate(one, from_attributes=True) for one in report.labels],
        agreement=None if overall is None else AgreementStatus.model_validate(overall, from_attributes=True),
        consensus=_consensus(task, events),
        controller_away=controller_away,
    )  # fmt: skip


def _consensus(task: Task, events: Iterable[LabelEvent]) -> ConsensusOut:
    spec = task.spec
    wanted = spec.annotation.consensus
    if spec.multi_label:
        return ConsensusOut(wanted=wanted, used=MAJORITY)
    answered = select_answered(task.pool.read(), events, spec, task.document.holdout_key)
    used = MAJORITY if answered.lacking else wanted
    return ConsensusOut(wanted=wanted, used=used, several=answered.several, needed=ENOUGH)
