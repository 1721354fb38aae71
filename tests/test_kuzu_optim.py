"""SGD and AdamW against torch.optim's."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from kuzu.optim import Optimizer
from kuzu.recipes import CLASSIC
from kuzu.train import seeded

SGD = replace(CLASSIC, lr=0.05, momentum=0.9, weight_decay=0.01)
RECIPES = {
    "sgd": SGD,
    "without momentum": replace(SGD, momentum=0),
    "nesterov": replace(SGD, nesterov=True),
    "adamw": replace(SGD, optimizer="adamw", weight_decay=0.3),
}


def torchs(parameters, recipe):
    if recipe.optimizer == "adamw":
        betas = (recipe.momentum, 0.99)
        return torch.optim.AdamW(parameters, betas=betas, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )


def layers():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Linear(5, 3), nn.Conv2d(4, 3, 2).to(memory_format=torch.channels_last)
        )


def gradients_of(model, k):
    """Some of step k, in another order in memory than the weights."""
    sizes = [p.shape[::-1] for p in model.parameters()]
    return [torch.randn(s, generator=seeded(k)).permute(*reversed(range(len(s)))) for s in sizes]


def steps(optimizer, layer, first, last):
    for k in range(first, last):
        optimizer.step(gradients_of(layer, k), 0.05 / (k + 1))


@pytest.mark.rounding
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_updates_are_torchs(recipe):
    """With a rate that changes at every update."""
    ours, theirs = layers(), layers()
    optimizer = Optimizer(ours.named_parameters(), recipe)
    steps(optimizer, ours, 0, 20)
    reference = torchs(theirs.parameters(), recipe)
    for k in range(20):
        reference.param_groups[0]["lr"] = 0.05 / (k + 1)
        for parameter, gradient in zip(theirs.parameters(), gradients_of(theirs, k), strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.rounding
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_saved_and_loaded_goes_on_the_same_way(recipe):
    whole, parts = layers(), layers()
    steps(Optimizer(whole.named_parameters(), recipe), whole, 0, 8)
    first = Optimizer(parts.named_parameters(), recipe)
    steps(first, parts, 0, 5)
    second = Optimizer(parts.named_parameters(), recipe, n_updates=5)
    for name, moment in second.state_dict().items():
        moment.copy_(first.state_dict()[name])
    steps(second, parts, 5, 8)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(a, b)
