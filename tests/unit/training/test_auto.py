"""What the method auto tries against a few-shot head, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tornio.errors import MissingPlugin
from tornio.spec import ClassifierSpec, TaskSpec
from tornio.training.methods import METHODS, check_training
from tornio.training.methods.auto import CONTRASTIVE, LEAST_PER_CLASS, MOST_PER_CLASS, SUPERVISED, challenger
from tornio.training.methods.contrastive import ContrastiveSettings

pytestmark = pytest.mark.unit

OPEN = ClassifierSpec(kind="auto")
FROM = OPEN.fine_tuned_from


@pytest.mark.parametrize(
    ("texts", "classes", "tried", "why"),
    [
        (11, 3, None, "11 labelled texts for 3 labels, fewer than 4 for each"),
        (12, 3, CONTRASTIVE, "12 labelled texts for 3 labels, 4 for each or more, below"),
        (3 * MOST_PER_CLASS - 1, 3, CONTRASTIVE, "4 for each or more, below"),
        (FROM, 3, SUPERVISED, "fine_tuned_from"),
        (FROM, 20, CONTRASTIVE, "4 for each or more, below"),
        (2 * MOST_PER_CLASS, 2, CONTRASTIVE, "below 100"),
        (20 * MOST_PER_CLASS, 20, SUPERVISED, "fine_tuned_from"),
        (FROM, 50, None, "fewer than 4 for each"),
    ],
)
def test_the_number_of_labels_decides_what_is_tried(texts: int, classes: int, tried: object, why: str) -> None:
    found, said = challenger(OPEN, texts, classes, False)
    assert found is tried
    assert why in said


def test_several_labels_a_text_are_never_contrasted() -> None:
    assert challenger(OPEN, FROM - 1, 3, True)[0] is None
    assert challenger(OPEN, FROM, 3, True)[0] is SUPERVISED


@pytest.mark.parametrize(("kind", "tried"), [("few-shot", None), ("fine-tuned", SUPERVISED)])
def test_a_kind_that_the_spec_names_leaves_no_choice_and_says_so(kind: str, tried: object) -> None:
    found, why = challenger(ClassifierSpec(kind=kind), FROM, 3, False)
    assert found is tried
    assert "with 'auto', the method would choose" in why


def test_a_kind_of_another_release_is_told() -> None:
    with pytest.raises(MissingPlugin, match="no model kind 'other'"):
        challenger(ClassifierSpec(kind="other"), FROM, 3, False)


@dataclass
class Counted:
    spec: TaskSpec
    labels: int
    pool: int = 500
    not_embedded: int = 70


def spec(**classifier: Any) -> TaskSpec:
    values = {"workspace": "w", "name": "t", "labels": ["a", "b"], "training": {"method": "auto"}}
    return TaskSpec.model_validate(values | {"classifier": {"kind": "auto", **classifier}})


def test_its_cost_is_that_of_what_it_tries() -> None:
    check_training(spec())
    method = METHODS.get("auto")
    assert method.cost(Counted(spec(), 2 * LEAST_PER_CLASS - 1)) == 70
    assert method.cost(Counted(spec(), 20)) == 70 + 20 * ContrastiveSettings().pairs * 2 * 3 * 2
    assert method.cost(Counted(spec(), FROM)) == 70 + FROM * 15 * 3 * 2
