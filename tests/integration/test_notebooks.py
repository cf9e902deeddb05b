"""Each notebook runs from beginning to end on a small slice, without a network, and finds what it says."""

from pathlib import Path

from bench.swapping.workshop import tiny_encoder
from tests import notebooks
from tests.running import Running


def test_wrong_labels_are_at_the_top(tmp_path: Path) -> None:
    found = notebooks.run("label-cleaning", tmp_path, {"NOTEBOOK_ROWS": "400"})
    assert found["wrong_at_the_top"] > 4 * found["share_wrong"]


def test_without_labels_the_student_is_far_better_than_chance(tmp_path: Path) -> None:
    found = notebooks.run("no-labels", tmp_path, {"NOTEBOOK_ROWS": "400"})
    assert found["student"] > found["most_frequent"] + 0.2
    assert found["student"] > found["teacher"] - 0.05


def test_a_transformer_learns_from_what_it_asks_for(tmp_path: Path) -> None:
    tiny = {"NOTEBOOK_ENCODER": str(tiny_encoder(tmp_path / "tiny")), "NOTEBOOK_LEARNING_RATE": "2e-3"}
    small = {
        "NOTEBOOK_ROWS": "400",
        "NOTEBOOK_EPOCHS": "6",
        "NOTEBOOK_BATCH": "30",
        "NOTEBOOK_BUDGET": "60",
        "NOTEBOOK_SEEDS": "2",
        "OMP_NUM_THREADS": "1",
    }
    found = notebooks.run("transformer-loop", tmp_path, tiny | small)
    assert found["labels"] == 60
    assert found["last"] > found["first"] + 0.03
    assert found["interval"] > 0
    assert 0 < found["kappa"] < 1


def test_all_ways_of_using_unlabelled_texts_learn(tmp_path: Path) -> None:
    """The base model is tiny and random, so nothing is said about which way is better."""
    few = {"NOTEBOOK_ROWS": "200", "NOTEBOOK_SIZES": "2,8", "NOTEBOOK_SEEDS": "1"}
    short = {"NOTEBOOK_EPOCHS": "3", "NOTEBOOK_ADAPT_EPOCHS": "1", "NOTEBOOK_STEPS": "10", "NOTEBOOK_ROUNDS": "1"}
    settings = {"NOTEBOOK_ENCODER": str(tiny_encoder(tmp_path / "tiny")), "NOTEBOOK_SAMPLE": "20", **few, **short}
    found = notebooks.run("unlabelled-data", tmp_path, settings)
    assert found["loss_after"] < found["loss_before"]
    assert len(found["accuracy"]) == 5
    assert min(found["accuracy"].values()) > found["most_frequent"] + 0.05


def test_a_loop_with_a_server_validates_its_versions(tornio_up: Running, tmp_path: Path) -> None:
    state = str(tornio_up.everything.stack.state_dir)
    small = {"TORNIO_STATE": state, "NOTEBOOK_ROWS": "300", "NOTEBOOK_BATCHES": "2"}
    found = notebooks.run("few-shot-loop", tmp_path, small)
    assert found["answers"] == 40
    assert found["versions"] == 2
    assert found["holdout_texts"] == 10
    assert found["low"] < found["holdout"] <= found["high"]
    assert found["test"] > 0.5
    assert "2 iterations" in found["stopped"]
