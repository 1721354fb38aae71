"""Confusion matrices, rows the target and columns the predicted class, and what they say."""

from typing import NamedTuple

import torch


class Confused(NamedTuple):
    """So many images of `target` were read as `predicted`; share is of all images of target."""

    target: int
    predicted: int
    count: int
    share: float


def confusion_matrix(targets, predicted, n_classes=10):
    """targets, predicted (N,) int64 -> (n_classes, n_classes) int64 counts."""
    cells = targets * n_classes + predicted
    return torch.bincount(cells, minlength=n_classes**2).view(n_classes, n_classes)


def accuracy_per_class(matrix):
    """The share of each target class that is read right: (C,) float, NaN for an absent class."""
    return matrix.diagonal() / matrix.sum(1)


def most_confused(matrix, n_pairs=10):
    """The `n_pairs` most frequent errors as Confused, most frequent first; ties in class order.
    Pairs that never occur are left out."""
    n_classes, totals = len(matrix), matrix.sum(1)
    errors = matrix.clone().fill_diagonal_(0).flatten()
    order = errors.sort(descending=True, stable=True).indices[:n_pairs].tolist()
    return [
        Confused(t, p, int(matrix[t, p]), float(matrix[t, p] / totals[t]))
        for t, p in (divmod(cell, n_classes) for cell in order)
        if matrix[t, p] > 0
    ]
