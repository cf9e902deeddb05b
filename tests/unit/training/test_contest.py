"""The few-shot head's side of the comparison that ``classifier.kind: auto`` makes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.learning import NAMES, examples
from tornio.arrays import FloatMatrix
from tornio.spec import FineTuningSpec
from tornio.training.contest import few_shot_loss
from tornio.training.data import held_out_rows
from tornio.training.targets import Labelled, decided

pytestmark = pytest.mark.model
SETTINGS = FineTuningSpec()


def labelled(count: int) -> Labelled:
    return Labelled.of(*examples(count), NAMES, False)


def vectors(data: Labelled, noise: float) -> FloatMatrix:
    random = np.random.default_rng(0)
    return np.asarray(
        np.eye(3, 8)[data.targets.argmax(axis=1)] + noise * random.normal(size=(len(data), 8)), dtype=np.float32
    )


@pytest.mark.parametrize("settings", [SETTINGS, FineTuningSpec(validation_from=60)])
def test_vectors_that_tell_more_have_a_smaller_loss(settings: FineTuningSpec) -> None:
    data = labelled(90)
    losses = [few_shot_loss(vectors(data, noise), data, NAMES, False, settings, 0) for noise in (0.05, 0.6, 30.0)]
    assert None not in losses
    assert losses == sorted(losses)  # type: ignore[type-var]
    assert losses[-1] == pytest.approx(np.log(3), abs=0.25), "noise tells nothing"


def test_only_the_rows_that_validate_are_judged_where_there_are_any() -> None:
    data, settings = labelled(90), FineTuningSpec(validation_from=60)
    held = held_out_rows(decided(data.targets, False), settings, 0)
    X = vectors(data, 0.05)
    X[held] = X[held][:, [1, 2, 0, 3, 4, 5, 6, 7]]  # each text looks like one of the next class
    loss = few_shot_loss(X, data, NAMES, False, settings, 0)
    assert loss is not None
    assert loss > 1


def test_too_few_examples_have_no_loss() -> None:
    data = labelled(2)
    assert few_shot_loss(vectors(data, 0.1), data, NAMES, False, SETTINGS, 0) is None
