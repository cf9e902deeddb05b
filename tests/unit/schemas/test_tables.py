"""The Parquet formats: stamped, upgraded on read, refused when too new."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tornio.errors import IntegrityError, SchemaTooNew
from tornio.schemas.tables import (
    AUTO_LABELS,
    COMPARISON,
    EMBEDDINGS,
    LABELS,
    LABELS_COMPACT,
    POOL,
    REJECTED,
    SCORE_INPUT,
    SIMULATION,
    SOFT_LABELS,
    WRITTEN_VIEWS,
    Table,
    predictions_table,
    scores_table,
)
from tornio.scoring.scored_run import unjudged_rows

GOLDEN = Path(__file__).parent / "golden"
EVENT: dict[str, Any] = {
    "event": "answer", "record_id": "r1", "labels": ["billing"], "label_set_rev": 1, "source": "argilla",
    "annotator": "a1", "response_id": "x1", "response_updated_at": datetime(2026, 11, 22, tzinfo=UTC),
    "dataset": "tickets", "batch_id": "g1-b0001", "purpose": "query", "score": None, "model_version": "v1",
    "origin": None, "recorded_at": datetime(2026, 11, 22, tzinfo=UTC),
}  # fmt: skip
INPUT = {"row": 7, "record_id": "r1", "text": "Grüße", "given": ["billing"]}
SCORED: dict[str, Any] = {
    **INPUT, "predicted": ["bug"], "loss": 1.5, "given_probability": 0.25, "margin": 0.25, "entropy": 0.5,
    "suspicion": 2.5, "label_losses": None, "probabilities": [0.25, 0.75], "truncated": False, "model": "v0001-ab",
    "unjudged": True,
}  # fmt: skip
COMPARED: dict[str, Any] = {
    "contender": "supervised, few-shot", "method": "supervised", "kind": "few-shot", "encoder": "minilm",
    "baseline": None, "size": 16, "seed": 2, "texts": 64, "judged": 40, "micro_f1": 0.75, "macro_f1": 0.5,
    "seconds": 1.5, "error": None,
}  # fmt: skip
SIMULATED: dict[str, Any] = {
    "arm": "breaking-ties", "strategy": "breaking-ties", "cold_start": "random", "kind": "few-shot", "batch_size": 20,
    "seed": 2, "labels": 40, "micro_f1": 0.75, "macro_f1": 0.5,
}  # fmt: skip
ROWS: dict[str, tuple[Table, dict[str, Any]]] = {
    "pool": (POOL, {"record_id": "r1", "text": "Grüße 🙂", "text_digest": "ab", "metadata": "{}", "added_at": None}),
    "labels": (LABELS, EVENT),
    "labels-compact": (LABELS_COMPACT, {"seq": 4, **EVENT}),
    "embeddings": (EMBEDDINGS, {"record_id": "r1", "embedding": [0.5, -0.5], "truncated": False}),
    "soft-labels": (SOFT_LABELS, {"record_id": "r1", "probabilities": [0.25, 0.75]}),
    "written-views": (WRITTEN_VIEWS, {"text": "one", "views": ["another", "a third"]}),
    "auto-labels": (AUTO_LABELS, {"record_id": "r1", "label": "bug", "probability": 0.75}),
    "score-input-part": (SCORE_INPUT, INPUT),
    "rejected": (REJECTED, {"row": 7, "file": "data.csv", "line": 9, "reason": "no text"}),
    "scores": (scores_table(2), SCORED),
    "predictions": (
        predictions_table(2),
        {"row": 7, "labels": ["bug"], "probabilities": [0.25, 0.75], "truncated": False},
    ),
    "comparison": (COMPARISON, COMPARED),
    "simulation": (SIMULATION, SIMULATED),
}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_golden_file_reads_as_the_sample(name: str) -> None:
    table, row = ROWS[name]
    path = GOLDEN / f"{name}.{table.number}.parquet"
    written = table.encode(pa.Table.from_pylist([row], schema=table.columns))
    if os.environ.get("TORNIO_WRITE_GOLDEN"):  # for a new number; never to make this test pass
        path.write_bytes(written)
    assert table.decode(path.read_bytes()).to_pylist() == [row]
    assert table.decode(written).to_pylist() == [row]


def test_next_number_is_read_with_its_new_columns_and_the_one_after_refused() -> None:
    table, row = ROWS["pool"]
    wider = replace(table, number=table.number + 1, columns=table.columns.append(pa.field("lang", pa.string())))
    body = wider.encode(pa.Table.from_pylist([{**row, "lang": "de"}], schema=wider.columns))
    assert table.decode(body).column("lang").to_pylist() == ["de"]
    body = replace(table, number=table.number + 2).encode(pa.Table.from_pylist([row], schema=table.columns))
    with pytest.raises(SchemaTooNew):
        table.decode(body)


def test_a_later_release_s_columns_and_number_survive_a_rewrite() -> None:
    table, row = ROWS["pool"]
    wider = replace(table, number=table.number + 1, columns=table.columns.append(pa.field("lang", pa.string())))
    body = wider.encode(pa.Table.from_pylist([{**row, "lang": "de"}], schema=wider.columns))
    assert wider.decode(table.encode(table.decode(body))).column("lang").to_pylist() == ["de"]


def test_an_older_table_is_read_with_nulls_for_what_it_did_not_have() -> None:
    table, row = ROWS["pool"]
    older = replace(table, columns=table.columns.remove(table.columns.get_field_index("added_at")))
    body = older.encode(pa.Table.from_pylist([row], schema=older.columns))
    assert replace(table, number=table.number + 1).decode(body).column("added_at").to_pylist() == [None]


def test_columns_are_read_alone_and_are_checked_like_the_whole() -> None:
    table, row = ROWS["scores"]
    body = table.encode(pa.Table.from_pylist([row], schema=table.columns))
    assert table.decode(body, columns=("given", "loss")).to_pylist() == [{"given": ["billing"], "loss": 1.5}]
    with pytest.raises(IntegrityError, match="not stamped"):
        POOL.decode(body, columns=("text",))
    older = replace(table, number=3, columns=table.columns.append(pa.field("later", pa.string())))
    assert older.decode(body, columns=("loss", "later")).to_pylist() == [{"loss": 1.5, "later": None}]


def test_scores_of_an_older_release_are_all_judged() -> None:
    rows = scores_table(2).decode((GOLDEN / "scores.1.parquet").read_bytes())
    assert rows.to_pylist() == [SCORED | {"unjudged": None}]
    assert unjudged_rows(rows).tolist() == [False]


def test_other_bytes_are_an_integrity_error() -> None:
    plain = io.BytesIO()
    pq.write_table(pa.table({"record_id": ["r1"]}), plain)
    for body in (b"", b"PAR1 and no more", plain.getvalue()):
        with pytest.raises(IntegrityError):
            POOL.decode(body)
