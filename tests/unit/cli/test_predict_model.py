"""``tornio predict FILE --model``: the same columns without a server, from a tiny random classifier."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

from tests.checkpoints import classifier
from tornio.cli import main
from tornio.exchange.packing import About

pytestmark = pytest.mark.model


def test_a_local_model_predicts_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORNIO_STATE", str(tmp_path / "state"))
    folder = classifier(tmp_path / "model", ("bad", "good"))
    texts = ["the parcel came late", "great service", "thanks " * 60]
    Path("in.jsonl").write_text("".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(texts)))
    words = ["predict", "in.jsonl", "--model", str(folder), "-o", "out.jsonl", "--probabilities", "--max-length", "32"]
    assert main(words) == 0, capsys.readouterr().err
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [(row["id"], row["text"], row["truncated"]) for row in rows] == [
        (0, texts[0], False),
        (1, texts[1], False),
        (2, texts[2], True),
    ]
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    for row in rows:
        tokens = tokenizer(row["text"], return_tensors="pt", truncation=True, max_length=32)
        with torch.no_grad():
            logits = reference(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).logits
        said = dict(zip(("bad", "good"), logits.softmax(-1)[0].tolist(), strict=True))
        assert row["probabilities"] == pytest.approx(said, abs=2e-2)  # the engine may compute in bfloat16
        assert row["label"] == max(row["probabilities"], key=lambda name: row["probabilities"][name])
        assert row["score"] == row["probabilities"][row["label"]]
    assert main(["predict", "acme/reviews", "in.jsonl", "--model", str(folder), "-o", "o.jsonl"]) == 1
    assert "With --model, give one file and no task" in capsys.readouterr().err


def test_an_export_that_is_no_classifier_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = classifier(tmp_path / "model", ("bad", "good"))
    about = About(
        task="acme/reviews",
        version="v1",
        form="encoder-and-head",
        labels=("bad", "good"),
        multi_label=False,
        max_length=32,
        pooling="mean",
        normalise=True,
        layers=(-1,),
    )
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"problem_type": "single_label_classification"}))
    (folder / "tornio.json").write_text(about.model_dump_json())
    Path("in.jsonl").write_text('{"text": "hello"}\n')
    assert main(["predict", "in.jsonl", "--model", str(folder), "-o", "out.jsonl"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert f"{folder} is a version that was exported in the form encoder-and-head" in said
    assert "tornio versions import" in said
