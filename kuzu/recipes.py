"""How a classifier is trained: as the coursework does, or as well as we know for its form."""

import math
from dataclasses import asdict, dataclass, replace

from .augment import Augmentation


class RecipeError(ValueError):
    """A recipe holds a value that training cannot use; the message names it."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. The defaults are the coursework's: SGD with momentum at a constant
    rate on the images as they are, scaled to [-1, 1]. Raises RecipeError."""

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
    batch_norm: bool = False  # of the hidden layers, folded into the weights
    augmentation: Augmentation | None = None  # of the images, drawn anew for every epoch
    evaluate_every: int = 1  # epochs

    def __post_init__(self):
        if isinstance(self.augmentation, dict):  # as a checkpoint has it
            object.__setattr__(self, "augmentation", Augmentation(**self.augmentation))
        check_values(self)

    def rate(self, progress):
        """The learning rate when a part `progress` of the training is done: constant, or one cycle
        (Smith & Topin 2018): a linear rise from 0 and a cosine back to it."""
        if self.warm_up is None:
            return self.lr
        if progress < self.warm_up:
            return self.lr * progress / self.warm_up
        fall = (progress - self.warm_up) / (1 - self.warm_up)
        return self.lr * 0.5 * (1 + math.cos(math.pi * fall))


CHOICES = {"name": ("classic", "tuned"), "optimizer": ("sgd", "adamw")}
CHOICES |= {"nesterov": (False, True), "batch_norm": (False, True)}
WHOLE = {"epochs": (1, math.inf), "batch_size": (1, math.inf), "evaluate_every": (1, math.inf)}
WHOLE |= {"cutout": (0, 28), "control_points": (1, 28)}  # least and most
BELOW_ONE = ("momentum", "warm_up", "label_smoothing")


def check_values(recipe):
    """Raise RecipeError if a field is of another type than its default, or out of range."""
    fields = asdict(recipe)
    fields |= fields.pop("augmentation") or {}
    if recipe.warm_up is None:
        del fields["warm_up"]
    for name, value in fields.items():
        if name in CHOICES:
            good = value in CHOICES[name] and isinstance(value, type(CHOICES[name][0]))
            wanted = " or ".join(map(str, CHOICES[name]))
        elif name in WHOLE:
            least, most = WHOLE[name]
            good = type(value) is int and least <= value <= most
            wanted = f"a whole number from {least} to {most}"
        else:
            most, below = (1, " and below 1") if name in BELOW_ONE else (1e300, "")
            good = type(value) in (int, float) and 0 <= value < most
            wanted = "a finite number, 0 or more" + below
        if not good:
            raise RecipeError(f"{name} must be {wanted}, not {value!r}")


CLASSIC = Recipe()
# Chosen on parts of 7,011 training images after training on the others; results/reference/report.md
# says what else was tried.
CYCLE = replace(CLASSIC, name="tuned", optimizer="adamw", momentum=0.9, warm_up=0.25, lr=0.003)
LONG = replace(CYCLE, batch_size=128, label_smoothing=0.1, evaluate_every=20)
NESTEROV = {"optimizer": "sgd", "nesterov": True, "lr": 0.1, "weight_decay": 0.0005}
SMALL = Augmentation(turn=0.1, slant=0.1, scale=0.07, shift=0.04, elastic=0.03, control_points=6)
LARGE = Augmentation(turn=0.2, slant=0.2, scale=0.15, shift=0.1, elastic=0.08, control_points=6)
TUNED = {
    "lin": replace(CYCLE, epochs=60, weight_decay=0.5, augmentation=SMALL, evaluate_every=10),
    "full": replace(LONG, epochs=200, weight_decay=0.1, augmentation=replace(SMALL, shift=0.05)),
    "conv": replace(
        LONG,
        epochs=180,
        batch_norm=True,
        augmentation=replace(LARGE, thickness=0.5, cutout=10),
        **NESTEROV,
    ),
}


def recipe_for(net, name="classic", **changes):
    """The "classic" or "tuned" recipe of a network, with those of the changes that are not None."""
    recipe = TUNED[net] if name == "tuned" else CLASSIC
    return replace(recipe, **{name: v for name, v in changes.items() if v is not None})
