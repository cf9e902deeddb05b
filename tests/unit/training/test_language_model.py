"""The augmentation language-model, and the words of a real tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.swapping.workshop import tiny_encoder
from tests.learning import examples
from tornio.errors import InvalidInput
from tornio.models.tokens import Tokenizer
from tornio.training.augmenting import Views
from tornio.training.augmenting.port import Corpus
from tornio.training.augmenting.words import Words

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def headed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with a masked-language head."""
    from transformers import AutoConfig, BertForMaskedLM

    folder = tiny_encoder(tmp_path_factory.mktemp("headed"))
    BertForMaskedLM(AutoConfig.from_pretrained(folder)).save_pretrained(folder)
    return folder


def tokenised(base: Path) -> Corpus:
    texts = Tokenizer(base, 32).encode(examples(20)[0]).ids
    return Corpus(texts, Words.of(base), base, "float32")


def test_the_base_s_own_head_replaces_tokens(headed: Path) -> None:
    corpus = tokenised(headed)
    views = Views.of({"language-model": {"share": 0.5}}, corpus)
    made, again = (views(corpus.texts, np.random.default_rng(3)) for _ in range(2))
    changed = 0
    for text, view, same in zip(corpus.texts, made, again, strict=True):
        np.testing.assert_array_equal(view, same)
        assert len(view) == len(text)
        closed = corpus.words.closed[text]
        np.testing.assert_array_equal(text[closed], view[closed])
        assert not corpus.words.closed[view[~closed]].any()
        changed += int((text != view).sum())
    total = sum(len(text) - 2 for text in corpus.texts)
    assert total * 0.25 < changed < total * 0.6


def test_a_base_without_a_head_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    corpus = tokenised(tiny_base)
    with pytest.raises(InvalidInput, match=r"without a masked-language head.*tornio encoders adapt"):
        Views.of({"language-model": {}}, corpus)
    other = tmp_path / "other"
    shutil.copytree(tiny_base, other)
    config = (other / "config.json").read_text()
    (other / "config.json").write_text(config.replace('"model_type": "bert"', '"model_type": "nystromformer"'))
    with pytest.raises(InvalidInput, match="does not know the architecture 'nystromformer'"):
        Views.of({"language-model": {}}, Corpus(corpus.texts, corpus.words, other, "float32"))


def test_words_of_a_real_tokenizer(tiny_base: Path) -> None:
    words = Words.of(tiny_base)
    (ids,) = Tokenizer(tiny_base, 32).encode(["the unaffable horse"]).ids
    pieces, places = words.split(ids)
    assert len(places) == 3
    assert len(pieces) == 5
