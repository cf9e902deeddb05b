"""``tornio predict FILE --output``: every format, interruptions, and what is refused. No sockets."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.cli.test_views import STATUS
from tornio import Client, api
from tornio.cli import main
from tornio.records import Prediction

pytestmark = pytest.mark.unit

TASK = "acme/reviews"
LABELS = ("bad", "good", "odd")


def prediction(text: str, version: str = "v1", several: bool = False) -> Prediction:
    """What the server below says of a text: the digits of the text are the probability of good."""
    good = int("".join(filter(str.isdigit, text)) or 0) % 100 / 100
    probabilities = {"bad": (1 - good) / 2, "good": good, "odd": (1 - good) / 2}
    labels = tuple(name for name in LABELS if probabilities[name] >= 0.5) if several else (max_of(probabilities),)
    return Prediction(labels, probabilities, len(text) > 1000, version, 1, multi_label=several)


def max_of(probabilities: Mapping[str, float]) -> str:
    return max(LABELS, key=lambda name: probabilities[name])


class Server(httpx.BaseTransport):
    """Answers predictions and the status. ``before``: called with the texts of a request; its response comes instead.

    Requests may come from several threads.
    """

    def __init__(self, several: bool = False) -> None:
        self.several = several
        self.version = "v1"
        self.asked: list[list[str]] = []
        self.before: Callable[[list[str]], httpx.Response | None] = lambda texts: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/predict"):
            return httpx.Response(200, json=status(self.several))
        texts = json.loads(request.read())["texts"]
        if (instead := self.before(texts)) is not None:
            return instead
        self.asked.append(texts)
        predictions = [prediction(text, self.version, self.several) for text in texts]
        return httpx.Response(200, content=api.Predictions(predictions=predictions).model_dump_json())


def status(several: bool) -> Mapping[str, Any]:
    return {**STATUS.model_dump(mode="json"), "labels": LABELS, "multi_label": several}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tornio.cli.predict._PATIENCE_S", 0.0)
    return Server()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(server: Server, capsys: pytest.CaptureFixture[str]) -> Run:
    def predict(*argv: object) -> tuple[int, str, str]:
        def client(url: str | None) -> Client:
            return Client(url or "http://tornio", "key", transport=server, retry_seconds=0)

        code = main(["predict", *map(str, argv)], client)
        return code, *capsys.readouterr()

    return predict


def texts(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


def put_csv(name: str, rows: Sequence[Sequence[str]], columns: Sequence[str] = ("id", "text", "price")) -> str:
    with Path(name).open("w", newline="") as out:
        csv.writer(out).writerows([columns, *rows])
    return name


def read(name: str) -> list[dict[str, Any]]:
    """The rows of an output, without the note on formulas."""
    path = Path(name)
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    return [{name: cell for name, cell in row.items() if name != "escaped"} for row in rows]


def test_a_file_is_written_again_with_what_a_plain_loop_of_the_client_says(run: Run, server: Server) -> None:
    rows = [(str(n), text, f"-{n}.5") for n, text in enumerate(texts(1234))]
    code, out, err = run(TASK, put_csv("in.csv", rows), "-o", "out.csv")
    assert code == 0, err
    assert "wrote 1,234 rows to out.csv (read as CSV separated by commas), predicted by v1" in out
    assert not Path("out.csv.partial").exists()
    with Client("http://tornio", "key", transport=server) as client:
        plain = client.predict(TASK, texts(1234))
    assert read("out.csv") == [
        {
            "id": row_id,
            "text": text,
            "price": price,
            "label": one.labels[0],
            "score": str(round(one.probabilities[one.labels[0]], 7)),
            "version": "v1",
            "truncated": "false",
        }
        for (row_id, text, price), one in zip(rows, plain, strict=True)
    ]


def test_without_output_the_arguments_are_texts_even_if_a_file_has_that_name(run: Run, server: Server) -> None:
    put_csv("in.csv", [("1", "text", "")])
    assert run(TASK, "in.csv")[0] == 0
    assert server.asked == [["in.csv"]]
    code, _, err = run(TASK, "a text", "-o", "out.csv")
    assert (code, "no file a text exists. With --output, a file is classified" in err) == (1, True)
    assert "Found 2 files" in run(TASK, "in.csv", "in.csv", "-o", "out.csv")[2]
    assert run(TASK, "-f", "in.csv", "-o", "out.csv")[0] == 0


def put(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    path = Path(name)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with path.open("w", newline="") as file:
            out = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
            out.writeheader()
            out.writerows(rows)
    return name


@pytest.mark.parametrize("source", ["in.csv", "in.tsv", "in.jsonl", "in.parquet"])
@pytest.mark.parametrize("target", ["out.csv", "out.tsv", "out.jsonl", "out.parquet"])
def test_every_format_keeps_the_columns(run: Run, source: str, target: str) -> None:
    rows = [{"id": n, "text": f'=A{n}, "q"\r\n\tü', "share": n / 4, "note": None if n else "x"} for n in range(3)]
    code, _, err = run(TASK, put(source, rows), "-o", target, "--no-escape-formulas")
    assert code == 0, err
    got = read(target)
    assert [row["text"] for row in got] == [row["text"] for row in rows]
    assert [(str(row["id"]), float(row["share"])) for row in got] == [(str(n), n / 4) for n in range(3)]
    assert [row["note"] or None for row in got] == ["x", None, None]
    assert [row["label"] for row in got] == ["bad"] * 3
    assert list(got[0]) == ["id", "text", "share", "note", "label", "score", "version", "truncated"]
    typed = {".jsonl", ".parquet"}
    if {Path(source).suffix, Path(target).suffix} <= typed:
        assert [{name: row[name] for name in rows[0]} for row in got] == rows
        assert [row["truncated"] for row in got] == [False] * 3
    assert run(TASK, target, "-o", "again.jsonl", "--prefix", "new_")[0] == 0
    assert [row["text"] for row in read("again.jsonl")] == [row["text"] for row in rows]


def test_parquet_keeps_its_types(run: Run) -> None:
    table = pa.table(
        {
            "text": ["a", "b"],
            "when": pa.array([1, None], pa.timestamp("us")),
            "tags": [["x"], []],
            "kind": pa.array(["k", "k"]).dictionary_encode(),
        }
    )
    pq.write_table(table, "in.parquet")
    assert run(TASK, "in.parquet", "-o", "out.parquet")[0] == 0
    assert pq.read_table("out.parquet").select(table.column_names).equals(table)
    assert run(TASK, "in.parquet", "-o", "out.jsonl")[0] == 0
    assert read("out.jsonl")[0] | {"when": "1970-01-01T00:00:00.000001", "tags": ["x"]} == read("out.jsonl")[0]


def test_formulas_are_made_harmless_and_read_back(run: Run) -> None:
    put_csv("in.csv", [("1", "=1+1", "-3"), ("2", "text", "+4")])
    assert run(TASK, "in.csv", "-o", "out.csv")[0] == 0
    with Path("out.csv").open() as file:
        assert [(row["text"], row["price"], row["escaped"]) for row in csv.DictReader(file)] == [
            ("'=1+1", "-3", "text"),
            ("text", "'+4", "price"),
        ]
    assert run(TASK, "out.csv", "-o", "again.jsonl", "--prefix", "new_")[0] == 0
    assert [row["text"] for row in read("again.jsonl")] == ["=1+1", "text"]


def test_probabilities_or_the_most_probable_labels(run: Run) -> None:
    put_csv("in.csv", [("1", "text 70", "")])
    for suffix in ("csv", "parquet"):
        assert run(TASK, "in.csv", "-o", f"all.{suffix}", "--probabilities")[0] == 0
        row = read(f"all.{suffix}")[0]
        assert [round(float(row[f"p({name})"]), 5) for name in LABELS] == [0.15, 0.7, 0.15]
        assert run(TASK, "in.csv", "-o", f"top.{suffix}", "--top-k", 2)[0] == 0
        row = read(f"top.{suffix}")[0]
        assert (row["label_1"], round(float(row["score_1"]), 5), row["label_2"]) == ("good", 0.7, "bad")
    assert run(TASK, "in.csv", "-o", "all.jsonl", "--probabilities")[0] == 0
    assert read("all.jsonl")[0]["probabilities"] == {"bad": 0.15, "good": 0.7, "odd": 0.15}
    assert run(TASK, "in.csv", "-o", "top.jsonl", "--top-k", 5)[0] == 0
    assert [one["label"] for one in read("top.jsonl")[0]["top"]] == ["good", "bad", "odd"]
    assert "Leave it out, or --top-k" in run(TASK, "in.csv", "-o", "o.csv", "--probabilities", "--top-k", 2)[2]


def test_several_labels_are_a_list(run: Run, server: Server) -> None:
    server.several = True
    put_csv("in.csv", [("1", "text 70", ""), ("2", "text 40", "")])
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        assert run(TASK, "in.csv", "-o", name)[0] == 0
        got = [(row["labels"], row["score"] or None) for row in read(name)]
        assert [labels for labels, _ in got] == (["good", ""] if name == "out.csv" else [["good"], []])
        assert got[1][1] is None


def test_the_least_certain_come_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tornio.files.kept.in_order_of.__defaults__", (7,))
    put_csv("in.csv", [(str(n), text, "") for n, text in enumerate(texts(100))])
    assert run(TASK, "in.csv", "-o", "out.csv", "--sort", "least-certain")[0] == 0
    rows = read("out.csv")
    expected = sorted(range(100), key=lambda n: round(max(prediction(f"text {n}").probabilities.values()), 7))
    assert [int(row["id"]) for row in rows] == expected
    assert [row["text"] for row in rows] == [f"text {n}" for n in expected]


def test_rows_that_cannot_be_used_are_said_with_their_lines(run: Run) -> None:
    Path("in.csv").write_text("id,text\n1,a\n2,\n3,b,too,many\n4,\u200b\n5,c\n")
    code, _, err = run(TASK, "in.csv", "-o", "out.csv")
    assert [row["id"] for row in read("out.csv")] == ["1", "5"]
    assert (code, "in.csv: skipped 1 (line 3): no text" in err) == (0, True)
    assert "(line 4): 4 fields where the first line has 2" in err
    assert "(line 5): the text has no visible character" in err
    said = json.loads(run(TASK, "in.csv", "-o", "out2.csv", "--json")[1])
    assert (said["rows"], said["skipped"], said["versions"]) == (2, 3, {"v1": 2})
    Path("none.csv").write_text("id,text\n1,\n")
    assert "none.csv has no row that can be used; line 2: no text" in run(TASK, "none.csv", "-o", "o.csv")[2]


class Killed(BaseException):
    """Ends the command as a kill would: nothing handles it."""


@pytest.mark.parametrize("error", [Killed, KeyboardInterrupt, None])
def test_an_interrupted_command_goes_on_where_it_stopped(
    run: Run, server: Server, error: type[BaseException] | None
) -> None:
    put_csv("in.csv", [(str(n), text, "") for n, text in enumerate(texts(2000))])
    assert run(TASK, "in.csv", "-o", "whole.csv")[0] == 0
    server.asked.clear()

    def fail(asked: list[str]) -> httpx.Response | None:
        if "text 1100" in asked:
            if error is None:
                return httpx.Response(503)
            raise error
        return None

    server.before = fail
    if error is Killed:
        with pytest.raises(Killed):
            run(TASK, "in.csv", "-o", "out.csv")
    else:
        code, _, err = run(TASK, "in.csv", "-o", "out.csv")
        assert code == (1 if error is None else 130)
        assert "1,000 of 2,000 rows are classified and kept in out.csv.partial. Start the same command again" in err
    assert not Path("out.csv").exists()
    with Path("out.csv.partial").open("ab") as file:
        file.write(b'["v1",["ba')  # a kill in the middle of a line
    server.before = lambda asked: None
    server.asked.clear()
    server.version = "v2"
    code, out, err = run(TASK, "in.csv", "-o", "out.csv")
    assert (code, "1,000 of 2,000 rows are classified already" in err) == (0, True)
    assert sorted(text for asked in server.asked for text in asked) == sorted(texts(2000)[1000:])
    assert "predicted by v1 (1,000), v2 (1,000)" in out
    assert "The version that serves changed meanwhile" in err
    rows, whole = read("out.csv"), read("whole.csv")
    assert [row["version"] for row in rows] == ["v1"] * 1000 + ["v2"] * 1000
    assert [{**row, "version": ""} for row in rows] == [{**row, "version": ""} for row in whole]
    assert not Path("out.csv.partial").exists()


def test_a_partial_result_of_another_input_is_not_continued(run: Run, server: Server) -> None:
    put_csv("in.csv", [(str(n), text, "") for n, text in enumerate(texts(600))])
    server.before = lambda asked: httpx.Response(503) if "text 300" in asked else None
    assert run(TASK, "in.csv", "-o", "out.csv")[0] == 1
    server.before = lambda asked: None
    assert "which probabilities are written differs" in run(TASK, "in.csv", "-o", "out.csv", "--top-k", 2)[2]
    assert "the task or model differs" in run("acme/other", "in.csv", "-o", "out.csv")[2]
    put_csv("in.csv", [("1", "other", "")])
    code, _, err = run(TASK, "in.csv", "-o", "out.csv")
    assert (code, "the input differs" in err, "--restart" in err) == (1, True, True)
    assert run(TASK, "in.csv", "-o", "out.csv", "--restart")[0] == 0
    assert [row["text"] for row in read("out.csv")] == ["other"]


def test_a_file_that_changes_meanwhile_is_noticed(run: Run, server: Server) -> None:
    put_csv("in.csv", [("1", "one", "")])

    def change(_: list[str]) -> None:
        put_csv("in.csv", [("1", "two", "")])

    server.before = change
    code, _, err = run(TASK, "in.csv", "-o", "out.csv")
    assert (code, "in.csv has changed while it was read" in err, Path("out.csv").exists()) == (1, True, False)


def test_what_is_refused_before_anything_is_asked(run: Run, server: Server) -> None:
    put_csv("in.csv", [("1", "one", "gold")], ("id", "text", "label"))
    Path("there.csv").write_text("")
    for words, why in (
        (["in.csv", "-o", "out.csv"], "the file has a column 'label', and the output gets a column of that name"),
        (["in.csv", "-o", "out.xlsx"], "the ending '.xlsx' says no format"),
        (["in.csv", "-o", "no/out.csv"], "the folder no does not exist"),
        (["in.csv", "-o", "there.csv", "--prefix", "p_"], "there.csv exists already"),
        (["in.csv", "-o", "in.csv", "--overwrite"], "in.csv is the file that is read"),
        (["in.csv", "-o", "out.csv", "--skip", "3"], "--skip is not needed"),
        (["in.csv", "-o", "out.csv", "--labels", "a,b"], "The task determines its labels"),
        (["in.csv", "--probabilities"], "Give --output as well"),
    ):
        code, _, err = run(TASK, *words)
        assert (code, why in err) == (1, True), err
    assert not server.asked
    assert run(TASK, "in.csv", "-o", "there.csv", "--prefix", "p_", "--overwrite")[0] == 0
    assert (read("there.csv")[0]["label"], read("there.csv")[0]["p_label"]) == ("gold", "bad")


def test_a_busy_server_is_asked_again_while_requests_are_under_way(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornio.cli.predict._PATIENCE_S", 600.0)
    put_csv("in.csv", [(str(n), text, "") for n, text in enumerate(texts(3000))])
    seen: set[str] = set()

    def busy_at_first(asked: list[str]) -> httpx.Response | None:
        if asked[0] in seen or asked[0] == "text 0":
            return None
        seen.add(asked[0])
        if len(seen) % 3 == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(429 if len(seen) % 2 else 503, headers={"Retry-After": "0"})

    server.before = busy_at_first
    assert run(TASK, "in.csv", "-o", "out.csv", "--at-once", 8)[0] == 0
    assert [row["text"] for row in read("out.csv")] == texts(3000)
    assert len(seen) == 11


def test_standard_input_is_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    class Stdin:
        buffer = io.BytesIO(b'{"text": "a", "id": 7}\n')

    monkeypatch.setattr("sys.stdin", Stdin)
    assert run(TASK, "-", "-o", "out.jsonl")[0] == 0
    assert read("out.jsonl")[0]["id"] == 7


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(0, 60_000), min_size=1, max_size=12),
    at_once=st.integers(1, 4),
    stop=st.integers(0, 12),
)
def test_any_texts_arrive_in_their_order_through_any_interruption(
    run: Run, server: Server, lengths: list[int], at_once: int, stop: int
) -> None:
    """Requests are cut by texts and bytes; their number, the interruption and the threads change nothing."""
    wanted = [f"{number} " + "x" * length for number, length in enumerate(lengths)]
    put("in.jsonl", [{"text": text} for text in wanted])
    server.before = lambda asked: httpx.Response(503) if any(t.startswith(f"{stop} ") for t in asked) else None
    run(TASK, "in.jsonl", "-o", "out.jsonl", "--at-once", at_once, "--overwrite", "--restart")
    server.before = lambda asked: None
    if stop < len(lengths):
        assert run(TASK, "in.jsonl", "-o", "out.jsonl", "--at-once", at_once, "--overwrite")[0] == 0
    assert [row["text"] for row in read("out.jsonl")] == wanted
    assert [row["score"] for row in read("out.jsonl")] == [
        round(max(prediction(text).probabilities.values()), 7) for text in wanted
    ]
