"""How the annotators of a task agree."""

from __future__ import annotations

from datetime import datetime

from tornio.api.base import Answer


class AgreementStatus(Answer):
    """Krippendorff's ``alpha`` of several annotators (1 perfect, 0 chance) over the ``records`` that two or more
    labelled."""

    alpha: float
    records: int


class AnnotatorOut(Answer):
    """One annotator's valid ``answers`` and ``discards``. ``name``: the id where the name is not known.

    ``compared``: answers for texts on which a majority of the others agrees. ``agrees``: those that are equal to it.
    ``last_hour``, ``last_day``: texts answered or discarded in the last hour and in the last 24 hours. ``last_at``:
    when the last one was.
    """

    annotator: str
    name: str
    answers: int
    discards: int
    compared: int
    agrees: int
    last_hour: int = 0
    last_day: int = 0
    last_at: datetime | None = None


class PairOut(Answer):
    """Two annotators, by name, and the ``records`` that both answered: how many answers are equal, and Cohen's
    ``kappa`` (1 perfect, 0 chance)."""

    first: str
    second: str
    records: int
    agrees: int
    kappa: float


class LabelAgreementOut(Answer):
    """Krippendorff's ``alpha`` of one label against all others, and the ``records`` with several answers of which at
    least one has the label."""

    label: str
    alpha: float
    records: int


class ConsensusOut(Answer):
    """What decides on training labels: ``wanted`` by task.yaml, and ``used`` by a training now.

    ``several``: texts for training with several answers, of which CROWDLAB needs ``needed``. None where texts may have
    several labels.
    """

    wanted: str
    used: str
    several: int | None = None
    needed: int = 0


class Annotators(Answer):
    """How the annotators of a task agree. ``agreement``: of all of them; None means that no record has answers of two.

    ``pairs``: those who answered a common record. ``labels``: in the task's order; empty without a common record.
    ``controller_away``: why the controller did not answer. Then ids stand in place of names.
    """

    annotators: list[AnnotatorOut]
    pairs: list[PairOut] = []
    labels: list[LabelAgreementOut] = []
    agreement: AgreementStatus | None = None
    consensus: ConsensusOut | None = None
    controller_away: str | None = None
