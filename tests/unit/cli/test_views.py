"""What a terminal shows of a task in trouble, and of one that does well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tornio.api import (
    AgainStatus,
    AgreementStatus,
    AsksStatus,
    BatchStatus,
    CriterionStatus,
    DriftStatus,
    DriftWindow,
    EffectOut,
    HoldoutStatus,
    Metrics,
    ReplicaStatus,
    Serving,
    SourceScore,
    StopStatus,
    Swap,
    TaskStatus,
    TrialStatus,
    UndecidedStatus,
    VersionOut,
)
from tornio.cli import screen
from tornio.cli.views import measured, status_view, versions_view

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATUS = TaskStatus(
    workspace="acme",
    task="support",
    phase="labelling",
    why="batch g1-b0002: 3 of 20 answered",
    spec_rev=1,
    generation=1,
    label_set_rev=1,
    labels=["billing", "[bug]"],
    multi_label=False,
    pool=1234,
    training_labels={"billing": 7, "[bug]": 5},
    holdout=HoldoutStatus(reserved=120, labelled=11, discarded=2),
    stop=StopStatus(criterion="kappa-average", threshold=0.99, signals=[0.8, 0.91]),
)


def shown(status: TaskStatus) -> str:
    console = screen.out()
    console.width = 160
    with console.capture() as capture:
        console.print(status_view(status, NOW))
    return capture.get()


def test_a_task_that_serves_nothing_yet() -> None:
    text = shown(STATUS)
    for words in (
        "acme/support  labelling  batch g1-b0002: 3 of 20 answered",
        "nothing yet",
        "11 labelled of 120 reserved, 2 discarded",
        "12 for training: billing 7, [bug] 5",
        "1,234 records",
        "kappa-average: 0.800 0.910, stops at 0.99",
    ):
        assert words in text


def test_live_texts_in_the_pool_are_told_apart() -> None:
    assert "sampled" not in shown(STATUS)
    text = shown(STATUS.model_copy(update={"live_texts": 1100}))
    assert "1,234 records; 1,100 were sampled from live texts" in text


def test_a_trial_that_runs_and_one_that_refused_a_version() -> None:
    running = TrialStatus(version="v3", since=NOW, why="v3 is on trial: 12 of 30 minutes, 200 texts")
    text = shown(STATUS.model_copy(update={"trial": running, "candidate": "v3"}))
    assert "v3 is on trial: 12 of 30 minutes" in text
    assert "loading" not in text
    refused = running.model_copy(update={"promoted": False, "why": "broken on live texts: NaN"})
    assert "v3 was refused: broken on live texts: NaN" in shown(STATUS.model_copy(update={"trial": refused}))
    passed = running.model_copy(update={"promoted": True})
    assert "trial" not in shown(STATUS.model_copy(update={"trial": passed}))


def test_a_task_that_serves() -> None:
    then = NOW - timedelta(minutes=3)
    serving = Serving(version="v2", revision=2, previous="v1", who="controller", why="better", since=then)
    swap = Swap(version="v2", revision=2, previous="v1", at=then, seconds=0.84, who="controller", why="better")
    text = shown(
        STATUS.model_copy(
            update={
                "serving": serving,
                "swaps": [swap],
                "batches": [BatchStatus(batch="g1-b0002", total=20, answered=3), BatchStatus(batch="g1-b0003")],
                "metrics": Metrics(
                    version="v2", iteration=2, holdout=50, accuracy=0.84, interval=(0.7, 0.93), labels_to_halve=151
                ),
                "replicas": [ReplicaStatus(replica="a", version="v2", revision=2)],
                "annotate_url": "http://127.0.0.1:6900",
                "agreement": AgreementStatus(alpha=0.8123, records=12),
                "queryable": 900,
                "undecided": UndecidedStatus(waiting=3, disputed=2, needed=2),
                "again": [AgainStatus(dataset="t again", waiting=4)],
                "gone_accounts": ["Ann [b]", "5f2"],
            }
        )
    )
    for words in (
        "v2 (revision 2, before: v1), 3 min ago",
        "3 min ago: v2 (revision 2) in 0.8 s; better",
        "84.0 % (95 %: 70.0-93.0) on 50 hold-out labels (v2); 151 more would halve the interval",
        "alpha 0.81 (1 perfect, 0 chance) on 12 texts",
        "1,234 records, 900 of them can still be sent to annotators",
        "3 of 20 answered",
        "g1-b0003, not read yet",
        "1, all up to date",
        "http://127.0.0.1:6900",
        "texts without a label: 3 with fewer than 2 answers, 2 disputed",
        "4 texts wait for one more annotator in the data set 't again'",
        "answers of Ann [b] stay; its account is gone",
        "answers of 5f2 stay; its account is gone",
    ):
        assert words in text


def test_a_task_with_several_labels_and_an_imported_test_set() -> None:
    sources = {
        "imported": SourceScore(n=50, score=0.6, interval=(0.46, 0.72)),
        "annotators": SourceScore(n=10, score=0.9, interval=(0.6, 0.98)),
    }
    metrics = Metrics(
        version="v2", iteration=2, metric="exact_match", holdout=60, exact_match=0.65, interval=(0.5, 0.8),
        sources=sources,
    )  # fmt: skip
    text = shown(
        STATUS.model_copy(
            update={
                "multi_label": True,
                "training_texts": 9,
                "metrics": metrics,
                "holdout": HoldoutStatus(reserved=120, labelled=60, imported=50, annotators=10),
            }
        )
    )
    for words in (
        "exact match",
        "65.0 % (95 %: 50.0-80.0) on 60 hold-out labels: 60.0 % on 50 imported ones, 90.0 % on 10 by annotators (v2)",
        "60 labelled of 120 reserved (50 imported, 10 by annotators)",
        "9 texts for training, with 12 labels: billing 7, [bug] 5",
    ):
        assert words in text
    assert "accuracy" not in text
    only = metrics.model_copy(update={"sources": {"imported": sources["imported"]}})
    assert "on 60 hold-out labels, all imported (v2)" in shown(STATUS.model_copy(update={"metrics": only}))


def test_a_version_names_its_score_and_counts_texts_and_labels() -> None:
    version = VersionOut(
        version="v2", iteration=2, state="serving", training_texts=9, training_labels=12, metric="exact_match",
        holdout=60, exact_match=0.65, interval=(0.5, 0.8), created_at=NOW, calibration_error=0.0424,
        thresholds={"billing": 0.125, "bug": 0.31},
    )  # fmt: skip
    console = screen.out()
    console.width = 160
    with console.capture() as capture:
        console.print(versions_view([version]))
    text = capture.get()
    assert (
        "iteration 2, 9 texts with 12 labels, exact match 65.0 % (95 %: 50.0-80.0) on 60 hold-out labels; "
        "calibration error 0.042"
    ) in text
    assert "a text gets a label from probability 0.12 on (0.31 the strictest)" in text


def test_a_version_that_was_imported_has_no_number_of_labels() -> None:
    version = VersionOut(
        version="v3", iteration=3, state="waiting", kind="fine-tuned", training_labels=0, imported_by="ops",
        why="imported by ops, was v7 of staging/reviews", created_at=NOW,
    )  # fmt: skip
    console = screen.out()
    with console.capture() as capture:
        console.print(versions_view([version]))
    assert "fine-tuned, iteration 3, imported\n" in capture.get()
    assert "labels" not in capture.get()


def test_a_task_in_trouble() -> None:
    text = shown(
        STATUS.model_copy(
            update={
                "phase": "attention",
                "attention": "3 versions in a row were refused",
                "controller_away": "the controller did not answer within 2 s",
                "asks": AsksStatus(hold="ann rolled back from v2"),
                "replicas": [ReplicaStatus(replica="b", lags="answers with v1; v2: NaN in head")],
                "stop": StopStatus(criterion="none", stopped="agreement .995"),
            }
        )
    )
    for words in (
        "3 versions in a row were refused",
        "did not answer within 2 s",
        "ann rolled back from v2; continue with: tornio resume acme/support",
        "b lags: answers with v1; v2: NaN in head",
        "stopped: agreement .995",
    ):
        assert words in text


def test_how_far_each_of_several_criteria_is() -> None:
    criteria = [
        CriterionStatus(criterion="kappa-average", threshold=0.99),
        CriterionStatus(criterion="budget", value=1200, threshold=1000, met=True),
        CriterionStatus(criterion="target-accuracy", value=0.87654, threshold=0.9),
    ]
    text = " ".join(shown(STATUS.model_copy(update={"stop": StopStatus(criterion="any", criteria=criteria)})).split())
    assert (
        "any: kappa-average nothing measured yet, stops at 0.99; budget 1,200, stops at 1,000 (met); "
        "target-accuracy 0.8765, stops at 0.9"
    ) in text


def test_several_criteria_are_named_once() -> None:
    criteria = [
        CriterionStatus(criterion="kappa-average", threshold=0.99, measured=2),
        CriterionStatus(criterion="max-iterations", value=2, threshold=2, met=True),
    ]
    text = " ".join(
        shown(STATUS.model_copy(update={"stop": StopStatus(criterion="kappa-average", criteria=criteria)})).split()
    )
    assert (
        "stop kappa-average 2 measured, too few to compare, stops at 0.99; max-iterations 2, stops at 2 (met)" in text
    )


def test_how_far_a_criterion_is_beside_its_signals() -> None:
    one = CriterionStatus(criterion="kappa-average", value=0.855, threshold=0.99)
    stop = StopStatus(criterion="kappa-average", threshold=0.99, signals=[0.8, 0.91], criteria=[one])
    assert "kappa-average: 0.800 0.910, 0.855 now, stops at 0.99" in shown(STATUS.model_copy(update={"stop": stop}))


def test_text_of_a_status_is_no_markup() -> None:
    hostile = "[/bold] :smile: \x1b[2J\u202e"
    text = shown(
        STATUS.model_copy(
            update={
                "why": hostile,
                "attention": hostile + "!",
                "controller_away": hostile,
                "labels": [hostile],
                "candidate": hostile,
                "annotate_url": hostile,
                "asks": AsksStatus(hold=hostile),
                "batches": [BatchStatus(batch=hostile, total=20, answered=3)],
                "replicas": [ReplicaStatus(replica=hostile, lags=hostile)],
                "stop": StopStatus(criterion=hostile, stopped=hostile),
            }
        )
    )
    assert text.count(r"[/bold] :smile: \u001b[2J\u202e") == 12
    assert not {"\x1b", "\u202e"} & set(text)


@pytest.mark.parametrize(
    ("accuracy", "interval", "text"),
    [(None, None, ""), (0.5, None, "50.0 %"), (0.5, (0.25, 0.75), "50.0 % (95 %: 25.0-75.0)")],
)
def test_measured(accuracy: float | None, interval: tuple[float, float] | None, text: str) -> None:
    assert measured(accuracy, interval) == text


def test_drift_is_shown_in_words_with_its_size() -> None:
    then = NOW - timedelta(hours=3)
    effect = EffectOut(
        measure="label-mix", size=0.25, threshold=0.1, chance=0.08, alarm=True, says="label mix: a 0.20 -> 0.45"
    )
    over = DriftWindow(
        start=then, end=then + timedelta(hours=1), over=True, texts=1234, effects=[effect], accuracy=0.84,
        interval=(0.81, 0.87), labels={"a": 0.52, "b": 0.48},
    )  # fmt: skip
    present = DriftWindow(start=NOW, end=NOW + timedelta(hours=1), over=False, texts=20, why="100 texts are needed")
    text = shown(STATUS.model_copy(update={"drift": DriftStatus(version="v1", holdout=120, windows=[over, present])}))
    assert (
        "2026-01-01 09:00 to 10:00 UTC (2 h ago), 1,234 texts: not as the hold-out; estimated accuracy 84.0 %" in text
    )
    assert "label mix: a 0.20 -> 0.45 (effect 0.25, alarm from 0.10 on)" in text
    assert "true labels there, estimated: a 0.52, b 0.48" in text
    assert "2026-01-01 12:00 to now UTC, 20 texts: not compared; 100 texts are needed" in text
    assert "drift" not in shown(STATUS)


def test_why_the_drift_is_unknown_is_shown() -> None:
    drift = DriftStatus(version="v1", why="no version v1")
    assert "unknown: no version v1" in shown(STATUS.model_copy(update={"drift": drift}))
