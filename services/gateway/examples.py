"""An example of each request with a body, for the description of the API. A test sends every one of them."""

from __future__ import annotations

from typing import Any

_TASK = "/v1/tasks/{workspace}/{task}"
_LABELLED = {"text": "Where is my parcel?", "labels": ["delivery"]}

EXAMPLES: dict[str, Any] = {
    f"{_TASK}": {"workspace": "acme", "name": "support", "labels": ["delivery", "billing"]},
    f"{_TASK}/predict": {"texts": ["Where is my parcel?", "Thank you"]},
    "/v1/zero-shot": {
        "texts": ["Where is my parcel?"],
        "labels": ["billing", {"name": "delivery", "description": "Parcels that are late or lost."}],
    },
    f"{_TASK}/records": [{"record_id": "r1", "text": "Where is my parcel?", "metadata": {"source": "mail"}}],
    f"{_TASK}/records/delete": {"record_ids": ["r1"], "dry_run": True},
    f"{_TASK}/labels/migrate": {"rename": {"delivery": "shipping"}, "dry_run": True},
    f"{_TASK}/labels": {"purpose": "train", "source": "2025.csv", "labels": [_LABELLED]},
    f"{_TASK}/rollback": {"why": "It calls complaints praise.", "expected_revision": 2},
    f"{_TASK}/versions/{{version}}/promote": {"why": "It calls fewer complaints praise.", "force": True},
    f"{_TASK}/model": {"upload": f"{'0f' * 32}.tar", "labels": ["delivery", "billing"], "why": "from staging"},
    f"{_TASK}/train-now": {"force": False},
    "/v1/workspaces/{workspace}/uploads/{name}": {"size": 11, "file": "reviews.csv"},
    f"{_TASK}/runs": {"job": "score", "data": "s3://data/reviews.parquet"},
}
"""By path. No path has two routes that take a body."""
