"""What is trained: short texts that share rows, as if each had its own; the embeddings of the words that occur."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tornio.schemas.registry import Pooling
from tornio.training.network import Network
from tornio.training.packing import pack

pytestmark = pytest.mark.model

Texts = list[np.ndarray]


@given(st.lists(st.integers(1, 90), min_size=1, max_size=20), st.sampled_from([1, 16, 64]))
def test_rows_hold_each_text_once_and_whole(lengths: list[int], width: int) -> None:
    texts = [np.arange(length) + 100 * number for number, length in enumerate(lengths)]
    rows = pack(texts, pad=-7, width=width)
    for number, text in enumerate(texts):
        np.testing.assert_array_equal(rows.ids[rows.owners == number], text)
        np.testing.assert_array_equal(rows.positions[rows.owners == number], np.arange(len(text)))
        assert rows.ids.flatten()[rows.firsts[number]] == text[0]
    assert (rows.ids[rows.owners < 0] == -7).all()
    if width == 1:
        assert len(rows.ids) == len(texts)
    else:
        assert rows.ids.shape[1] <= max(width, *lengths) + max(lengths)


def test_short_texts_leave_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 25, 32)
    rows = pack([np.ones(n, dtype=np.int64) for n in lengths], pad=0)
    assert (rows.owners >= 0).mean() > 0.9


SHAPES = {
    "bert": {"intermediate_size": 48},
    "roberta": {"intermediate_size": 48, "max_position_embeddings": 80},
    "electra": {"intermediate_size": 48, "embedding_size": 16},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48},
    "mpnet": {"intermediate_size": 48},  # positions are relative to the row: texts must not share one
}


def save(kind: str, folder: Path) -> Path:
    """A narrow model of this architecture with random weights."""
    from transformers import AutoConfig, AutoModel

    common = {"vocab_size": 200}
    if kind != "distilbert":
        common |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **common, **SHAPES[kind])
    AutoModel.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    return folder


def ids(count: int) -> Texts:
    """Short texts of ids that are never a special token's."""
    random = np.random.default_rng(1)
    return [random.integers(10, 200, random.integers(2, 20)) for _ in range(count)]


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_company_changes_nothing(tmp_path: Path, kind: str, pooling: Pooling) -> None:
    network = Network(save(kind, tmp_path), pooling, outputs=3).eval()
    texts = ids(9)
    with torch.no_grad():
        together = network(texts)
        apart = torch.cat([network([text]) for text in texts])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_narrow_embeddings_learn_what_the_whole_table_would(tmp_path: Path, kind: str) -> None:
    folder, texts = save(kind, tmp_path), ids(9)
    tables = []
    for narrow in (False, True):
        torch.manual_seed(3)
        network = Network(folder, "mean", outputs=3).eval()
        if narrow:
            network.narrow(texts)
            assert network.body.get_input_embeddings().num_embeddings < 150
            assert "_table.weight" not in network.trained(), "it is not trained, so it must not be decayed"
        optimizer = torch.optim.SGD(network.trained().values(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(texts), torch.arange(9) % 3).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        network.widen()
        tables.append(network.body.get_input_embeddings().weight.detach())
    torch.testing.assert_close(*tables, atol=1e-6, rtol=1e-5)


def test_what_no_pooling_reads_is_not_trained(tmp_path: Path) -> None:
    names = Network(save("bert", tmp_path), "mean", outputs=3).trained()
    assert not any("pooler" in name for name in names)
    assert {"head.weight", "head.bias"} < set(names)
