"""SGD and Adam against torch.optim's classes; Adam in the eigenbasis against numpy; resuming."""

import numpy as np
import pytest
import torch

from anbn.optim import FIRST_BASIS, OPTIMIZERS, TINY, RotatedAdam

CLASSES = {
    "sgd": lambda weights: torch.optim.SGD([weights], lr=0.1, momentum=0.8),
    "adam": lambda weights: torch.optim.Adam([weights], lr=0.1, betas=(0.8, 0.99)),
}
N_STEPS = 70


def quadratic(seed, n_networks, size):
    """One random ill-conditioned quadratic per network: (S, P, P), and a start (S, P)."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(n_networks, size, size, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(a).Q
    curvature = torch.logspace(-2, 1, size, dtype=torch.float64)
    start = torch.randn(n_networks, size, generator=generator, dtype=torch.float64)
    return basis * curvature @ basis.mT, start


def noise(n, size):
    """(P,): added to the gradients, which would span too little without it."""
    generator = torch.Generator().manual_seed(n)
    return 0.3 * torch.randn(size, generator=generator, dtype=torch.float64)


def gradient(weights, matrices, n):
    """(S, P), of w A w / 2 and a random slope."""
    return (matrices @ weights[..., None])[..., 0] + noise(n, weights.shape[1])


def descend(kind, matrices, start, n_steps=N_STEPS, stop=None):
    """Minimise from `start` with falling rates, with a resumption before step `stop`."""
    weights = start.clone()
    optimizer = OPTIMIZERS[kind](weights, 0.8, 0.99)
    for n in range(n_steps):
        if n == stop:
            state = {name: value.clone() for name, value in optimizer.state.items()}
            weights = weights.clone()
            optimizer = OPTIMIZERS[kind](weights, 0.8, 0.99)
            optimizer.load(state)
        optimizer.step(gradient(weights, matrices, n), 0.05 / (n + 1) ** 0.5)
    return weights


@pytest.mark.parametrize("kind", CLASSES)
def test_steps_are_torchs(kind):
    matrices, weights = quadratic(0, 3, 5)
    ours = descend(kind, matrices, weights)
    optimizer = CLASSES[kind](weights.requires_grad_())
    for n in range(N_STEPS):
        optimizer.param_groups[0]["lr"] = 0.05 / (n + 1) ** 0.5
        weights.grad = gradient(weights.detach(), matrices, n)
        optimizer.step()
    torch.testing.assert_close(ours, weights.detach(), rtol=1e-10, atol=1e-12)


def test_rotated_steps_are_the_formulas():
    matrices, start = quadratic(0, 1, 4)
    refresh = RotatedAdam(start, 0.8, 0.99).refresh
    assert N_STEPS > FIRST_BASIS + 3 * refresh
    a, x = matrices[0].numpy(), start[0].numpy().copy()
    mean, covariance, basis, square = np.zeros(4), np.zeros((4, 4)), np.eye(4), np.zeros(4)
    for n in range(1, N_STEPS + 1):
        g = a @ x + noise(n - 1, 4).numpy()
        mean = 0.8 * mean + 0.2 * g
        covariance = 0.99 * covariance + 0.01 * np.outer(g, g)
        if n % refresh == 0 and n >= FIRST_BASIS:
            square, basis = np.linalg.eigh(covariance)
        square = 0.99 * square + 0.01 * (basis.T @ g) ** 2
        size = np.sqrt(square / (1 - 0.99**n)) + TINY
        x = x - 0.05 / n**0.5 / (1 - 0.8**n) * basis @ (basis.T @ mean / size)
    np.testing.assert_allclose(descend("rotated", matrices, start)[0], x, rtol=1e-7, atol=1e-9)


def test_before_the_first_basis_it_is_adam():
    matrices, start = quadratic(1, 2, 5)
    few = FIRST_BASIS - 1
    rotated, adam = (descend(kind, matrices, start, few) for kind in ("rotated", "adam"))
    torch.testing.assert_close(rotated, adam)


@pytest.mark.rounding
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_network_s_of_several_is_network_s_alone(kind):
    matrices, start = quadratic(2, 3, 6)
    together = descend(kind, matrices, start)
    for s in range(3):
        alone = descend(kind, matrices[s : s + 1], start[s : s + 1])
        torch.testing.assert_close(alone[0], together[s], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_resumed_run_is_the_whole_run(kind):
    matrices, start = quadratic(4, 2, 4)
    whole = descend(kind, matrices, start)
    assert torch.equal(descend(kind, matrices, start, stop=35), whole)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_another_optimizers_state_is_refused(kind):
    weights = torch.zeros(2, 3)
    for other in set(OPTIMIZERS) - {kind}:
        state = OPTIMIZERS[other](weights, 0.9, 0.99).state
        with pytest.raises(ValueError, match="another optimizer"):
            OPTIMIZERS[kind](weights, 0.9, 0.99).load(state)
    larger = OPTIMIZERS[kind](torch.zeros(2, 4), 0.9, 0.99).state
    good = OPTIMIZERS[kind](weights, 0.9, 0.99).state
    halves = {name: value.half() for name, value in good.items()}
    broken = {name: value + torch.nan for name, value in good.items()}
    for state in (larger, halves, broken):
        with pytest.raises(ValueError, match="the stored state"):
            OPTIMIZERS[kind](weights, 0.9, 0.99).load(state)
