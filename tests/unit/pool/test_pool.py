"""The pool: append-only, repeatable, one text an id."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tornio.pool.pool as module
from tornio.errors import IntegrityError, InvalidInput, NotFound
from tornio.pool import Added, Pool, record_problem
from tornio.records import Record, text_digest
from tornio.schemas.keys import TaskKeys
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.unit

KEYS = TaskKeys("care", "tickets")


def records(*names: str) -> list[Record]:
    return [Record(name, f"Text of {name}.") for name in names]


def test_what_is_added_is_read_in_its_order() -> None:
    pool = Pool(MemoryStore(), KEYS)
    assert len(pool.read()) == 0
    assert pool.append(records("b", "a")) == Added(added=2, known=0, same_text=0, seq=1)
    assert pool.append(records("c")) == Added(added=1, known=0, same_text=0, seq=2)
    view = pool.read()
    assert (view.seq, view.record_ids) == (2, ["b", "a", "c"])
    assert list(view.texts) == ["Text of b.", "Text of a.", "Text of c."]
    assert view.texts[2] == view.texts[-1] == "Text of c."
    assert view.texts[:2] == ["Text of b.", "Text of a."]
    assert list(view.text_digests) == [text_digest(text) for text in view.texts]
    assert view.rows_of(["c", "b"]).tolist() == [2, 0]
    assert pool.last_seq() == 2


def test_an_earlier_view_does_not_know_later_records() -> None:
    pool = Pool(MemoryStore(), KEYS)
    pool.append(records("a"))
    pool.append(records("b"))
    view = pool.read(1)
    assert view.record_ids == ["a"]
    assert "a" in view
    assert "b" not in view
    assert pool.read(0).record_ids == []
    with pytest.raises(NotFound, match="no record 'b' up to part 1"):
        view.rows_of(["b"])
    with pytest.raises(NotFound, match="ends at part 2; 3 does not exist"):
        pool.read(3)


def test_metadata_survives() -> None:
    pool = Pool(MemoryStore(), KEYS)
    pool.append([Record("a", "x"), Record("b", "Grüße \U0001f600", {"lang": "de", "n": 3, "x": 0.5, "new": True})])
    pool.append([Record("c", "y", {"n": 1})])
    assert pool.read().record("b") == Record("b", "Grüße \U0001f600", {"lang": "de", "n": 3, "x": 0.5, "new": True})
    assert pool.read().record("c").metadata == {"n": 1}


def test_repeating_adds_nothing() -> None:
    pool = Pool(MemoryStore(), KEYS)
    pool.append(records("a", "b"))
    assert pool.append(records("a", "b", "b", "c")) == Added(added=1, known=3, same_text=0, seq=2)
    assert pool.append(records("c")) == Added(added=0, known=1, same_text=0, seq=2)


def test_the_same_text_under_another_id_is_added_and_told() -> None:
    pool = Pool(MemoryStore(), KEYS)
    pool.append([Record("a", "Hello  World")])
    assert pool.append([Record("b", "hello world"), Record("c", "bye"), Record("d", "BYE")]).same_text == 2


def test_the_same_text_under_another_id_can_be_left_out() -> None:
    pool = Pool(MemoryStore(), KEYS)
    pool.append([Record("a", "Hello  World")])
    given = [Record("b", "hello world"), Record("c", "bye"), Record("d", "BYE"), Record("a", "Hello  World")]
    assert pool.append(given, duplicates=False) == Added(added=1, known=1, same_text=2, seq=2)
    assert pool.append(given, duplicates=False) == Added(added=0, known=2, same_text=2, seq=2)
    assert pool.read().record_ids == ["a", "c"]


def test_an_id_has_one_text() -> None:
    store = MemoryStore()
    pool = Pool(store, KEYS)
    pool.append(records("a"))
    before = list(store.list(""))
    with pytest.raises(InvalidInput, match=r"record 2 \('a'\): its id already belongs to another text"):
        pool.append([*records("b"), Record("a", "other")])
    with pytest.raises(InvalidInput, match=r"record 2 \('c'\)"):
        pool.append([*records("c"), Record("c", "other")])
    assert list(store.list("")) == before


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (Record("a", ""), "its text is empty"),
        (Record("a", " \n\t\u00a0"), "its text is empty"),
        (Record("a", "x" * (1 << 20) + "y"), "1,048,577 bytes; the limit is 1,048,576: split it"),
        (Record("a", "x\x00y"), r"NUL character \(at 1\)"),
        (Record("a", "x\ud800y"), r"half a surrogate pair \(at 1\)"),
        (Record("", "x"), "has 0 characters, but must have 1 to 200"),
        (Record("a" * 201, "x"), "has 201 characters, but must have 1 to 200"),
        (Record("a\nb", "x"), "cannot be displayed"),
        (Record("a", "x", {"n": float("nan")}), "cannot be written as JSON"),
        (Record("a", "x", {"n": "y" * 70_000}), "70,009 bytes"),
        (Record("a", "x", {"n": "\ud800"}), "cannot be written as JSON"),
    ],
)
def test_records_that_no_pool_takes(record: Record, says: str) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidInput, match=says):
        Pool(store, KEYS).append([*records("good"), record])
    assert list(store.list("")) == []


def test_the_longest_text_is_taken() -> None:
    assert record_problem(Record("a", "x" * (1 << 20))) is None


def test_an_error_names_the_first_ten() -> None:
    with pytest.raises(InvalidInput) as caught:
        Pool(MemoryStore(), KEYS).append([Record(f"r{n}", "") for n in range(12)])
    lines = str(caught.value).splitlines()
    assert lines[0] == "Nothing was added, because 12 of the records cannot be added:"
    assert len(lines) == 12
    assert lines[-1] == "and 2 more"


def test_parts_are_bounded_in_rows_and_in_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_ROWS", 3)
    monkeypatch.setattr(module, "PART_CHARACTERS", 25)
    pool = Pool(MemoryStore(), KEYS)
    lengths = [1, 1, 1, 1, 30, 20, 6, 1]
    assert pool.append([Record(str(n), "x" * length) for n, length in enumerate(lengths)]).seq == 5
    assert [len(part.table) for part in pool.read().parts] == [3, 1, 1, 1, 2]


def test_who_loses_the_race_adds_what_is_still_missing() -> None:
    store = MemoryStore()
    winner, loser = Pool(store, KEYS), Pool(store, KEYS)

    def race(operation: str, key: str) -> None:
        if operation == "put_if_absent":
            store.before = None
            winner.append(records("a", "b"))

    store.before = race
    assert loser.append(records("b", "c")) == Added(added=1, known=1, same_text=0, seq=2)
    assert loser.read().record_ids == Pool(store, KEYS).read().record_ids == ["a", "b", "c"]


def test_cut_off_between_two_parts_it_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_ROWS", 2)
    store = MemoryStore()

    def kill(operation: str, key: str) -> None:
        if operation == "put_if_absent":
            raise ConnectionError

    store.after = kill
    with pytest.raises(ConnectionError):
        Pool(store, KEYS).append(records("a", "b", "c"))
    store.after = None
    assert Pool(store, KEYS).append(records("a", "b", "c")) == Added(added=1, known=2, same_text=0, seq=2)


def test_a_part_is_fetched_once_and_a_hole_is_told() -> None:
    store = MemoryStore()
    pool, reader = Pool(store, KEYS), Pool(store, KEYS)
    pool.append(records("a"))
    reader.read()
    fetched: list[str] = []
    store.before = lambda operation, key: fetched.append(key) if operation == "get" else None
    pool.append(records("b"))
    reader.read()
    assert fetched == [KEYS.pool_part(2)]
    store.delete([KEYS.pool_part(1)])
    with pytest.raises(IntegrityError, match="lacks part 1"):
        Pool(store, KEYS).read()


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)


@given(st.lists(st.dictionaries(st.sampled_from("abcdef"), st.just(None)), max_size=6), st.data())
def test_any_appends_keep_each_record_once(appends: list[dict[str, None]], data: st.DataObject) -> None:
    store = MemoryStore()
    texts = {name: data.draw(TEXTS.filter(str.strip)) for name in "abcdef"}
    pools = [Pool(store, KEYS), Pool(store, KEYS)]
    for turn, names in enumerate(appends):
        pools[turn % 2].append([Record(name, texts[name]) for name in names])
    view = Pool(store, KEYS).read()
    assert sorted(view.record_ids) == sorted({name for names in appends for name in names})
    assert dict(zip(view.record_ids, view.texts, strict=True)) == {name: texts[name] for name in view.record_ids}
