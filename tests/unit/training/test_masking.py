"""Which tokens are hidden: as transformers' collators hide them, never special ones, whole words where asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tornio.errors import InvalidInput
from tornio.training.adapting.masking import SHARE, Masker
from tornio.training.adapting.texts import LEAST, split_texts

pytestmark = pytest.mark.unit
CLS, SEP, MASK, SPECIAL, TOKENS = 0, 1, 2, 3, 50


def masker(whole_words: bool = False) -> Masker:
    """Ids 0 to 2 are special; with whole words, odd ids continue a word."""
    closed = torch.zeros(TOKENS, dtype=torch.bool)
    closed[:SPECIAL] = True
    return Masker(MASK, TOKENS, closed, (torch.arange(TOKENS) % 2 == 1) if whole_words else None)


def text(random: np.random.Generator, length: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([CLS, *random.integers(SPECIAL, TOKENS, length), SEP], dtype=np.int64)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.booleans(), st.integers(0, 99))
def test_special_tokens_stay_and_targets_are_what_was_there(lengths: list[int], whole_words: bool, seed: int) -> None:
    texts = [text(np.random.default_rng(seed + n), length) for n, length in enumerate(lengths)]
    before = np.concatenate(texts)
    masked = masker(whole_words).mask(texts, torch.Generator().manual_seed(seed))
    after, positions = np.concatenate(masked.ids), masked.positions.numpy()
    assert [len(ids) for ids in masked.ids] == [len(ids) for ids in texts]
    np.testing.assert_array_equal(np.concatenate(texts), before)
    np.testing.assert_array_equal(masked.targets.numpy(), before[positions])
    assert (before[positions] >= SPECIAL).all()
    untouched = np.delete(np.arange(len(before)), positions)
    np.testing.assert_array_equal(after[untouched], before[untouched])


@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(0, 99))
def test_a_word_is_chosen_whole(lengths: list[int], seed: int) -> None:
    texts = [text(np.random.default_rng(seed + n), length) for n, length in enumerate(lengths)]
    chosen = np.zeros(sum(map(len, texts)), dtype=bool)
    chosen[masker(whole_words=True).mask(texts, torch.Generator().manual_seed(seed)).positions.numpy()] = True
    flat = np.concatenate(texts)
    for place in range(1, len(flat)):
        if flat[place] % 2 == 1 and flat[place] >= SPECIAL and flat[place - 1] >= SPECIAL:
            assert chosen[place] == chosen[place - 1]


@pytest.mark.parametrize("whole_words", [False, True])
def test_the_rates_are_those_of_the_paper(whole_words: bool) -> None:
    texts = [text(np.random.default_rng(n), 200) for n in range(1000)]
    masked = masker(whole_words).mask(texts, torch.Generator().manual_seed(0))
    after = torch.from_numpy(np.concatenate(masked.ids))[masked.positions]
    assert len(after) / 200_000 == pytest.approx(SHARE, abs=0.005)
    assert float((after == MASK).float().mean()) == pytest.approx(0.8 + 0.1 / TOKENS, abs=0.01)
    assert float((after == masked.targets).float().mean()) == pytest.approx(0.1 + 0.1 / TOKENS, abs=0.01)


def test_the_same_draws_as_the_collator_of_transformers() -> None:
    """Its masks are compared by their rates, position by position of a long text that is drawn again and again."""
    from tokenizers import Tokenizer, models
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    names = {("[CLS]", "[SEP]", "[MASK]")[n] if n < SPECIAL else f"t{n}": n for n in range(TOKENS)}
    loaded: Any = PreTrainedTokenizerFast
    tokenizer = loaded(
        tokenizer_object=Tokenizer(models.WordLevel(names, unk_token="t3")),
        cls_token="[CLS]", sep_token="[SEP]", mask_token="[MASK]", pad_token="[SEP]",
    )  # fmt: skip
    torch.manual_seed(0)
    texts = [text(np.random.default_rng(n), 100) for n in range(500)]
    collated = DataCollatorForLanguageModeling(tokenizer, mlm_probability=SHARE)([{"input_ids": ids} for ids in texts])
    theirs, labels = collated["input_ids"].flatten(), collated["labels"].flatten()
    chosen = labels != -100
    masked = masker().mask(texts, torch.Generator().manual_seed(1))
    ours = torch.from_numpy(np.concatenate(masked.ids))[masked.positions]
    assert len(ours) / int(chosen.sum()) == pytest.approx(1, abs=0.05)
    for mine, their in (
        ((ours == MASK), (theirs[chosen] == MASK)),
        ((ours == masked.targets), (theirs[chosen] == labels[chosen])),
    ):
        assert float(mine.float().mean()) == pytest.approx(float(their.float().mean()), abs=0.02)
    assert (labels[~chosen] == -100).all()
    assert not bool((labels[chosen] < SPECIAL).any())


def test_texts_that_differ_are_split_and_a_text_stays_where_it_is() -> None:
    texts = [f"text {n}" for n in range(1000)]
    split = split_texts([*texts, *texts, "TEXT  1", " "])
    assert sorted((*split.train, *split.held_out)) == sorted(texts)
    assert 20 < len(split.held_out) < 90
    assert set(split_texts(texts[:500]).held_out) == set(split.held_out) & set(texts[:500])


def test_too_few_texts_and_texts_all_alike_are_told() -> None:
    with pytest.raises(InvalidInput, match=rf"there are 99 different texts.*{LEAST} are needed"):
        split_texts([f"text {n}" for n in range(99)])
    with pytest.raises(InvalidInput, match=r"there are 1 different texts to adapt to .of 500"):
        split_texts(["the same"] * 500)
    assert split_texts([f"text {n}" for n in range(LEAST)]).held_out


def saved(folder: Path, names: list[str], **special: str) -> Path:
    """A tokenizer of byte pairs without merges, so that each of these tokens is a character."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE({name: n for n, name in enumerate(names)}, []))
    loaded: Any = PreTrainedTokenizerFast
    loaded(tokenizer_object=made, **special).save_pretrained(folder)
    return folder


def test_a_mark_tells_where_a_word_begins(tmp_path: Path) -> None:
    folder = saved(tmp_path / "marked", ["[MASK]", "Ġ", "a", "b"], mask_token="[MASK]")
    found = Masker.of(folder, vocabulary=6, whole_words=True)
    assert found.continues is not None
    assert found.continues.tolist() == [True, False, True, True, False, False]
    assert found.closed.tolist() == [True, *[False] * 5]
    assert (found.mask_id, found.tokens) == (0, 4)


def test_a_tokenizer_that_does_not_suffice_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no mask token"):
        Masker.of(saved(tmp_path / "no-mask", ["a", "b"]), 2, whole_words=False)
    plain = saved(tmp_path / "plain", ["[MASK]", "a", "b"], mask_token="[MASK]")
    with pytest.raises(InvalidInput, match="do not show where a word begins"):
        Masker.of(plain, 3, whole_words=True)
    assert Masker.of(plain, 3, whole_words=False).continues is None
