"""Views of the server's responses for a terminal. Pure functions from API models to rich renderables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tornio.api import (
    AgreementStatus,
    BatchStatus,
    ChangedAnswer,
    CriterionStatus,
    HoldoutStatus,
    Metrics,
    Scores,
    Serving,
    TaskStatus,
    TaskSummary,
    UndecidedStatus,
    VersionOut,
)
from tornio.cli.automatic_view import automatic_lines
from tornio.cli.drift_view import drift_lines
from tornio.cli.screen import Group, ProgressBar, RenderableType, Table, Text, ago, percent, table
from tornio.metricnames import shown

_COLOURS = {"attention": "bold red", "paused": "yellow", "stopped": "green", "labelling": "cyan"}
_STATES = {"serving": "bold green", "refused": "red", "failed": "red", "held": "yellow"}
_SOURCES = {"imported": "imported ones", "annotators": "by annotators"}
_SHOWN = 5


def tasks_view(tasks: Sequence[TaskSummary]) -> RenderableType:
    rows = (
        (
            f"{task.workspace}/{task.task}",
            _phase(task.phase),
            f"{task.version} (revision {task.revision})" if task.version else "nothing yet",
            task.why,
        )
        for task in tasks
    )
    return table(("=task", "phase", "serves", "why"), rows)


def status_view(status: TaskStatus, now: datetime | None = None) -> RenderableType:
    """Return everything about a task on one screen."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _lines(status, now or datetime.now(UTC)):
        grid.add_row(name, value)
    title = Text.assemble((f"{status.workspace}/{status.task}", "bold"), "  ", _phase(status.phase), "  ", status.why)
    return Group(title, grid)


def _lines(status: TaskStatus, now: datetime) -> Iterator[tuple[str, RenderableType]]:
    if status.attention and status.attention not in status.why:
        yield "attention", Text(status.attention, style="red")
    if status.controller_away:
        yield "controller", Text(status.controller_away, style="red")
    yield "serves", _serving(status, now)
    if status.trial and status.trial.promoted is None:
        yield "trial", Text(status.trial.why)
    elif status.candidate:
        yield "loading", Text(status.candidate)
    if status.trial and status.trial.promoted is False:
        yield "trial", Text(f"{status.trial.version} was refused: {status.trial.why}", style="yellow")
    if status.asks.hold:
        resume = f"tornio resume {status.workspace}/{status.task}"
        yield "held", Text(f"{status.asks.hold}; continue with: {resume}", style="yellow")
    if status.metrics:
        yield shown(status.metrics.metric), _score(status.metrics)
    yield "hold-out", _holdout(status.holdout)
    yield "labels", _labels(status)
    if status.automatic:
        yield from automatic_lines(status.automatic)
    if status.undecided.waiting or status.undecided.disputed:
        yield "undecided", _undecided(status.undecided)
    for again in status.again:
        yield "again", Text(f"{again.waiting:,} texts wait for one more annotator in the data set {again.dataset!r}")
    for name in status.gone_accounts:
        yield "account", Text(f"answers of {name} stay; its account is gone", style="yellow")
    if status.agreement:
        yield "agreement", _agreement(status.agreement)
    if status.drift:
        yield from drift_lines(status.drift, now)
    yield "pool", Text(f"{status.pool:,} records" + _open(status.queryable) + _sampled(status.live_texts))
    for batch in status.batches:
        yield "batch", _batch(batch)
    yield "stop", _stop(status)
    if status.annotate_url:
        yield "annotate", Text(status.annotate_url)
    for swap in status.swaps[:_SHOWN]:
        seconds = f" in {swap.seconds:.1f} s" if swap.seconds is not None else ""
        yield "swap", Text(f"{ago(swap.at, now)}: {swap.version} (revision {swap.revision}){seconds}; {swap.why}")
    for replica in status.replicas:
        if replica.lags:
            yield "replica", Text(f"{replica.replica} lags: {replica.lags}", style="red")
    if status.replicas and not any(replica.lags for replica in status.replicas):
        asleep = sum(replica.asleep for replica in status.replicas)
        note = f"; in {asleep} the task sleeps until it is asked for" if asleep else ""
        yield "replicas", Text(f"{len(status.replicas)}, all up to date{note}")


