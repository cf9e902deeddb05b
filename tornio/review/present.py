"""What annotators see of a review: the data set and its records. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tornio.annotation.port import DatasetSpec, FieldSpec, MetadataSpec, OutgoingRecord
from tornio.records import Purpose, Suggestion
from tornio.scoring.scored_run import ScoredRow
from tornio.spec import LabelSpec, TaskSpec

GIVEN, DISAGREES, LOSS = "given_label", "disagrees", "loss"
NO_LABEL = "(none)"
_MAX_TASK_GUIDELINES = 9_000
"""In characters: Argilla's limit, less our own text."""


def dataset_spec(
    workspace: str,
    name: str,
    labels: Sequence[str],
    multi_label: bool,
    ranking: str,
    reviewers: int,
    task: TaskSpec | None,
) -> DatasetSpec:
    """Return the data set of a review. Its records can be sorted by loss and by ``ranking``, that of the run."""
    by_name = {} if task is None else {label.name: label for label in task.labels}
    other = (MetadataSpec(ranking, ranking.capitalize(), "float"),) if ranking != LOSS else ()
    return DatasetSpec(
        workspace=workspace,
        name=name,
        labels=tuple(by_name.get(label) or LabelSpec(name=label) for label in labels),
        multi_label=multi_label,
        guidelines=_guidelines(ranking, task),
        min_submitted=reviewers,
        fields=(FieldSpec(GIVEN, "Given label"),),
        metadata=(
            MetadataSpec(GIVEN, "Given label", "terms"),
            MetadataSpec(DISAGREES, "Disagrees", "terms"),
            MetadataSpec(LOSS, "Loss", "float"),
            *other,
        ),
    )


def outgoing(row: ScoredRow, labels: Sequence[str], run: str, ranking: str) -> OutgoingRecord:
    """Convert a row to a record: the prediction is the suggestion, and the given label is shown beside the text."""
    order = {name: place for place, name in enumerate(labels)}
    predicted = tuple(sorted(row.predicted, key=order.__getitem__))
    scores = tuple(min(1.0, max(0.0, row.probabilities[order[name]])) for name in predicted)
    given = row.given or (NO_LABEL,)
    return OutgoingRecord(
        record_id=row.record_id,
        text=row.text,
        batch_id=run,
        purpose=Purpose.QUERY,
        suggestion=Suggestion(predicted, scores, row.model),
        model_version=row.model,
        fields={GIVEN: ", ".join(given)},
        metadata={
            GIVEN: given if len(given) > 1 else given[0],
            DISAGREES: "no" if set(row.given) == set(row.predicted) else "yes",
            LOSS: row.loss,
            ranking: row.ranking,
        },
    )


def _guidelines(ranking: str, task: TaskSpec | None) -> str:
    ours = (
        "These texts already have a label, but a model finds it unlikely. Answer with the label that is right: the "
        "given one, the suggested one, or another one. Discard a text that no label fits. Your answers correct the "
        f"data set. Sort by {ranking} to see the most suspicious texts first."
    )
    if task is None or not task.guidelines:
        return ours
    return f"{ours}\n\n{task.guidelines[:_MAX_TASK_GUIDELINES]}"
