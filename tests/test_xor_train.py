"""The train loop: torch's own parts in a plain loop as its oracle, an ensemble against its members,
groups against themselves, when networks stop and are drawn anew."""

from dataclasses import replace

import pytest
import torch

from xor import train as training
from xor.model import MLP, hand_set, losses, random_networks
from xor.recipes import Recipe, default_recipe
from xor.tasks import XorError, grid
from xor.train import redraw_seed, train


def weights_apart(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("size", (3, 5))
def test_training_against_torch(size):
    """A network of torch's parts, torch.optim.Adam and a plain loop end at the same weights."""
    inputs, targets = (t.double() for t in grid(size))
    recipe = replace(default_recipe(size), epochs=200, hold=1000)
    model = random_networks([7], 4, size).double()
    plain = [weight.detach()[0].clone() for weight in model.parameters()]
    middle = 2 if size == 5 else 0
    plain[1] += plain[0] @ torch.full((2,), middle, dtype=torch.double)
    groups = [{"params": plain[:1], "weight_decay": recipe.decay}, {"params": plain[2:]}]
    groups.append({"params": plain[1:2], "weight_decay": recipe.decay if size == 3 else 0})
    for weight in plain:
        weight.requires_grad_()
    adam = torch.optim.Adam(groups, lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, recipe.epochs)
    losses_seen = []
    for record in train(model, inputs, targets, recipe):
        hidden = ((inputs - middle) @ plain[0].T + plain[1]).sigmoid()
        logits = hidden @ plain[2] + plain[3]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        assert record.loss.item() == pytest.approx(loss.item(), rel=1e-6)
        losses_seen.append(loss.item())
        if record.epoch < recipe.epochs:
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
    assert record.epoch == len(losses_seen) == recipe.epochs
    for weight, reference in zip(model.moved(middle).parameters(), plain, strict=True):
        torch.testing.assert_close(weight.data[0], reference.detach(), rtol=1e-7, atol=1e-8)


@pytest.mark.rounding
@pytest.mark.parametrize("n_networks", (2, 3, 4, 5, 17, 64))
@pytest.mark.parametrize("size", (2, 3))
def test_a_network_of_an_ensemble_is_the_network_alone_within_rounding(n_networks, size):
    """More updates would not do: training multiplies what rounding changes (3e-8 after 2 updates,
    4e-4 after 100, 1 after 1,000 in single precision)."""
    for kind, bound in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        inputs, targets = (t.to(kind) for t in grid(size))
        seeds = list(range(50, 50 + n_networks))
        together = random_networks(seeds, 4, size).to(kind)
        list(train(together, inputs, targets, Recipe(epochs=8)))
        for s in (0, n_networks - 1):
            alone = random_networks(seeds[s : s + 1], 4, size).to(kind)
            list(train(alone, inputs, targets, Recipe(epochs=8)))
            assert weights_apart(alone, together.network(s)) < bound


@pytest.mark.rounding
def test_groups_are_the_same_to_the_last_bit_wherever_they_are_trained(monkeypatch):
    """Eight networks in groups of three; then the second and third group, as another process has
    them. Some stop early, one at least is drawn anew: with weights of 0 no gradient leads on."""
    monkeypatch.setattr(training, "GROUP_SIZE", 3)
    inputs, targets = grid(2)
    recipe = Recipe(epochs=250, hold=50, restarts=1)
    seeds = list(range(11, 19))
    whole, part = random_networks(seeds, 2, 2), random_networks(seeds[3:], 2, 2)
    for weight in (*whole.parameters(), *part.parameters()):
        weight.data[-1] = 0
    *_, last = train(whole, inputs, targets, recipe, seeds)
    *_, last_part = train(part, inputs, targets, recipe, seeds[3:])
    assert last.draws.max() == 2 and last.epoch <= 500
    for a, b in zip(last.of(slice(3, None))[1:], last_part[1:], strict=True):
        assert torch.equal(a, b)
    assert weights_apart(whole.subset(torch.arange(3, 8)), part) == 0


@pytest.mark.parametrize("size", (3, 5))
def test_records_are_of_every_epoch_and_the_model_is_theirs_when_the_loop_is_left(size):
    inputs, targets = grid(size)
    model = random_networks(range(6), 4, size)
    epochs = []
    for record in train(model, inputs, targets):
        epochs.append(record.epoch)
        if record.epoch == 42:
            break
    assert epochs == list(range(1, 43))
    torch.testing.assert_close(model.logits(inputs).detach(), record.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.rounding
def test_larger_boards_are_learned_from_one_start():
    inputs, targets = grid(5)
    model = random_networks(range(30), 8, 5)
    *_, last = train(model, inputs, targets)
    assert last.solved.sum() >= 26  # 99 of 100 are usual


def test_most_networks_learn_and_say_when():
    inputs, targets = grid(3)
    model = random_networks(range(40), 5, 3)
    *_, last = train(model, inputs, targets, seeds=range(40))
    assert (last.accuracy == 100).sum() >= 38
    assert (last.solved == (last.accuracy == 100)).all()
    assert (last.first_right[last.solved] <= last.stays_right_from[last.solved]).all()
    assert last.epoch <= Recipe().epochs and last.epoch % 100 == 0
    torch.testing.assert_close(losses(model.logits(inputs), targets).detach(), last.loss)


def test_a_network_stops_once_it_has_held():
    inputs, targets = grid(2)
    model = hand_set(2, act="sig", scale=10.0)
    *_, last = train(model, inputs, targets, Recipe(hold=150))
    assert last.epoch == 200 and last.stays_right_from.tolist() == [1]


def test_a_stopped_network_stays_as_it_was_while_others_go_on():
    inputs, targets = grid(2)
    zero = MLP(torch.zeros(1, 2, 2), torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1))
    good = hand_set(2, 2, "sig", 10.0)
    pairs = zip(zero.parameters(), good.parameters(), strict=True)
    both = MLP(*(torch.cat(pair) for pair in pairs))
    records = list(train(both, inputs, targets, Recipe(epochs=300, hold=50)))
    assert len(records) == 300 and records[-1].solved.tolist() == [False, True]
    assert torch.equal(records[99].logits[1], records[-1].logits[1])
    assert not torch.equal(records[98].logits[1], records[99].logits[1])
    torch.testing.assert_close(both.logits(inputs).detach(), records[-1].logits)


def test_stuck_networks_are_drawn_anew():
    """Every weight 0 is a saddle no gradient leaves; only a new draw can."""
    inputs, targets = grid(2)
    model = MLP(torch.zeros(1, 3, 2), torch.zeros(1, 3), torch.zeros(1, 3), torch.zeros(1))
    *_, stuck = train(model.network(0), inputs, targets, Recipe(epochs=550))
    assert not stuck.solved.any() and stuck.draws.item() == 1
    *_, cured = train(model, inputs, targets, Recipe(epochs=550, hold=100, restarts=2))
    assert cured.draws.item() >= 2 and 550 < cured.first_right.item()
    assert redraw_seed(0, 1) != redraw_seed(0, 2) != redraw_seed(1, 1)


def test_a_network_solved_late_is_not_drawn_anew():
    inputs, targets = grid(2)
    model = hand_set(2, act="sig", scale=10.0)
    *_, last = train(model, inputs, targets, Recipe(epochs=120, hold=1000, restarts=3))
    assert last.epoch == 120 and last.draws.item() == 1 and last.solved.all()


@pytest.mark.parametrize("size", (3, 5))
def test_a_redrawn_network_is_the_one_of_its_new_seed(size):
    inputs, targets = grid(size)
    recipe = default_recipe(size, epochs=30)
    model = random_networks([5], 1, size)  # one unit cannot solve it
    records = list(train(model, inputs, targets, replace(recipe, restarts=1), [5]))
    new = random_networks([redraw_seed(5, 1)], 1, size)
    torch.testing.assert_close(records[30].logits, new.logits(inputs).detach())
    *_, alone = train(new, inputs, targets, recipe)
    torch.testing.assert_close(records[-1].logits, alone.logits)
    assert len(records) == 60


def test_training_refuses_what_it_cannot_do():
    inputs, targets = grid(2)
    with pytest.raises(XorError, match="no gradient"):
        next(train(hand_set(2), inputs, targets))
    for recipe, option in (
        (Recipe(learning_rate=1e30), "smaller --lr$"),
        (Recipe(init=1e308), "smaller --init$"),
    ):
        model = random_networks([0], 4, 2, recipe.init)
        with pytest.raises(XorError, match=option):
            list(train(model, inputs, targets, recipe))
