"""Predicting with a published classifier: what transformers says, whatever was killed on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import pipeline

from jobs.context import JobContext
from jobs.parts import Done, InlineMapper
from jobs.predict import STAGES
from jobs.running.execute import execute, next_attempt
from tests.classifiers import tiny_classifier
from tornio.api import PredictRequest
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import PredictOutput
from tornio.scoring.predicting.planning import plan_predict
from tornio.storage.local import LocalStore

pytestmark = pytest.mark.model

LABELS = ("billing", "delivery", "login")
TEXTS = [f"text number {n}, about {LABELS[n % 3]} " + "and more " * (n % 7) for n in range(53)]


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("classifier"), LABELS)


def job(folder: Path) -> JobContext:
    return JobContext.over(LocalStore(folder / "store"), folder / "cache", "float32")


def planned(data: Path, classifier: Path, context: JobContext) -> RunPlan:
    request = PredictRequest(data=str(data), model=str(classifier), part_rows=10, probabilities=True)
    return plan_predict(request, "w", None, context.store, context.loader)


def written(plan: RunPlan, context: JobContext) -> pa.Table:
    output = PredictOutput.model_validate(execute(plan, next_attempt(plan, context.store), context).output)
    return pq.read_table(pa.BufferReader(context.store.get(output.predicted[0]).body))


def test_the_answers_are_those_of_transformers_and_survive_a_kill(tmp_path: Path, classifier: Path) -> None:
    data = tmp_path / "data.parquet"
    pq.write_table(pa.table({"text": TEXTS, "number": range(53)}), data)
    context = job(tmp_path / "a")
    plan = planned(data, classifier, context)
    table = written(plan, context)
    reference: Any = pipeline("text-classification", str(classifier), top_k=None)(TEXTS)
    for row, answer in zip(table.to_pylist(), reference, strict=True):
        said = {one["label"]: one["score"] for one in answer}
        assert [row[f"p({name})"] for name in LABELS] == pytest.approx([said[name] for name in LABELS], abs=1e-4)
        assert row["label"] == max(said, key=lambda name: said[name])
    assert table.column("number").to_pylist() == list(range(53))
    assert set(table.column("version").to_pylist()) == {classifier.name}

    class Dies(InlineMapper):
        def run(self, stage: str, plan: RunPlan, parts: Sequence[int], done: Done) -> None:
            super().run(stage, plan, parts[:3], done)
            raise Killed

    first = job(tmp_path / "b")
    assert planned(data, classifier, first) == plan
    first.mapper = Dies(STAGES, first.store, first.loader)
    with pytest.raises(Killed):
        written(plan, first)
    assert written(plan, job(tmp_path / "b")).equals(table)
