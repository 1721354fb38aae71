"""The perceptron: hand-set weights against the truth, gradients against finite differences, an
ensemble against its members, the words against the numbers."""

import itertools

import pytest
import torch

from xor.explain import activations, conditions, idle_units, linear_form, score
from xor.model import MLP, PARAMETERS, hand_set, random_networks, units_needed
from xor.tasks import XorError, grid
from xor.train import Recipe, flattened, gradients, redraw_seed, train, whole_vectors


def truth(size):
    return {(x, y): (x + y) % 2 for x, y in itertools.product(range(size), repeat=2)}


@pytest.mark.parametrize("size", range(2, 7))
def test_grid_against_the_definition(size):
    inputs, targets = grid(size)
    pairs = zip(inputs.tolist(), targets.tolist(), strict=True)
    assert {tuple(map(int, point)): target for point, target in pairs} == truth(size)


def test_grid_needs_two_classes():
    with pytest.raises(XorError, match="one class"):
        grid(1)


@pytest.mark.parametrize("size", range(2, 7))
@pytest.mark.parametrize("spare", (0, 3))
def test_hand_set_against_the_truth(size, spare):
    inputs, targets = grid(size)
    n_hidden = 2 * (size - 1) + spare
    step = hand_set(size, n_hidden, "step")
    assert step(inputs)[0].tolist() == targets.tolist()
    assert not step.out_weight[0, units_needed(size) :].any()
    sigmoid = hand_set(size, n_hidden, "sig", scale=10)
    assert ((sigmoid(inputs)[0] >= 0.5) == (targets == 1)).all()
    assert score(step, inputs, targets)[1].item() == 100


def test_too_few_units_for_hand_set_weights():
    with pytest.raises(XorError, match="needs 8 hidden units"):
        hand_set(5, 7)


def test_forward_against_a_naive_loop_and_kept_activations():
    model = random_networks([3, 4], n_hidden=3, size=3)
    inputs, _ = grid(3)
    output = model(inputs)
    for s, (n, (x, y)) in itertools.product(range(2), enumerate(inputs.tolist())):
        hidden = []
        for k in range(3):
            a, b = model.hid_weight[s, k].tolist()
            hidden.append(torch.tensor(a * x + b * y + model.hid_bias[s, k].item()).sigmoid())
            assert model.hidden[s, n, k].item() == pytest.approx(hidden[k].item(), abs=1e-6)
        total = sum(v * h for v, h in zip(model.out_weight[s].tolist(), hidden, strict=True))
        assert output[s, n].item() == pytest.approx(total.sigmoid().item(), abs=1e-5)


def test_gradients_against_finite_differences():
    inputs, targets = (t.double() for t in grid(3))
    n_hidden = 3
    flat = flattened(random_networks([5, 6], n_hidden, 3)).double()
    points = whole_vectors(inputs, targets)

    def loss(flat):
        logits, _ = gradients(flat, n_hidden, *points)
        output = logits[:, :9].sigmoid()
        right = torch.where(targets == 1, output, 1 - output)
        return -right.log().mean(1)  # (S,)

    _, exact = gradients(flat, n_hidden, *points)
    for p in range(flat.shape[1]):
        step = torch.zeros_like(flat)
        step[:, p] = 1e-5
        numeric = (loss(flat + step) - loss(flat - step)) / 2e-5
        torch.testing.assert_close(exact[:, p], numeric, rtol=1e-6, atol=1e-9)


def test_one_update_against_torch_adam():
    """A network of torch.nn's parts, torch.optim.Adam and a plain loop end at the same weights."""
    inputs, targets = grid(3)
    recipe = Recipe(epochs=30, hold=1000)
    model = random_networks([7], 4, 3)
    plain = [getattr(model, name).detach()[0].clone().requires_grad_() for name in PARAMETERS]
    adam = torch.optim.Adam(plain, lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, recipe.epochs)
    for group in adam.param_groups:
        group["lr"] = group["initial_lr"] = recipe.learning_rate
    schedule.base_lrs = [recipe.learning_rate]
    for _ in range(recipe.epochs - 1):
        hidden = (inputs @ plain[0].T + plain[1]).sigmoid()
        logits = hidden @ plain[2] + plain[3]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
        squares = plain[0].square().sum() + plain[1].square().sum()
        adam.zero_grad()
        (loss + recipe.decay / 2 * squares).backward()
        adam.step()
        schedule.step()
    list(train(model, inputs, targets, recipe))
    for name, value in zip(PARAMETERS, plain, strict=True):
        torch.testing.assert_close(getattr(model, name).data[0], value, rtol=1e-3, atol=1e-3)


