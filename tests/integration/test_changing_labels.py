"""The labels of a task change while a batch is open and predictions run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.annotating import Annotator, whole_batch
from tests.integration.conftest import Command
from tests.running import LABELS, Running, messages, serving, spec, until
from tornio.api import LabelIn, RecordIn
from tornio.client import Client

pytestmark = pytest.mark.integration
ALL = messages(120)
TASK = "shop/relabelled"
NOW = {"billing": "money", "cancel": "money", "login": "access"}
"""bug is removed; the other labels stay."""


@contextmanager
def predicting(client: Client) -> Iterator[list[set[str]]]:
    """Predict all the time; the labels of each answer. An error ends the thread and is raised at the end."""
    seen, stop, failed = list[set[str]](), threading.Event(), list[Exception]()

    def loop() -> None:
        try:
            while not stop.wait(0.02):
                seen.append(set(client.predict(TASK, ["Where is my parcel?"])[0].probabilities))
        except Exception as error:  # noqa: BLE001 - it is raised at the end
            failed.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
    assert not failed


def test_no_label_is_lost_and_no_prediction_fails(tornio_up: Running, command: Command) -> None:
    client, ids = tornio_up.client, list(ALL)
    with Annotator(tornio_up.addresses, "shop") as ann:
        client.apply(spec("relabelled"))
        client.import_labels(TASK, [LabelIn(record_id=i, text=ALL[i][0], labels=[ALL[i][1]]) for i in ids[:60]])
        serving(client, TASK, 1)
        client.add_records(TASK, [RecordIn(record_id=i, text=ALL[i][0]) for i in ids[60:]])
        shown = whole_batch(client, ann, TASK)
        ann.answer(shown[0], ALL[shown[0].record_id][1])
        until(lambda: client.status(TASK).batches[0].answered == 1, "the answer is read")

        words = ("--merge", "billing,cancel=money", "--rename", "login=access", "--remove", "bug", "--add", "other")
        assert "Give --yes" in command.fails("labels", "migrate", TASK, *words)
        assert client.status(TASK).serving is not None
        with predicting(client) as seen:
            said = command("labels", "migrate", TASK, *words, "--yes")
            assert "'login' is renamed to 'access'" in said
            serving(client, TASK, 2)
            until(lambda: "money" in seen[-1], "a version with the new labels answers")
        assert {frozenset(labels) for labels in seen} == {
            frozenset(LABELS),
            frozenset({"money", "delivery", "access", "how_to", "feedback", "other"}),
        }

        def kept(label: str) -> str | None:
            return None if label == "bug" else NOW.get(label, label)

        exported = {one.record_id: one.labels for one in client.labels(TASK)}
        given = {*ids[:60], shown[0].record_id}
        assert exported == {i: [kept(ALL[i][1])] for i in given if kept(ALL[i][1])}
        left = {one.record_id for one in shown[1:]} | ({shown[0].record_id} - exported.keys())
        until(
            lambda: {one.record_id for one in ann.pending("relabelled-G2")} == left, "the batch is in the new data set"
        )
        ann.answer(shown[1], "login")  # a late answer in the old data set
        until(
            lambda: {one.record_id: one.labels for one in client.labels(TASK)}.get(shown[1].record_id) == ["access"],
            "the late answer has its new name",
        )
