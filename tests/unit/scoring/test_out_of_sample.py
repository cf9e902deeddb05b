"""Out-of-sample scores: strictly so, the same for a row wherever it is scored, and better than one expert alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from sklearn.metrics import average_precision_score

from tests.unit.scoring.made import NAMES, Made, labelled, several
from tornio.errors import IntegrityError, InvalidInput
from tornio.scoring.folds import deal
from tornio.scoring.linear import in_sample
from tornio.scoring.out_of_sample import ARRAYS_FILE, OutOfSampleScorer
from tornio.scoring.ranking import EXPERTS, most_suspicious, set_apart, suspicion

pytestmark = pytest.mark.model


def fitted(made: Made, multi_label: bool = False, **options: object) -> OutOfSampleScorer:
    return OutOfSampleScorer.fit(
        made.vectors, made.texts, made.given, made.folds, NAMES, multi_label=multi_label, seed=1,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


@cache
def scored() -> tuple[Made, OutOfSampleScorer]:
    return labelled(600), fitted(labelled(600))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 599), max_size=4, unique=True).map(sorted))
def test_a_part_gets_the_numbers_of_the_whole(cuts: list[int]) -> None:
    made, scorer = scored()
    whole = scorer.score(made.vectors, made.texts)
    parts = [np.arange(a, b) for a, b in zip([0, *cuts], [*cuts, 600], strict=True)]
    some = [scorer.score(made.take(part).vectors, made.take(part).texts) for part in parts]
    np.testing.assert_allclose(np.concatenate(some), whole, atol=2e-6)
    again = scorer.score(made.take(parts[0]).vectors, made.take(parts[0]).texts)
    np.testing.assert_array_equal(again, some[0])  # a part that is done again: to the bit
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=1e-5)


def test_a_row_is_scored_by_what_did_not_see_its_label_nor_that_of_its_copy() -> None:
    made, scorer = scored()
    fold = made.folds.of(made.keys)
    fold_of_first = fold == fold[0]
    turned = made.given.copy()
    turned[[0, 3]] = np.roll(made.given[[0, 3]], 1, axis=1)  # a text and its copy
    other = OutOfSampleScorer.fit(made.vectors, made.texts, turned, made.folds, NAMES, multi_label=False, seed=1)
    for name in EXPERTS:
        before, after = (s.opinions(made.vectors, made.texts, fold)[name] for s in (scorer, other))
        same: NDArray[np.bool_] = np.all(np.isclose(before, after, rtol=1e-5), axis=1)
        assert same[fold_of_first].all(), name
        assert not same[~fold_of_first].all(), name
    assert fold[0] == fold[3]  # a copy


def test_the_order_of_the_rows_does_not_matter() -> None:
    made, scorer = scored()
    turned = made.take(np.random.default_rng(5).permutation(600))
    other = fitted(turned)
    np.testing.assert_array_equal(other.weights, scorer.weights)
    np.testing.assert_array_equal(other.score(made.vectors, made.texts), scorer.score(made.vectors, made.texts))


def test_what_is_saved_scores_the_same(tmp_path: Path) -> None:
    made, scorer = scored()
    scorer.save(tmp_path)
    loaded = OutOfSampleScorer.load(tmp_path)
    np.testing.assert_array_equal(loaded.score(made.vectors, made.texts), scorer.score(made.vectors, made.texts))
    assert (loaded.labels, loaded.metrics) == (scorer.labels, scorer.metrics)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scorer.json", "scorer.safetensors"]


def test_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="Start a new run"):
        OutOfSampleScorer.load(tmp_path)
    scored()[1].save(tmp_path)
    config = tmp_path / "scorer.json"
    config.write_text(config.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(IntegrityError, match="format 2, not 1"):
        OutOfSampleScorer.load(tmp_path)


def test_wrong_labels_come_first_and_more_so_with_all_experts() -> None:
    made, scorer = scored()
    found = suspicion("pooled-loss", scorer.score(made.vectors, made.texts), made.given, False)
    alone = fitted(made, experts=("embedding",))
    plain = suspicion("loss", alone.score(made.vectors, made.texts), made.given, False)
    best, one = (average_precision_score(made.wrong, s) for s in (found, plain))
    assert best > one > 0.5
    assert set(scorer.metrics) == {"examples", "c_embedding", "c_words", *(f"weight_{name}" for name in EXPERTS)}
    assert set(alone.metrics) == {"examples", "c_embedding", "weight_embedding"}


def test_several_labels() -> None:
    made = several()
    scorer = fitted(made, multi_label=True)
    p = scorer.score(made.vectors, made.texts)
    assert p.shape == (240, 3)
    assert average_precision_score(made.wrong, suspicion("pooled-loss", p, made.given, True)) > 0.4


def test_more_rows_than_are_learned_from() -> None:
    made = labelled(600)
    few = fitted(made, most_rows=200)
    assert 200 <= few.metrics["examples"] < 300
    assert few.score(made.vectors, made.texts).shape == (600, 3)


def test_a_label_that_only_one_row_has_stands_out() -> None:
    made = labelled(60, flipped=0.0)
    given = np.column_stack([made.given, np.zeros(60, dtype=bool)])
    given[7] = [False, False, False, True]
    odd = replace(made, given=given)
    scorer = OutOfSampleScorer.fit(odd.vectors, odd.texts, given, odd.folds, (*NAMES, "dog"), multi_label=False, seed=1)
    found = suspicion("pooled-loss", scorer.score(odd.vectors, odd.texts), given, False)
    assert np.isfinite(found).all()
    assert found.argmax() == 7


def test_texts_without_a_word_in_common_leave_the_other_experts() -> None:
    made = labelled(60)
    strange = replace(made, texts=[f"x{i}" for i in range(60)])
    assert fitted(strange).words is None
    assert len(fitted(strange).weights) == 2


def test_what_cannot_be_fitted_is_refused() -> None:
    made = labelled(60)
    broken = made.vectors.copy()
    broken[3, 3] = np.nan
    with pytest.raises(InvalidInput, match="not all finite"):
        fitted(replace(made, vectors=broken))
    with pytest.raises(InvalidInput, match="no experts \\['oracle'\\]"):
        fitted(made, experts=("oracle",))
    with pytest.raises(InvalidInput, match="folds have none of the"):
        OutOfSampleScorer.fit(
            made.vectors[:2], made.texts[:2], made.given[:2], made.folds, NAMES, multi_label=False, seed=1
        )


def test_in_sample_a_head_knows_its_rows() -> None:
    made = labelled(120, flipped=0.3)
    inside = in_sample(made.vectors, made.given, False, c=3.0)[made.given].mean()
    outside = fitted(made, experts=("embedding",)).score(made.vectors, made.texts)[made.given].mean()
    assert inside > outside


def test_rows_whose_label_no_other_fold_has_are_unjudged() -> None:
    made = labelled(120)
    alone = np.zeros((120, 2), dtype=bool)
    rows = [0, 3]  # a text and its copy, which share a fold
    alone[rows, 0] = True
    twice = [5, 20]  # two different texts: each is judged by the other
    alone[twice, 1] = True
    given = np.column_stack([made.given, alone])
    given[[*rows, *twice], : len(NAMES)] = False
    scorer = OutOfSampleScorer.fit(
        made.vectors, made.texts, given, deal(made.keys, given, 4, 1), (*NAMES, "x", "y"), multi_label=False, seed=1
    )
    assert np.flatnonzero(scorer.unjudged(made.texts, given)).tolist() == rows
    ranked = set_apart(
        suspicion("loss", scorer.score(made.vectors, made.texts), given, False), made.keys == made.keys[0]
    )
    assert set(most_suspicious(ranked)[-2:]) == set(rows)
    assert np.isfinite(ranked).all()


def test_what_was_seen_is_kept_and_an_older_scorer_saw_everything(tmp_path: Path) -> None:
    made, scorer = scored()
    scorer.save(tmp_path)
    np.testing.assert_array_equal(OutOfSampleScorer.load(tmp_path).seen, scorer.seen)
    arrays = load_file(tmp_path / ARRAYS_FILE)
    del arrays["seen"]
    save_file(arrays, tmp_path / ARRAYS_FILE)
    assert not OutOfSampleScorer.load(tmp_path).unjudged(made.texts, made.given).any()
