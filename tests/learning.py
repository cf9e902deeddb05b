"""What fine-tuning is tried on: texts that one word tells apart, and a task of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tornio.arrays import FloatMatrix
from tornio.records import Record
from tornio.spec import TaskSpec
from tornio.storage.port import ObjectStore
from tornio.tasks import Task, Tasks

if TYPE_CHECKING:
    from tornio.models.finetuned import FineTunedModel

NAMES = ("money", "place", "animal")
WORDS = {
    "money": ["invoice", "refund", "price", "charge"],
    "place": ["river", "city", "mountain", "harbour"],
    "animal": ["horse", "dog", "eagle", "fish"],
}


def examples(count: int, seed: int = 0) -> tuple[list[str], list[tuple[str, ...]]]:
    """Texts of different lengths, and their labels."""
    random = np.random.default_rng(seed)
    labels = [NAMES[i % 3] for i in range(count)]
    texts = [f"about {'really ' * random.integers(0, 6)}the {random.choice(WORDS[label])}" for label in labels]
    return texts, [(label,) for label in labels]


def logits(model: FineTunedModel) -> FloatMatrix:
    """Float32 [30, labels]: what a model says of texts that it did not learn from."""
    return model.score(examples(30, seed=9)[0]).logits


def accuracy(model: FineTunedModel) -> float:
    """Share of 60 texts that a model did not learn from, of which it gives the right label."""
    texts, truth = examples(60, seed=9)
    said = model.predict_proba(texts).argmax(axis=1)
    return float(np.mean([model.labels[j] == label for j, (label,) in zip(said, truth, strict=True)]))


def next_folder(folder: Path) -> Path:
    """A new folder in this one, for the files of one more model."""
    out = folder / str(len(list(folder.iterdir())))
    out.mkdir()
    return out


def labelled_task(
    store: ObjectStore,
    base: Path,
    labels: int,
    *,
    training: Mapping[str, object] | None = None,
    multi_label: bool = False,
    **classifier: object,
) -> Task:
    """A task ``w/t`` over ``base`` with so many training labels, and 40 records without."""
    spec = TaskSpec.model_validate(
        {
            "workspace": "w",
            "name": "t",
            "labels": list(NAMES),
            "multi_label": multi_label,
            "teacher": {"kind": "none"},
            "classifier": {"encoder": str(base), "max_length": 32, **classifier},
            "training": training or {},
        }
    )
    Tasks(store).apply(spec, "test")
    task = Tasks(store).open("w", "t")
    texts, given = examples(labels)
    records = [Record(f"l{i:03d}", f"{text} {i}") for i, text in enumerate(texts)]
    task.import_labels([(record, list(row)) for record, row in zip(records, given, strict=True)], "train", "test")
    task.add_records([Record(f"p{i:03d}", f"{text} again {i}") for i, text in enumerate(examples(40, seed=1)[0])])
    return task
