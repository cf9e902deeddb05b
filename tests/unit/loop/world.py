"""A world for the loop to turn in: everything outside, reduced to what acts do and looks see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from tornio.labels.automatic import Given
from tornio.loop.acts import (
    Act,
    LogBatch,
    MoveAlias,
    MoveBatch,
    RecordIteration,
    RecordTrial,
    StartRun,
    WithdrawAutomatic,
    WriteAutomatic,
    WriteBatch,
    owed,
)
from tornio.loop.advance import advance
from tornio.loop.observation import BatchProgress, Observation, Replica, RunOutcome
from tornio.loop.plans import auto_label, waited_for
from tornio.records import Purpose
from tornio.schemas.automatic import AutoLabelOutput, AutoLabelRecord
from tornio.schemas.loop import ImportAsk, LoopState, PromoteAsk
from tornio.schemas.registry import Alias
from tornio.schemas.runs import RunPlan
from tornio.schemas.task import Batch, BatchItem, GateVerdict, Iteration
from tornio.schemas.trial import TrialCounts, TrialRecord, TrialTerms
from tornio.spec import TaskSpec

START = datetime(2026, 11, 22, tzinfo=UTC)
SIZE = 4


def make_spec(
    auto_label: Mapping[str, Any] = MappingProxyType({}), gates: Mapping[str, Any] = MappingProxyType({}), **loop: Any
) -> TaskSpec:
    return TaskSpec.model_validate(
        {
            "workspace": "w",
            "name": "t",
            "labels": ["a", "b"],
            "loop": {"batch_size": SIZE, **loop},
            "auto_label": dict(auto_label),
            "gates": dict(gates),
        }
    )


@dataclass
class World:
    """Acts have one effect here, as they have on a store with conditional writes."""

    spec: TaskSpec = field(default_factory=make_spec)
    pool: int = 40
    state: LoopState = field(default_factory=LoopState)
    now: datetime = START
    label_seq: int = 0
    labels_moved: datetime = START
    pool_seq: int = 1
    pool_moved: datetime = START
    plans: dict[str, RunPlan] = field(default_factory=dict)
    running: dict[str, int] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, tuple[int, str]] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)
    answers: dict[str, int] = field(default_factory=dict)
    imported: dict[str, int] = field(default_factory=dict)
    iterations: dict[int, Iteration] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    fleet: tuple[Replica, ...] = (Replica("r1"), Replica("r2"))
    verdicts: dict[str, GateVerdict] = field(default_factory=dict)
    agreement: float = 0.5
    signals: dict[str, float] = field(default_factory=dict)
    holdout: dict[str, Any] = field(default_factory=dict)
    counts: dict[tuple[str, datetime], TrialCounts] = field(default_factory=dict)
    """What the replicas have counted, by trial: its version and start."""
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    generation: int = 1
    moved: set[str] = field(default_factory=set)
    holdout_labels: int = 100
    given_seq: int = 0
    automatic: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Automatic labels by version and record, and whether they stand."""
    labelled: dict[str, AutoLabelRecord] = field(default_factory=dict)
    passing: dict[str, bool] = field(default_factory=dict)
    """Whether a version's labels pass their test; else they do."""
    passing_labels: tuple[str, ...] = ("a", "b")
    """The predicted labels that pass it: "a" of even records, "b" of odd ones."""

    # -- what the controller does ------------------------------------------------------------------------

    def look(self) -> Observation:
        asked = SIZE * len(self.batches)
        answered = sum(self.answers.values())
        halves = {"a": (answered + 1) // 2, "b": answered // 2}
        labels = {name: max(0, count + self.imported.get(name, 0)) for name, count in halves.items()}
        runs = {}
        for plan in waited_for(self.state, self.spec):
            if plan.run in self.results:
                runs[plan.run] = RunOutcome(output=self.results[plan.run])
            elif plan.run in self.failed:
                attempt, error = self.failed[plan.run]
                runs[plan.run] = RunOutcome(error=error, attempt=attempt)
        return Observation(
            now=self.now, spec=self.spec, spec_rev=self.generation, generation=self.generation,
            pool_seq=self.pool_seq, label_seq=self.label_seq,
            queryable=max(0, self.pool - asked), train_labels=labels, imported_labels=self.imported,
            answered=answered,
            batches={
                name: BatchProgress(len(batch.items), self.answers.get(name, 0), name in self.logged)
                for name, batch in self.batches.items()
            },
            written=dict(self.batches), runs=runs, current=self.aliases.get("current"),
            candidate=self.aliases.get("candidate"), replicas=self.fleet, tried=self._tried(),
            trial_record=self.trials.get(self.state.swap.version) if self.state.swap else None,
            recorded=dict(self.iterations), quiet=self.now - self.labels_moved,
            pool_quiet=self.now - self.pool_moved, pool_age=self.now - START, given_seq=self.given_seq,
            automatic=self._given(), holdout=self.holdout_labels, pool=self.pool, labelled=self._labelled(),
        )  # fmt: skip

    def _tried(self) -> TrialCounts:
        swap = self.state.swap
        key = (swap.version, swap.trial.terms.started_at) if swap and swap.trial else ("", START)
        return self.counts.get(key, TrialCounts())

    def _given(self) -> dict[str, Given]:
        counts: dict[str, list[int]] = {}
        for (version, _), stands in self.automatic.items():
            counts.setdefault(version, [0, 0])[not stands] += 1
        return {version: Given(*found) for version, found in counts.items()}

    def _labelled(self) -> AutoLabelRecord | None:
        intent = self.state.auto.intent
        return self.labelled.get(auto_label(self.spec, intent).run) if intent else None

    def decide(self, read: LoopState, seen: Observation) -> tuple[LoopState, bool]:
        """Advance and compare-and-swap; returns the state to act on and whether the write held."""
        wanted = advance(read, seen)
        if self.state != read:
            return wanted, False
        self.state = wanted
        return wanted, True

    def act(self, act: Act) -> None:
        match act:
            case StartRun():
                self.plans.setdefault(act.plan.run, act.plan)
                if act.plan.run not in self.results:
                    started = self.failed.get(act.plan.run, (0, ""))[0]
                    if act.attempt > started:
                        self.running[act.plan.run] = act.attempt
            case WriteBatch():
                if act.picked.items and act.intent.batch not in self.batches:
                    self.batches[act.intent.batch] = Batch(
                        batch=act.intent.batch, number=act.intent.number, generation=1, dataset="t",
                        items=act.picked.items, strategy="random", run=act.run, created_at=self.now,
                    )  # fmt: skip
            case MoveBatch():
                self._move_batch(act)
            case LogBatch():
                self.logged.add(act.batch)
            case RecordIteration():
                self.iterations.setdefault(act.iteration.number, act.iteration)
            case MoveAlias():
                who, cause = (act.chosen_by, "manual") if act.chosen_by else ("controller", "promotion")
                self.move(act.alias, act.version, act.expected_revision, who, cause, act.trial)
            case RecordTrial():
                self.trials.setdefault(act.record.version, act.record)
            case WriteAutomatic():
                self._write(act)
            case WithdrawAutomatic():
                gone = [place for place, stands in self.automatic.items() if stands and place[0] in act.versions]
                self._append(dict.fromkeys(gone, False))

    def _move_batch(self, act: MoveBatch) -> None:
        """The new batch asks what the old one still asks; the old one keeps what was answered."""
        new, old = act.intent.batch, act.intent.moved_from
        if new in self.batches:
            return
        before, done = self.batches[old], self.answers.get(old, 0)
        self.batches[new] = before.evolve(
            batch=new, number=act.intent.number, generation=self.generation, items=before.items[done:]
        )
        self.batches[old] = before.evolve(items=before.items[:done])
        self.moved.add(old)

    def change_labels(self) -> None:
        """A user changes the labels."""
        self.generation += 1

    def _write(self, act: WriteAutomatic) -> None:
        labels = {(act.decided.version, f"r{n}"): True for n in range(act.decided.labelled)}
        self._append({place: True for place in labels if place not in self.automatic})
        passing = {n % 2 for n, name in enumerate("ab") if name in act.decided.thresholds}
        below = [(version, name) for (version, name), stands in self.automatic.items() if stands]
        lost = [one for one in below if one[0] == act.decided.version and int(one[1][1:]) % 2 not in passing]
        self._append(dict.fromkeys(lost, False))
        record = AutoLabelRecord(run=act.run, label_seq=self.label_seq, output=act.decided, written_at=self.now)
        self.labelled.setdefault(act.run, record)

    def _append(self, labels: Mapping[tuple[str, str], bool]) -> None:
        self.automatic |= labels
        self.label_seq += bool(labels)

    def move(
        self, alias: str, version: str, expected: int, who: str, cause: str = "promotion",
        trial: TrialTerms | None = None,
    ) -> None:  # fmt: skip
        present = self.aliases.get(alias)
        if (present.revision if present else 0) != expected:
            return
        self.aliases[alias] = Alias(
            alias=alias, version=version, revision=expected + 1,
            previous=None if present is None else present.previous if present.version == version else present.version,
            who=who, why="", moved_at=self.now, cause=cause, trial=trial,
        )  # fmt: skip

    # -- what the rest of the world does -----------------------------------------------------------------

    def finish(self, run: str, items: int = SIZE) -> None:
        """The run's result appears; the first result of a run is the one that stays."""
        self.running.pop(run, None)
        self.results.setdefault(run, self._output(self.plans[run], items))

    def _output(self, plan: RunPlan, items: int) -> dict[str, Any]:
        if plan.job in ("train", "import-version"):
            return {"version": f"v{plan.args['iteration']}-{plan.run[-6:]}", "labels": {"a": 1, "b": 1}}
        if plan.job == "evaluate":
            good = GateVerdict(promoted=True, integrity=True, reasons=("fine",))
            verdict = self.verdicts.get(plan.args["version"], good)
            agreement = self.agreement if plan.args["agree_with"] else None
            signals = self.signals if plan.args["agree_with"] else {}
            return {
                "verdict": verdict.model_dump(), "agreement": agreement, "signals": signals, "holdout": self.holdout,
                "against": self._against(plan.args["current"]),
            }  # fmt: skip
        if plan.job == "auto-label":
            passes = self.passing.get(plan.args["version"], True)
            before = plan.args.get("thresholds", {})
            thresholds = dict.fromkeys(self.passing_labels, 0.9) if passes else {}
            return AutoLabelOutput(
                version=plan.args["version"], label_set_rev=1, thresholds=thresholds,
                lost=tuple(name for name in before if name not in thresholds), target_error=0.05, confidence=0.9,
                measures=(), holdout=self.holdout_labels, unlabelled=self.pool, allowed=3,
                labelled=3 if passes else 0, labels="",
            ).model_dump(mode="json")  # fmt: skip
        taken = SIZE * len(self.batches)
        picked = [BatchItem(record_id=f"r{taken + i}", purpose=Purpose.QUERY) for i in range(items)]
        return {"items": [item.model_dump(mode="json") for item in picked], "strategy": "random"}

    def _against(self, current: str | None) -> dict[str, Any] | None:
        """The comparison with a version that has the labels of now."""
        trained = [one.generation for one in self.iterations.values() if one.version == current]
        return {"version": current, "texts": 100, "agreed": 90} if current and self.generation in trained else None

    def traffic(self, **counts: Any) -> None:
        """Live texts come: the replicas count if they try a version."""
        candidate = self.aliases.get("candidate")
        if candidate is not None and candidate.trial is not None:
            key = (candidate.version, candidate.trial.started_at)
            self.counts[key] = self.counts.get(key, TrialCounts()) + TrialCounts(**counts)

    def fail(self, run: str, error: str = "boom") -> None:
        self.failed[run] = (self.running.pop(run), error)

    def answer(self, batch: str, count: int = 1) -> None:
        done = self.answers.get(batch, 0)
        self.answers[batch] = min(done + count, len(self.batches[batch].items))
        self.relabel()

    def relabel(self, **imported: int) -> None:
        """An answer changes, or labels are imported."""
        self.imported |= imported
        self.label_seq += 1
        self.given_seq = self.label_seq
        self.labels_moved = self.now

    def send_model(self, upload: str, generation: int) -> None:
        """A user sends a model, which a gateway writes down that has seen this generation."""
        ask = ImportAsk(upload=upload, size=1, generation=generation, who=upload)
        asks = self.state.asks
        self.state = self.state.evolve(asks=asks.evolve(imports=(*asks.imports, ask)))

    def choose(self, iteration: Iteration, who: str = "ops") -> None:
        """A user chooses a version, which a gateway writes down with a hold."""
        assert iteration.version is not None
        ask = PromoteAsk(
            version=iteration.version, iteration=iteration.number, generation=iteration.generation, who=who
        )
        self.state = self.state.evolve(asks=self.state.asks.evolve(promote=ask, hold="chosen"))

    def fill(self, more: int) -> None:
        """Texts come."""
        self.pool += more
        self.pool_seq += 1
        self.pool_moved = self.now

    def load_candidate(self) -> None:
        """Every replica loads what the candidate names."""
        if candidate := self.aliases.get("candidate"):
            self.fleet = tuple(replace(r, ready=r.ready | {candidate.version}) for r in self.fleet)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def turn(self) -> None:
        """One fair round: the controller looks and acts, runs end, replicas load, annotators answer all."""
        state, _ = self.decide(self.state, self.look())
        for act in owed(state, self.look()):
            self.act(act)
        for run in list(self.running):
            self.finish(run)
        self.load_candidate()
        self.traffic(texts=300, agreed=280)
        for batch in list(self.logged):
            if self.answers.get(batch, 0) < len(self.batches[batch].items):
                self.answer(batch, SIZE)
        self.wait(1)
