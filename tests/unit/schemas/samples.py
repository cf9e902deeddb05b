"""One full sample of every persisted document; the golden files are their bytes."""

from __future__ import annotations

from datetime import UTC, datetime

from tornio.records import Purpose
from tornio.schemas.audit import Act, AuditEvent, Outcome
from tornio.schemas.automatic import AutoLabelOutput, AutoLabelRecord, AutoMeasure, Outlook
from tornio.schemas.base import Document
from tornio.schemas.comparison import Cell, CellResult, Contender
from tornio.schemas.jobs import TrainArgs
from tornio.schemas.live import LiveWindow, TextCounts
from tornio.schemas.llm import Answer, Spending
from tornio.schemas.loop import (
    Asks,
    GateIntent,
    Lease,
    LoopState,
    OpenBatch,
    QueryIntent,
    StopProgress,
    SwapIntent,
    TrainIntent,
)
from tornio.schemas.registry import Alias, Blob, EncoderDocument, EncoderName, EncoderPin, EncoderUse, Manifest, Probes
from tornio.schemas.review import Review
from tornio.schemas.runs import RunAsk, RunFailure, RunPlan, RunProgress, RunResult, RunStarted, RunTop
from tornio.schemas.scoring import PartCount, ScoreInput
from tornio.schemas.sessions import PageSession
from tornio.schemas.simulation import Arm, Point, ReplayResult
from tornio.schemas.task import (
    Batch,
    BatchItem,
    GateVerdict,
    Iteration,
    LabelFate,
    LabelSetDocument,
    SpecDocument,
    StopSet,
    SuggestionPart,
    TaskDocument,
)
from tornio.schemas.trial import Trial, TrialCounts, TrialRecord, TrialTerms, TrialVerdict
from tornio.schemas.uploads import Upload
from tornio.spec import TaskSpec

WHEN = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BLOB = Blob(sha256="ab" * 32, size=1234)
TRAIN = TrainIntent(
    iteration=3,
    batches=("g1-b0003",),
    label_seq=12,
    pool_seq=1,
    spec_rev=2,
    parent="v0002-aa",
    started_at=WHEN,
    attempt=2,
    since=WHEN,
    not_before=WHEN,
    failure="out of memory",
)
PLAN = RunPlan.of(
    "train",
    "support",
    "tickets",
    TrainArgs(generation=1, iteration=3, label_seq=12, pool_seq=1, spec_rev=2, parent="v0002-aa"),
)
SPEC = TaskSpec.model_validate({"workspace": "support", "name": "tickets", "labels": ["billing", "bug"]})