def test_a_network_of_an_ensemble_is_the_network_alone():
    inputs, targets = grid(2)
    recipe = Recipe(epochs=300, hold=50, restarts=1)
    seeds = [11, 12, 13, 14]
    together = random_networks(seeds, 2, 2)
    last = list(train(together, inputs, targets, recipe, seeds))[-1]
    for s, seed in enumerate(seeds):
        alone = random_networks([seed], 2, 2)
        record = list(train(alone, inputs, targets, recipe, [seed]))[-1]
        assert record.solved_at[0] == last.solved_at[s] and record.draws[0] == last.draws[s]
        for name in PARAMETERS:
            torch.testing.assert_close(
                getattr(alone, name)[0], getattr(together, name)[s], rtol=0, atol=0
            )


def test_most_networks_learn_and_say_when():
    inputs, targets = grid(3)
    model = random_networks(range(40), 5, 3)
    *_, last = train(model, inputs, targets, seeds=range(40))
    assert (last.accuracy == 100).sum() >= 38
    assert ((last.solved_at > 0) == (last.accuracy == 100)).all()
    assert last.epoch <= Recipe().epochs and last.epoch % 100 == 0


def test_a_network_stops_once_it_has_held():
    inputs, targets = grid(2)
    model = hand_set(2, act="sig", scale=10.0)
    records = list(train(model, inputs, targets, Recipe(hold=150)))
    assert [record.epoch for record in records] == [100, 200]
    assert records[-1].solved_at.tolist() == [1]


def test_stuck_networks_are_drawn_anew():
    """Every weight 0 is a saddle no gradient leaves; only a new draw can."""
    inputs, targets = grid(2)
    model = MLP(torch.zeros(1, 3, 2), torch.zeros(1, 3), torch.zeros(1, 3), torch.zeros(1))
    stuck = list(train(model.network(0), inputs, targets, Recipe(epochs=1000)))[-1]
    assert stuck.solved_at.item() == -1 and stuck.draws.item() == 1
    cured = list(train(model, inputs, targets, Recipe(epochs=1000, hold=100, restarts=2)))[-1]
    assert cured.draws.item() >= 2 and 1000 < cured.solved_at.item()
    assert redraw_seed(0, 1) != redraw_seed(0, 2) != redraw_seed(1, 1)


def test_training_refuses_what_it_cannot_do():
    inputs, targets = grid(2)
    with pytest.raises(XorError, match="no gradient"):
        next(train(hand_set(2), inputs, targets))
    with pytest.raises(XorError, match="diverged"):
        list(train(random_networks([0], 4, 2), inputs, targets, Recipe(learning_rate=1e30)))


def test_seeds_decide_alone():
    one, two = random_networks([5], 4, 3), random_networks([9, 5], 4, 3)
    assert all(torch.equal(getattr(one, n)[0], getattr(two, n)[1]) for n in PARAMETERS)
    assert not torch.equal(two.hid_weight[0], two.hid_weight[1])


def test_lines_start_inside_the_square():
    model = random_networks(range(50), 4, 4)
    corners = torch.tensor([[0.0, 0], [0, 3], [3, 0], [3, 3]])
    weight, bias = model.hid_weight.detach(), model.hid_bias.detach()
    sides = (weight @ corners.T + bias[..., None]) >= 0
    assert (sides.any(-1) & ~sides.all(-1)).all()  # some corner on either side


def test_linear_form():
    assert linear_form([1, 1], "xy", -0.5) == "x + y - 0.5"
    assert linear_form([-1, 2.5], "xy", 0) == "-x + 2.5 y"
    assert linear_form([0, -3.14159], "xy", 1) == "-3.142 y + 1"
    assert linear_form([0, 0], "xy", 0) == "0"


def test_conditions_agree_with_the_activations():
    network = random_networks([2], 3, 3)
    inputs, targets = grid(3)
    hidden, output = conditions(network)
    for row in activations(network, inputs, targets):
        for k, condition in enumerate(hidden):
            value = evaluated(condition, {"x": row["X"], "y": row["Y"]})
            assert abs(value) < 2e-2 or (value >= 0) == (row[f"h{k + 1}"] >= 0.5)
        value = evaluated(output, {name: row[name] for name in ("h1", "h2", "h3")})
        assert abs(value) < 2e-2 or (value >= 0) == (row["output"] >= 0.5)


def evaluated(condition, values):
    """The left-hand side of "2.5 x - y + 1 >= 0"."""
    left = condition.removesuffix(" >= 0").replace("- ", "-1 ").replace("+ ", "+1 ")
    left = left.replace("-", " -1 ", 1) if left.startswith("-") and left[1:2].isalpha() else left
    total, term = 0.0, None
    for word in left.split():
        if word in ("+1", "-1"):
            total, term = total + (term or 0.0), float(word)
        else:
            term = (1.0 if term is None else term) * (
                values[word] if word in values else float(word)
            )
    return total + term


def test_idle_units():
    network = hand_set(3, n_hidden=5)
    assert idle_units(network, grid(3)[0]) == [5]
