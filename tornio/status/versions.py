"""What became of each version, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tornio.api import ChangedAnswer, VersionOut, VersionState
from tornio.loop.automatic import withdrawn_of
from tornio.loop.first import unlabelled
from tornio.loop.promotion import held
from tornio.loop.trial import terms
from tornio.schemas.jobs import EvaluateOutput
from tornio.schemas.task import Iteration
from tornio.schemas.trial import TrialVerdict
from tornio.status.scores import figures, named, training_counts
from tornio.status.snapshot import Reader, Snapshot, Trained

CHANGED = 100
"""Most changed hold-out answers that are listed per version."""


def read_versions(reader: Reader) -> list[VersionOut]:
    """Return the versions of the reader's task, newest first. Blocking; raises the errors of the store."""
    snapshot = reader.snapshot()
    trained = reader.trained(snapshot.iterations)
    pool = reader.task.view()
    changed = _changed_records(trained.judgements)
    texts = {record_id: pool.texts[row] for record_id in changed if (row := pool.row(record_id)) is not None}
    return version_list(snapshot, trained, texts)


def version_list(snapshot: Snapshot, trained: Trained, texts: Mapping[str, str]) -> list[VersionOut]:
    """Return the versions, newest first. ``texts``: by record, of the records whose answers changed. Pure."""
    iterations = {iteration.version: iteration for iteration in snapshot.iterations if iteration.version}
    listed = []
    for manifest in reversed(trained.manifests):
        iteration = iterations.get(manifest.version)
        judged = trained.judgements.get(manifest.version)
        metrics = dict(iteration.metrics) if iteration else {}
        multi_label = manifest.multi_label
        listed.append(
            VersionOut(
                version=manifest.version,
                iteration=manifest.iteration,
                kind=manifest.kind,
                why=manifest.why,
                taught_by=manifest.taught_by,
                imported_by=manifest.imported.who if manifest.imported else None,
                state=_state(snapshot, manifest.version, iteration),
                reasons=list(_reasons(snapshot, manifest.version, iteration)),
                warnings=[
                    *_warnings(iteration),
                    *(warning for tried in _tried(snapshot, manifest.version) for warning in tried.warnings),
                ],
                metrics=named(metrics, multi_label),
                thresholds=manifest.thresholds,
                holdout_imported=manifest.counts.get("holdout_imported"),
                holdout_annotators=manifest.counts.get("holdout_annotators"),
                compared_with=judged.against.version if judged and judged.against else None,
                changed=[_changed(answer, texts) for answer in judged.changed[:CHANGED]] if judged else [],
                created_at=manifest.created_at,
                **training_counts(iteration, multi_label),
                **figures(metrics, multi_label),
            )
        )
    return listed


def _changed_records(judgements: Mapping[str, EvaluateOutput]) -> set[str]:
    """The records whose texts the list shows."""
    return {answer["record_id"] for judged in judgements.values() for answer in judged.changed[:CHANGED]}


def _state(snapshot: Snapshot, version: str, iteration: Iteration | None) -> VersionState:
    current = snapshot.current[0] if snapshot.current else None
    if current and version == current.version:
        return "serving"
    if current and version == current.previous:
        return "previous"
    if any(version == alias.version for alias in snapshot.current):
        return "served"
    if snapshot.state.swap and snapshot.state.swap.version == version:  # under a hold, the loop keeps it and waits
        if held(snapshot.state):
            return "held"
        return "loading" if terms(snapshot.state) is None else "on trial"
    if iteration is None:
        return "unjudged"
    if iteration.verdict is None:
        return "failed"
    if (
        not iteration.verdict.promoted
        or any(not one.promoted for one in _tried(snapshot, version))
        or withdrawn_of(snapshot.state, iteration.automatic, iteration.label_seq) is not None
    ):
        return "refused"
    return "held" if snapshot.state.asks.hold is not None else "waiting"


def _reasons(snapshot: Snapshot, version: str, iteration: Iteration | None) -> Iterator[str]:
    if iteration is None:
        yield "not judged yet"
        return
    if iteration.failure:
        yield iteration.failure
    if iteration.verdict:
        yield from iteration.verdict.reasons
    for tried in _tried(snapshot, version):
        yield from tried.reasons
    if (told := withdrawn_of(snapshot.state, iteration.automatic, iteration.label_seq)) is not None:
        yield told
    if _state(snapshot, version, iteration) == "held":
        yield f"held: {snapshot.state.asks.hold}"


def _tried(snapshot: Snapshot, version: str) -> list[TrialVerdict]:
    """How the version's trial on live traffic ended, if it had one."""
    return [one.trial.verdict for one in snapshot.trials if one.version == version and one.trial.verdict is not None]


def _warnings(iteration: Iteration | None) -> list[str]:
    if iteration is None:
        return []
    without = None if iteration.taught_by else unlabelled(iteration.labels)
    return [*([without] if without else []), *(iteration.verdict.warnings if iteration.verdict else ())]


def _changed(answer: Mapping[str, object], texts: Mapping[str, str]) -> ChangedAnswer:
    values = {"text": texts.get(str(answer["record_id"])), "before": answer["current"], "after": answer["candidate"]}
    return ChangedAnswer.model_validate({**answer, **values})
