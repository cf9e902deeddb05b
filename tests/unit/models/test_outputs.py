"""What a configuration says of a model's outputs is heeded, and contradictions are refused."""

from __future__ import annotations

from typing import Any

import pytest

from tornio.errors import InvalidInput
from tornio.models.nli import nli_classes
from tornio.models.outputs import Outputs, class_number, read_outputs
from tornio.models.sequence import columns_of, in_model_order

pytestmark = pytest.mark.unit
TWO = {"id2label": {"0": "bad", "1": "good"}, "label2id": {"bad": 0, "good": 1}}
BARE = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}


@pytest.mark.parametrize(
    ("config", "outputs"),
    [
        ({}, Outputs(("LABEL_0", "LABEL_1"), False, None)),
        ({"num_labels": 3}, Outputs(("LABEL_0", "LABEL_1", "LABEL_2"), False, None)),
        ({"num_labels": 2, "id2label": {}, "label2id": None}, Outputs(("LABEL_0", "LABEL_1"), False, None)),
        (TWO, Outputs(("bad", "good"), True, None)),
        ({"id2label": TWO["id2label"]}, Outputs(("bad", "good"), True, None)),
        ({"label2id": TWO["label2id"]}, Outputs(("bad", "good"), True, None)),
        (BARE, Outputs(("LABEL_0", "LABEL_1"), False, None)),
        (TWO | {"label2id": BARE["label2id"]}, Outputs(("bad", "good"), True, None)),
        (TWO | {"id2label": BARE["id2label"]}, Outputs(("bad", "good"), True, None)),
        (TWO | {"label2id": {"bad": "0", "good": "1"}}, Outputs(("bad", "good"), True, None)),
        (TWO | {"problem_type": "multi_label_classification"}, Outputs(("bad", "good"), True, True)),
        (TWO | {"problem_type": "single_label_classification"}, Outputs(("bad", "good"), True, False)),
        ({"id2label": {"0": "toxic"}}, Outputs(("toxic",), True, None)),
    ],
)
def test_outputs_are_read_from_the_config(config: dict[str, Any], outputs: Outputs) -> None:
    assert read_outputs(config) == outputs


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TWO | {"problem_type": "regression"}, "regression"),
        ({"num_labels": 1, "problem_type": "regression"}, "regression"),
        ({"num_labels": 1, "problem_type": "single_label_classification"}, "softmax over one class"),
        (TWO | {"problem_type": "ranking"}, "problem_type 'ranking'"),
        (
            TWO | {"label2id": {"bad": 1, "good": 0}},
            "id2label has bad, good and label2id good, bad",
        ),
        (TWO | {"label2id": {"bad": 0, "fine": 1}}, "contradicts itself"),
        (TWO | {"num_labels": 3}, "num_labels is 3, but 2 are named"),
        ({"id2label": {"0": "bad", "2": "good"}}, r"classes \[0, 2\]"),
        ({"id2label": {"1": "bad", "2": "good"}}, r"classes \[1, 2\]"),
        ({"id2label": {"0": "bad", "1": "bad"}}, "a name of its own"),
        ({"id2label": {"0": "bad", "1": " "}}, "a name of its own"),
        ({"id2label": ["bad", "good"]}, "by their numbers"),
        ({"id2label": {"a": "bad"}}, "by their numbers"),
        ({"label2id": {"bad": 0, "good": 0}}, "for both 'bad' and 'good'"),
        ({"label2id": {"bad": 0, "good": 2}}, r"classes \[0, 2\]"),
        ({"label2id": {"bad": [0], "good": 1}}, r"label2id \[0\] for 'bad'"),
        ({"label2id": {"bad": False, "good": 1}}, "label2id False for 'bad'"),
        ({"label2id": {"bad": "1" * 5000}}, "It must be a whole number"),
        ({"id2label": {"0": None, "1": "good"}}, "by their numbers"),
        ({"id2label": {"0": ["bad"], "1": "good"}}, "by their numbers"),
        ({"id2label": {"1" * 5000: "bad"}}, "by their numbers"),
        ({"id2label": 5}, "by their numbers"),
        ({"num_labels": "two"}, "num_labels 'two'"),
        ({"num_labels": 0}, "num_labels 0"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_outputs(config)


def outputs(*names: str, several: bool | None = None, named: bool = True) -> Outputs:
    return Outputs(names, named, several)


def test_several_labels_are_asked_of_a_model_that_gives_several() -> None:
    with pytest.raises(InvalidInput, match="with --multi-label"):
        columns_of(outputs("bad", "good", several=True), ["bad", "good"], False)
    with pytest.raises(InvalidInput, match="Leave out --multi-label"):
        columns_of(outputs("bad", "good", several=False), ["bad", "good"], True)
    assert columns_of(outputs("bad", "good", several=True), ["good", "bad"], True) == [1, 0]


def test_one_output_decides_between_two_labels() -> None:
    assert columns_of(outputs("toxic"), ["fine", "toxic"], False) == [0, 1]
    assert columns_of(outputs("toxic"), ["toxic", "fine"], False) == [1, 0]
    assert columns_of(outputs("toxic", several=True), ["fine", "toxic"], False) == [0, 1]
    assert columns_of(outputs("toxic", several=True), ["toxic"], True) == [0]
    with pytest.raises(InvalidInput, match="decides between two labels, not toxic"):
        columns_of(outputs("toxic"), ["toxic"], False)
    with pytest.raises(InvalidInput, match="--labels NO,YES"):
        in_model_order(outputs("LABEL_0", named=False), ["no", "yes"])


def test_labels_of_data_are_put_in_the_order_of_the_model() -> None:
    assert in_model_order(outputs("good", "bad"), ["bad", "good"]) == ("bad", "good")  # columns_of finds each
    assert in_model_order(outputs("good", "bad", "odd"), ["bad", "good"]) == ("good", "bad", "odd")
    assert in_model_order(outputs("LABEL_0", "LABEL_1", named=False), ["0", "1"]) == ("0", "1")
    assert in_model_order(outputs("LABEL_0", "LABEL_1", named=False), ["LABEL_1", "0"]) == ("0", "LABEL_1")
    with pytest.raises(InvalidInput, match="without names"):
        in_model_order(outputs("LABEL_0", "LABEL_1", named=False), ["0", "1" * 5000])


@pytest.mark.parametrize(
    ("value", "number"),
    [("0", 0), ("07", 7), (3, 3), (-1, None), (True, None), (1.0, None), ("²", None), ("٣", None), ("1" * 5000, None)],
)
def test_the_number_of_a_class_is_an_integer_or_its_digits(value: object, number: int | None) -> None:
    assert class_number(value) == number


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("contradiction", "neutral", "entailment"), (2, 0)),
        (("ENTAILMENT", "NEUTRAL", "CONTRADICTION"), (0, 2)),
        (("entailment", "not_entailment"), (0, 1)),
    ],
)
def test_nli_checkpoints_name_their_classes_differently(names: tuple[str, ...], found: tuple[int, int]) -> None:
    assert nli_classes(Outputs(names, True, None)) == found


def test_a_classifier_that_is_no_nli_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not those of an NLI model"):
        nli_classes(read_outputs(BARE))
    with pytest.raises(InvalidInput, match="any number of the labels"):
        nli_classes(outputs("entailment", "contradiction", several=True))
