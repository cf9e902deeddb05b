"""From the store to an answer: sound versions serve, broken ones are refused with their reason."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.swapping.workshop import BROKEN, FULL_NAME, LABELS, Workshop, tiny_encoder
from services.classifier.answers import answer
from services.classifier.checkpoints import Checkpoints
from services.classifier.predictor import Predictor
from services.classifier.settings import ClassifierSettings
from services.classifier.shelf import Shelf
from services.messages import Aliases
from tornio.api import TaskName
from tornio.errors import NotFound, UnfitCheckpoint
from tornio.models.loading import Loader
from tornio.models.port import Model
from tornio.registry import CURRENT, NodeCache
from tornio.schemas.keys import TaskKeys
from tornio.schemas.live import LiveWindow
from tornio.settings import NodeSettings
from tornio.storage import documents
from tornio.storage.memory import MemoryStore

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture
def workshop(encoder: str, tmp_path: Path) -> Workshop:
    return Workshop.over(MemoryStore(), tmp_path / "trainer", encoder)


@pytest.fixture
def shelf(workshop: Workshop, tmp_path: Path) -> Shelf[Model]:
    """A replica's, with a cache of its own."""
    loader = Loader(workshop.store, NodeCache(tmp_path / "replica", workshop.store), "float32")
    return Shelf[Model](Checkpoints(workshop.store, loader).load, time.monotonic)


def serve(shelf: Shelf[Model], aliases: Aliases) -> None:
    shelf.apply({FULL_NAME: aliases})
    while shelf.work() == 0:
        pass


def test_answers_carry_version_and_revision(workshop: Workshop, shelf: Shelf[Model]) -> None:
    workshop.publish("v1", favourite=1)
    serve(shelf, Aliases(("v1", 3)))
    first, second = answer(shelf.serving(FULL_NAME), ["short", "long " * 200])
    assert first.labels == ("bug",)
    assert list(first.probabilities) == list(LABELS)
    assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert (first.version, first.revision) == ("v1", 3)
    assert (first.truncated, second.truncated) == (False, True)
    assert answer(shelf.serving(FULL_NAME), []) == []


REASONS = {
    "corrupt": "digest|sha256|bytes",
    "truncated": "digest|sha256|bytes",
    "not_a_number": "not all finite",
    "other_labels": "spam",
    "another_tasks": "the task has",
    "failing_probe": "outputs for the probes differ",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_version_answers_nothing_and_its_reason_is_reported(
    workshop: Workshop, shelf: Shelf[Model], how: str
) -> None:
    workshop.publish("v1")
    serve(shelf, Aliases(("v1", 1)))
    getattr(workshop, how)("bad")
    serve(shelf, Aliases(("v1", 1), candidate="bad"))
    serve(shelf, Aliases(("bad", 2), previous="v1", candidate="bad"))
    report = shelf.report()[FULL_NAME]
    assert report.serving == ("v1", 1)
    assert report.ready == ("v1",)
    assert list(report.failed) == ["bad"]
    assert any(part in report.failed["bad"] for part in REASONS[how].split("|")), report.failed["bad"]
    assert shelf.work() is None  # final: it is not tried again
    assert answer(shelf.serving(FULL_NAME), ["hello"])[0].version == "v1"


def test_a_manifest_in_anothers_place_is_refused(workshop: Workshop) -> None:
    workshop.publish("v1")
    workshop.store.put(workshop.keys.version("v2"), workshop.store.get(workshop.keys.version("v1")).body)
    checkpoints = Checkpoints(workshop.store, workshop.loader)
    with pytest.raises(UnfitCheckpoint, match="that of support/tickets v1"):
        checkpoints.load(FULL_NAME, "v2")
    with pytest.raises(NotFound):
        checkpoints.load(FULL_NAME, "v3")


def test_a_replica_answers_by_the_version_that_a_request_names(workshop: Workshop, tmp_path: Path) -> None:
    for favourite, version in ((0, "v0"), (1, "v1"), (0, "v2")):
        workshop.publish(version, favourite=favourite)
    workshop.registry.move(CURRENT, "v1", 0, "test", "passed")
    workshop.registry.move(CURRENT, "v2", 1, "test", "passed")
    node = NodeSettings(cache_dir=tmp_path / "node", precision="float32")
    task = TaskName(*FULL_NAME.split("/"))

    offered = list[tuple[str, Sequence[str]]]()

    async def ask() -> list[tuple[str, int, str]]:
        predictor = Predictor(
            workshop.store, None, "r1", node, ClassifierSettings(), offer=lambda *texts: offered.append(texts)
        )
        await predictor.start()
        try:
            names = (None, "previous", "v0", "v2")
            found = [(await predictor.predict(task, ["a text"], name))[0] for name in names]
            with pytest.raises(NotFound, match="no version v9"):
                await predictor.load(task, "v9")
            await predictor.ask(task)
            await predictor.unload(task)
        finally:
            await predictor.stop()
        return [(one.version, one.revision, one.labels[0]) for one in found]

    assert asyncio.run(ask()) == [
        ("v2", 2, LABELS[0]),
        ("v1", 0, LABELS[1]),
        ("v0", 0, LABELS[0]),
        ("v2", 2, LABELS[0]),
    ]
    assert offered == [(FULL_NAME, ["a text"])], "a request that names a version is not offered to the pool"
    live = [
        documents.load(workshop.store, info.key, LiveWindow)[0] for info in workshop.store.list(TaskKeys(*task).live)
    ]
    assert [
        (version, counts.texts, counts.labels[LABELS[0]]) for one in live for version, counts in one.versions.items()
    ] == [("v2", 1, 1)]  # a request that names a version is not counted
    assert all(counts.tokens == 4 for one in live for counts in one.versions.values())  # a, text, and two special ones
