"""What every annotation tool promises: played on the fake, on a real Argilla, and on one with a real OpenSearch."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.contract.annotation_stages import (
    DATASET,
    ArgillaServerUnderTest,
    ArgillaStage,
    FakeStage,
    Stage,
    argilla,
    expect,
)
from tornio.annotation.argilla import ArgillaTool
from tornio.annotation.port import (
    AnnotatedRecord,
    DatasetSpec,
    FieldSpec,
    MetadataSpec,
    OutgoingRecord,
    Response,
    ResponseStatus,
)
from tornio.errors import Forbidden, InvalidInput, NotFound, Unauthorized, Unavailable
from tornio.records import Purpose, Suggestion
from tornio.spec import LabelSpec

OPENSEARCH = os.environ.get("TORNIO_TEST_OPENSEARCH")


@pytest.fixture(scope="module")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgillaServerUnderTest]:
    with argilla(tmp_path_factory.mktemp("argilla")) as server:
        yield server


@pytest.fixture(scope="module")
def opensearch_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgillaServerUnderTest]:
    """A second Argilla, whose search engine is the OpenSearch that runs at TORNIO_TEST_OPENSEARCH."""
    if not OPENSEARCH:
        pytest.skip("TORNIO_TEST_OPENSEARCH names no OpenSearch, e.g. http://127.0.0.1:9200")
    engine = {"ARGILLA_SEARCH_ENGINE": "opensearch", "ARGILLA_ELASTICSEARCH": OPENSEARCH}
    with argilla(tmp_path_factory.mktemp("argilla-opensearch"), **engine) as server:
        yield server


def on_a_server(request: pytest.FixtureRequest, fixture: str) -> Iterator[ArgillaStage]:
    stage = ArgillaStage(request.getfixturevalue(fixture))
    yield stage
    stage.close()


@pytest.fixture(
    params=[
        pytest.param(None, marks=pytest.mark.unit, id="fake"),
        pytest.param("embedded_server", marks=pytest.mark.integration, id="argilla"),
        pytest.param("opensearch_server", marks=pytest.mark.integration, id="argilla-opensearch"),
    ]
)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    if request.param is None:
        yield FakeStage()
    else:
        yield from on_a_server(request, request.param)


@pytest.fixture(
    params=[
        pytest.param("embedded_server", marks=pytest.mark.integration, id="argilla"),
        pytest.param("opensearch_server", marks=pytest.mark.integration, id="argilla-opensearch"),
    ]
)
def real(request: pytest.FixtureRequest) -> Iterator[ArgillaStage]:
    """For what only a real server can show."""
    yield from on_a_server(request, request.param)


def spec(stage: Stage, **changes: object) -> DatasetSpec:
    labels = (LabelSpec(name="good", description="It pleases."), LabelSpec(name="bad"), LabelSpec(name="so-so"))
    plain = DatasetSpec(stage.workspace, DATASET, labels, multi_label=False, guidelines="Read well.", min_submitted=1)
    return replace(plain, **changes)  # type: ignore[arg-type]


def record(record_id: str, **changes: object) -> OutgoingRecord:
    plain = OutgoingRecord(record_id, f"text of {record_id}", "batch-1", Purpose.QUERY)
    return replace(plain, **changes)  # type: ignore[arg-type]


def suggested(record_id: str, *labels: str, agent: str = "model:v1") -> OutgoingRecord:
    scores = tuple(0.5 for _ in labels)
    return record(
        record_id, suggestion=Suggestion(labels, scores, agent), uncertainty=0.25, model_version=agent.split(":")[1]
    )


def read(stage: Stage, *record_ids: str) -> dict[str, AnnotatedRecord]:
    found = stage.tool.read(stage.workspace, DATASET, record_ids)
    assert len({record.record_id for record in found}) == len(found)
    return {record.record_id: record for record in found}


def swept(stage: Stage) -> dict[str, AnnotatedRecord]:
    return {record.record_id: record for record in stage.tool.sweep(stage.workspace, DATASET)}


def labels_of(annotated: AnnotatedRecord) -> list[tuple[str, ...]]:
    return sorted(response.labels for response in annotated.responses)


@pytest.fixture
def guest(stage: Stage) -> Iterator[str]:
    """An annotator who is here for one test alone, and whose account may be deleted."""
    name = stage.hire()
    yield name
    stage.dismiss(name)


# The data set.


def test_creating_twice_is_once_and_brings_guidelines_and_descriptions_up_to_date(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r1")])
    stage.answer("r1", "ann", ["good"])
    stage.tool.ensure_dataset(spec(stage))
    assert stage.guidelines() == ("Read well.", {"good": "It pleases.", "bad": None, "so-so": None})

    better = (LabelSpec(name="bad", description="It hurts."), LabelSpec(name="good"), LabelSpec(name="so-so"))
    stage.tool.ensure_dataset(spec(stage, guidelines="", labels=better))
    assert stage.guidelines() == ("", {"good": None, "bad": "It hurts.", "so-so": None})
    assert labels_of(read(stage, "r1")["r1"]) == [("good",)]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"labels": (LabelSpec(name="good"), LabelSpec(name="bad"), LabelSpec(name="ugly"))}, r"ugly.*so-so"),
        ({"multi_label": True}, "one label per record, not several"),
        ({"min_submitted": 2}, "1 annotators per record, not 2"),
    ],
)
def test_a_data_set_that_asks_something_else_is_refused(stage: Stage, changes: dict[str, object], named: str) -> None:
    stage.tool.ensure_dataset(spec(stage))
    with pytest.raises(InvalidInput, match=named):
        stage.tool.ensure_dataset(spec(stage, **changes))


def test_many_labels_fit(stage: Stage) -> None:
    labels = tuple(LabelSpec(name=f"label {n}", description="d" * 2000) for n in range(400))
    stage.tool.ensure_dataset(spec(stage, labels=labels))
    stage.tool.ensure_dataset(spec(stage, labels=labels))
    stage.tool.log(stage.workspace, DATASET, [suggested("r1", "label 399")])
    assert stage.shown("r1").suggested == ("label 399",)


def test_a_deleted_data_set_can_be_made_anew(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r1"), record("r2")])
    stage.tool.delete_dataset(stage.workspace, DATASET)
    stage.tool.delete_dataset(stage.workspace, DATASET)
    with pytest.raises(NotFound):
        stage.tool.log(stage.workspace, DATASET, [record("r1")])
    stage.tool.ensure_dataset(spec(stage))
    assert read(stage, "r1", "r2") == {}


@pytest.mark.parametrize("dataset", ["unheard-of", DATASET])
def test_a_data_set_that_is_not_there_is_not_found(stage: Stage, dataset: str) -> None:
    tool, workspace = stage.tool, stage.workspace
    for act in (
        lambda: tool.log(workspace, dataset, [record("r1")]),
        lambda: tool.read(workspace, dataset, ["r1"]),
        lambda: tool.sweep(workspace, dataset),
        lambda: tool.last_activity(workspace, dataset),
        lambda: tool.page(workspace, dataset, "loss"),
        lambda: tool.delete(workspace, dataset, ["r1"]),
    ):
        with pytest.raises(NotFound, match=dataset):
            act()
    tool.delete_dataset(workspace, dataset)


# Records.


def test_logging_twice_is_once_and_keeps_responses(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    records = [record("r1"), suggested("r2", "bad")]
    stage.tool.log(stage.workspace, DATASET, records)
    stage.answer("r2", "ann", ["bad"])
    before = read(stage, "r1", "r2")
    stage.tool.log(stage.workspace, DATASET, records)
    assert read(stage, "r1", "r2") == before
    assert labels_of(before["r2"]) == [("bad",)]
    assert before["r2"].batch_id == "batch-1"


def test_a_later_suggestion_replaces_the_earlier_or_takes_it_away(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [suggested("r1", "bad"), suggested("r2", "bad")])
    stage.tool.log(stage.workspace, DATASET, [suggested("r1", "good", agent="model:v2"), record("r2")])
    assert (stage.shown("r1").suggested, stage.shown("r1").agent) == (("good",), "model:v2")
    assert stage.shown("r2").suggested is None


def test_a_record_moves_to_another_batch(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r1")])
    stage.tool.log(stage.workspace, DATASET, [record("r1", batch_id="batch-2", text="corrected")])
    assert read(stage, "r1")["r1"].batch_id == "batch-2"
    assert stage.shown("r1").text == "corrected"


@pytest.mark.parametrize(
    "changes", [{"suggestion": Suggestion(("good",), (1.0,), "m")}, {"uncertainty": 0.5}], ids=lambda c: next(iter(c))
)
def test_a_led_hold_out_record_is_refused_before_anybody_sees_it(stage: Stage, changes: dict[str, object]) -> None:
    stage.tool.ensure_dataset(spec(stage))
    with pytest.raises(ValueError, match="'h1' has a suggestion"):
        stage.tool.log(stage.workspace, DATASET, [record("r1"), record("h1", purpose=Purpose.HOLDOUT, **changes)])
    assert read(stage, "r1", "h1") == {}


def test_suggestions_that_do_not_fit_are_refused(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    with pytest.raises(InvalidInput, match=r"no labels .'ugly'"):
        stage.tool.log(stage.workspace, DATASET, [suggested("r1", "ugly")])
    with pytest.raises(ValueError, match="exactly one"):
        stage.tool.log(stage.workspace, DATASET, [suggested("r1", "good", "bad")])
    with pytest.raises(ValueError, match="twice in one call"):
        stage.tool.log(stage.workspace, DATASET, [record("r1"), record("r1")])


@pytest.mark.parametrize(
    "text",
    ["", "  \n\t ", "naïve 文字 🙂 \u202eright to left", "word " * 200_000, '{"json": "<b>&amp;</b>"}'],
    ids=["empty", "blank", "unicode", "one megabyte", "markup"],
)
def test_any_text_arrives(stage: Stage, text: str) -> None:
    stage.tool.ensure_dataset(spec(stage))
    record_id = "id: ü/🙂 #1, 'quoted'"
    stage.tool.log(stage.workspace, DATASET, [record(record_id, text=text), record("other")])
    stage.answer(record_id, "ann", ["good"])
    assert stage.shown(record_id).text == text
    assert labels_of(read(stage, record_id)[record_id]) == [("good",)]
    assert set(swept(stage)) == {record_id}


def test_reading_gives_what_exists_once(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    ids = [f"r{n}" for n in range(300)]
    stage.tool.log(stage.workspace, DATASET, [record(record_id) for record_id in ids])
    assert set(read(stage, *ids, "r1", "r1", "unknown")) == set(ids)
    assert read(stage, "unknown") == {}
    assert read(stage) == {}


def test_deleting_records_takes_their_responses_and_bears_repetition(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record(f"r{n}") for n in range(4)])
    stage.answer("r1", "ann", ["good"])
    stage.answer("r2", "ann", ["good"])
    for _ in range(2):
        stage.tool.delete(stage.workspace, DATASET, (record_id for record_id in ("r0", "r1", "unknown")))
    assert set(read(stage, "r0", "r1", "r2", "r3")) == {"r2", "r3"}
    assert set(swept(stage)) == {"r2"}
    stage.tool.log(stage.workspace, DATASET, [record("r1")])
    assert read(stage, "r1")["r1"].responses == ()


GIVEN = FieldSpec("given", "Given label")
LOSS, TOPIC = MetadataSpec("loss", "Loss", "float"), MetadataSpec("topic", "Topic", "terms")


def review(stage: Stage, **changes: object) -> DatasetSpec:
    """With a second text, and what to sort and filter by."""
    return spec(stage, **{"fields": (GIVEN,), "metadata": (LOSS, TOPIC), **changes})


def test_more_texts_and_metadata_are_shown(stage: Stage) -> None:
    stage.tool.ensure_dataset(review(stage))
    full = record("r1", fields={"given": "bad"}, metadata={"loss": 2, "topic": "a, b"})
    several = record("r2", metadata={"loss": 0.5, "topic": ("a", "b")})
    stage.tool.log(stage.workspace, DATASET, [full, several, record("r3")])
    stage.answer("r1", "ann", ["good"])
    stage.tool.log(stage.workspace, DATASET, [full])
    assert [stage.shown(record_id).fields for record_id in ("r1", "r2", "r3")] == [{"given": "bad"}, {}, {}]
    assert stage.metadata("r1") == {"loss": 2.0, "topic": "a, b"}
    assert stage.metadata("r2") == {"loss": 0.5, "topic": ["a", "b"]}
    assert stage.metadata("r3") == {}
    assert labels_of(read(stage, "r1")["r1"]) == [("good",)]


def test_the_page_is_sorted(stage: Stage) -> None:
    stage.tool.ensure_dataset(review(stage))
    losses = {"r1": 0.5, "r2": 12.25, "r3": 3.0}
    stage.tool.log(stage.workspace, DATASET, [record(name, metadata={"loss": loss}) for name, loss in losses.items()])
    assert stage.on_page(stage.tool.page(stage.workspace, DATASET, "loss")) == ["r2", "r3", "r1"]


@pytest.mark.parametrize(
    "change",
    [
        {"fields": {"taken": "x"}},
        {"metadata": {"gain": 1.0}},
        {"metadata": {"loss": "much"}},
        {"metadata": {"topic": 1.0}},
        {"metadata": {"loss": float("nan")}},
        {"metadata": {"loss": float("inf")}},
    ],
    ids=str,
)
def test_what_the_data_set_does_not_have_is_refused(stage: Stage, change: dict[str, object]) -> None:
    stage.tool.ensure_dataset(review(stage))
    with pytest.raises(ValueError, match="'r1'"):
        stage.tool.log(stage.workspace, DATASET, [record("r1", **change)])


def test_metadata_may_come_later_but_fields_may_not(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    with pytest.raises(ValueError, match="loss"):
        stage.tool.log(stage.workspace, DATASET, [record("r1", metadata={"loss": 1.0})])
    with pytest.raises(InvalidInput, match=r"does not show .'given'"):
        stage.tool.ensure_dataset(review(stage))
    stage.tool.ensure_dataset(review(stage, fields=()))
    stage.tool.log(stage.workspace, DATASET, [record("r1", metadata={"loss": 1.0})])
    assert stage.metadata("r1") == {"loss": 1.0}


# Responses.


def test_two_annotators_answer_one_record(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage, min_submitted=2))
    stage.tool.log(stage.workspace, DATASET, [record("r1"), record("r2")])
    stage.answer("r1", "ann", ["good"])
    stage.answer("r1", "bob", ["bad"])
    stage.answer("r2", "bob", ["so-so"])
    found = read(stage, "r1", "r2")
    assert labels_of(found["r1"]) == [("bad",), ("good",)]
    assert len({response.annotator for response in found["r1"].responses}) == 2
    assert len({response.response_id for response in found["r1"].responses}) == 2
    (bobs,) = found["r2"].responses
    assert bobs.annotator in {response.annotator for response in found["r1"].responses}
    assert swept(stage) == found


def test_a_record_is_not_offered_to_those_who_answered_it_elsewhere(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r0")])
    stage.answer("r0", "ann", ["good"])
    stage.discard("r0", "bob")
    again = record("r1", answered_by=frozenset({stage.user_id("ann"), str(uuid4())}))
    stage.tool.log(stage.workspace, DATASET, [again, record("r2")])
    assert (stage.pending("ann"), stage.pending("bob")) == ({"r2"}, {"r1", "r2"})
    assert [(r.annotator, r.status) for r in read(stage, "r1")["r1"].responses] == [
        (stage.user_id("ann"), ResponseStatus.DRAFT)
    ]
    stage.answer("r1", "bob", ["bad"])
    stage.answer("r1", "ann", ["so-so"])  # who opens the draft may still answer
    stage.tool.log(stage.workspace, DATASET, [again])
    assert labels_of(read(stage, "r1")["r1"]) == [("bad",), ("so-so",)]
    assert {r.status for r in read(stage, "r1")["r1"].responses} == {ResponseStatus.SUBMITTED}
    assert stage.pending("bob") == {"r2"}


def test_a_discard_and_a_draft_are_responses_of_their_own_kind(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r1"), record("r2"), record("r3")])
    stage.discard("r1", "ann")
    stage.draft("r2", "ann", ["good"])
    found = swept(stage)
    assert found == read(stage, "r1", "r2")
    assert [(r.status, r.labels) for r in found["r1"].responses] == [(ResponseStatus.DISCARDED, ())]
    assert [(r.status, r.labels) for r in found["r2"].responses] == [(ResponseStatus.DRAFT, ("good",))]


def test_a_changed_answer_keeps_its_id_and_moves_its_time(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r1")])
    seen: list[Response] = []
    for labels in (["good"], ["bad"], ["good"]):
        stage.answer("r1", "ann", labels)
        seen += read(stage, "r1")["r1"].responses
    stage.discard("r1", "ann")
    seen += read(stage, "r1")["r1"].responses
    assert [response.labels for response in seen] == [("good",), ("bad",), ("good",), ()]
    assert len({response.response_id for response in seen}) == 1
    times = [response.updated_at for response in seen]
    assert times == sorted(set(times))
    assert all(time.utcoffset() is not None for time in times)


def test_a_deleted_response_is_gone_and_the_next_is_another(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r1"), record("r2")])
    stage.answer("r1", "ann", ["good"])
    stage.answer("r2", "ann", ["good"])
    first = read(stage, "r1")["r1"].responses[0]
    stage.withdraw("r1", "ann")
    assert read(stage, "r1")["r1"].responses == ()
    assert set(swept(stage)) == {"r2"}
    stage.answer("r1", "ann", ["good"])
    second = read(stage, "r1")["r1"].responses[0]
    assert second.response_id != first.response_id
    assert second.updated_at > first.updated_at


def test_an_account_that_is_deleted_takes_its_responses_and_is_no_longer_listed(stage: Stage, guest: str) -> None:
    stage.tool.ensure_dataset(spec(stage, min_submitted=2))
    stage.tool.log(stage.workspace, DATASET, [record("r1"), record("r2")])
    stage.answer("r1", "ann", ["good"])
    stage.answer("r1", guest, ["bad"])
    stage.answer("r2", guest, ["bad"])
    before, accounts = read(stage, "r1", "r2"), stage.tool.accounts(stage.workspace)
    (guest_id,) = {response.annotator for response in before["r2"].responses}
    assert {response.annotator for response in before["r1"].responses} <= set(accounts)
    assert guest.lower() in accounts[guest_id].lower()
    activity = stage.tool.last_activity(stage.workspace, DATASET)
    stage.dismiss(guest)
    after = read(stage, "r1", "r2")
    assert [labels_of(after[record_id]) for record_id in ("r1", "r2")] == [[("good",)], []]
    assert guest_id not in stage.tool.accounts(stage.workspace)
    assert stage.tool.last_activity(stage.workspace, DATASET) == activity


def test_a_record_that_is_deleted_and_sent_again_is_newer_than_its_answers(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r1")])
    stage.answer("r1", "ann", ["good"])
    first = read(stage, "r1")["r1"]
    stage.tool.log(stage.workspace, DATASET, [record("r1", text="corrected")])
    assert read(stage, "r1")["r1"].created_at == swept(stage)["r1"].created_at == first.created_at
    assert first.created_at is not None
    assert first.created_at <= first.responses[0].updated_at
    stage.tool.delete(stage.workspace, DATASET, ["r1"])
    stage.tool.log(stage.workspace, DATASET, [record("r1")])
    again = read(stage, "r1")["r1"].created_at
    assert again is not None
    assert again > first.responses[0].updated_at


def test_several_labels_or_none(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage, multi_label=True))
    stage.tool.log(stage.workspace, DATASET, [suggested("r1", "so-so", "good"), suggested("r2"), record("r3")])
    assert stage.shown("r1").suggested == ("so-so", "good")
    assert stage.shown("r2").suggested == ()
    assert stage.shown("r3").suggested is None
    stage.answer("r1", "ann", ["so-so", "good"])
    stage.answer("r2", "ann", [])
    found = read(stage, "r1", "r2")
    assert labels_of(found["r1"]) == [("good", "so-so")]  # in the data set's order, however they were clicked
    assert [(r.status, r.labels) for r in found["r2"].responses] == [(ResponseStatus.SUBMITTED, ())]
    stage.tool.ensure_dataset(spec(stage, multi_label=True))


def test_a_sweep_is_complete_beyond_a_thousand_records(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record(f"r{n}") for n in range(1050)])
    answered = {f"r{n}" for n in (0, 1, 249, 250, 499, 500, 749, 999, 1000, 1049)}
    for record_id in answered:
        stage.answer(record_id, "ann", ["good"])
    assert set(swept(stage)) == answered


def test_the_last_activity_moves_with_responses_alone(stage: Stage) -> None:
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.log(stage.workspace, DATASET, [record("r1"), record("r2")])

    def activity() -> object:
        return stage.tool.last_activity(stage.workspace, DATASET)

    seen = [activity()]
    acts: list[Callable[[], None]] = [
        lambda: stage.draft("r1", "ann", ["good"]),
        lambda: stage.draft("r1", "ann", ["bad"]),
        lambda: stage.answer("r1", "ann", ["good"]),
        lambda: stage.answer("r1", "ann", ["bad"]),
        lambda: stage.discard("r1", "ann"),
        lambda: stage.discard("r2", "bob"),
        lambda: stage.withdraw("r1", "ann"),
    ]
    for act in acts:
        act()
        seen.append(activity())
        read(stage, "r1")
        swept(stage)
        stage.tool.log(stage.workspace, DATASET, [record("r1"), record("r2")])
        assert activity() == seen[-1]
        assert stage.tool.activity([stage.workspace]) == {(stage.workspace, DATASET): seen[-1]}
    assert len(set(seen)) == len(acts) + 1


def test_one_look_shows_the_activity_of_all_data_sets(stage: Stage) -> None:
    tool, workspace = stage.tool, stage.workspace
    assert tool.activity([]) == tool.activity([workspace]) == tool.activity(["elsewhere"]) == {}
    stage.tool.ensure_dataset(spec(stage))
    stage.tool.ensure_dataset(replace(spec(stage), name="another"))
    stage.tool.log(workspace, DATASET, [record("r1")])
    expected = {(workspace, name): tool.last_activity(workspace, name) for name in (DATASET, "another")}
    assert tool.activity([workspace]) == tool.activity([workspace, "elsewhere"]) == expected
    stage.answer("r1", "ann", ["good"])
    after = tool.activity([workspace])
    assert [name for name in after if after[name] != expected[name]] == [(workspace, DATASET)]
    tool.delete_dataset(workspace, "another")
    assert list(tool.activity([workspace])) == [(workspace, DATASET)]


# What only a real server can show.


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_a_half_made_data_set_is_completed(real: ArgillaStage, steps: int) -> None:
    """Made by hand up to where a maker was killed: the bare draft, with its field, its question, one property."""
    owner = real.server.owner
    draft = {"name": DATASET, "workspace_id": real.server.workspace_id(real.workspace)}
    path = f"datasets/{expect(owner.post('datasets', json=draft))['id']}"
    options = [{"value": name, "text": name} for name in ("good", "bad", "so-so")]
    settings = {"type": "label_selection", "options": options}
    parts = [
        ("fields", {"name": "text", "title": "Text", "required": True, "settings": {"type": "text"}}),
        ("questions", {"name": "label", "title": "Label", "required": True, "settings": settings}),
        ("metadata-properties", {"name": "batch", "title": "Batch", "settings": {"type": "terms"}}),
    ]
    for part, payload in parts[:steps]:
        expect(owner.post(f"{path}/{part}", json=payload))
    with pytest.raises(NotFound):
        real.tool.read(real.workspace, DATASET, ["r1"])
    real.tool.ensure_dataset(spec(real))
    real.tool.log(real.workspace, DATASET, [suggested("r1", "good")])
    assert real.dataset()["status"] == "ready"
    assert real.guidelines()[0] == "Read well."
    assert real.shown("r1").suggested == ("good",)


def test_a_draft_that_asks_something_else_is_refused(real: ArgillaStage) -> None:
    owner = real.server.owner
    draft = {"name": DATASET, "workspace_id": real.server.workspace_id(real.workspace)}
    path = f"datasets/{expect(owner.post('datasets', json=draft))['id']}"
    question = {"name": "opinion", "title": "?", "required": True, "settings": {"type": "text"}}
    field = {"name": "title", "title": "Title", "required": True, "settings": {"type": "text"}}
    expect(owner.post(f"{path}/questions", json=question))
    expect(owner.post(f"{path}/fields", json=field))
    with pytest.raises(InvalidInput, match="title"):
        real.tool.ensure_dataset(spec(real))


def test_annotators_cannot_tell_what_is_hold_out(real: ArgillaStage) -> None:
    real.tool.ensure_dataset(spec(real))
    query = record("q", uncertainty=0.9, model_version="v1")
    holdout = record("h", purpose=Purpose.HOLDOUT, model_version="v1")
    real.tool.log(real.workspace, DATASET, [query, holdout])
    as_shown = [real.record(record_id, annotator="ann") for record_id in ("q", "h")]
    assert [shown["metadata"] for shown in as_shown] == [{"batch": "batch-1"}] * 2
    assert real.record("q")["metadata"] == {"batch": "batch-1", "uncertainty": 0.9, "model_version": "v1"}
    assert "holdout" not in str(real.record("h"))


def test_records_that_somebody_else_put_there_are_borne(real: ArgillaStage) -> None:
    real.tool.ensure_dataset(spec(real))
    real.tool.log(real.workspace, DATASET, [record("r1")])
    response = {"user_id": real.user_id("ann"), "status": "submitted", "values": {"label": {"value": "good"}}}
    by_hand = {"fields": {"text": "typed in"}, "responses": [response]}
    path = f"datasets/{real.dataset()['id']}/records/bulk"
    expect(real.server.owner.post(path, json={"items": [by_hand]}))
    real.answer("r1", "ann", ["bad"])
    assert set(swept(real)) == {"r1"}


def test_a_response_with_null_for_values_is_read(real: ArgillaStage) -> None:
    """Where the index of a real search engine chokes on it (upstream), the answer is in the database all the same."""
    real.tool.ensure_dataset(spec(real))
    real.tool.log(real.workspace, DATASET, [record("r1")])
    real.discard_with_null("r1", "ann")
    for found in (swept(real), read(real, "r1")):
        assert [(r.status, r.labels) for r in found["r1"].responses] == [(ResponseStatus.DISCARDED, ())]


def test_a_wrong_key_is_unauthorized(real: ArgillaStage) -> None:
    with ArgillaTool(real.server.url, "nobody's") as tool, pytest.raises(Unauthorized, match="TORNIO_ARGILLA_API_KEY"):
        tool.read(real.workspace, DATASET, ["r1"])


def test_an_annotators_key_is_told_what_to_ask_for(real: ArgillaStage) -> None:
    real.tool.ensure_dataset(spec(real))
    real.tool.log(real.workspace, DATASET, [record("r1")])
    ann = real.server.user("ann")
    with ArgillaTool(real.server.url, ann["api_key"]) as tool:
        for act in (
            lambda: tool.ensure_dataset(spec(real, guidelines="Mine.")),
            lambda: tool.log(real.workspace, DATASET, [record("r2")]),
            lambda: tool.read(real.workspace, DATASET, ["r1"]),
            lambda: tool.sweep(real.workspace, DATASET),
            lambda: tool.delete(real.workspace, DATASET, ["r1"]),
            lambda: tool.delete_dataset(real.workspace, DATASET),
        ):
            with pytest.raises(Forbidden, match=f"Ask an owner of {real.server.url}.*{ann['username']}.*role admin"):
                act()


def test_an_admin_works_where_it_is_a_member_and_is_told_to_ask_elsewhere(real: ArgillaStage) -> None:
    admin = real.server.user("admin", role="admin")
    with ArgillaTool(real.server.url, admin["api_key"]) as tool:
        elsewhere = f"w-{uuid4().hex[:12]}"
        for workspace in (elsewhere, real.workspace):
            with pytest.raises(Forbidden, match=f"to create workspace '{workspace}' .*{admin['username']}"):
                tool.ensure_dataset(spec(real, workspace=workspace))
        with pytest.raises(Forbidden, match="Ask an owner"):
            tool.read(real.workspace, DATASET, ["r1"])
        real.server.join(real.workspace, "admin")
        tool.ensure_dataset(spec(real))
        tool.log(real.workspace, DATASET, [record("r1")])
        real.answer("r1", "ann", ["good"])
        assert [annotated.record_id for annotated in tool.sweep(real.workspace, DATASET)] == ["r1"]
        members = {real.user_id(name) for name in ("ann", "bob", "admin")}
        assert set(tool.accounts(real.workspace)) == members < set(real.tool.accounts(real.workspace))
        tool.delete_dataset(real.workspace, DATASET)


def test_an_owner_makes_the_workspace(real: ArgillaStage) -> None:
    workspace = f"w-{uuid4().hex[:12]}"
    real.tool.ensure_dataset(spec(real, workspace=workspace))
    real.tool.log(workspace, DATASET, [record("r1")])
    real.tool.delete_dataset(workspace, DATASET)
    expect(real.server.owner.delete(f"workspaces/{real.server.workspace_id(workspace)}"))
    with pytest.raises(NotFound, match=workspace):
        real.tool.read(workspace, DATASET, ["r1"])


def test_a_data_set_replaced_by_another_process_is_found_again(real: ArgillaStage) -> None:
    real.tool.ensure_dataset(spec(real))
    real.tool.log(real.workspace, DATASET, [record("r1")])
    with ArgillaTool(real.server.url, real.server.api_key) as other:
        other.delete_dataset(real.workspace, DATASET)
        other.ensure_dataset(spec(real))
    real.tool.log(real.workspace, DATASET, [record("r2")])
    assert set(read(real, "r1", "r2")) == {"r2"}


def test_the_version_is_known(real: ArgillaStage) -> None:
    assert real.tool.version().startswith("2.")


@pytest.mark.unit
def test_a_server_that_is_away_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        address = f"http://127.0.0.1:{closed_soon.getsockname()[1]}"
    with ArgillaTool(address, "key", retry_s=0.5) as tool, pytest.raises(Unavailable, match=address):
        tool.last_activity("team", DATASET)
