"""Self-training as a method of a spec: what it refuses, and what it says that it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tornio.errors import InvalidSpec
from tornio.spec import TaskSpec
from tornio.training.methods import METHODS, check_training

pytestmark = pytest.mark.unit


def spec(**changes: Any) -> TaskSpec:
    values = {"workspace": "w", "name": "t", "labels": ["a", "b"], "training": {"method": "self-training"}}
    return TaskSpec.model_validate({**values, "classifier": {"kind": "fine-tuned"}, **changes})


def test_a_spec_that_it_cannot_do_is_refused() -> None:
    check_training(spec())
    check_training(spec(classifier={"kind": "auto"}))
    with pytest.raises(InvalidSpec, match="multi_label is true"):
        check_training(spec(multi_label=True))
    with pytest.raises(InvalidSpec, match="'self-training' makes fine-tuned only"):
        check_training(spec(classifier={"kind": "few-shot"}))
    with pytest.raises(InvalidSpec, match=r"training\.settings\.prefer"):
        check_training(spec(training={"method": "self-training", "settings": {"prefer": "all"}}))


@dataclass
class Counted:
    spec: TaskSpec
    pool: int = 100
    not_embedded: int = 0
    labels: int = 40


def test_the_cost_counts_the_passes_and_the_steps_of_all_rounds() -> None:
    tuning = {"epochs": 10, "validation_from": 1000}
    settings = {"rounds": 2, "sample_size": 200, "learn_size": 50, "mc_passes": 5, "epochs": 2}
    training = {"method": "self-training", "settings": settings}
    counted = Counted(spec(classifier={"kind": "fine-tuned", "fine_tuning": tuning}, training=training))
    half = 20 * 10 * 3 + 2 * (100 * 5 + (20 + 50) * 2 * 3)
    whole = 40 * 10 * 3 + 2 * (100 * 5 + (40 + 50) * 2 * 3)
    assert METHODS.get("self-training").cost(counted) == 2 * half + whole
