"""A base model that learns in a second."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bench.swapping.workshop import tiny_encoder
from tornio.schemas.registry import EncoderUse


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def use() -> EncoderUse:
    return EncoderUse(digest="0" * 64, pooling="mean", normalise=True, max_length=32)


@pytest.fixture
def without_dropout(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Threads share the random numbers that dropout is drawn from; processes do not."""
    folder = tmp_path_factory.mktemp("dry") / "base"
    shutil.copytree(tiny_base, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder
