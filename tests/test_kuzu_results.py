"""The summary and its lines, from networks whose predictions are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kuzu import checkpoint
from kuzu.confusion import confusion_matrix
from kuzu.kana import KANA, ROMAJI
from kuzu.recipes import CLASSIC
from kuzu.results import (
    evaluation_lines,
    introduction,
    loss_line,
    matrix_lines,
    result_lines,
    summary,
)
from kuzu.train import Evaluation


def network(seed, labels, predictions, loss=0.5):
    made = checkpoint.new("lin", 100, seed, SimpleNamespace(title="toys", sha256=""), CLASSIC)
    made.test = Evaluation(loss, predictions, confusion_matrix(labels, predictions))
    row = dict.fromkeys(checkpoint.ROW, 0.5) | {"epoch": 10}
    made.history.append(row)
    return made


@pytest.fixture(scope="module")
def found():
    """Two networks on 2,000 images of every class but wo; a known share of ki read as su."""
    labels = torch.arange(18_000) % 9
    data = SimpleNamespace(title="toys (9 train / 18,000 test)", train_labels=labels[:9])
    data.test_labels = labels
    first, second = labels.clone(), labels.clone()
    first[labels == 1] = torch.where(torch.arange(2000) < 30, 2, 1)
    second[labels == 1] = torch.where(torch.arange(2000) < 50, 2, 1)
    return summary([network(0, labels, first), network(1, labels, second, loss=0.7)], data)


def test_the_matrix_is_printed_as_numpy_prints_floats():
    generator = np.random.default_rng(0)
    for most in (1, 10, 100, 1000, 10**6):  # the counts of many networks are summed
        matrix = generator.integers(0, most, (10, 10), endpoint=True)
        matrix[0, 0] = most
        width = len(str(most))
        rows = [" ".join(f"{count:{width}d}." for count in row) for row in matrix.tolist()]
        assert "\n".join(matrix_lines(matrix.tolist())) == "[[" + "]\n [".join(rows) + "]]"
    assert matrix_lines([[0] * 10] * 10)[9] == " [0. 0. 0. 0. 0. 0. 0. 0. 0. 0.]]"


def test_counts_are_whole_numbers(found):
    matrix = next(line for line in result_lines(found) if line.startswith("[["))
    assert matrix == "[[4000.    0.    0.    0.    0.    0.    0.    0.    0.    0.]"
    assert not any("e+" in line for line in result_lines(found))


def test_networks_are_pooled(found):
    assert found["confusion"][1][:3] == [0, 3920, 80]
    assert found["most_confused"] == [
        {"target": "ki", "predicted": "su", "count": 80, "share": 0.02}
    ]
    accuracies = [1 - 30 / 18_000, 1 - 50 / 18_000]
    assert [n["accuracy"] for n in found["networks"]] == pytest.approx(accuracies)
    assert found["mean_accuracy"] == pytest.approx(np.mean(accuracies))
    assert found["std_accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
    assert found["mean_loss"] == pytest.approx(0.6)
    lines = result_lines(found)
    assert "seed 1: loss 0.7000, accuracy 17950/18000 (99.72%)" in lines
    assert "    き  ki -> す su     80   2.00%" in lines
    assert "    output         10 x 784 weights +  10 biases     7,850" in lines
    assert found["parameters"] == 7850 and found["parameters_by_layer"] == {"output": 7850}
    assert lines[0] == "Results on the toys (9 train / 18,000 test)"


def test_a_missing_class_prints_no_nan(found):
    assert found["accuracy_by_class"]["wo"] is None
    assert "    を wo  no image" in result_lines(found)
    assert not any("nan" in line for line in result_lines(found))


def test_nothing_confused_is_told(found):
    assert result_lines(found | {"most_confused": []})[-1] == "    none"


def test_equal_time_names_both_times(found):
    each = {"epochs": 10, "seconds": 20.26, "accuracy": 0.79}
    equal_time = {"classic": each, "tuned": {**each, "seconds": 20.31, "accuracy": 0.9}}
    lines = result_lines({**found, "equal_time": equal_time})
    expected = "classic 79.00% (10 epochs, 20.3 s), tuned 90.00% (10 epochs, 20.3 s)"
    assert f"At equal time, seed 0: {expected}" in lines


def test_the_coursework_lines():
    assert loss_line(10, 57600, 60000, 0.674209) == (
        "Train Epoch: 10 [57600/60000 (96%)]\tLoss: 0.674209"
    )
    labels = torch.arange(40) % 10
    test = Evaluation(1.0097, labels, confusion_matrix(labels, labels))
    assert evaluation_lines(test)[-2] == "Test set: Average loss: 1.0097, Accuracy: 40/40 (100%)"
    assert evaluation_lines(test)[9] == " [0. 0. 0. 0. 0. 0. 0. 0. 0. 4.]]"


def test_the_introduction_names_data_recipe_and_device():
    text = " ".join(introduction("full", CLASSIC, SimpleNamespace(title="toys"), "cpu: X"))
    for part in ("toys", "NetFull", "classic", "10 epochs", "lr 0.01", "batch 64", "cpu: X"):
        assert part in text


def test_every_romaji_has_its_kana():
    assert len(KANA) == len(ROMAJI) == 10
