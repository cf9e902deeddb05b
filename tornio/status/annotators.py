"""How the annotators of a task agree, with their names."""

from __future__ import annotations

from collections.abc import Mapping

from tornio.api import AgreementStatus, AnnotatorOut, Annotators, LabelAgreementOut, PairOut
from tornio.labels.agreement import agreement
from tornio.labels.annotators import annotator_report
from tornio.tasks import Task


def read_annotators(task: Task, names: Mapping[str, str], controller_away: str | None) -> Annotators:
    """Return how the annotators agree. Blocking; raises the errors of the store.

    ``names``: of annotators by id, as far as they are known. ``controller_away``: why they are not known.
    """
    events = task.labels.read().events
    report, overall = annotator_report(events, task.spec.label_names, task.spec.multi_label), agreement(events)

    def name(annotator: str) -> str:
        return names.get(annotator, annotator)

    return Annotators(
        annotators=[
            AnnotatorOut(
                annotator=one.annotator, name=name(one.annotator), answers=one.answers, discards=one.discards,
                compared=one.compared, agrees=one.agrees,
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
        controller_away=controller_away,
    )  # fmt: skip