def _phase(phase: str) -> Text:
    return Text(phase, style=_COLOURS.get(phase, "cyan"))


def _serving(status: TaskStatus, now: datetime) -> Text:
    serving = status.serving
    if serving is None:
        why = f": {status.first_version}" if status.first_version else ""
        return Text(f"nothing yet{why}", style="yellow")
    before = f", before: {serving.previous}" if serving.previous else ""
    revision = f" (revision {serving.revision}{before}), {ago(serving.since, now)}"
    old = "; it answers with the labels of before they were changed" if serving.outdated_labels else ""
    return Text.assemble((serving.version, "bold green"), revision, (_taught(serving) + old, "yellow"))


def _taught(serving: Serving) -> str:
    """Return who taught the version, if a teacher did."""
    if serving.taught_by is None:
        return ""
    texts = serving.training_texts
    return f"; taught by {serving.taught_by}" + (f" and {texts:,} labels" if texts else ", before anybody has answered")


def _score(metrics: Metrics) -> Text:
    if metrics.score is None:
        return Text(f"{metrics.version} was not evaluated, because there were no hold-out labels when it was trained")
    return Text(
        f"{measured(metrics.score, metrics.interval)} on {_judges(metrics)} ({metrics.version})"
        + halving(metrics.labels_to_halve)
        + _calibration(metrics)
    )


def _calibration(scores: Scores) -> str:
    error = scores.calibration_error
    return "" if error is None else f"; calibration error {error:.3f}"


def _judges(scores: Scores) -> str:
    """Return how many hold-out labels made the score. Imported ones are told apart from those of annotators."""
    found, judges = scores.sources, f"{scores.holdout} hold-out labels"
    if "imported" not in found:
        return judges
    if len(found) == 1:
        return f"{judges}, all imported"
    parts = (f"{percent(one.score)} on {one.n} {_SOURCES.get(name, name)}" for name, one in found.items())
    return f"{judges}: {', '.join(parts)}"


def measured(accuracy: float | None, interval: tuple[float, float] | None) -> str:
    """Return an accuracy with its interval, such as ``84.0 % (95 %: 70.1-93.0)``."""
    if accuracy is None or interval is None:
        return percent(accuracy)
    return f"{percent(accuracy)} (95 %: {100 * interval[0]:.1f}-{100 * interval[1]:.1f})"


def halving(labels: int | None) -> str:
    """Return how many labels would halve the interval, such as ``; 120 more would halve the interval``."""
    return "" if labels is None else f"; {labels:,} more would halve the interval"


def _undecided(undecided: UndecidedStatus) -> Text:
    waiting = f"{undecided.waiting:,} with fewer than {undecided.needed} answers" if undecided.waiting else ""
    disputed = f"{undecided.disputed:,} disputed" if undecided.disputed else ""
    return Text(f"texts without a label: {', '.join(filter(None, (waiting, disputed)))}")


def _agreement(agreement: AgreementStatus) -> Text:
    return Text(
        f"alpha {agreement.alpha:.2f} (1 perfect, 0 chance) on {agreement.records} texts with several annotators"
    )


def _open(queryable: int | None) -> str:
    return "" if queryable is None else f", {queryable:,} of them can still be sent to annotators"


def _sampled(live_texts: int) -> str:
    return f"; {live_texts:,} were sampled from live texts" if live_texts else ""


def _holdout(holdout: HoldoutStatus) -> Text:
    discarded = f", {holdout.discarded} discarded" if holdout.discarded else ""
    disputed = f", {holdout.disputed} disputed" if holdout.disputed else ""
    apart = f" ({holdout.imported} imported, {holdout.annotators} by annotators)" if holdout.imported else ""
    return Text(f"{holdout.labelled} labelled of {holdout.reserved} reserved{apart}{discarded}{disputed}")


def _labels(status: TaskStatus) -> Text:
    counts = [f"{name} {status.training_labels.get(name, 0)}" for name in status.labels]
    first = ", ".join(counts[:20]) + (f" and {len(counts) - 20} more classes" if len(counts) > 20 else "")
    several = f"{status.training_texts:,} texts for training, with " if status.multi_label else ""
    unit = "labels" if status.multi_label else "for training"
    automatic = sum(status.automatic_labels.values())
    by_models = f" ({automatic:,} of them by a model)" if automatic else ""
    return Text(f"{several}{sum(status.training_labels.values()):,} {unit}{by_models}: {first}")


