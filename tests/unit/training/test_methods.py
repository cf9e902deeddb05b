"""The port of training methods: which there are, what they cost, and what a spec may say about them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tornio.errors import InvalidInput, InvalidSpec, MissingPlugin
from tornio.models import loading
from tornio.models.kinds import FEW_SHOT, KINDS
from tornio.plugins import Table
from tornio.spec import Spec, TaskSpec, setting
from tornio.training import methods
from tornio.training.methods import METHODS, check_training
from tornio.training.methods.port import Facts, Inputs, TrainingMethod

pytestmark = pytest.mark.unit


def spec(classifier: dict[str, Any] | None = None, **training: Any) -> TaskSpec:
    values = {"workspace": "w", "name": "t", "labels": ["a", "b"], "classifier": classifier or {}, "training": training}
    return TaskSpec.model_validate(values)


class Settings(Spec):
    share: float = setting(0.5, gt=0, doc="A share.", change="next iteration")


class Own(TrainingMethod[Settings]):
    name = "own"
    settings = Settings
    kinds = (FEW_SHOT,)

    def cost(self, facts: Facts) -> float:
        return facts.pool * self.settings_of(facts.spec).share

    def fit(self, inputs: Inputs[Settings], out: Path, hooks: object) -> None:
        return None


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    table: Table[TrainingMethod[Any]] = Table(
        METHODS.what,
        METHODS.group,
        TrainingMethod,  # type: ignore[type-abstract]
        {"supervised": METHODS.get("supervised"), "own": Own()},
    )
    monkeypatch.setattr(methods, "METHODS", table)


def test_a_spec_without_the_section_trains_from_labels() -> None:
    assert spec().training.method == "supervised"
    assert spec().training.settings == {}
    for kind in ("few-shot", "fine-tuned", "auto"):
        check_training(spec({"kind": kind}))


def test_a_method_s_settings_are_checked_by_its_own_model(own: None) -> None:
    check_training(spec(method="own", settings={"share": 0.1}))
    with pytest.raises(InvalidSpec, match=r"training\.settings\.share: Input should be .* 0\. .*: share"):
        check_training(spec(method="own", settings={"share": 0}))
    with pytest.raises(InvalidSpec, match=r"training\.settings\.epochs: .*Settings that can be given: none"):
        check_training(spec(settings={"epochs": 3}))


def test_a_method_that_does_not_exist_is_refused_with_those_that_do(own: None) -> None:
    with pytest.raises(InvalidInput, match=r"training\.method: there is no training method 'other'.*supervised, own"):
        check_training(spec(method="other"))


def test_a_kind_that_the_method_does_not_make_is_refused(own: None) -> None:
    check_training(spec({"kind": "auto"}, method="own"))
    with pytest.raises(InvalidSpec, match="'own' makes few-shot only"):
        check_training(spec({"kind": "fine-tuned"}, method="own"))


@dataclass
class Counted:
    """Facts that note whether the labels were counted."""

    spec: TaskSpec
    pool: int = 5000
    not_embedded: int = 70
    counted: bool = False

    @property
    def labels(self) -> int:
        self.counted = True
        return 300


@pytest.mark.parametrize(
    ("classifier", "texts", "counted"),
    [
        ({"kind": "few-shot"}, 70, False),
        ({"kind": "fine-tuned"}, 300 * 15 * 3 * 2, True),
        ({"kind": "fine-tuned", "fine_tuning": {"validation_from": 300}}, 300 * 15 * 3, True),
        ({"kind": "auto"}, 70 + 300 * 15 * 3 * 2, True),
        ({"kind": "auto", "fine_tuned_from": 301}, 70, True),
    ],
)
def test_the_cost_counts_labels_only_where_it_depends_on_them(
    classifier: dict[str, Any], texts: float, counted: bool
) -> None:
    facts = Counted(spec(classifier))
    assert METHODS.get("supervised").cost(facts) == texts
    assert facts.counted is counted


def test_the_cost_of_a_method_may_depend_on_its_settings() -> None:
    assert Own().cost(Counted(spec(method="own", settings={"share": 0.1}))) == 500


def test_a_missing_method_is_named_with_what_to_do() -> None:
    with pytest.raises(MissingPlugin, match="no training method 'gone' on this machine"):
        METHODS.get("gone")


def test_every_kind_has_a_loader() -> None:
    assert set(KINDS) == set(loading._LOADERS)
    for method in (METHODS.get(name) for name in METHODS):
        assert set(method.kinds) <= set(KINDS)


def test_a_controller_reads_costs_without_torch() -> None:
    code = (
        "import sys, jobs.table, jobs.running.placement, jobs.running.measuring;"
        "print([name for name in ('torch', 'transformers', 'sklearn') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
