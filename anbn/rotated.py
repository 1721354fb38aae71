"""Adam in the eigenbasis of each network's own gradient covariance, for small networks.

Adam divides each parameter's step by the size of its recent gradients. In a recurrent network that
counts, the directions that matter are not single parameters but combinations of them (a contraction
and the matching expansion, say), whose curvatures differ by orders of magnitude, and the diagonal
view is blind to them. With a few dozen to a few hundred parameters per network the whole second
moment matrix C = E[g g^T] can be kept. Its eigenvectors Q turn the gradient into coordinates in
which Adam runs as usual; the step is turned back:

    step = Q  (Q^T m) / sqrt(E[(Q^T g)^2])

This is full-matrix Adagrad's metric (Duchi, Hazan & Singer 2011, section 1.1) with Adam's moving
averages, and for a whole network at once what SOAP (Vyas et al. 2024, algorithm 3) does per layer.
"""

import math

import torch

FIRST_REFRESH = 20  # updates of plain Adam before the first basis: fewer gradients span nothing
TINY = 1e-8


class RotatedAdam(torch.optim.Optimizer):
    """Parameters (S, ...), one full covariance (P, P) for each of the S networks.

    lr: learning rate; betas: decay of the first and of the second moments; refresh: updates between
    two eigendecompositions. Network s of an ensemble is updated as network s alone.
    """

    def __init__(self, parameters, lr, betas=(0.9, 0.99), refresh=10):
        super().__init__(parameters, dict(lr=lr, betas=betas, refresh=refresh))

    @torch.no_grad()
    def step(self, closure=None):
        group = self.param_groups[0]
        parameters, (beta_1, beta_2) = group["params"], group["betas"]
        n_networks = parameters[0].shape[0]
        gradient = torch.cat([p.grad.reshape(n_networks, -1) for p in parameters], 1)  # (S, P)
        gradient = gradient.nan_to_num()  # a lost network is reported, not decomposed
        state = self.state[parameters[0]]
        if not state:
            size = gradient.shape[1]
            eye = torch.eye(size, dtype=gradient.dtype, device=gradient.device)
            state["step"] = torch.tensor(0)
            state["mean"] = torch.zeros_like(gradient)  # (S, P), in the parameters' coordinates
            state["square"] = torch.zeros_like(gradient)  # (S, P), in the eigenbasis
            state["covariance"] = torch.zeros_like(eye).repeat(n_networks, 1, 1)  # (S, P, P)
            state["basis"] = eye.repeat(n_networks, 1, 1)  # (S, P, P), eigenvectors in columns
        state["step"] += 1
        n = int(state["step"])
        state["mean"].lerp_(gradient, 1 - beta_1)
        covariance, square = state["covariance"], state["square"]
        outer = gradient[:, :, None] * gradient[:, None]
        covariance.lerp_(outer, 1 - beta_2)
        if n >= FIRST_REFRESH and n % group["refresh"] == 0:
            values, basis = torch.linalg.eigh(covariance)
            state["basis"].copy_(basis)
            # What `square` would be, had the basis been this; below the rounding error of the
            # largest value nothing is known.
            floor = values[:, -1:] * torch.finfo(values.dtype).eps
            square.copy_(torch.maximum(values, floor))
        turned = _times(state["basis"].mT, gradient)
        square.lerp_(turned.square(), 1 - beta_2)
        size = (square / (1 - beta_2**n)).sqrt_().add_(TINY)
        step = _times(state["basis"], _times(state["basis"].mT, state["mean"]) / size)
        step *= -group["lr"] / (1 - beta_1**n)
        sizes = [math.prod(p.shape[1:]) for p in parameters]
        for p, part in zip(parameters, step.split(sizes, dim=1), strict=True):
            p.add_(part.view_as(p))


def _times(matrices, vectors):
    """(S, P, P) times (S, P), one network rounded as it is among others: torch would take
    another product for it alone."""
    if len(matrices) == 1:
        return _times(matrices.expand(2, -1, -1), vectors.expand(2, -1))[:1]
    return torch.bmm(matrices, vectors[..., None])[..., 0]
