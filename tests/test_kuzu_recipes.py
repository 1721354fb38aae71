"""Recipes: the rate's cycle, and values that no training can use."""

from dataclasses import replace

import pytest

from kuzu.augment import Augmentation
from kuzu.recipes import CLASSIC, TUNED, RecipeError, recipe_for


def test_a_cycle_rises_and_falls():
    recipe = replace(CLASSIC, lr=0.01, warm_up=0.4)
    rates = [recipe.rate(part) for part in (0, 0.2, 0.4, 0.7, 1)]
    assert rates == pytest.approx([0, 0.005, 0.01, 0.005, 0])
    assert CLASSIC.rate(0) == CLASSIC.rate(1) == 0.01


def test_changes_that_are_not_given_change_nothing():
    assert recipe_for("conv", "tuned", lr=None, epochs=3) == replace(TUNED["conv"], epochs=3)
    assert recipe_for("lin") == CLASSIC


@pytest.mark.parametrize(
    "wrong",
    [
        *({"momentum": value} for value in (1, 1.0, -0.1, float("nan"), "0.5", None)),
        *({"epochs": value} for value in (0, 1.0, True, None)),
        {"lr": float("inf")},
        {"batch_size": 0},
        {"optimizer": "adam"},
        {"nesterov": 1},
        {"name": "other"},
        {"warm_up": 1.0},
        {"augmentation": Augmentation(elastic=float("inf"))},
        {"augmentation": Augmentation(control_points=10**9)},
    ],
)
def test_wrong_values_are_named(wrong):
    (name,) = wrong
    with pytest.raises(RecipeError) as caught:
        replace(CLASSIC, **wrong)
    assert name in str(caught.value) or name == "augmentation"
