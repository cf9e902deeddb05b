"""Let the teacher label the pool: a zero-shot proposal for every text."""

from __future__ import annotations

import pyarrow as pa

from jobs.context import RunContext
from tornio.errors import InvalidInput
from tornio.models.decide import decide_labels
from tornio.schemas.jobs import LabelArgs, LabelOutput
from tornio.schemas.tables import SUGGESTIONS

__all__ = ["LabelArgs", "run"]


def run(args: LabelArgs, context: RunContext) -> LabelOutput:
    """Write ``suggestions.parquet`` into the attempt's folder and name it.

    Raises InvalidInput when the spec has no teacher.
    """
    spec = context.task.spec_at(args.spec_rev)
    if spec.teacher.kind == "none":
        raise InvalidInput(f"{spec.full_name} has teacher.kind 'none': set 'embedding' or 'nli' in task.yaml")
    view = context.task.pool.read(args.pool_seq)
    teacher = context.job.loader.teacher(spec.teacher, spec.classifier)
    probabilities = teacher.score(list(view.texts), spec.labels, spec.teacher.templates, spec.multi_label).probabilities
    names = spec.label_names
    chosen = decide_labels(probabilities, names, spec.multi_label)
    rows = [
        {"record_id": record_id, "labels": list(labels), "scores": [float(p[names.index(name)]) for name in labels]}
        for record_id, labels, p in zip(view.record_ids, chosen, probabilities, strict=True)
    ]
    key = context.attempt_folder + "suggestions.parquet"
    table = pa.Table.from_pylist(rows, schema=SUGGESTIONS.columns)
    context.job.store.put(key, SUGGESTIONS.encode(table))
    return LabelOutput(key=key, records=len(rows), agent=teacher.name)
