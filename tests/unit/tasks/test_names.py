"""Names in a spec are checked when it is applied, and not when it is read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plugins import installed
from tornio.errors import InvalidInput, InvalidSpec
from tornio.query.strategies.shuffled import Shuffled
from tornio.schemas.task import SpecDocument
from tornio.spec import TaskSpec
from tornio.stopping import CRITERIA
from tornio.storage import documents
from tornio.storage.memory import MemoryStore
from tornio.tasks import Tasks

pytestmark = pytest.mark.unit


def spec(**sections: Any) -> TaskSpec:
    return TaskSpec.model_validate({"workspace": "w", "name": "t", "labels": ["a", "b"], **sections})


LLM = {"kind": "llm", "endpoint": "gpt"}


def combined(*members: dict[str, Any]) -> dict[str, Any]:
    """A section teacher with these members and the embedding teacher."""
    return {"kind": "combined", "members": [*members, {"kind": "embedding"}]}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"annotation": {"consensus": "crowd"}}, "annotation.consensus"),
        (
            {"annotation": {"consensus": "crowdlab"}},
            "min_submitted is 1 and overlap is 0, so that each text gets one answer",
        ),
        (
            {
                "annotation": {"consensus": "crowdlab", "min_submitted": 2},
                "multi_label": True,
                "teacher": {"kind": "none"},
            },
            "which needs texts with one label each",
        ),
        (
            {"loop": {"strategy": "breaking-tie"}},
            r"loop.strategy: there is no query strategy 'breaking-tie'. Choose one of: random, least-confidence, "
            r"breaking-ties, prediction-entropy.* Did you mean 'breaking-ties'\?",
        ),
        ({"loop": {"cold_start": "breaking-ties"}}, "loop.cold_start: there is no cold start 'breaking-ties'"),
        ({"loop": {"stop": {"criterion": "kappa"}}}, "loop.stop.criterion: there is no stopping criterion 'kappa'"),
        (
            {"classifier": {"kind": "few-shots"}},
            "classifier.kind: there is no kind 'few-shots'. Choose",
        ),
        (
            {"teacher": {"kind": "gpt"}},
            "teacher.kind: there is no kind 'gpt'. Choose one of: embedding, nli, llm, combined, none",
        ),
        (
            {"teacher": combined({"kind": "none"})},
            "teacher.members entry 1 kind: there is no kind 'none'. Choose one of: ",
        ),
        (
            {"teacher": combined({"kind": "gpt"})},
            "entry 1 kind: there is no kind 'gpt'. Choose one of: embedding, nli, llm",
        ),
        ({"teacher": combined({"model": "minilm"})}, "teacher.members entry 2 is the same teacher as entry 1: remove"),
        (
            {"teacher": combined(LLM, {**LLM, "templates": ["{}"]})},
            "teacher.members entry 2 is the same teacher as entry 1",
        ),
        ({"loop": {"strategy_settings": {"k": 3}}}, "loop.strategy_settings.k: .* Settings that can be given: none"),
        (
            {"loop": {"strategy": "adaptive"}},
            r"loop.strategy: the strategy 'adaptive' needs texts with several labels \(multi_label: true\). Choose",
        ),
        (
            {"multi_label": True, "loop": {"strategy": "class-balancer"}},
            r"loop.strategy: the strategy 'class-balancer' needs one label per text",
        ),
        (
            {"loop": {"strategy": "class-balancer", "strategy_settings": {"ignored": ["c"]}}},
            "loop.strategy_settings.ignored: c: no such label. Labels: a, b",
        ),
        (
            {"loop": {"strategy": "seals", "strategy_settings": {"strategy": "adaptive"}}},
            "the strategy 'seals' lets 'adaptive' pick, which needs texts with several labels",
        ),
        (
            {"loop": {"strategy": "seals", "strategy_settings": {"strategy": "mixed"}}},
            "loop.strategy_settings.strategy: 'mixed' lets another strategy pick, too",
        ),
        (
            {"loop": {"strategy": "subsample", "strategy_settings": {"strategy": "badgers"}}},
            "loop.strategy_settings.strategy: there is no query strategy 'badgers'.* Did you mean 'badge'",
        ),
        (
            {"loop": {"strategy": "subsample", "strategy_settings": {"strategy": "bald", "settings": {"members": 1}}}},
            "loop.strategy_settings.settings.members: .*greater than or equal to 2",
        ),
        (
            {"loop": {"strategy": "mixed", "strategy_settings": {"shares": {"badge": 1, "random": 0}}}},
            "loop.strategy_settings.shares: each share must be above 0",
        ),
        (
            {"loop": {"strategy": "mixed", "strategy_settings": {"shares": {"badge": 1}, "settings": {"bald": {}}}}},
            "loop.strategy_settings.settings: bald has settings, but no share",
        ),
        ({"loop": {"stop": {"settings": {"k": 3}}}}, "loop.stop.settings.k: .* Settings that can be given: none"),
    ],
)
def test_a_name_that_nothing_stands_for_is_refused(sections: dict[str, Any], message: str) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidSpec, match=message):
        Tasks(store).apply(spec(**sections), "me")
    assert not list(store.list(""))


def test_what_a_package_brings_may_be_named(tmp_path: Path) -> None:
    tasks = Tasks(MemoryStore())
    with installed("query_strategy", tmp_path / "site"):
        named = {"strategy": "far-from-labels", "strategy_settings": {"unsure": 3}}
        assert tasks.apply(spec(loop=named), "me").created
        with pytest.raises(InvalidSpec, match=r"loop.strategy_settings.unsure: .*greater than or equal to 1"):
            tasks.apply(spec(loop={**named, "strategy_settings": {"unsure": 0}}), "me")
    with pytest.raises(InvalidSpec, match="no query strategy 'far-from-labels'"):
        tasks.apply(spec(loop={**named, "batch_size": 30}), "me")


def test_checking_a_name_imports_nothing(tmp_path: Path) -> None:
    with installed("stopping_criterion", tmp_path / "site"):
        Tasks(MemoryStore()).apply(spec(), "me")
        assert "few-changes" in CRITERIA.names
        assert "few_changes" not in sys.modules


def test_a_stored_spec_with_names_of_a_later_release_is_read() -> None:
    """Two releases run side by side during an upgrade, and a package may be removed."""
    store = MemoryStore()
    tasks = Tasks(store)
    tasks.apply(spec(), "me")
    stored, etag = documents.load(store, "w/tasks/t/specs/1.json", SpecDocument)
    later = spec(loop={"strategy": "later", "stop": {"criterion": "later"}}).model_dump(mode="json")
    documents.replace(store, "w/tasks/t/specs/1.json", stored.evolve(spec=later), etag)
    assert Tasks(store).open("w", "t").spec.loop.strategy == "later"


def test_settings_that_are_taken_out_are_gone_and_fields_of_a_later_release_stay(tmp_path: Path) -> None:
    store = MemoryStore()
    tasks = Tasks(store)
    with installed("query_strategy", tmp_path / "site"), installed("training_method", tmp_path / "methods"):
        tasks.apply(
            spec(
                loop={"strategy": "far-from-labels", "strategy_settings": {"unsure": 3}},
                training={"method": "nearest-centroid", "settings": {"sharpness": 5}},
            ),
            "me",
        )
    stored, etag = documents.load(store, "w/tasks/t/specs/1.json", SpecDocument)
    later = {**stored.spec, "from_later": 1, "loop": {**stored.spec["loop"], "also_later": {"deep": True}}}
    documents.replace(store, "w/tasks/t/specs/1.json", stored.evolve(spec=later), etag)
    tasks = Tasks(store)
    tasks.apply(spec(), "me")
    assert tasks.open("w", "t").spec == spec()
    written = documents.load(store, "w/tasks/t/specs/2.json", SpecDocument)[0].spec
    assert written["from_later"] == 1
    assert written["loop"]["also_later"] == {"deep": True}
    assert "training" not in written


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ImportError('no torch here')", "cannot be used: ImportError: no torch here"),
        ("import sys; sys.exit(3)", "cannot be used: SystemExit"),
        ("ENTRY = object()", "must be an instance of QueryStrategy"),
        (f"from {Shuffled.__module__} import Shuffled as ENTRY", "must be an instance of QueryStrategy"),
        ("class E:\n reads_pool = True\n settings = None\n def select(self, *_): ...\nENTRY = E()", "cannot be used"),
    ],
)
@pytest.mark.parametrize("field", ["strategy", "cold_start"])
def test_an_entry_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str, field: str
) -> None:
    info = tmp_path / f"broken_{abs(hash((body, field)))}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tornio.query_strategies]\nbroken = broken_entry:ENTRY\n")
    (tmp_path / "broken_entry.py").write_text(body)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_entry", raising=False)
    with pytest.raises(InvalidInput, match=message):
        Tasks(MemoryStore()).apply(spec(loop={field: "broken"}), "me")
    sys.modules.pop("broken_entry", None)