SAMPLES: dict[str, Document] = {
    "automatic-labels": AutoLabelRecord(
        run="auto-label-0123",
        label_seq=14,
        output=AutoLabelOutput(
            version="v0003-bb",
            label_set_rev=1,
            thresholds={"billing": 0.75, "bug": 0.75},
            lost=("bug",),
            target_error=0.05,
            confidence=0.9,
            measures=(AutoMeasure(threshold=0.75, coverage=0.5, judged=80, wrong=1, bound=0.0478),),
            outlook=(Outlook(holdout=240, coverage=0.75),),
            holdout=120,
            unlabelled=1000,
            allowed=500,
            labelled=400,
            labels="support/tasks/tickets/runs/auto-label-0123/labels.parquet",
        ),
        written_at=WHEN,
    ),
    "live-window": LiveWindow(
        start=WHEN,
        seconds=3600,
        replica="r1",
        versions={
            "v0003-bb": TextCounts(
                texts=3,
                labels={"billing": 2, "bug": 1},
                confidence=(0, 1, 2),
                confidence_sum=2.5,
                confidence_squares=2.125,
                lengths=(0, 0, 3),
                truncated=1,
                read=3,
                unknown=0,
                tokens=27,
            )
        },
    ),
    "llm-spending": Spending(requests=1200, tokens=345678),
    "llm-answer": Answer(probabilities=(0.75, 0.25), measured=True, structured=True),
    "alias": Alias(
        alias="current",
        version="v0003-bb",
        revision=3,
        previous="v0002-aa",
        who="controller",
        why="not worse than v0002-aa",
        moved_at=WHEN,
    ),
    "batch": Batch(
        batch="g1-b0003",
        number=3,
        generation=1,
        dataset="tickets",
        items=(
            BatchItem(
                record_id="r1",
                purpose=Purpose.QUERY,
                suggestion=SuggestionPart(labels=("billing",), scores=(0.6,)),
                uncertainty=0.4,
            ),
            BatchItem(record_id="r2", purpose=Purpose.HOLDOUT),
        ),
        strategy="breaking-ties",
        agent="v0002-aa",
        run="query-0123",
        created_at=WHEN,
    ),
    "encoder": EncoderDocument(
        digest="cd" * 32,
        source="minilm",
        commit="0a1b",
        architecture="BertModel",
        dimension=384,
        pooling="mean",
        normalise=True,
        max_length=256,
        files={"model.safetensors": BLOB},
    ),
    "iteration": Iteration(
        number=3,
        generation=1,
        batches=("g1-b0003",),
        label_seq=12,
        pool_seq=1,
        spec_rev=2,
        labels={"billing": 20, "bug": 34},
        train_run=PLAN.run,
        evaluate_run="evaluate-0123",
        version="v0003-bb",
        verdict=GateVerdict(promoted=True, integrity=True, reasons=("not worse than v0002-aa",)),
        metrics={"n": 60, "accuracy": 0.9},
        stop={"kappa": 0.97},
        started_at=WHEN,
        finished_at=WHEN,
    ),
    "trial": TrialRecord(
        version="v0003-bb",
        trial=Trial(
            current="v0002-aa",
            terms=TrialTerms(share=0.1, shadow=True, revision=3, started_at=WHEN),
            verdict=TrialVerdict(promoted=True, reasons=("passed its trial",), warnings=("few texts",)),
            counts=TrialCounts(texts=340, agreed=330, confidence=300.5, comparisons=170, seconds=0.75, calls=170),
            ended_at=WHEN,
        ),
    ),
    "lease": Lease(holder="controller-1", epoch=2, beat=40),
    "loop": LoopState(
        iteration=3,
        batch_number=4,
        asks=Asks(train_now=1, hold="rolled back by ops"),
        served_train_now=1,
        batches=(OpenBatch(batch="g1-b0003", opened_at=WHEN, closed=True),),
        query=QueryIntent(number=4, batch="g1-b0004", version="v0002-aa", label_seq=12, pool_seq=1, spec_rev=2),
        train=TRAIN,
        gate=GateIntent(train=TRAIN, version="v0003-bb", rivals=(), current="v0002-aa", current_revision=2),
        swap=SwapIntent(version="v0003-bb", iteration=3, current_revision=2, why="not worse", since=WHEN),
        newest="v0002-aa",
        promoted=("v0001-cc", "v0002-aa"),
        stop=StopProgress(signals=(0.8, 0.9), last_version="v0002-aa", last_label_seq=9),
        untrained=("g1-b0001",),
        trained_label_seq=12,
        trained_pool_seq=1,
        query_failures=1,
        query_not_before=WHEN,
        attention={"query": "picking the next batch failed 3 times"},
    ),
    "manifest": Manifest(
        version="v0003-bb",
        workspace="support",
        task="tickets",
        kind="few-shot",
        generation=1,
        iteration=3,
        labels=("billing", "bug"),
        label_set_rev=1,
        multi_label=False,
        encoder=EncoderUse(digest="cd" * 32, pooling="mean", normalise=True, max_length=256),
        blobs={"head.safetensors": BLOB},
        metrics={"cv_log_loss": 0.3},
        probes=Probes(texts=("A probe.",), logits=((0.1, -0.1),), tolerance={"float32": 1e-4}),
        parent="v0002-aa",
        run=PLAN.run,
        label_seq=12,
        pool_seq=1,
        spec_rev=2,
        seed=7,
        software={"tornio": "0.1.0"},
        created_at=WHEN,
    ),
    "audit-event": AuditEvent(
        id="8204617600000-0123456789ab-tickets",
        at=WHEN,
        who="data-team",
        act=Act.ROLLBACK,
        workspace="support",
        task="tickets",
        detail={"version": "v0002-aa", "revision": 7, "forced": False, "run": None},
        outcome=Outcome.REFUSED,
        error="Conflict",
        ended_at=WHEN,
    ),
    "review": Review(
        run="score-0123", workspace="support", dataset="tickets-review-0123", rows=(17, 4, 250), created_at=WHEN
    ),
    "run-plan": PLAN,
    "run-result": RunResult(
        run=PLAN.run,
        job="train",
        attempt=1,
        output={"version": "v0003-bb"},
        started_at=WHEN,
        finished_at=WHEN,
        software={"tornio": "0.1.0"},
    ),
    "run-failure": RunFailure(
        run=PLAN.run, job="train", attempt=1, error="out of memory", started_at=WHEN, ended_at=WHEN
    ),
    "run-ask": RunAsk(
        run=PLAN.run, job="score", who="ops", asked_at=WHEN, after=2, cancelled_by="ops", cancelled_at=WHEN
    ),
    "run-progress": RunProgress(run=PLAN.run, attempt=2, stage="embed rows", done=4096, total=9000, unit="rows"),
    "run-started": RunStarted(run=PLAN.run, job="train", attempt=2, worker="0a1b2c", started_at=WHEN),
    "score-input": ScoreInput(
        parts=(PartCount(rows=4095, rejected=1), PartCount(rows=12, rejected=0)), labels=("billing", "bug")
    ),
    "comparison-cell": CellResult(
        cell=Cell(
            contender=Contender(name="supervised, few-shot", method="supervised", kind="few-shot", encoder="minilm"),
            size=16,
            seed=2,
        ),
        texts=64,
        judged=40,
        micro_f1=0.75,
        macro_f1=0.5,
        seconds=1.5,
    ),
    "simulation-replay": ReplayResult(
        arm=Arm(name="breaking-ties", strategy="breaking-ties", cold_start="random", kind="few-shot", batch_size=20),
        seed=2,
        judged=40,
        points=(
            Point(labels=20, micro_f1=0.5, macro_f1=0.25),
            Point(labels=40, micro_f1=0.75, macro_f1=0.5, signals={"kappa-average": 0.9}),
        ),
        stops={"kappa-average": 40},
        seconds=1.5,
    ),
    "encoder-name": EncoderName(name="acme/model", digest="cd" * 32, layer=-2, added_at=WHEN),
    "encoder-pin": EncoderPin(source="minilm", digest="cd" * 32),
    "spec": SpecDocument(rev=2, spec=SPEC.model_dump(mode="json"), who="api:ops", created_at=WHEN),
    "label-set": LabelSetDocument(
        rev=2,
        parent=1,
        generation=2,
        labels=("A", "c"),
        fates=(LabelFate(label="a", becomes="A"), LabelFate(label="b", becomes=None)),
        who="api:ops",
        created_at=WHEN,
    ),
    "page-session": PageSession(key="ab" * 32, created_at=WHEN, expires_at=WHEN),
    "stop-set": StopSet(record_ids=("r1", "r2"), pool_seq=1, seed=7),
    "upload": Upload(
        name="ab" * 32 + ".csv",
        file="reviews.csv",
        size=5_000_000,
        part_bytes=4_194_304,
        who="ops",
        created_at=WHEN,
        used_at=WHEN,
        whole=True,
    ),
    "run-top": RunTop(run="score-0123", columns=("loss", "text"), rows=(("2.5", "Where is it?"), ("0.1", "Thanks"))),
    "task": TaskDocument(
        workspace="support",
        task="tickets",
        spec_rev=2,
        generation=1,
        label_set_rev=1,
        holdout_key="00" * 32,
        created_at=WHEN,
    ),
}
