"""Scores do not change by accident: a small run gives the rows that release 0.1 gave.

If scores are meant to change, write the file again with TORNIO_WRITE_GOLDEN=1, and say so in the changelog.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bench.swapping.workshop import tiny_encoder
from jobs.context import JobContext
from jobs.running.execute import execute
from tests.classifiers import tiny_classifier
from tornio.api import ScoreRequest
from tornio.schemas.scoring import ScoreOutput
from tornio.scoring.planning import plan_score
from tornio.scoring.scored_run import ScoredRun
from tornio.storage.local import LocalStore

pytestmark = pytest.mark.model

GOLDEN = Path(__file__).parent / "golden" / "scores.json"
TOLERANCE = 1e-5
"""Processors round the sums of float32 differently: 1.2e-6 was seen between two machines."""
LABELS = ("billing", "delivery", "login")
TOPICS = {"billing": "invoice charge refund", "delivery": "parcel courier late", "login": "password account locked"}
COLUMNS = ("row", "given", "predicted", "loss", "suspicion", "probabilities")


def rows() -> list[tuple[str, str]]:
    """Eight texts of each label; two of them have a wrong label, and one row has no text."""
    texts = [(f"{words.split()[n % 3]} {words} number {n}", label) for n in range(8) for label, words in TOPICS.items()]
    wrong = {4, 16}
    labelled = [(text, LABELS[(LABELS.index(label) + (n in wrong)) % 3]) for n, (text, label) in enumerate(texts)]
    return [*labelled[:10], ("", "billing"), *labelled[10:]]


def scores(folder: Path, data: Path, **more: Any) -> list[dict[str, Any]]:
    context = JobContext.over(LocalStore(folder / "store"), folder / "cache", "float32")
    request = ScoreRequest(data=str(data), labels=LABELS, part_rows=10, **more)
    plan = plan_score(request, "w", None, context.store, context.loader)
    output = ScoreOutput.model_validate(execute(plan, 1, context).output)
    run = ScoredRun(plan, output, context.store, task=None)
    table = pa.concat_tables(run.tables(*COLUMNS))
    return [{name: row[name] for name in COLUMNS} for row in table.to_pylist()]


def test_scores_are_what_they_were(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path / "data.csv"
    with data.open("w", newline="") as out:
        csv.writer(out).writerows([("text", "label"), *rows()])
    classifier = tiny_classifier(tmp_path_factory.mktemp("classifier"), LABELS)
    encoder = tiny_encoder(tmp_path_factory.mktemp("encoder"))
    found = {
        "model": scores(tmp_path, data, model=str(classifier)),
        "folds": scores(tmp_path, data, folds=3, encoder=str(encoder), max_length=32),
    }
    if os.environ.get("TORNIO_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found).replace('{"row', '\n{"row') + "\n")
    golden = json.loads(GOLDEN.read_text())
    for name, expected in golden.items():
        assert len(found[name]) == len(expected) == 24
        for row, before in zip(found[name], expected, strict=True):
            assert (row["row"], row["given"], row["predicted"]) == (before["row"], before["given"], before["predicted"])
            numbers = [row["loss"], row["suspicion"], *row["probabilities"]]
            assert numbers == pytest.approx(
                [before["loss"], before["suspicion"], *before["probabilities"]], abs=TOLERANCE
            )
