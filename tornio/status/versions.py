"""What became of each version, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tornio.api import ChangedAnswer, VersionOut, VersionState
from tornio.schemas.jobs import EvaluateOutput
from tornio.schemas.task import Iteration
from tornio.status.snapshot import Snapshot, Trained
from tornio.status.task_status import figures

CHANGED = 100
"""How many changed hold-out answers of a version are told."""


def version_list(seen: Snapshot, trained: Trained, texts: Mapping[str, str]) -> list[VersionOut]:
    """Newest first. ``texts``: of the records whose answers changed."""
    iterations = {one.version: one for one in seen.iterations if one.version}
    listed = []
    for manifest in reversed(trained.manifests):
        iteration = iterations.get(manifest.version)
        judged = trained.judgements.get(manifest.version)
        verdict = iteration.verdict if iteration else None
        metrics = dict(iteration.metrics) if iteration else {}
        listed.append(
            VersionOut(
                version=manifest.version,
                iteration=manifest.iteration,
                kind=manifest.kind,
                why=manifest.why,
                state=_state(seen, manifest.version, iteration),
                reasons=list(_reasons(seen, manifest.version, iteration)),
                warnings=list(verdict.warnings) if verdict else [],
                training_labels=sum(iteration.labels.values()) if iteration else 0,
                metrics=metrics,
                changed=[_changed(answer, texts) for answer in judged.changed[:CHANGED]] if judged else [],
                created_at=manifest.created_at,
                **figures(metrics),
            )
        )
    return listed


def changed_records(judgements: Mapping[str, EvaluateOutput]) -> set[str]:
    """The records whose texts the list shows."""
    return {answer["record_id"] for judged in judgements.values() for answer in judged.changed[:CHANGED]}


def _state(seen: Snapshot, version: str, iteration: Iteration | None) -> VersionState:
    current = seen.current[0] if seen.current else None
    if current and version == current.version:
        return "serving"
    if current and version == current.previous:
        return "previous"
    if any(version == alias.version for alias in seen.current):
        return "served"
    if seen.state.swap and seen.state.swap.version == version:  # the loop keeps it under a hold, and waits
        return "held" if seen.state.asks.hold is not None else "loading"
    if iteration is None:
        return "unjudged"
    if iteration.verdict is None:
        return "failed"
    if not iteration.verdict.promoted:
        return "refused"
    return "held" if seen.state.asks.hold is not None else "waiting"


def _reasons(seen: Snapshot, version: str, iteration: Iteration | None) -> Iterator[str]:
    if iteration is None:
        yield "not judged yet"
        return
    if iteration.failure:
        yield iteration.failure
    if iteration.verdict:
        yield from iteration.verdict.reasons
    if _state(seen, version, iteration) == "held":
        yield f"held: {seen.state.asks.hold}"


def _changed(answer: Mapping[str, object], texts: Mapping[str, str]) -> ChangedAnswer:
    values = {"text": texts.get(str(answer["record_id"])), "before": answer["current"], "after": answer["candidate"]}
    return ChangedAnswer.model_validate({**answer, **values})
