"""Recipes: impossible ones, how rates and gains go, and that there is one for every language."""

import math

import pytest
import torch

from anbn.counting import CountingLanguage
from anbn.languages import Language
from anbn.models import MODELS
from anbn.reber import ReberLanguage
from anbn.recipes import Recipe, RecipeError, default_recipe, far_recipe, with_options
from anbn.train import build, train

ANB2N = CountingLanguage.named("anb2n")


class Separated(Language):
    name, symbols = "ansbn", "ABS"

    def word(self, n):
        return "A" * n + "S" + "B" * n


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "magic"},
        {"optimizer": None},
        {"stochastic_target": "best"},
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"n_sequences": 0},
        {"n_sequences": True},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"learning_rate": "0.1"},
        {"learning_rate": 1e31},
        {"momentum": 1},
        {"momentum": -0.1},
        {"second_moment": 1.0},
        {"clip": 0},
        {"stochastic_weight": -1},
        {"init": math.inf},
        {"gate_gain": 0},
        {"input_gain": math.inf},
        {"gain_start": 0.9},
        {"warm_up": 2},
        {"noise": None},
        {"forget_bias": math.nan},
        {"recurrent_pull": -1},
        {"read_out_pull": math.nan},
        {"saturation": math.inf},
        {"turn_smoothing": 1.5},
        {"closure": -1},
    ],
)
def test_impossible_recipes(options):
    with pytest.raises(RecipeError, match=next(iter(options))):
        Recipe(**{"n_sequences": 10, **options})


def test_with_options_keeps_what_is_not_given():
    recipe = Recipe(n_sequences=160, batch_size=4)
    changed = with_options(recipe, learning_rate=0.5, batch_size=None)
    assert changed.learning_rate == 0.5 and changed.batch_size == 4


def test_the_learning_rate_rises_and_falls_to_nothing():
    recipe = Recipe(n_sequences=1000, batch_size=1, learning_rate=0.5, warm_up=0.1)
    rates = [recipe.rate(update) for update in range(recipe.n_updates)]
    assert rates[50] == pytest.approx(0.25, rel=0.02)
    assert max(rates) == pytest.approx(0.5, rel=0.05) and 90 < rates.index(max(rates)) < 110
    assert rates[-1] <= 0.5 * 1e-3
    # cosine: halfway down after half the training
    assert recipe.rate(500) == pytest.approx(0.25)


def test_gains_rise_from_1_to_the_recipes():
    recipe = Recipe(n_sequences=80, batch_size=1, gate_gain=8.0, input_gain=3.0)
    model = build(ANB2N, "lstm", 2, [0], recipe)
    gains = torch.stack([recipe.gain(k, model) for k in range(81)])  # (81, 8)
    assert (gains[:24] == 1).all() and (gains.diff(dim=0) >= 0).all()
    last = torch.tensor([3.0, 3, 8, 8, 3, 3, 8, 8])  # two units' gates i, f, g, o
    torch.testing.assert_close(gains[-1], last)
    assert recipe.gain(60, build(ANB2N, "srn", 2, [0], recipe)) == 1  # no gates


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    "language",
    [CountingLanguage((1, 1, 1, 1), 5), ReberLanguage(), ReberLanguage(True), Separated(4)],
)
def test_there_is_a_recipe_for_every_language(language, kind):
    recipe = default_recipe(language, kind, 5)
    short = with_options(recipe, n_sequences=2 * recipe.batch_size)
    model = build(language, kind, 5, [0], short)
    assert list(train(model, language, short, [0]))[-1].loss.isfinite().all()


def test_only_networks_that_count_count_far():
    with pytest.raises(RecipeError, match="--model lstm"):
        far_recipe(ANB2N, "srn", 2)
    assert far_recipe(CountingLanguage((1, 1), 8), "srn", 2).closure > 0
    with pytest.raises(RecipeError, match="count"):
        far_recipe(ReberLanguage(), "lstm", 3)
    assert far_recipe(Separated(4), "lstm", 3).stochastic_target == "mean"
    certain = Separated(4)
    certain.word = lambda n: "ASB"
    with pytest.raises(RecipeError, match="no step .* uncertain"):
        far_recipe(certain, "lstm", 3)


@pytest.mark.parametrize(
    "name, closure, block_closure",
    [("anbn", 0, 0), ("anbncn", 1, 0), ("anbncndn", 1, 0), ("anb2nc3n", 0, 300), ("anb3n", 0, 0)],
)
def test_what_must_return_to_the_start_when_counting_far(name, closure, block_closure):
    recipe = far_recipe(CountingLanguage.named(name), "lstm", 3)
    assert (recipe.closure, recipe.block_closure) == (closure, block_closure)