def _batch(batch: BatchStatus) -> RenderableType:
    if batch.total is None or batch.answered is None:
        return Text(f"{batch.batch}, not read yet")
    row = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=batch.total, completed=batch.answered, width=24)
    row.add_row(batch.batch, bar, f"{batch.answered} of {batch.total} answered{', closed' if batch.closed else ''}")
    return row


def _stop(status: TaskStatus) -> Text:
    """The last signals, and how far the criterion is; of several criteria, how far each is."""
    stop = status.stop
    if [one.criterion for one in stop.criteria] in ([], [stop.criterion]):
        one = stop.criteria[0] if stop.criteria else CriterionStatus(criterion=stop.criterion)
        signals = [f"{signal:.3f}" for signal in stop.signals[-6:]]
        known = [] if one.value is None else [f"{_figure(one.value)} now"]
        parts = ([" ".join(signals)] if signals else []) + known or [one.without_value]
        needs = [] if stop.threshold is None else [f"stops at {_figure(stop.threshold)}"]
        line = f"{stop.criterion}: {', '.join(parts + needs)}"
    else:
        whole = "" if stop.criterion in [one.criterion for one in stop.criteria] else f"{stop.criterion}: "
        line = whole + "; ".join(map(_criterion, stop.criteria))
    text = Text(line)
    if stop.stopped:
        text.append(f"; stopped: {stop.stopped}", style="green")
    return text


def _criterion(one: CriterionStatus) -> str:
    value = one.without_value if one.value is None else _figure(one.value)
    needs = "" if one.threshold is None else f", stops at {_figure(one.threshold)}"
    return f"{one.criterion} {value}{needs}{' (met)' if one.met else ''}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.4g}"


def versions_view(versions: Sequence[VersionOut]) -> RenderableType:
    parts: list[RenderableType] = []
    for version in versions:
        title = Text.assemble(
            (version.version, "bold"), "  ", (version.state, _STATES.get(version.state, "cyan")),
            f"  {version.kind}, iteration {version.iteration}, {_trained_on(version)}",
        )  # fmt: skip
        if version.score is not None:
            title.append(
                f", {shown(version.metric)} {measured(version.score, version.interval)} on {_judges(version)}"
                f"{halving(version.labels_to_halve)}{_calibration(version)}"
            )
        parts.append(title)
        parts += [Text(f"  {version.kind}: {version.why}")] if version.why else []
        parts += [Text(f"  {_thresholds(version)}")] if version.thresholds else []
        parts += [Text(f"  {reason}") for reason in version.reasons]
        parts += [Text(f"  {warning}", style="yellow") for warning in version.warnings]
        if version.changed:
            parts += [Text(f"  {len(version.changed)} hold-out answers changed:"), _changed(version.changed)]
    return Group(*parts)


def _thresholds(version: VersionOut) -> str:
    least, most = min(version.thresholds.values()), max(version.thresholds.values())
    return f"a text gets a label from probability {least:.2f} on" + (
        "" if least == most else f" ({most:.2f} the strictest)"
    )


def _trained_on(version: VersionOut) -> str:
    if version.imported_by is not None:
        return "imported"
    texts, labels = version.training_texts, version.training_labels
    return f"{labels} labels" if texts is None or texts == labels else f"{texts} texts with {labels} labels"


def _changed(answers: Sequence[ChangedAnswer]) -> RenderableType:
    rows = [_changed_row(answer) for answer in answers[:20]]
    if len(answers) > 20:
        rows.append(("", f"and {len(answers) - 20} more", "", "", ""))
    return table(("  ", "right", "before", "after", "text"), rows)


def _changed_row(answer: ChangedAnswer) -> tuple[str, ...]:
    better = "+" if set(answer.after) == set(answer.label) else "-" if set(answer.before) == set(answer.label) else " "
    text = (answer.text or answer.record_id).replace("\n", " ")
    cells = [", ".join(names) or "none" for names in (answer.label, answer.before, answer.after)]
    return (f"  {better}", *cells, text if len(text) <= 80 else text[:77] + "...")
