"""How a classifier is trained: as the coursework does, or as well as we know for its form."""

import math
from dataclasses import dataclass

from .vary import Variation


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. The defaults are the coursework's: SGD with momentum at a constant
    rate on the images as they are, scaled to [-1, 1]."""

    name: str = "classic"
    epochs: int = 10
    lr: float = 0.01  # the largest, where it follows a cycle
    momentum: float = 0.5  # of sgd; decay of AdamW's first moment
    batch_size: int = 64
    optimizer: str = "sgd"  # or adamw
    nesterov: bool = False  # sgd: the gradient where the momentum leads, not where it starts
    weight_decay: float = 0.0  # adamw's is decoupled from the gradient, sgd's a part of it
    warm_up: float | None = None  # one cycle: part of the training in which the rate rises from 0
    label_smoothing: float = 0.0  # probability that the target shares among all characters
    normalize: bool = False  # batch normalization of the hidden layers, folded into the weights
    variation: Variation | None = None  # of the images, drawn anew for every epoch
    evaluate_every: int = 1  # epochs

    def __post_init__(self):
        if isinstance(self.variation, dict):  # as a checkpoint has it
            object.__setattr__(self, "variation", Variation(**self.variation))

    def rate(self, progress):
        """The learning rate when a part `progress` of all updates is done: constant, or one cycle
        (Smith & Topin 2018): a linear rise from 0 and a cosine back to it."""
        if self.warm_up is None:
            return self.lr
        if progress < self.warm_up:
            return self.lr * progress / self.warm_up
        fall = (progress - self.warm_up) / (1 - self.warm_up)
        return self.lr * 0.5 * (1 + math.cos(math.pi * fall))


CLASSIC = Recipe()
# Chosen on parts of 7,011 training images after training on the others; results/reference/report.md
# says what else was tried.
CYCLE = {"name": "tuned", "optimizer": "adamw", "momentum": 0.9, "warm_up": 0.25}
TUNED = {
    "lin": Recipe(
        epochs=60,
        lr=0.003,
        weight_decay=0.5,
        variation=Variation(turn=0.1, slant=0.1, scale=0.07, shift=0.04, elastic=0.03),
        evaluate_every=10,
        **CYCLE,
    ),
    "full": Recipe(
        epochs=200,
        lr=0.003,
        batch_size=128,
        weight_decay=0.1,
        label_smoothing=0.1,
        variation=Variation(turn=0.1, slant=0.1, scale=0.07, shift=0.05, elastic=0.03),
        evaluate_every=20,
        **CYCLE,
    ),
    "conv": Recipe(
        name="tuned",
        epochs=180,
        lr=0.1,
        momentum=0.9,
        batch_size=128,
        nesterov=True,
        weight_decay=0.0005,
        warm_up=0.25,
        label_smoothing=0.1,
        normalize=True,
        variation=Variation(elastic=0.08, thickness=0.5, cutout=10),
        evaluate_every=20,
    ),
}
