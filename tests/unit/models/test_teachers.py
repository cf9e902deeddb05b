"""The zero-shot teachers: labels come with the request."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tornio.models.encoder import Encoder
from tornio.models.nli import NliZeroShot
from tornio.models.packed.forward import PackedClassifier
from tornio.models.zeroshot import EmbeddingZeroShot, phrases
from tornio.spec import LabelSpec

pytestmark = pytest.mark.model

LABELS = (
    LabelSpec(name="sports", description="a match, a team, a tournament"),
    LabelSpec(name="cooking"),
    LabelSpec(name="space", description="rockets, planets and astronauts"),
)
TEMPLATES = ("{}", "This is about {}.")
TEXTS = ("The striker scored twice in the final.", "Simmer the onions in butter.", "The probe reached Mars.")


def test_embedding_teacher_finds_what_a_text_is_about(encoder: Encoder) -> None:
    teacher = EmbeddingZeroShot(encoder, "minilm")
    scores = teacher.score(TEXTS, LABELS, TEMPLATES)
    assert scores.probabilities.argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert teacher.name == "teacher:embedding:minilm"


def test_embedding_teacher_takes_labels_in_the_order_of_the_request(encoder: Encoder) -> None:
    teacher = EmbeddingZeroShot(encoder, "minilm")
    forward = teacher.score(TEXTS, LABELS, TEMPLATES).logits
    backward = teacher.score(TEXTS, LABELS[::-1], TEMPLATES).logits
    np.testing.assert_allclose(forward, backward[:, ::-1], rtol=0, atol=1e-4)


def test_several_labels_stand_each_for_itself(encoder: Encoder) -> None:
    teacher = EmbeddingZeroShot(encoder, "minilm")
    three = teacher.score(TEXTS, LABELS, TEMPLATES, multi_label=True).probabilities
    two = teacher.score(TEXTS, LABELS[:2], TEMPLATES, multi_label=True).probabilities
    np.testing.assert_allclose(three[:, :2], two, rtol=0, atol=1e-4)
    assert (three.diagonal() > 0.5).sum() >= 2
    assert three[0, 1] < 0.2


@pytest.mark.parametrize("multi_label", [False, True])
def test_nli_teacher_equals_the_zero_shot_recipe(nli_folder: Path, multi_label: bool) -> None:
    """Pair by pair through transformers: softmax of entailment over labels, or entailment against contradiction."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(nli_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(nli_folder)
    expected = np.zeros((len(TEXTS), len(LABELS)))
    for i, text in enumerate(TEXTS):
        for j, label in enumerate(LABELS):
            values = []
            for hypothesis in phrases(label, TEMPLATES):
                with torch.no_grad():
                    logits = model(**tokenizer(text, hypothesis, return_tensors="pt")).logits[0]
                values.append(float(logits[2] - logits[0]) if multi_label else float(logits[2]))
            expected[i, j] = np.mean(values)
    scores = NliZeroShot(nli_folder, "tiny", 64, "float32").score(TEXTS, LABELS, TEMPLATES, multi_label)
    np.testing.assert_allclose(scores.logits, expected, rtol=0, atol=1e-4)
    if multi_label:
        np.testing.assert_allclose(scores.probabilities, 1 / (1 + np.exp(-expected)), rtol=0, atol=1e-5)
    else:
        np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(
    "classes", [("contradiction", "neutral", "entailment"), ("ENTAILMENT", "NEUTRAL", "CONTRADICTION")]
)
def test_nli_teacher_equals_the_zero_shot_pipeline(
    nli_folder: Path, tmp_path: Path, classes: tuple[str, ...], multi_label: bool
) -> None:
    """The classes' names in config.json say which column is which."""
    from transformers import pipeline

    folder = shutil.copytree(nli_folder, tmp_path / "nli")
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    (folder / "config.json").write_text(json.dumps(config))
    template, names = "This is about {}.", [label.name for label in LABELS]
    theirs = pipeline("zero-shot-classification", model=str(folder), device="cpu")
    answers = theirs(list(TEXTS), candidate_labels=names, hypothesis_template=template, multi_label=multi_label)
    expected = [[dict(zip(a["labels"], a["scores"], strict=True))[name] for name in names] for a in answers]

    teacher = NliZeroShot(folder, "tiny", 64, "float32")
    scores = teacher.score(TEXTS, [LabelSpec(name=name) for name in names], [template], multi_label)
    np.testing.assert_allclose(scores.probabilities, expected, rtol=0, atol=1e-5)
    assert np.ptp(scores.probabilities, axis=1).min() > 1e-3


def test_pairs_of_text_and_hypothesis_are_packed(nli_folder: Path) -> None:
    assert isinstance(NliZeroShot(nli_folder, "tiny", 64, "float32")._classifier, PackedClassifier)


def test_nli_teacher_cuts_the_text_not_the_hypothesis(nli_folder: Path) -> None:
    teacher = NliZeroShot(nli_folder, "tiny", 32, "float32")
    scores = teacher.score(["short", "long " * 300_000], LABELS, TEMPLATES)
    assert scores.truncated.tolist() == [False, True]
    assert len(np.unique(scores.logits[1])) == len(LABELS)


@pytest.mark.parametrize("n", [0, 1])
def test_few_texts_are_no_special_case(encoder: Encoder, nli_folder: Path, n: int) -> None:
    for teacher in (EmbeddingZeroShot(encoder, "minilm"), NliZeroShot(nli_folder, "tiny", 64, "float32")):
        assert teacher.score(TEXTS[:n], LABELS, TEMPLATES).probabilities.shape == (n, len(LABELS))
