"""Blending inside a network: against numpy's distribution and gradients taken by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kuzu import mixup
from kuzu.models import build, scaled
from kuzu.optimizers import Momentum
from kuzu.recipes import CLASSIC
from kuzu.train import seeded


def test_shares_and_places_are_drawn_as_they_should():
    names = ["input", "conv1", "conv2"]
    share, at = mixup.draw(30_000, 64, 0.2, names, seeded(3))
    beta = np.random.default_rng(0).beta(0.2, 0.2, 300_000)
    expected = np.quantile(np.maximum(beta, 1 - beta), [0.1, 0.25, 0.5])
    found = np.quantile(share.numpy(), [0.1, 0.25, 0.5])
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert 0.5 <= share.min() and share.max() <= 1
    assert len(at) == 469 and all(110 < at.count(name) < 205 for name in names)
    again, at_again = mixup.draw(30_000, 64, 0.2, names, seeded(3))
    assert torch.equal(share, again) and at == at_again


def test_the_places_of_each_network():
    assert mixup.places(build("conv")) == ["input", "conv1", "conv2"]
    assert mixup.places(build("full")) == mixup.places(build("lin")) == ["input"]


def by_hand(model, images, labels, place, share):
    """The loss of NetConv as its docstring describes it, one blend at `place`."""

    def blended(name, x):
        if name != place:
            return x
        rows = [share[k] * x[k] + (1 - share[k]) * x[k - 1] for k in range(len(x))]
        return torch.stack(rows)

    x = blended("input", images)[:, None]
    x = F.relu(blended("conv1", F.max_pool2d(model.conv1(x), 2)))
    x = F.relu(blended("conv2", F.max_pool2d(model.conv2(x), 2)))
    x = F.log_softmax(model.output(F.relu(model.hidden(x.flatten(1)))), 1)
    target = F.one_hot(labels, 10) * share[:, None]
    target = target + F.one_hot(labels.roll(1), 10) * (1 - share)[:, None]
    return -(0.9 * target + 0.1 / 10).mul(x).sum(1).mean()


@pytest.mark.parametrize("place", ["input", "conv1", "conv2"])
def test_a_step_follows_the_blended_loss(place):
    generator = torch.Generator().manual_seed(4)
    images = torch.randint(0, 256, (6, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.tensor([0, 1, 1, 7, 3, 9])
    share = torch.tensor([1.0, 0.5, 0.7, 0.9, 0.6, 0.8])
    model, plain = build("conv", generator=seeded(1)), build("conv", generator=seeded(1))
    recipe = replace(CLASSIC, momentum=0.0, lr=0.1, label_smoothing=0.1, mixup=0.2)
    optimizer = Momentum(model, recipe)
    optimizer.at(0, 0.0)
    optimizer.step(scaled(images), labels, place, share)
    by_hand(plain, scaled(images), labels, place, share).backward()
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - 0.1 * theirs.grad, atol=1e-6, rtol=1e-5)
