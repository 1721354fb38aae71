"""Verdicts against a second implementation in plain Python, one point of one network at a time."""

import json
import math

import pytest
import torch

from xor.history import History
from xor.model import MLP, hand_set, random_networks
from xor.recipes import Recipe
from xor.results import quantiles, result_lines, summary, wilson
from xor.tasks import grid
from xor.train import train

SIZE, HIDDEN = 3, 3


def plain_output(network, x, y):
    """The output of a network given as lists."""

    def sigmoid(z):
        return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))

    weights, biases, out_weights, out_bias = network
    hidden = [sigmoid(a * x + b * y + c) for (a, b), c in zip(weights, biases, strict=True)]
    return sigmoid(sum(v * h for v, h in zip(out_weights, hidden, strict=True)) + out_bias)


def wrong_points(outputs, size=SIZE):
    """The points on the wrong side, of outputs in the order of the grid."""
    points = [(x, y) for x in range(size) for y in range(size)]
    pairs = zip(points, outputs, strict=True)
    return [[x, y] for (x, y), output in pairs if (output >= 0.5) != ((x + y) % 2 == 1)]


@pytest.fixture(scope="module")
def history():
    """Twenty networks: some solve it, some fail, some lose it in between."""
    inputs, targets = grid(SIZE)
    model = random_networks(range(100, 120), HIDDEN, SIZE)
    history, outputs = History(model, inputs, targets, range(100, 120)), []
    for record in train(model, inputs, targets, Recipe(epochs=1000)):
        history.add(record)
        outputs.append(torch.sigmoid(record.logits.double()).tolist())
    history.close()
    return history, outputs


def verdicts(history):
    """The summary of each network by itself, with the epochs of the training of all."""
    for s in range(history.model.n_networks):
        one = History(history.model.network(s), history.inputs, history.targets)
        one.last = history.last.of(slice(s, s + 1))
        yield summary(one)


def test_verdicts_of_trained_networks(history):
    history, outputs = history
    solved = lost = 0
    for s, verdict in enumerate(verdicts(history)):
        network = [weight.detach()[s].double().tolist() for weight in history.model.parameters()]
        points = [(x, y) for x in range(SIZE) for y in range(SIZE)]
        final = [plain_output(network, *point) for point in points]
        assert verdict["wrong_points"] == wrong_points(final)
        assert verdict["accuracy"] == pytest.approx(100 - 100 / 9 * len(wrong_points(final)))
        chances = [p if (x + y) % 2 else 1 - p for (x, y), p in zip(points, final, strict=True)]
        loss = -sum(math.log(max(p, 1e-300)) for p in chances) / 9
        assert verdict["loss"] == pytest.approx(loss, rel=1e-3)
        right = [not wrong_points(epoch[s]) for epoch in outputs]
        first = right.index(True) + 1 if any(right) else None
        since = len(right) - right[::-1].index(False) + 1 if right[-1] else None
        assert verdict["first_right"] == first
        assert verdict["stays_right_from"] == since
        solved += right[-1]
        lost += right[-1] and first != since
    whole = summary(history)
    assert 0 < solved < 20 and lost > 0  # else this proves little
    assert (whole["networks"], whole["solved"], whole["lost_in_between"]) == (20, solved, lost)
    assert sum(group["networks"] for group in whole["stuck"]) == 20 - solved
    since = sorted(v["stays_right_from"] for v in verdicts(history) if v["stays_right_from"])
    assert whole["stays_right_from"] == since[0]
    assert whole["epochs_stays_right"]["50%"] == since[math.ceil(solved / 2) - 1]
    assert whole["epochs_first_right"]["90%"] <= whole["epochs_stays_right"]["90%"]


def test_verdicts_of_untrained_networks():
    inputs, targets = grid(SIZE)
    model = random_networks(range(20), HIDDEN, SIZE)
    history = History(model, inputs, targets)
    for s, verdict in enumerate(verdicts(history)):
        network = [weight.detach()[s].tolist() for weight in model.parameters()]
        outputs = [plain_output(network, x, y) for x in range(SIZE) for y in range(SIZE)]
        assert verdict["wrong_points"] == wrong_points(outputs)
        assert verdict["first_right"] is verdict["stays_right_from"] is None
        text = result_lines(verdict)[-1]
        assert text.startswith("Not solved: wrong at (") and "after" not in text


def test_lines_come_from_the_summary_alone(history):
    content = summary(history[0], Recipe())
    lines = result_lines(content)
    assert lines == result_lines(json.loads(json.dumps(content)))
    assert f"Solved: {content['solved']} of 20 networks" in lines[1]
    levels = content["epochs_first_right"]
    text = f"10% {levels['10%']}, 50% {levels['50%']}, 90% {levels['90%']}"
    assert f"First epoch with every point right, quantiles of the solved: {text}" in lines
    assert "Final Accuracy: 100.0" in lines and "Final Weights:" in lines
    first, since = content["first_right"], content["stays_right_from"]
    lost = "" if first == since else f" First right at epoch {first}, but lost in between."
    assert lines[-1] == f"Solved: every point right from epoch {since} on.{lost}"
    assert content["draw"] == 1
    again = result_lines(content | {"draw": 3})[-1]
    assert again == f"Solved in draw 3: every point right from epoch {since} on.{lost}"


def test_a_stuck_network_is_told_what_may_help():
    inputs, targets = grid(3)
    zero = MLP(torch.zeros(1, 5, 2), -torch.ones(1, 5), torch.zeros(1, 5), torch.zeros(1))
    text = result_lines(summary(History(zero, inputs, targets)))[-1]
    assert text.startswith("Not solved: wrong at (0, 0), (0, 2), (1, 1), (2, 0), (2, 2), loss 0.69")
    assert "all points on one side of h1, h2, h3, h4, h5. Try --restarts 5," in text
    more = summary(History(zero, inputs, targets), Recipe(restarts=10))
    assert "Try --restarts 20," in result_lines(more)[-1]  # more than was tried
    one = History(random_networks([0], 1, 3), inputs, targets)
    assert "try --hid 4." in result_lines(summary(one))[-1]
    by_hand = summary(History(hand_set(3, act="sig", scale=0.1), inputs, targets), by_hand=True)
    assert "Try a larger --scale" in result_lines(by_hand)[-1]  # it cannot be drawn anew


def test_quantiles_are_values():
    values = torch.tensor([5, 1, 4, 2, 3, 9, 8, 7, 6, 10])
    assert quantiles(values) == {"10%": 1, "50%": 5, "90%": 9}
    assert quantiles(values[:1]) == {"10%": 5, "50%": 5, "90%": 5}
    assert quantiles(values[:0]) is None


def test_wilson_solves_its_equation():
    """Its ends are the rates p with |k / n - p| = z sqrt(p (1 - p) / n)."""
    for successes, trials in ((3, 10), (994, 1000), (1, 7)):
        for p in wilson(successes, trials):
            distance = abs(successes / trials - p)
            assert distance == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / trials))
    assert wilson(0, 5)[0] == pytest.approx(0, abs=1e-12) and wilson(5, 5)[1] == 1
