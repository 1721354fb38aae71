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

import torch

FIRST_REFRESH = 20  # updates of plain Adam before the first basis: fewer gradients span nothing
TINY = 1e-8


class RotatedAdam:
    """Parameters (S, ...), one full covariance (P, P) for each of the S networks. Used like an
    optimizer of torch.optim, whose import would take longer than many a training.

    lr: learning rate; betas: decay of the first and of the second moments; refresh: updates between
    two eigendecompositions. Network s of an ensemble is updated as network s alone.
    """

    def __init__(self, parameters, lr, betas=(0.9, 0.99), refresh=10):
        self.parameters = list(parameters)
        self.betas, self.refresh = betas, refresh
        self.param_groups = [{"lr": lr}]
        self.sizes = [p[0].numel() for p in self.parameters]
        some = self.parameters[0].detach()
        zeros = some.new_zeros(some.shape[0], sum(self.sizes))
        eye = torch.eye(sum(self.sizes), dtype=some.dtype, device=some.device)
        self.state = {
            "step": torch.tensor(0),
            "mean": zeros.clone(),  # (S, P), in the parameters' coordinates
            "square": zeros.clone(),  # (S, P), in the eigenbasis
            "covariance": torch.zeros_like(eye).repeat(len(some), 1, 1),  # (S, P, P)
            "basis": eye.repeat(len(some), 1, 1),  # (S, P, P), eigenvectors in columns
        }

    def zero_grad(self):
        for p in self.parameters:
            p.grad = None

    def state_dict(self):
        return dict(self.state)

    def load_state_dict(self, state):
        for name, value in self.state.items():
            value.copy_(state[name])

    @torch.no_grad()
    def step(self):
        (beta_1, beta_2), state = self.betas, self.state
        gradient = torch.cat([p.grad.flatten(1) for p in self.parameters], 1)  # (S, P)
        gradient = gradient.nan_to_num()  # a lost network is reported, not decomposed
        state["step"] += 1
        n = int(state["step"])
        state["mean"].lerp_(gradient, 1 - beta_1)
        covariance, square = state["covariance"], state["square"]
        outer = gradient[:, :, None] * gradient[:, None]
        covariance.lerp_(outer, 1 - beta_2)
        if n >= FIRST_REFRESH and n % self.refresh == 0:
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
        step *= -self.param_groups[0]["lr"] / (1 - beta_1**n)
        for p, part in zip(self.parameters, step.split(self.sizes, dim=1), strict=True):
            p.add_(part.view_as(p))


def _times(matrices, vectors):
    """(S, P, P) times (S, P), one network rounded as it is among others: torch would take
    another product for it alone."""
    if len(matrices) == 1:
        return _times(matrices.expand(2, -1, -1), vectors.expand(2, -1))[:1]
    return torch.bmm(matrices, vectors[..., None])[..., 0]
