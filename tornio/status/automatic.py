"""How the automatic labels of a task stand. Pure."""

from __future__ import annotations

from tornio.api.automatic import AutomaticStatus, AutoMeasureOut, OutlookOut
from tornio.loop.automatic import withdrawn_of
from tornio.schemas.automatic import AutoLabelOutput
from tornio.status.snapshot import Snapshot


def automatic_status(snapshot: Snapshot) -> AutomaticStatus | None:
    """Return how they stand. None where the task wants none and never had any."""
    wanted, auto, record = snapshot.spec.auto_label, snapshot.state.auto, snapshot.labelled
    standing = {version: given.standing for version, given in snapshot.given_by_version.items() if given.standing}
    if not (wanted.on or standing or auto.withdrawn):
        return None
    version = auto.done.version if auto.done and auto.done.version in standing else max(standing, default=None)
    current = snapshot.current[0].version if snapshot.current else None
    decided = record.output if record and record.output.version == current and wanted.on else None
    return AutomaticStatus(
        why=_why(snapshot, current, decided),
        version=version,
        labels=standing.get(version, 0) if version else 0,
        target_error=wanted.target_error,
        confidence=wanted.confidence,
        threshold=wanted.threshold,
        holdout=snapshot.holdout.annotators,
        least_holdout=wanted.least_holdout,
        unlabelled=decided.unlabelled if decided else None,
        allowed=decided.allowed if decided else None,
        measures=[AutoMeasureOut(**one.model_dump()) for one in decided.measures] if decided else [],
        outlook=[OutlookOut(**one.model_dump()) for one in decided.outlook] if decided else [],
        withdrawn={version: one.why for version, one in auto.withdrawn.items()},
        learned={
            one.version: told
            for one in snapshot.iterations
            if one.version and (told := withdrawn_of(snapshot.state, one.automatic, one.label_seq)) is not None
        },
    )


def _why(snapshot: Snapshot, current: str | None, decided: AutoLabelOutput | None) -> str:
    wanted, auto = snapshot.spec.auto_label, snapshot.state.auto
    if not wanted.on:
        return "the spec wants none"
    if current is None:
        return "no version serves yet"
    if current in auto.withdrawn and not auto.thresholds:
        return f"labels of {current} were withdrawn ({auto.withdrawn[current].why}), so the next version labels"
    if auto.intent is not None:
        return f"{current} predicts the hold-out and the unlabelled texts"
    if not auto.thresholds and snapshot.holdout.annotators < wanted.least_holdout:
        return (
            f"annotators have given {snapshot.holdout.annotators} of the {wanted.least_holdout} hold-out labels that "
            f"can show an error of at most {wanted.target_error:.1%}"
        )
    if auto.done is not None and auto.done.failure is not None:
        return f"{auto.done.version} could not label: {auto.done.failure}"
    if decided is not None and auto.done is not None and auto.done.version == current:
        return _decided(snapshot, decided)
    given = snapshot.given_by_version.get(current)
    if given is not None and given.withdrawn:
        return f"labels of {current} were withdrawn, so the next version labels"
    return f"{current} labels as soon as nothing is being trained and judged"


def _decided(snapshot: Snapshot, decided: AutoLabelOutput) -> str:
    if not decided.thresholds:
        return f"{decided.holdout} hold-out labels do not show for any texts that few enough labels would be wrong"
    limited = decided.labelled < decided.allowed
    few = f"; auto_label.limit is {snapshot.spec.auto_label.limit:,}" if limited else ""
    allowed = f"{decided.allowed:,} of {decided.unlabelled:,} unlabelled texts"
    return f"{decided.version} may label {allowed}" + few
