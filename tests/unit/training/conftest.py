"""A base model that learns in a second."""

from __future__ import annotations

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
