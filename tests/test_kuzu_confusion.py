"""The confusion matrix against a naive count."""

import random

import pytest
import torch

from kuzu.confusion import class_accuracy, confusion_matrix, most_confused


def test_confusion_matrix_equals_a_naive_count():
    rng = random.Random(5)
    targets = [rng.randrange(10) for _ in range(500)]
    predictions = [rng.randrange(10) for _ in range(500)]
    naive = [[0] * 10 for _ in range(10)]
    for target, predicted in zip(targets, predictions, strict=True):
        naive[target][predicted] += 1
    matrix = confusion_matrix(torch.tensor(targets), torch.tensor(predictions))
    assert matrix.tolist() == naive
    shares = [naive[i][i] / sum(naive[i]) for i in range(10)]
    assert class_accuracy(matrix) == pytest.approx(shares)
    wrong = sorted(
        ((naive[i][j], i, j) for i in range(10) for j in range(10) if i != j), reverse=True
    )
    pairs = most_confused(matrix, 10)
    assert [pair.count for pair in pairs] == [count for count, *_ in wrong[:10]]
    for pair in pairs:
        assert naive[pair.target][pair.predicted] == pair.count
        assert pair.share == pytest.approx(pair.count / sum(naive[pair.target]))


def test_a_perfect_matrix_has_no_confused_pairs():
    assert most_confused(torch.eye(10, dtype=torch.int64)) == []


def test_a_class_without_images_has_no_accuracy():
    matrix = torch.tensor([[3, 1], [0, 0]])
    assert class_accuracy(matrix) == [0.75, None]
    assert [pair.share for pair in most_confused(matrix)] == [0.25]
