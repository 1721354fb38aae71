"""Adam in the eigenbasis: against a dense formula in numpy, its invariance, and a resumed run."""

import numpy as np
import torch

from anbn.rotated import FIRST_REFRESH, TINY, RotatedAdam

N_STEPS = 60


def quadratic(seed, n_networks, size):
    """One random ill-conditioned quadratic per network: (S, P, P), and a start (S, P)."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(n_networks, size, size, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(a).Q
    curvature = torch.logspace(-2, 1, size, dtype=torch.float64)
    start = torch.randn(n_networks, size, generator=generator, dtype=torch.float64)
    return basis * curvature @ basis.mT, start


def noise(size):
    """(N_STEPS, P): added to the gradients, which would span too little without it."""
    generator = torch.Generator().manual_seed(9)
    return 0.3 * torch.randn(N_STEPS, size, generator=generator, dtype=torch.float64)


def loss(x, matrices, n):
    """x A x / 2 and a random slope, summed over networks."""
    return (0.5 * torch.einsum("si,sij,sj", x, matrices, x)) + (x @ noise(x.shape[1])[n]).sum()


def update(optimizer, aim, lr=0.05):
    optimizer.collect(torch.autograd.grad(aim, optimizer.parameters))
    optimizer.turn()
    optimizer.apply(optimizer.numbers(lr))


def descend(matrices, start, n_steps=N_STEPS, parts=1):
    """Minimise the loss, the parameters cut into `parts` tensors; returns x (S, P)."""
    pieces = [p.clone().requires_grad_() for p in start.chunk(parts, dim=1)]
    optimizer = RotatedAdam(pieces)
    for n in range(n_steps):
        update(optimizer, loss(torch.cat(pieces, dim=1), matrices, n))
    return torch.cat(pieces, dim=1).detach()


def test_against_the_formula_in_numpy():
    matrices, start = quadratic(0, 1, 4)
    a, x = matrices[0].numpy(), start[0].numpy().copy()
    lr, beta_1, beta_2 = 0.05, 0.9, 0.99
    mean, covariance, basis = np.zeros(4), np.zeros((4, 4)), np.eye(4)
    square = np.zeros(4)
    for n in range(1, N_STEPS + 1):
        g = a @ x + noise(4)[n - 1].numpy()
        mean = beta_1 * mean + (1 - beta_1) * g
        covariance = beta_2 * covariance + (1 - beta_2) * np.outer(g, g)
        if n >= FIRST_REFRESH and n % 10 == 0:
            square, basis = np.linalg.eigh(covariance)
        square = beta_2 * square + (1 - beta_2) * (basis.T @ g) ** 2
        size = np.sqrt(square / (1 - beta_2**n)) + TINY
        x = x - lr / (1 - beta_1**n) * basis @ (basis.T @ mean / size)
    np.testing.assert_allclose(descend(matrices, start)[0], x, rtol=1e-9)


def test_before_the_first_basis_it_is_adam():
    matrices, start = quadratic(1, 2, 5)
    x = start.clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=0.05, betas=(0.9, 0.99), eps=TINY)
    for n in range(FIRST_REFRESH - 1):
        adam.zero_grad()
        loss(x, matrices, n).backward()
        adam.step()
    torch.testing.assert_close(descend(matrices, start, FIRST_REFRESH - 1), x.detach())


def test_network_s_of_an_ensemble_is_network_s_alone():
    matrices, start = quadratic(2, 3, 6)
    together = descend(matrices, start, parts=2)
    for s in range(3):
        alone = descend(matrices[s : s + 1], start[s : s + 1])
        torch.testing.assert_close(alone[0], together[s], rtol=1e-6, atol=1e-8)


def test_a_lost_network_leaves_the_others_alone():
    matrices, start = quadratic(3, 2, 4)
    broken = matrices.clone()
    broken[1] = torch.nan
    torch.testing.assert_close(descend(broken, start)[0], descend(matrices, start)[0])


def test_state_survives_a_checkpoint():
    matrices, start = quadratic(4, 2, 4)
    x = start.clone().requires_grad_()
    optimizer = RotatedAdam([x])
    for n in range(N_STEPS):
        if n == 35:  # as a resumed run does
            state = optimizer.state_dict()
            x = x.detach().clone().requires_grad_()
            optimizer = RotatedAdam([x])
            optimizer.load_state_dict(state)
        update(optimizer, loss(x, matrices, n))
    torch.testing.assert_close(x.detach(), descend(matrices, start))
