"""The confusion matrix (rows are targets, columns predictions) and the most-confused pairs.

matrix = confusion_matrix(labels, predictions)
most_confused(matrix, 1)    # [Pair(target=6, predicted=2, count=148, share=0.148)]
"""

from typing import NamedTuple

import torch


class Pair(NamedTuple):
    """`count` images of the class `target` were read as `predicted`: a `share` of its images."""

    target: int
    predicted: int
    count: int
    share: float


def confusion_matrix(targets, predictions):
    """Count the pairs of targets (N,) and predictions (N,), both int64 from 0 to 9: (10, 10)."""
    return torch.bincount(10 * targets + predictions, minlength=100).view(10, 10).cpu()


def class_accuracy(matrix):
    """The share of each class's images that was read right, a list; None where there is none."""
    counts = zip(matrix.diagonal().tolist(), matrix.sum(1).tolist(), strict=True)
    return [right / total if total else None for right, total in counts]


def most_confused(matrix, n_pairs=10):
    """The largest off-diagonal counts as Pairs, largest first, zeros left out."""
    counts = matrix.clone().fill_diagonal_(0).flatten()
    totals, pairs = matrix.sum(1).tolist(), []
    for place in counts.argsort(descending=True, stable=True)[:n_pairs].tolist():
        if count := int(counts[place]):
            target, predicted = divmod(place, len(matrix))
            pairs.append(Pair(target, predicted, count, count / totals[target]))
    return pairs
