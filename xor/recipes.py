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
    """The Recipe for size x size points, with the fields that are given.

    Beyond 3 x 3 the recipe of 3 x 3 leaves a third (5 x 5, 8 units) and three quarters (7 x 7, 12
    units) of the networks stuck. Most of their wrong points lie beyond x + y = size - 1: no line is
    left there, while those nearer the origin share gaps or have left the square. With lines along
    x + y 20 of 83 networks (5 x 5) and 0 of 90 (7 x 7) get through, along x - y, which needs small
    biases, 114 of 117 and 47 of 110. For weight decay shrinks the bias of a line far from the
    origin, and every step of its weights moves it by that distance. So training takes the middle of
    the board as the origin, without decay of biases, in smaller and more steps; the weights saved
    are for x and y as they are. One network in 100 still gets stuck: some of its lines have turned
    across the others.
    """
    if size > 3:
        steps = {"epochs": 4_000 * (size - 1), "learning_rate": 0.4 / (size - 1), "centred": True}
        given = steps | given
    return Recipe(**given)
