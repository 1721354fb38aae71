"""The perceptron: a naive loop, autograd and finite differences as its oracles; hand-set weights
against the truth; random networks by their seeds."""

import itertools

import pytest
import torch

from xor.model import hand_set, losses, random_networks, units_needed
from xor.tasks import XorError, grid


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


@pytest.mark.parametrize("size", (2, 3))
def test_backpropagation_against_autograd(size):
    inputs, targets = (t.double() for t in grid(size))
    model = random_networks([5, 6, 7], 4, size).double()
    logits = model.backpropagate(inputs, targets)
    by_hand = [weight.grad for weight in model.parameters()]
    torch.testing.assert_close(logits, model.logits(inputs))
    loss = losses(model.logits(inputs), targets).sum()
    exact = torch.autograd.grad(loss, list(model.parameters()))
    torch.testing.assert_close(by_hand, list(exact), rtol=1e-12, atol=1e-14)


def test_backpropagation_against_finite_differences():
    inputs, targets = (t.double() for t in grid(3))
    model = random_networks([5, 6], 3, 3).double()
    model.backpropagate(inputs, targets)
    for weight in model.parameters():
        for place in itertools.product(*map(range, weight.shape)):
            around = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    weight[place] += step
                    outputs = model(inputs)[place[0]]
                    weight[place] -= step
                right = torch.where(targets == 1, outputs, 1 - outputs)
                around.append(-right.log().mean().item())
            slope = (around[0] - around[1]) / 2e-5
            assert weight.grad[place].item() == pytest.approx(slope, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("size", range(2, 7))
@pytest.mark.parametrize("spare", (0, 3))
def test_hand_set_against_the_truth(size, spare):
    inputs, targets = grid(size)
    n_hidden = 2 * (size - 1) + spare
    step = hand_set(size, n_hidden, "step")
    assert step(inputs)[0].tolist() == targets.tolist()
    assert not step.out_weight[0, units_needed(size) :].any()
    for scale in (10, 1e30):
        sigmoid = hand_set(size, n_hidden, "sig", scale)
        assert ((sigmoid(inputs)[0] >= 0.5) == (targets == 1)).all()


def test_hand_set_weights_that_cannot_be():
    with pytest.raises(XorError, match="needs 8 hidden units"):
        hand_set(5, 7)
    with pytest.raises(XorError, match="--scale"):
        hand_set(3, 4, "sig", 1e308)


def test_seeds_decide_alone():
    one, two = random_networks([5], 4, 3), random_networks([9, 5], 4, 3)
    assert all(map(torch.equal, one.parameters(), two.network(1).parameters()))
    assert not torch.equal(two.hid_weight[0], two.hid_weight[1])


def test_lines_start_inside_the_square():
    model = random_networks(range(50), 4, 4)
    corners = torch.tensor([[0.0, 0], [0, 3], [3, 0], [3, 3]])
    weight, bias = model.hid_weight.detach(), model.hid_bias.detach()
    sides = (weight @ corners.T + bias[..., None]) >= 0
    assert (sides.any(-1) & ~sides.all(-1)).all()  # some corner on either side
