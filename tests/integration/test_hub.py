"""A corrected set on a double of the hub, pushed by the command line in a process of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import constants

from tests.hub_double import OWNER, Hub, hub
from tests.unit.review.scored import LABELS, mood, write_run
from tornio.annotation.fake import FakeAnnotationTool
from tornio.errors import TornioError
from tornio.review.corrected import schema
from tornio.review.hub import as_dataset, push
from tornio.review.send import Wanted, send_review
from tornio.review.sync import ReviewSync, find_review
from tornio.scoring.scored_run import ScoredRun
from tornio.storage.local import LocalStore

TOKEN = "hf_made_up"
ROW = {
    "row": 0, "record_id": "r", "text": "t", "original_label": "bad", "corrected_label": "good", "review": "changed",
    "who": ["ann"], "when": None,
}  # fmt: skip


@pytest.fixture
def double() -> Iterator[Hub]:
    with hub(TOKEN) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A run in a folder, one of whose labels is corrected."""
    store = LocalStore(tmp_path / "store")
    run = write_run(store, mood(4))
    scored, tool = ScoredRun.open(store, run), FakeAnnotationTool()
    send_review(scored, tool, Wanted(top=2))
    tool.answer("default", find_review(scored).dataset, "r3", "ann", ["good"])
    ReviewSync(scored, tool).poll()
    return run


def export(folder: Path, double: Hub, *words: str, **environ: str) -> tuple[int, str, str]:
    """The command with nothing of this process's hub settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environ = {
        **kept,
        "HF_ENDPOINT": double.url,
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",  # the double knows the plain transfer alone
        "TORNIO_STORE_DIR": str(folder / "store"),
        "COLUMNS": "300",
        **environ,
    }
    command = [sys.executable, "-m", "tornio", "export", "corrected", *words]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=300, check=False, cwd=Path(__file__).parents[2]
    )
    return done.returncode, done.stdout, done.stderr


def test_a_corrected_set_is_pushed_with_its_card(tmp_path: Path, double: Hub, run: str) -> None:
    """Twice: the second time in place of the first, under the name with its owner."""
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    for name in ("moods", f"{OWNER}/moods"):
        code, out, err = export(tmp_path, double, run, "-o", f"hub:{name}", "--json", HF_TOKEN_PATH=str(token))
        assert code == 0, f"{err}\n{double.calls}"
        assert json.loads(out) == {"path": f"{double.url}/datasets/{OWNER}/moods", "rows": 4}
        assert TOKEN not in out + err
    (repo,) = double.repos.values()
    assert repo.private
    (parquet,) = (path for path in repo.files if path.endswith(".parquet"))
    rows = pq.read_table(io.BytesIO(repo.files[parquet])).to_pylist()
    assert [row["original_label"] for row in rows] == [0, 0, 0, 0]
    assert [row["corrected_label"] for row in rows] == [0, 0, 0, LABELS.index("good")]
    _, front, text = repo.files["README.md"].decode().split("---\n", 2)
    card = yaml.safe_load(front)
    assert card["task_categories"] == ["text-classification"]
    assert card["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    labels = {one["name"]: one.get("dtype") for one in card["dataset_info"]["features"]}
    assert list(labels["corrected_label"]["class_label"]["names"].values()) == list(LABELS)
    assert "1 labels (100.0 %) were wrong" in text
    assert run in text


def test_what_stands_in_the_way_is_said(double: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = as_dataset([pa.Table.from_pylist([ROW], schema=schema(False))], LABELS, False)

    def refused(name: str = "moods") -> str:
        with pytest.raises(TornioError) as caught:
            push(made, name, "# Moods", private=True)
        assert "hf_" not in str(caught.value)
        return f"{type(caught.value).__name__}: {caught.value}"

    assert refused().startswith("InvalidInput: HF_HUB_OFFLINE is set")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(constants, "ENDPOINT", double.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert refused().startswith("Unauthorized: There is no token for the hub. Set HF_TOKEN")
    assert double.calls == []
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    assert refused().startswith("Unauthorized: The hub does not know this token")
    assert refused("a/b/c").startswith("InvalidInput: 'a/b/c' is not a valid name")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert refused().startswith("Unavailable: The hub does not respond")
    assert double.repos == {}
