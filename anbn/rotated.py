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
    """Parameters (S, ...), one full covariance (P, P) for each of the S networks. Used like the
    optimizers of optimizers.py; network s of an ensemble is updated as network s alone.

    momentum, second_moment: decay of the first and of the second moments. refresh: updates between
    two eigendecompositions.
    """

    def __init__(self, parameters, momentum=0.9, second_moment=0.99, refresh=10):
        self.parameters = list(parameters)
        self.betas, self.refresh = (momentum, second_moment), refresh
        self.sizes = [p[0].numel() for p in self.parameters]
        some = self.parameters[0].detach()
        zeros = some.new_zeros(some.shape[0], sum(self.sizes))
        eye = torch.eye(sum(self.sizes), dtype=some.dtype, device=some.device)
        self.moments = {
            "step": torch.tensor(0),
            "mean": zeros.clone(),  # (S, P), in the parameters' coordinates
            "square": zeros.clone(),  # (S, P), in the eigenbasis
            "covariance": torch.zeros_like(eye).repeat(len(some), 1, 1),  # (S, P, P)
            "basis": eye.repeat(len(some), 1, 1),  # (S, P, P), eigenvectors in columns
        }
        self.gradient = zeros.clone()  # (S, P), the last collected

    def state(self):
        """The tensors that `collect` and `apply` change, besides the parameters."""
        return [*list(self.moments.values())[1:], self.gradient]

    def state_dict(self):
        return dict(self.moments)

    def load_state_dict(self, state):
        for name, value in self.moments.items():
            value.copy_(state[name])

    @torch.no_grad()
    def collect(self, gradients):
        """Take up gradients, shaped as the parameters."""
        (beta_1, beta_2), gradient = self.betas, self.gradient
        torch.cat([g.flatten(1) for g in gradients], 1, out=gradient)
        torch.nan_to_num_(gradient)  # a lost network is reported, not decomposed
        self.moments["mean"].lerp_(gradient, 1 - beta_1)
        outer = gradient[:, :, None] * gradient[:, None]
        self.moments["covariance"].lerp_(outer, 1 - beta_2)

    @torch.no_grad()
    def turn(self):
        """Between collect and apply: a new basis if it is time."""
        self.moments["step"] += 1
        n = int(self.moments["step"])
        if n >= FIRST_REFRESH and n % self.refresh == 0:
            values, basis = torch.linalg.eigh(self.moments["covariance"])
            self.moments["basis"].copy_(basis)
            # What `square` would be, had the basis been this; below the rounding error of the
            # largest value nothing is known.
            floor = values[:, -1:] * torch.finfo(values.dtype).eps
            self.moments["square"].copy_(torch.maximum(values, floor))

    def numbers(self, lr):
        """What apply needs to know of this update: the corrections of moments that began at 0."""
        (beta_1, beta_2), n = self.betas, int(self.moments["step"])
        numbers = [-lr / (1 - beta_1**n), 1 - beta_2**n]
        return torch.tensor(numbers, dtype=self.gradient.dtype)

    @torch.no_grad()
    def apply(self, numbers):
        """Move the parameters."""
        basis, square = self.moments["basis"], self.moments["square"]
        turned = _times(basis.mT, self.gradient)
        square.lerp_(turned.square(), 1 - self.betas[1])
        size = (square / numbers[1]).sqrt_().add_(TINY)
        step = _times(basis, _times(basis.mT, self.moments["mean"]) / size)
        step *= numbers[0]
        for p, part in zip(self.parameters, step.split(self.sizes, dim=1), strict=True):
            p.add_(part.view_as(p))


def _times(matrices, vectors):
    """(S, P, P) times (S, P), one network rounded as it is among others: torch would take
    another product for it alone."""
    if len(matrices) == 1:
        return _times(matrices.expand(2, -1, -1), vectors.expand(2, -1))[:1]
    return torch.bmm(matrices, vectors[..., None])[..., 0]
