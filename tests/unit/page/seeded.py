"""Tasks as the API describes them, for tests of their page: from one without a text to one with 50 iterations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.unit.gateway.fake import FakeBackend, FakeRuns, FakeTask
from tornio.api import (
    AgainStatus,
    AgreementStatus,
    AnnotatorOut,
    Annotators,
    AsksStatus,
    AutomaticStatus,
    AutoMeasureOut,
    BatchStatus,
    ChangedAnswer,
    CriterionStatus,
    CurvePoint,
    DriftStatus,
    DriftWindow,
    EffectOut,
    HoldoutStatus,
    Metrics,
    OutlookOut,
    ReplicaStatus,
    RunOut,
    RunProgressOut,
    Serving,
    SourceScore,
    StopStatus,
    Swap,
    TaskName,
    TaskStatus,
    UndecidedStatus,
    VersionOut,
)
from tornio.spec import TaskSpec

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
SUPPORT = ("billing", "delivery", "returns", "account", "product", "praise", "other")
ARABIC = ("شكوى", "سؤال", "مديح")


NOBODY = Annotators(annotators=[])


@dataclass(frozen=True)
class Seeded:
    """What the backend answers about a task."""

    status: TaskStatus
    versions: Sequence[VersionOut] = ()
    runs: Sequence[RunOut] = ()
    rows: Mapping[str, list[list[str]]] = field(default_factory=dict)
    annotators: Annotators = NOBODY

    @property
    def name(self) -> TaskName:
        return TaskName(self.status.workspace, self.status.task)

    def held(self) -> FakeTask:
        labels = list(self.status.labels)
        spec = TaskSpec.model_validate(
            {"workspace": "acme", "name": self.status.task, "labels": labels, "multi_label": self.status.multi_label}
        )
        serving = self.status.serving
        return FakeTask(
            spec, serving=serving, versions=list(self.versions), annotators=self.annotators, status=self.status
        )


def backend_of(*tasks: Seeded) -> FakeBackend:
    """Return a backend that knows these tasks."""
    runs = FakeRuns(columns=["suspicion", "loss", "given", "predicted", "text"])
    for one in tasks:
        runs.held[str(one.name)] = list(one.runs)
        runs.rows_of |= one.rows
    return FakeBackend({one.name: one.held() for one in tasks}, runs=runs)


def status_of(task: str, labels: Sequence[str] = SUPPORT, **more: Any) -> TaskStatus:
    """Return the status of a task that has nothing yet, with these differences."""
    values: dict[str, Any] = {
        "workspace": "acme", "task": task, "phase": "waiting", "why": "The pool has no text: add some.", "spec_rev": 1,
        "generation": 1, "label_set_rev": 1, "labels": list(labels), "multi_label": False, "pool": 0,
        "training_labels": dict.fromkeys(labels, 0), "holdout": HoldoutStatus(),
        "stop": StopStatus(criterion="kappa-average", threshold=0.99),
        "first_version": "It waits for labels of at least two classes.",
    }  # fmt: skip
    return TaskStatus.model_validate(values | more)


def per_class(labels: Sequence[str], right: float, seed: int = 7, several: bool = False) -> dict[str, Any]:
    """Return the hold-out report of a version that is right on about this share of the texts of each label."""
    random = Random(seed)
    counts = [[0] * len(labels) for _ in labels]
    for i in range(len(labels)):
        for _ in range(random.randint(0, 3) if len(labels) > 50 else random.randint(8, 40)):
            wrong = (i + random.choice((1, 1, 2))) % len(labels)
            counts[i][i if random.random() < right - 0.3 * (i % 7 == 3) else wrong] += 1
    figures: dict[str, Any] = {}
    for i, label in enumerate(labels):
        hits, support, said = counts[i][i], sum(counts[i]), sum(row[i] for row in counts)
        precision, recall = hits / said if said else 0.0, hits / support if support else 0.0
        f1 = 2 * hits / (support + said) if support + said else 0.0
        figures[label] = {"precision": precision, "recall": recall, "f1": f1, "support": support}
    found = {
        "labels": list(labels),
        "per_class": dict(sorted(figures.items())),  # as a stored document has it
        "macro_f1": sum(one["f1"] for one in figures.values()) / len(labels),
    }
    return found if several else found | {"confusion": counts}


def curve_of(points: int, metric: str = "accuracy", both: bool = True) -> list[CurvePoint]:
    """Return a curve that rises ever more slowly. ``both``: imported labels and those of annotators judge."""
    random = Random(points)
    found = []
    for number in range(1, points + 1):
        n = 40 + 4 * number
        score = min(0.96, 0.93 - 0.45 * 0.86**number + random.uniform(-0.02, 0.02))
        half = 1.96 * (score * (1 - score) / n) ** 0.5
        ends = (score - half, min(1.0, score + half))
        sources = {
            "annotators": SourceScore(n=n - 30, score=score + 0.02, interval=(ends[0] + 0.01, min(1.0, ends[1] + 0.03)))
        }
        if both:
            lower = (score - 0.06 - half * 1.4, score - 0.06 + half * 1.4)
            sources = {"imported": SourceScore(n=30, score=score - 0.06, interval=lower)} | sources
        found.append(
            CurvePoint.model_validate(
                {
                    "iteration": number, "training_texts": 20 * number, "labels": 20 * number,
                    "version": f"g1-v{number:04d}", "promoted": number % 9 != 3, metric: score, "metric": metric,
                    "holdout": n, "interval": ends, "sources": sources, "calibration_error": 0.05,
                    "signal": None if number == 1 else 1 - 0.3 * 0.9**number,
                }
            )
        )  # fmt: skip
    return found


def versions_of(curve: Sequence[CurvePoint], labels: Sequence[str], texts: Sequence[str]) -> list[VersionOut]:
    """Return the versions of a curve, newest first. Each was compared with the one before it."""
    found = []
    for point in curve:
        assert point.version is not None
        last = point is curve[-1]
        before = f"g1-v{point.iteration - 1:04d}" if point.iteration > 1 else None
        refused = point.promoted is False
        changed = [
            ChangedAnswer(
                record_id=f"r{number}", text=text, label=[labels[number % len(labels)]],
                before=[labels[(number + (number % 3 > 0)) % len(labels)]],
                after=[labels[(number + (number % 3 == 0) + 2 * (number % 3 == 2)) % len(labels)]],
            )
            for number, text in enumerate(texts)
        ]  # fmt: skip
        found.append(
            VersionOut(
                version=point.version, iteration=point.iteration, kind="few-shot",
                state="serving" if last else "refused" if refused else "previous" if point is curve[-2] else "served",
                reasons=["significantly worse than the version that serves (p = 0.012)"] if refused
                else ["not significantly worse than the version before it (p = 0.43)"],
                warnings=["no label is 'other' yet"] if point.iteration < 3 else [],
                taught_by="nli-base" if point.iteration == 1 else None,
                training_texts=point.training_texts, training_labels=point.labels, compared_with=before,
                changed=changed if before else [], created_at=NOW - timedelta(hours=3 * (len(curve) - point.iteration)),
                **point.model_dump(include={"metric", "holdout", "accuracy", "exact_match", "interval", "sources"}),
            )
        )  # fmt: skip
    return found[::-1]


def swaps_of(curve: Sequence[CurvePoint]) -> list[Swap]:
    promoted = [point for point in curve if point.promoted and point.version]
    swaps = [
        Swap(
            version=point.version or "", revision=number, previous=None, seconds=4.2, who="controller",
            at=NOW - timedelta(hours=len(promoted) - number), why="not significantly worse than the version before it",
        )
        for number, point in enumerate(promoted, 1)
    ]  # fmt: skip
    return swaps[::-1]


def serving(curve: Sequence[CurvePoint]) -> Serving:
    return Serving(
        version=curve[-1].version or "", revision=len(curve), previous=curve[-2].version, who="controller",
        why="passed", since=NOW - timedelta(hours=3), training_texts=curve[-1].training_texts,
    )  # fmt: skip


def metrics(curve: Sequence[CurvePoint], values: dict[str, Any]) -> Metrics:
    last = curve[-1]
    shared = {"metric", "holdout", "accuracy", "exact_match", "interval", "sources", "calibration_error"}
    return Metrics(
        version=last.version or "", iteration=last.iteration, values=values, labels_to_halve=640,
        **last.model_dump(include=shared),
    )  # fmt: skip


def people(*names: str) -> Annotators:
    return Annotators(
        annotators=[
            AnnotatorOut(
                annotator=f"u{number}", name=name, answers=400 - 70 * number, discards=3 * number, compared=80,
                agrees=76 - 5 * number, last_hour=24 - 9 * number, last_day=140 - 30 * number,
                last_at=NOW - timedelta(minutes=3 + 40 * number),
            )
            for number, name in enumerate(names)
        ]
    )  # fmt: skip


def simulation() -> RunOut:
    rows = [
        {
            "arm": arm, "labels": labels, "seeds": 5, "macro_f1": {"mean": mean},
            "micro_f1": {"mean": mean, "low": mean - 0.03, "high": mean + 0.03},
        }
        for arm, best in (("breaking-ties", 0.9), ("random", 0.84))
        for labels in (20, 40, 60, 80, 100)
        for mean in (best - 0.35 * 0.97**labels,)
    ]  # fmt: skip
    saving = {
        "arm": "breaking-ties", "against": "random", "seeds": 5, "labels": {"mean": 34, "low": 21, "high": 47},
        "points": {"mean": 0.041, "low": 0.02, "high": 0.062},
    }  # fmt: skip
    says = "breaking-ties saves 34 (21 to 47) labels against random, and its micro F1 is +4.1 points against it."
    output = {
        "rows": rows, "savings": [saving], "stops": [], "conclusion": says, "results": "r.parquet", "report": "r.html",
    }  # fmt: skip
    return RunOut(
        run="simulate-0123456789abcdef0123", job="simulate", state="done", attempt=1, asked_by="ada",
        started_at=NOW - timedelta(hours=5), finished_at=NOW - timedelta(hours=4), output=output,
    )  # fmt: skip


SCORED = RunOut(
    run="score-0123456789abcdef0123", job="score", state="done", attempt=1, asked_by="ada",
    started_at=NOW - timedelta(hours=2), finished_at=NOW - timedelta(hours=1), output={"rows": 900},
)  # fmt: skip
RUNNING = RunOut(
    run="predict-0123456789abcdef0123", job="predict", state="running", attempt=2, asked_by="ben",
    started_at=NOW - timedelta(minutes=6),
    progress=RunProgressOut(stage="predicting", done=41_000, total=120_000, unit="rows"),
)  # fmt: skip
FAILED = RunOut(
    run="train-0123456789abcdef0123", job="train", state="failed", attempt=3, started_at=NOW - timedelta(days=1),
    finished_at=NOW - timedelta(days=1) + timedelta(minutes=4), error="the encoder could not be read: no such object",
)  # fmt: skip
TEXTS = (
    "My parcel was to come on Monday, and it is still not here.",
    "You charged me twice for one order.\nPlease give the money back.",
    "Control \x1b[31mcharacters\x1b[0m, a right-to-left mark \u200f and <b>markup</b> are shown as they are.",
    "A long text. " * 40,
    "The blender is loud, but it does its work well.",
    "How do I change my password?",
)
SUSPICIOUS = [
    [f"{0.99 - 0.03 * number:.3f}", f"{5.1 - 0.4 * number:.3f}", SUPPORT[number], SUPPORT[number + 1], text]
    for number, text in enumerate(TEXTS)
]


def empty() -> Seeded:
    """A task that has just been applied."""
    return Seeded(status_of("empty"))


def first_batch() -> Seeded:
    """Texts, and a first batch that annotators work on."""
    status = status_of(
        "first-batch", phase="labelling", why="batch g1-b0001: 3 of 20 answered", pool=844, queryable=740,
        holdout=HoldoutStatus(reserved=84), annotate_url="https://argilla.example.com/dataset/1",
        batches=[BatchStatus(batch="g1-b0001", total=20, answered=3, opened_at=NOW - timedelta(minutes=12))],
    )  # fmt: skip
    ada = AnnotatorOut(annotator="u1", name="ada", answers=3, discards=0, compared=0, agrees=0, last_hour=3, last_day=3,
                       last_at=NOW - timedelta(minutes=1))  # fmt: skip
    return Seeded(status, annotators=Annotators(annotators=[ada]))


def fifty() -> Seeded:
    """50 iterations, and something to see in each section."""
    curve = curve_of(50)
    labels = {name: 180 - 25 * number for number, name in enumerate(SUPPORT)}
    status = status_of(
        "support", phase="labelling", why="batch g1-b0051: 12 of 20 answered", pool=12_000, queryable=9_400,
        live_texts=310, training_texts=sum(labels.values()), training_labels=labels,
        automatic_labels={"billing": 60, "praise": 12}, automatic=automatic(), first_version=None,
        holdout=HoldoutStatus(reserved=1_200, labelled=240, imported=30, annotators=210, discarded=6, disputed=2),
        agreement=AgreementStatus(alpha=0.81, records=120), undecided=UndecidedStatus(waiting=4, disputed=3, needed=2),
        again=[AgainStatus(dataset="support-again", waiting=7)], gone_accounts=["eve"],
        batches=[
            BatchStatus(batch="g1-b0051", total=20, answered=12, opened_at=NOW - timedelta(hours=1)),
            BatchStatus(batch="g1-b0052"),
        ],
        serving=serving(curve), metrics=metrics(curve, per_class(SUPPORT, 0.92)), curve=curve, swaps=swaps_of(curve),
        drift=drift(), annotate_url="https://argilla.example.com/dataset/1",
        replicas=[
            ReplicaStatus(replica="classifier-a1", version="g1-v0050", revision=50, ready=["g1-v0050"], age_s=1.2),
            ReplicaStatus(replica="classifier-b2", version="g1-v0049", revision=49, age_s=2.5,
                          lags="answers with g1-v0049; g1-v0050: is being loaded"),
            ReplicaStatus(replica="classifier-c3", age_s=0.4, asleep=True),
        ],
        stop=StopStatus(
            criterion="kappa-average", threshold=0.99, signals=[0.97, 0.981, 0.986],
            criteria=[CriterionStatus(criterion="kappa-average", value=0.986, threshold=0.99)],
        ),
    )  # fmt: skip
    return Seeded(
        status,
        versions_of(curve, SUPPORT, TEXTS),
        [RUNNING, SCORED, FAILED, simulation()],
        {SCORED.run: SUSPICIOUS},
        people("ada", "ben", "Zoë <i>"),
    )


def automatic() -> AutomaticStatus:
    return AutomaticStatus(
        why="72 labels of g1-v0050 train.", version="g1-v0050", labels=72, target_error=0.05, confidence=0.95,
        holdout=210, least_holdout=59, unlabelled=9_400, allowed=2_100,
        measures=[
            AutoMeasureOut(label="billing", threshold=0.93, coverage=0.14, judged=61, wrong=0, bound=0.048),
            AutoMeasureOut(label="praise", threshold=0.97, coverage=0.08, judged=70, wrong=0, bound=0.042),
            AutoMeasureOut(label="other"),
        ],
        outlook=[OutlookOut(holdout=400, coverage=0.4), OutlookOut(holdout=800, coverage=0.6)],
        withdrawn={"g1-v0044": "it was rolled back"},
    )  # fmt: skip


def drift() -> DriftStatus:
    day = timedelta(days=1)
    alarm = EffectOut(
        measure="labels", size=0.31, threshold=0.1, chance=0.06, alarm=True,
        says="The labels are mixed otherwise: 'delivery' is 41 % instead of 17 %",
    )  # fmt: skip
    calm = EffectOut(measure="length", size=0.04, threshold=0.1, chance=0.05, alarm=False, says="as long as usual")
    return DriftStatus(
        version="g1-v0050", holdout=240,
        windows=[
            DriftWindow(start=NOW - 2 * day, end=NOW - day, over=True, texts=5_300, effects=[calm], accuracy=0.9,
                        interval=(0.86, 0.93)),
            DriftWindow(start=NOW - day, end=NOW, over=False, texts=4_100, effects=[alarm, calm], accuracy=0.84,
                        interval=(0.79, 0.88), labels=dict(zip(SUPPORT, (0.2, 0.41, 0.1, 0.1, 0.09, 0.05, 0.05),
                                                               strict=True))),
        ],
    )  # fmt: skip


def many_labels() -> Seeded:
    """150 labels."""
    labels = [f"intent {number:03d}: {('transfer', 'card', 'balance', 'limit')[number % 4]}" for number in range(150)]
    curve = curve_of(6, both=False)
    status = status_of(
        "intents", labels, phase="labelling", why="batch g1-b0007: 40 of 100 answered", pool=20_000,
        training_texts=1_900, training_labels={name: (number * 37) % 29 for number, name in enumerate(labels)},
        holdout=HoldoutStatus(reserved=2_000, labelled=230, annotators=230), first_version=None, curve=curve,
        serving=serving(curve), metrics=metrics(curve, per_class(labels, 0.8)), swaps=swaps_of(curve),
        batches=[BatchStatus(batch="g1-b0007", total=100, answered=40, opened_at=NOW)],
        automatic=AutomaticStatus(why="Too few hold-out labels.", confidence=0.95, holdout=20, least_holdout=59,
                                  measures=[AutoMeasureOut(label=name) for name in labels]),
    )  # fmt: skip
    return Seeded(status, versions_of(curve, labels, TEXTS))


def several_labels() -> Seeded:
    """Several labels a text."""
    curve = curve_of(5, "exact_match", both=False)
    status = status_of(
        "topics", ("price", "quality", "delivery", "service"), multi_label=True, phase="stopped",
        why="More labels would not improve the model.", pool=2_000, training_texts=100, first_version=None,
        training_labels={"price": 60, "quality": 55, "delivery": 31, "service": 20}, curve=curve,
        holdout=HoldoutStatus(reserved=200, labelled=60, imported=60), serving=serving(curve),
        metrics=metrics(curve, per_class(("price", "quality", "delivery", "service"), 0.8, several=True)),
        swaps=swaps_of(curve),
        stop=StopStatus(
            criterion="any", criteria=[
                CriterionStatus(criterion="kappa-average", value=0.994, threshold=0.99, met=True),
                CriterionStatus(criterion="uncertainty", value=0.31, threshold=0.05),
            ], stopped="kappa-average reached 0.99",
        ),
    )  # fmt: skip
    changed = ChangedAnswer(record_id="r1", text="Cheap and fast.", label=["price", "delivery"], before=["price"],
                            after=["delivery", "price"])  # fmt: skip
    versions = versions_of(curve, ("price", "quality"), TEXTS[:1])
    newest = versions[0].model_copy(update={"changed": [changed], "thresholds": {"price": 0.4}, "training_labels": 166})
    return Seeded(status, [newest, *versions[1:]])


def arabic() -> Seeded:
    """Arabic labels and texts."""
    curve = curve_of(4, both=False)
    texts = (
        "الطلب لم يصل بعد، وأنا أنتظر منذ أسبوع.",
        "شكرا جزيلا، الخدمة ممتازة! Order 1234 arrived.",
        "كيف أغير كلمة السر؟",
    )
    status = status_of(
        "arabic", ARABIC, phase="training", why="iteration 5 trains with 80 labels", pool=900, training_texts=80,
        training_labels=dict(zip(ARABIC, (40, 25, 15), strict=True)), first_version=None, curve=curve,
        holdout=HoldoutStatus(reserved=90, labelled=56, annotators=56), serving=serving(curve),
        metrics=metrics(curve, per_class(ARABIC, 0.85)), swaps=swaps_of(curve),
    )  # fmt: skip
    rows = [["0.91", "3.2", ARABIC[0], ARABIC[1], texts[0]]]
    run = SCORED.model_copy(update={"run": "score-abcdefabcdefabcdefab"})
    return Seeded(status, versions_of(curve, ARABIC, texts), [run], {run.run: rows}, people("نور"))


def in_attention() -> Seeded:
    """A task that needs a person: the controller is away, a replica cannot load, promotions are held."""
    curve = curve_of(4, both=False)
    status = status_of(
        "attention", phase="attention", why="3 versions in a row were refused", pool=900, training_texts=80,
        attention="3 versions in a row were refused; the hold-out has 40 disputed texts", first_version=None,
        controller_away="no answer within 5 s", training_labels=dict.fromkeys(SUPPORT, 10), curve=curve,
        holdout=HoldoutStatus(reserved=90, labelled=56, annotators=56, disputed=40), serving=serving(curve),
        metrics=metrics(curve, per_class(SUPPORT, 0.7)), swaps=swaps_of(curve),
        asks=AsksStatus(hold="rolled back by ada: worse on refunds"),
        drift=DriftStatus(version="g1-v0004", why="the counts of a window are damaged"),
    )  # fmt: skip
    return Seeded(status, versions_of(curve, SUPPORT, TEXTS), [FAILED])


ALL: Mapping[str, Callable[[], Seeded]] = {
    "empty": empty,
    "first batch": first_batch,
    "50 iterations": fifty,
    "150 labels": many_labels,
    "several labels": several_labels,
    "arabic": arabic,
    "attention": in_attention,
}
"""By what they show."""
