"""Augmentations: the same views for the same seed, never empty, special tokens stay, nothing that no text has."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tornio.errors import InvalidInput, InvalidSpec, MissingPlugin
from tornio.training.augmenting import AUGMENTATIONS, Views, check_augmentations
from tornio.training.augmenting.port import Corpus, Ids
from tornio.training.augmenting.tfidf import Frequencies, replacing
from tornio.training.augmenting.words import Words

pytestmark = pytest.mark.unit

CLS, SEP, UNKNOWN = 1, 2, 3
CONTINUES = np.zeros(40, dtype=bool)
CONTINUES[30:] = True
CLOSED = np.zeros(40, dtype=bool)
CLOSED[:4] = True
WORDS = Words(CLOSED, CONTINUES)
WORD_BASED = ("word-dropout", "word-swap", "tf-idf")

bodies = st.lists(st.lists(st.integers(3, 39), max_size=12), min_size=1, max_size=6)


def texts_of(bodies: list[list[int]]) -> list[Ids]:
    return [np.array([CLS, *body, SEP], dtype=np.int64) for body in bodies]


def corpus_of(texts: list[Ids]) -> Corpus:
    return Corpus(texts, WORDS, Path("nowhere"), "float32")


@pytest.mark.parametrize("name", WORD_BASED)
@given(bodies=bodies, seed=st.integers(0, 99), share=st.sampled_from([0.1, 0.5, 0.99]))
@settings(max_examples=60, deadline=None)
def test_views_of_words(name: str, bodies: list[list[int]], seed: int, share: float) -> None:
    texts = texts_of(bodies)
    before = [text.copy() for text in texts]
    views = Views.of({name: {"share": share}}, corpus_of(texts))
    made = views(texts, np.random.default_rng(seed))
    again = views(texts, np.random.default_rng(seed))
    seen = set(np.concatenate(texts).tolist())
    for text, view, same, kept in zip(texts, made, again, before, strict=True):
        np.testing.assert_array_equal(view, same)
        np.testing.assert_array_equal(text, kept)
        assert (view[0], view[-1]) == (CLS, SEP)
        assert set(view.tolist()) <= seen
        assert len(view) <= views.longest
        had, has = (len(WORDS.split(ids)[1]) for ids in (text, view))
        assert (has > 0) == (had > 0), "a text keeps at least one word"
        if name == "word-swap":
            assert sorted(view.tolist()) == sorted(text.tolist())
        if name == "word-dropout":
            assert np.isin(view, text).all()


def test_a_word_is_moved_as_a_whole() -> None:
    text = np.array([CLS, 10, 30, 31, 11, UNKNOWN, 32, SEP])
    pieces, words = WORDS.split(text)
    assert [piece.tolist() for piece in pieces] == [[CLS], [10, 30, 31], [11], [UNKNOWN], [32], [SEP]]
    assert words == [1, 2, 4]
    views = Views.of({"word-swap": {"share": 1}}, corpus_of([text]))
    for seed in range(20):
        (view,) = views([text], np.random.default_rng(seed))
        assert "10, 30, 31" in str(view.tolist())


def test_the_share_of_words_that_is_left_out() -> None:
    text = np.array([CLS, *range(4, 29), SEP])
    views = Views.of({"word-dropout": {"share": 0.3}}, corpus_of([text]))
    random = np.random.default_rng(0)
    left = np.mean([len(views([text], random)[0]) - 2 for _ in range(400)]) / 25
    assert 0.66 < left < 0.74


def test_words_that_say_much_are_kept() -> None:
    """TF-IDF by hand: 4 is in every text (idf 0), 5 and 6 in one of two (idf log 2)."""
    texts = texts_of([[4, 5, 5, 4], [4, 6]])
    measured = Frequencies.of(texts, WORDS)
    assert {np.frombuffer(word, dtype=np.int64)[0]: idf for word, idf in measured.idf.items()} == {
        4: 0.0,
        5: pytest.approx(math.log(2)),
        6: pytest.approx(math.log(2)),
    }
    # S: 4 -> 3 * 0, 5 -> 2 log 2, 6 -> log 2; max S - S: 2 log 2, 0, log 2, so 4 in two cases of three, never 5.
    np.testing.assert_allclose(measured.upto, [2 / 3, 2 / 3, 1])
    scores = np.array([0.0, 2 / 4 * math.log(2), 2 / 4 * math.log(2), 0.0])
    np.testing.assert_allclose(replacing(scores, 0.4), [0.8, 0, 0, 0.8])
    np.testing.assert_allclose(replacing(scores, 0.9), [1, 0, 0, 1])
    np.testing.assert_array_equal(replacing(np.ones(3), 0.9), 0)


def test_several_augmentations_share_the_texts() -> None:
    texts = texts_of([[4, 5, 6, 7, 8, 9]] * 40)
    views = Views.of({"word-dropout": {"share": 0.5}, "word-swap": {"share": 0.5}}, corpus_of(texts))
    lengths = {len(view) for view in views(texts, np.random.default_rng(0))}
    assert 8 in lengths
    assert min(lengths) < 8


def test_what_is_wrong_with_settings_is_said() -> None:
    needed = {"back-translation": {"there": "one", "back": "another"}}
    check_augmentations({name: needed.get(name, {}) for name in AUGMENTATIONS.names})
    with pytest.raises(InvalidSpec, match=r"back-translation\.back: "):
        check_augmentations({"back-translation": {"there": "one"}})
    for temperature in (-0.1, 2.1):
        settings = {**needed["back-translation"], "temperature": temperature}
        with pytest.raises(InvalidSpec, match=r"back-translation\.temperature: "):
            check_augmentations({"back-translation": settings})
    with pytest.raises(InvalidSpec, match=r"augmentations: there is no augmentation 'word-drop'.*Did you mean"):
        check_augmentations({"word-drop": {}})
    with pytest.raises(InvalidSpec, match=r"augmentations\.tf-idf\.share: .*Settings that can be given: share"):
        check_augmentations({"tf-idf": {"share": 0}})
    with pytest.raises(MissingPlugin):
        Views.of({"gone": {}}, corpus_of(texts_of([[4]])))


def test_an_augmentation_that_invents_tokens_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    swap: Any = AUGMENTATIONS.get("word-swap")
    for bad in (np.array([CLS, 20, SEP]), np.array([], dtype=np.int64)):
        monkeypatch.setattr(type(swap), "prepare", lambda *_, bad=bad: lambda texts, random: [bad for _ in texts])
        with pytest.raises(InvalidInput, match="'word-swap' made a text that is empty or has tokens"):
            Views.of({"word-swap": {}}, corpus_of(texts_of([[4]])))(texts_of([[4]]), np.random.default_rng(0))
