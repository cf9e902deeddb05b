"""``tornio review`` and ``tornio export corrected``, on a run in a folder and an annotation tool in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.unit.review.scored import mood, write_run
from tornio.annotation.fake import FakeAnnotationTool
from tornio.cli import main, review
from tornio.errors import Unavailable
from tornio.storage.local import LocalStore

pytestmark = pytest.mark.unit

Tornio = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> FakeAnnotationTool:
    tool = FakeAnnotationTool()
    monkeypatch.setattr(review, "_annotation", lambda: nullcontext(tool))
    return tool


@pytest.fixture
def tornio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tool: FakeAnnotationTool
) -> Tornio:
    """The command line in a folder of its own, whose store has no more than a run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TORNIO_STORE_DIR", str(tmp_path / "store"))
    monkeypatch.delenv("TORNIO_S3_BUCKET", raising=False)

    def run(*words: object) -> tuple[int, str, str]:
        return main([str(word) for word in words]), *capsys.readouterr()

    return run


@pytest.fixture
def run(tmp_path: Path) -> str:
    return write_run(LocalStore(tmp_path / "store"), mood(5))


def test_there_and_back(tornio: Tornio, tool: FakeAnnotationTool, run: str) -> None:
    code, out, err = tornio("review", "send", run, "--top", 3, "--name", "mine")
    assert code == 0, err
    assert (
        "mine in Argilla shows 3 rows, 3 of them new\nmost suspicious first: fake://default/mine?sort=loss.desc" in out
    )
    assert f"tornio review sync {run} --watch" in err
    tool.answer("default", "mine", "r4", "ann", ["good"])
    tool.answer("default", "mine", "r3", "ann", ["bad"])
    tool.discard("default", "mine", "r2", "ann")
    said = "2 of 3 rows are reviewed, 1 labels were wrong: precision 50.0 %; 1 discarded\n"
    assert tornio("review", "sync", run) == (0, said, "")
    code, out, _ = tornio("export", "corrected", run, "-o", "corrected.jsonl")
    assert out == "wrote 5 rows to corrected.jsonl\n"
    rows = [json.loads(line) for line in Path("corrected.jsonl").read_text().splitlines()]
    assert [row["corrected_label"] for row in rows] == ["bad"] * 4 + ["good"]
    assert [row["review"] for row in rows] == ["unreviewed", "unreviewed", "discarded", "confirmed", "changed"]


def test_the_report_tells_what_reviewers_said(tornio: Tornio, tool: FakeAnnotationTool, run: str) -> None:
    assert tornio("review", "report", run) == (0, "wrote report.html\n", "")
    assert "the reviewed" not in Path("report.html").read_text()
    tornio("review", "send", run, "--top", 3, "--name", "mine")
    tool.answer("default", "mine", "r4", "ann", ["good"])
    tool.answer("default", "mine", "r3", "ann", ["bad"])
    tornio("review", "sync", run)
    assert json.loads(tornio("review", "report", run, "-o", "after.html", "--json")[1]) == {"path": "after.html"}
    page = Path("after.html").read_text()
    assert "1 of the 2 reviewed rows had a wrong label: 50.0 %" in page
    assert ">changed: " in page
    assert "the folder no does not exist" in tornio("review", "report", run, "-o", "no/such.html")[2]


def test_answers_for_programs(tornio: Tornio, run: str) -> None:
    sent = json.loads(tornio("review", "send", run, "--loss-quantile", 0.5, "--json")[1])
    assert (sent["rows"], sent["new"], sent["left_out"]) == (2, 2, 0)
    assert json.loads(tornio("review", "sync", run, "--json")[1]) == {
        "shown": 2, "reviewed": 0, "changed": 0, "discarded": 0, "disputed": 0, "precision": None,
    }  # fmt: skip
    assert json.loads(tornio("export", "corrected", run, "-o", "set", "--json")[1]) == {"path": "set", "rows": 5}
    assert Path("set", "dataset_info.json").is_file()


def test_watching_goes_on_through_an_outage_and_tells_what_is_new(
    tornio: Tornio, tool: FakeAnnotationTool, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tornio("review", "send", run, "--top", 2, "--name", "mine")
    looks = iter(range(10))

    def meanwhile(seconds: float) -> None:
        assert seconds == 3
        match next(looks):
            case 0:
                tool.before = away
            case 1:
                tool.before = None
            case 2:
                tool.answer("default", "mine", "r4", "ann", ["good"])
            case 3:
                raise KeyboardInterrupt

    def away(_: str) -> None:
        raise Unavailable("Argilla does not answer")

    monkeypatch.setattr("tornio.cli.review.time.sleep", meanwhile)
    code, out, err = tornio("review", "sync", run, "--watch", "--every", 3)
    assert code == 130
    assert [line[:6] for line in out.splitlines()] == ["0 of 2", "1 of 2"]
    assert "Argilla does not answer (checking again in 3 s)" in err


URL_FOR_NOTHING = (
    *(("review", name) for name in ("send", "sync", "report")),
    ("export", "corrected", "-o", "out.csv"),
)
"""Commands that ask no server for a run without a task."""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("review", "send", "score-nobody"), 1, "there is no run 'score-nobody'"),
        (("review", "send", "RUN", "--top", 1, "--loss-quantile", 0.9), 2, "not both"),
        (("review", "send", "RUN", "--loss-quantile", 1), 1, "below 1"),
        (("review", "sync", "RUN"), 1, "tornio review send"),
        *[((*words, "RUN", "--url", "http://a"), 2, "Name the task with --task") for words in URL_FOR_NOTHING],
        (("export", "corrected", "RUN", "-o", "out.xlsx"), 1, "hub:NAME"),
        (("export", "corrected", "RUN", "-o", "hub:a/b/c"), 1, "not a valid name of a data set"),
        (("export", "corrected", "RUN", "-o", "hub:mine"), 1, "HF_HUB_OFFLINE"),
    ],
)
def test_what_is_wrong_is_said(tornio: Tornio, run: str, words: tuple[object, ...], code: int, said: str) -> None:
    ended, _, err = tornio(*(run if word == "RUN" else word for word in words))
    assert ended == code
    assert said in err


def test_argilla_is_found_where_it_is_set_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORNIO_STORE_DIR", str(tmp_path / "store"))
    for name in ("TORNIO_ARGILLA_URL", "TORNIO_ARGILLA_API_KEY", "TORNIO_ARGILLA_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert main(["review", "send", run]) == 1
    assert "No Argilla is configured. Set TORNIO_ARGILLA_URL" in capsys.readouterr().err
    monkeypatch.setenv("TORNIO_ARGILLA_URL", "http://127.0.0.1:9")
    assert main(["review", "send", run]) == 1
    assert "The key for Argilla at http://127.0.0.1:9 cannot be read" in capsys.readouterr().err
