"""Which rows are shown: the most suspicious first, each text and each id once, and never what is barred."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.review.scored import Row, make_task, mood, scored_run, write_run
from tornio.errors import Conflict, InvalidInput, NotFound
from tornio.review.choose import choose
from tornio.scoring.scored_run import ScoredRow, ScoredRun
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit


def row(place: int, record_id: str, text: str) -> ScoredRow:
    return ScoredRow(place, record_id, text, text.lower(), ("bad",), ("good",), (0.1, 0.8, 0.1), 1.0, 1.0, "m")


ROWS = st.lists(st.tuples(st.sampled_from("123456"), st.sampled_from(["a", "A", "b", "c", "d", "e"])), max_size=25).map(
    lambda pairs: [row(place, *pair) for place, pair in enumerate(pairs)]
)


@given(ROWS, st.integers(0, 12) | st.none(), st.sets(st.sampled_from("abcde")), st.integers(0, 25))
def test_what_is_shown(rows: list[ScoredRow], limit: int | None, barred: set[str], earlier: int) -> None:
    chosen = choose(rows, limit, barred.__contains__)
    shown = chosen.rows
    assert len({one.record_id for one in shown}) == len({one.digest for one in shown}) == len(shown)
    assert not barred & {one.digest for one in shown}
    assert limit is None or len(shown) <= limit
    assert list(shown) == sorted(shown, key=lambda one: one.row)
    # Whatever else could be shown was no further than the limit, or has an id or a text that is shown.
    if limit is None or len(shown) < limit:
        ids, texts = {one.record_id for one in shown}, {one.digest for one in shown}
        assert all(one.record_id in ids or one.digest in texts | barred for one in rows)
    # Sent again after less was asked for: the same.
    part = choose(rows, min(earlier, len(shown)), barred.__contains__).rows
    assert choose(rows, limit, barred.__contains__, part).rows == shown
    # And when more is barred by now, it goes.
    later = choose(rows, limit, lambda _: True, part)
    assert (later.rows, later.gone) == ((), part)


def test_a_barred_text_is_counted_once_and_leaves_its_id() -> None:
    chosen = choose([row(0, "r1", "held"), row(1, "r2", "held"), row(2, "r1", "open")], None, "held".__eq__)
    assert [one.row for one in chosen.rows] == [2]
    assert (chosen.left_out, chosen.same_id) == (1, 0)


def test_another_text_with_the_id_of_one_that_is_shown_is_counted() -> None:
    chosen = choose([row(0, "r1", "one"), row(1, "r1", "two"), row(2, "r1", "one")], None, lambda _: False)
    assert ([one.row for one in chosen.rows], chosen.same_id) == ([0], 1)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 7), st.integers(0, 2), st.data())
def test_rows_come_by_their_ranking_and_by_their_place(
    ranks: list[int], part_rows: int, gaps: int, data: st.DataObject
) -> None:
    rows = [Row(f"t{n}", ("bad",), loss=9 - rank, suspicion=rank) for n, rank in enumerate(ranks)]
    run = scored_run(MemoryStore(), rows, part_rows=part_rows, gaps=gaps, ranking="suspicion")
    found = list(run.most_suspicious())
    assert [one.text for one in found] == [f"t{n}" for n in sorted(range(len(ranks)), key=lambda n: (-ranks[n], n))]
    assert [one.row for one in found] == [int(one.text[1:]) * (gaps + 1) + gaps for one in found]
    picked = data.draw(st.permutations([one.row for one in found]))[: len(found) // 2]
    assert [one.row for one in run.rows(picked)] == picked
    above = list(run.most_suspicious(above_loss=6.0))
    assert above == [one for one in found if one.loss > 6]
    with pytest.raises(NotFound, match="no row 999"):
        run.rows([found[0].row, 999])


def test_a_run_is_found_wherever_it_is() -> None:
    store = MemoryStore()
    make_task(store)
    of_task = write_run(store, mood(4), workspace="shop", task="mood")
    without = write_run(store, mood(4), workspace="team")
    found = ScoredRun.open(store, of_task)
    assert found.task is not None
    assert found.task.full_name == "shop/mood"
    assert ScoredRun.open(store, without, "team").task is None
    with pytest.raises(NotFound, match="--workspace"):
        ScoredRun.open(store, without)


def test_only_a_score_run_that_has_ended_can_be_reviewed() -> None:
    store = MemoryStore()
    run = scored_run(store, mood(2))
    store.delete([run.run_keys.result])
    with pytest.raises(Conflict, match="has not ended"):
        ScoredRun.open(store, run.run)
    other = run.plan.evolve(run="train-1", job="train")
    documents.create(store, "default/runs/train-1/plan.json", other)
    with pytest.raises(InvalidInput, match="'train'"):
        ScoredRun.open(store, "train-1")
