"""Formats outlive releases: every document must read as it was written, long after."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.unit.schemas.samples import SAMPLES
from tornio.errors import IntegrityError, SchemaTooNew
from tornio.schemas.base import Document
from tornio.schemas.loop import LoopState
from tornio.schemas.task import SpecDocument

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(SAMPLES)


def all_documents(kind: type[Document] = Document) -> set[type[Document]]:
    return {c for sub in kind.__subclasses__() for c in (sub, *all_documents(sub))}


def test_every_document_has_a_golden_file() -> None:
    ours = {document for document in all_documents() if document.__module__.startswith("tornio.")}
    assert {document.FORMAT for document in ours} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_golden_file_reads_as_the_sample_and_is_written_the_same(name: str) -> None:
    path = GOLDEN / f"{name}.{SAMPLES[name].NUMBER}.json"
    if os.environ.get("TORNIO_WRITE_GOLDEN"):  # for a new number; never to make this test pass
        path.write_bytes(SAMPLES[name].encode())
    body = path.read_bytes()
    assert type(SAMPLES[name]).decode(body) == SAMPLES[name]
    assert SAMPLES[name].encode() == body


@pytest.mark.parametrize("name", NAMES)
def test_next_release_s_document_is_read_and_its_new_fields_survive_a_rewrite(name: str) -> None:
    kind = type(SAMPLES[name])
    values = json.loads(SAMPLES[name].encode()) | {"schema": kind.NUMBER + 1, "from_the_future": {"a": [1]}}
    rewritten = kind.decode(kind.decode(json.dumps(values).encode()).evolve(writer="me").encode())
    assert rewritten.schema_number == kind.NUMBER + 1
    assert rewritten.model_extra == {"from_the_future": {"a": [1]}}


@pytest.mark.parametrize("name", NAMES)
def test_two_releases_ahead_is_refused(name: str) -> None:
    kind = type(SAMPLES[name])
    values = json.loads(SAMPLES[name].encode()) | {"schema": (kind.READS or kind.NUMBER + 1) + 1}
    with pytest.raises(SchemaTooNew, match="Upgrade Tornio first"):
        kind.decode(json.dumps(values).encode(), "loop.json")


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"format":"loop"}', b'{"format":"task","schema":1}'])
def test_what_is_no_such_document_is_an_integrity_error(body: bytes) -> None:
    with pytest.raises(IntegrityError):
        LoopState.decode(body)


def test_unknown_fields_inside_parts_survive_too() -> None:
    values = json.loads(SAMPLES["loop"].encode())
    values["train"]["gpu"] = "one"
    values["asks"]["priority"] = 3
    state = LoopState.decode(json.dumps(values).encode())
    again = LoopState.decode(state.evolve(iteration=9).encode())
    assert again.train is not None
    assert again.train.model_extra == {"gpu": "one"}
    assert again.asks.evolve(paused=True).model_extra == {"priority": 3}


def test_a_spec_with_fields_of_a_later_release_still_configures_this_one() -> None:
    sample = SAMPLES["spec"]
    assert isinstance(sample, SpecDocument)
    spec = {**sample.spec, "novelty": 1, "loop": {**sample.spec["loop"], "curriculum": True}}
    spec["labels"] = [{**label, "colour": "red"} for label in sample.spec["labels"]]
    assert sample.evolve(spec=spec).task_spec() == sample.task_spec()


def test_an_older_number_is_upgraded_on_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def second(values: dict[str, object]) -> dict[str, object]:
        values["iteration"] = values.pop("round")
        return values

    old = {"format": "loop", "schema": 1, "round": 5}
    monkeypatch.setattr(LoopState, "NUMBER", 2)
    monkeypatch.setattr(LoopState, "UPGRADES", {1: second})
    state = LoopState.decode(json.dumps(old).encode())
    assert (state.iteration, state.schema_number) == (5, 2)
