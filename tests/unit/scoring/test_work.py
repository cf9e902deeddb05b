"""What is written of a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tornio.arrays import BoolMatrix
from tornio.schemas.runs import RunPlan
from tornio.schemas.scoring import ScoreArgs
from tornio.schemas.tables import SCORE_INPUT, scores_table
from tornio.scoring import work
from tornio.scoring.work import PartScores, ScorePart
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit


class Version:
    """A version that gives label a from .2 on."""

    name = "v0001-ab"
    thresholds: Mapping[str, float] = {"a": 0.2}

    def score(self, part: int, texts: Sequence[str], given: BoolMatrix) -> PartScores:
        no = np.zeros(len(texts), dtype=bool)
        return PartScores(np.array([[0.3, 0.4]] * len(texts), dtype=np.float32), no, no)


def test_a_version_decides_by_its_own_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does when it serves, or a review would show labels that nobody was served."""
    args = ScoreArgs(files=(), labels=("a", "b"), multi_label=True, precision="float32")
    plan, store = RunPlan.of("score", "w", None, args), MemoryStore()
    row: dict[str, Any] = {"row": 0, "record_id": "r", "text": "one", "given": ["a"]}
    table = pa.Table.from_pylist([row], schema=SCORE_INPUT.columns)
    store.put(plan.run_keys.part("input", 0), SCORE_INPUT.encode(table))
    monkeypatch.setattr(work, "_scorer", lambda *_: Version())
    loader: Any = None
    ScorePart(plan, store, loader).do(0)
    (scored,) = scores_table(2).decode(store.get(plan.run_keys.part("scores", 0)).body).to_pylist()
    assert scored["predicted"] == ["a"]
