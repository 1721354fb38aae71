"""The train loop against plain ones, resumed, stopped by the clock, and gone astray."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from kuzu.data import load_kana
from kuzu.models import build, scaled
from kuzu.recipes import CLASSIC, TUNED
from kuzu.train import TrainingDiverged, at_equal_time, evaluate, seeded, train

SHORT = replace(CLASSIC, epochs=3)
TICK = 1 / 64  # seconds


@pytest.fixture(scope="module")
def data():
    return load_kana(300, 100)


@pytest.fixture
def clock(monkeypatch):
    """Whenever training looks at the clock, TICK has gone by. It does so a few times per epoch, and
    before each batch where there is a time limit."""
    readings = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: TICK * next(readings))
    monkeypatch.setattr("kuzu.train.time", clock)


@pytest.mark.rounding
@pytest.mark.parametrize("momentum", [0.5, 0.0])
def test_training_equals_a_plain_loop(data, momentum):
    """The train loop against torch.optim.SGD over batches taken by hand."""
    model = build("full", 20, seeded(1))
    plain = build("full", 20, seeded(1))
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.01, momentum=momentum)
    for number in (1, 2):
        order = torch.randperm(300, generator=seeded(1, number))
        total, right = 0.0, 0
        for batch in order.split(64):
            output = plain(data.train_images[batch].float() / 127.5 - 1)
            labels = data.train_labels[batch]
            loss = F.nll_loss(output, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
            right += int((output.argmax(1) == labels).sum())
    *_, last = train(model, data, replace(CLASSIC, epochs=2, momentum=momentum), seed=1)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert last.train_loss == pytest.approx(total / 300, rel=1e-4)
    assert last.train_accuracy == pytest.approx(right / 300, abs=0.004)


@pytest.mark.parametrize("net", ["lin", "conv"])
def test_same_seed_same_network_other_seed_another(data, net):
    def trained(seed):
        model = build(net, generator=seeded(seed))
        list(train(model, data, replace(CLASSIC, epochs=1), seed))
        return model.output.weight

    assert torch.equal(trained(0), trained(0))
    assert not torch.allclose(trained(0), trained(1))


@pytest.mark.rounding
@pytest.mark.parametrize("net", ["full", "conv"])
def test_resumed_equals_uninterrupted(data, net):
    whole = build(net, generator=seeded(7))
    *_, expected = train(whole, data, SHORT, seed=7)
    model = build(net, generator=seeded(7))
    (first,) = train(model, data, replace(SHORT, epochs=1), seed=7)
    *_, resumed = train(model, data, SHORT, 7, 1, first.state)
    assert resumed.number == expected.number == 3
    assert resumed.test.loss == expected.test.loss
    for ours, theirs in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.rounding
@pytest.mark.parametrize("net", ["lin", "full", "conv"])
def test_the_tuned_recipe_resumed_equals_uninterrupted(data, net):
    """With batch normalization the network that is trained is not the one that is evaluated."""
    recipe = replace(TUNED[net], epochs=3, evaluate_every=1, batch_size=50)
    whole = build(net, generator=seeded(7))
    *_, expected = train(whole, data, recipe, seed=7)
    model = build(net, generator=seeded(7))
    first = next(train(model, data, recipe, seed=7))
    state = {name: value.clone() for name, value in first.state.items()}
    *_, resumed = train(model, data, recipe, 7, 1, state)
    assert resumed.test.loss == expected.test.loss
    for ours, theirs in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("net", ["lin", "full", "conv"])
def test_a_last_batch_of_one_image(data, net):
    recipe = replace(TUNED[net], epochs=1, batch_size=299)
    (epoch,) = train(build(net, generator=seeded(0)), data, recipe)
    assert epoch.test.loss < 10


def test_a_batch_larger_than_the_data_is_all_of_it(data):
    losses = [
        next(train(build("lin", generator=seeded(0)), data, replace(SHORT, batch_size=size)))
        for size in (300, 10**9)
    ]
    assert losses[0].test.loss == losses[1].test.loss


@pytest.mark.parametrize("lr", [1e38, 1e30, 1e12])
def test_a_huge_learning_rate_is_reported(data, lr):
    with pytest.raises(TrainingDiverged, match="learning rate"):
        list(train(build("lin", generator=seeded(0)), data, replace(SHORT, lr=lr), seed=0))


def test_a_network_that_only_learns_badly_is_no_divergence(data):
    *_, last = train(build("lin", generator=seeded(0)), data, replace(SHORT, lr=1.0))
    assert 1 < last.test.loss < 1000


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_any_seed_has_its_generators(seed):
    drawn = [torch.rand(3, generator=seeded(seed, epoch)).tolist() for epoch in (-1, 0, 1)]
    assert len({tuple(numbers) for numbers in drawn}) == 3


def test_evaluation_is_the_mean_over_images(data):
    model = build("lin", generator=seeded(0))
    whole = evaluate(model, data.test_images, data.test_labels)
    parts = evaluate(model, data.test_images, data.test_labels, batch_size=7)
    assert whole.loss == pytest.approx(parts.loss, rel=1e-5)
    assert torch.equal(whole.predictions, parts.predictions)
    right = (whole.predictions == data.test_labels).float().mean().item()
    assert whole.accuracy == pytest.approx(right)
    assert whole.total == 100


def test_tuned_records_come_as_often_as_it_evaluates(data):
    recipe = replace(TUNED["lin"], epochs=5, evaluate_every=2)
    assert [epoch.number for epoch in train(build("lin"), data, recipe)] == [2, 4, 5]


def test_label_smoothing_is_torchs(data):
    recipe = replace(CLASSIC, epochs=1, batch_size=300, label_smoothing=0.2)
    model, plain = build("full", 20, seeded(1)), build("full", 20, seeded(1))
    list(train(model, data, recipe, seed=1))
    outputs = plain(scaled(data.train_images))
    F.cross_entropy(outputs, data.train_labels, label_smoothing=0.2).backward()
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs - 0.01 * theirs.grad, atol=1e-6)


def test_training_stops_by_the_clock(data, clock):
    """In the middle of an epoch if need be, the rate's cycle ended, at least one batch trained."""
    recipe = replace(TUNED["full"], evaluate_every=10**9)
    (epoch,) = train(build("full"), data, recipe, time_limit=34 * TICK)
    assert 34 * TICK <= epoch.seconds < 38 * TICK
    (epoch,) = train(build("full"), data, recipe, time_limit=1e-9)
    assert epoch.number == 1 and epoch.seconds < 6 * TICK


def test_both_recipes_get_the_same_time(data, clock):
    found = at_equal_time("conv", 100, TUNED["conv"], 0, data)
    classic, tuned = found["classic"], found["tuned"]
    assert classic["epochs"] == 10 and classic["seconds"] > 10 * TICK
    assert 0 <= tuned["seconds"] - classic["seconds"] < 4 * TICK
