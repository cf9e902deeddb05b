"""A manifest and a model's folder to test with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tornio.schemas.keys import TaskKeys
from tornio.schemas.registry import Manifest, Probes

KEYS = TaskKeys("support", "tickets")


def manifest(version: str = "v1", minute: int = 0) -> Manifest:
    return Manifest(
        version=version,
        workspace="support",
        task="tickets",
        kind="few-shot",
        generation=1,
        iteration=1,
        labels=("billing", "bug"),
        label_set_rev=1,
        multi_label=False,
        blobs={},
        probes=Probes(texts=("a bill",), logits=((0.5, -0.5),), tolerance={"float32": 1e-4}),
        run="train-1",
        label_seq=1,
        pool_seq=1,
        spec_rev=1,
        seed=0,
        software={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute),
    )


def model_folder(folder: Path, text: str = "weights") -> Path:
    """A folder with two files, one of them nested."""
    (folder / "deep").mkdir(parents=True)
    (folder / "head.safetensors").write_text(text)
    (folder / "deep" / "head.json").write_text("{}")
    return folder
