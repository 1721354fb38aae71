"""How networks are trained, in numbers; without torch, so that a --help that shows them is fast."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """Full-batch Adam with a cosine schedule; the defaults reach the README's success rates."""

    epochs: int = 4_000  # of one draw, at most
    hold: int = 2_000  # epochs at 100 % before a network stops
    learning_rate: float = 0.2  # falls to 0 over `epochs` along a cosine
    init: float = 3.0  # slope across a hidden unit's dividing line at the start
    decay: float = 3e-4  # weight decay of the hidden units' weights and biases (centred: weights)
    restarts: int = 0  # a network unsolved after `epochs` is drawn anew at most this often
    centred: bool = False  # train in coordinates whose origin is the middle of the board


def default_recipe(size, **given):
    """The Recipe for size x size points, with the fields that are given. Beyond 3 x 3 training is
    centred, or lines far from the origin would be lost (results/reference/report.md, Part 2)."""
    if size > 3:
        steps = {"epochs": 4_000 * (size - 1), "learning_rate": 0.4 / (size - 1), "centred": True}
        given = steps | given
    return Recipe(**given)
