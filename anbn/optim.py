"""How S networks' weights follow their gradients: SGD, Adam, and Adam in the eigenbasis of the
gradients of each network. Weights and gradients are one tensor (S, P), P parameters per network.

    optimizer = OPTIMIZERS[recipe.optimizer](weights, recipe.momentum, recipe.second_moment)
    optimizer.step(gradient, lr)             # changes `weights` in place
    optimizer.state                          # tensors (S, ...), and the number of steps

The first two are torch.optim's functions; its classes would import a compiler of torch's first,
which takes longer than many a training.
"""

import torch
from torch.optim.adam import adam
from torch.optim.sgd import sgd

TINY = 1e-8
MANY = 50  # parameters of a network
FIRST_BASIS = 20  # step


class Optimizer:
    """What all share: the state, which a checkpoint stores and `load` takes up again."""

    moments = ()  # names of the moments that are shaped as the weights

    def __init__(self, weights, momentum, second_moment):
        """momentum: of SGD; decay of Adam's first moment. second_moment: decay of its second."""
        self.weights, self.momentum, self.second_moment = weights, momentum, second_moment
        self.state = {"step": torch.tensor(0.0)}
        self.state |= {name: torch.zeros_like(weights) for name in self.moments}

    def load(self, state):
        """Go on from a stored state. Raises ValueError if it is that of another optimizer."""
        ours, theirs = (
            {name: (value.shape, value.dtype) for name, value in each.items()}
            for each in (self.state, state)
        )
        if ours != theirs:
            raise ValueError("the stored state is that of another optimizer, or of other networks")
        if not all(value.isfinite().all() for value in state.values()):
            raise ValueError("the stored state of the optimizer is not finite")
        for name, value in self.state.items():
            value.copy_(state[name])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    moments = ("velocity",)

    def step(self, gradient, lr):
        self.state["step"] += 1
        options = {"weight_decay": 0.0, "dampening": 0.0, "nesterov": False, "maximize": False}
        lists = [self.weights], [gradient], [self.state["velocity"]]
        sgd(*lists, foreach=False, momentum=self.momentum, lr=lr, **options)


class Adam(Optimizer):
    """Kingma & Ba (2015), algorithm 1."""

    moments = ("mean", "square")

    def step(self, gradient, lr):
        options = {"amsgrad": False, "weight_decay": 0.0, "eps": TINY, "maximize": False}
        mean, square, step = (self.state[name] for name in ("mean", "square", "step"))
        betas = {"beta1": self.momentum, "beta2": self.second_moment}
        lists = [self.weights], [gradient], [mean], [square], [], [step]
        adam(*lists, foreach=False, lr=lr, **betas, **options)


class RotatedAdam(Optimizer):
    """Adam in the eigenbasis of each network's own gradient covariance, for small networks.

    Adam divides each parameter's step by the size of its recent gradients. In a recurrent network
    that counts, the directions that matter are not single parameters but combinations of them (a
    contraction and the matching expansion, say), whose curvatures differ by orders of magnitude,
    and the diagonal view is blind to them. With a few dozen to a few hundred parameters per network
    the whole second moment matrix C = E[g g^T] can be kept. Its eigenvectors Q turn the gradient
    into coordinates in which Adam runs as usual; the step is turned back:

        step = Q  (Q^T m) / sqrt(E[(Q^T g)^2])

    This is full-matrix Adagrad's metric (Duchi, Hazan & Singer 2011, section 1.1) with Adam's
    moving averages, and for a whole network at once what SOAP (Vyas et al. 2024, algorithm 3) does
    per layer. C and Q are brought up to date every `refresh` steps, by default 10, or 20 of many
    parameters, whose eigenvectors would take most of the time. Until step 20 Q is the identity, for
    fewer gradients span nothing.
    """

    moments = ("mean", "square")  # square: in the eigenbasis

    def __init__(self, weights, momentum=0.9, second_moment=0.99, refresh=None):
        super().__init__(weights, momentum, second_moment)
        n_networks, size = weights.shape
        self.refresh = refresh = refresh or (10 if size <= MANY else 20)
        # the weight of each of the last gradients in C, as a factor of the gradient
        age = torch.arange(refresh - 1, -1, -1, dtype=weights.dtype, device=weights.device)
        self.decay = ((1 - second_moment) * second_moment**age).sqrt()[:, None]
        self.state |= {
            "recent": weights.new_zeros(n_networks, refresh, size),  # gradients not yet in C
            "covariance": weights.new_zeros(n_networks, size, size),
            "basis": torch.eye(size).to(weights).repeat(n_networks, 1, 1),  # Q, in columns
        }

    def step(self, gradient, lr):
        self.state["step"] += 1
        n, (mean, square, recent, _, _) = int(self.state["step"]), list(self.state.values())[1:]
        mean.lerp_(gradient, 1 - self.momentum)
        recent[:, (n - 1) % self.refresh] = gradient
        if n % self.refresh == 0:
            self.update_basis()
        basis = self.state["basis"]
        turned, turned_mean = torch.stack([gradient, mean], 1).bmm(basis).unbind(1)
        square.lerp_(turned.square(), 1 - self.second_moment)
        size = (square / (1 - self.second_moment**n)).sqrt_().add_(TINY)
        step = (turned_mean / size)[:, None].bmm(basis.mT)
        self.weights.sub_(step[:, 0], alpha=lr / (1 - self.momentum**n))

    def update_basis(self):
        """Take the recent gradients into C; new eigenvectors."""
        recent = self.state["recent"] * self.decay
        covariance = self.state["covariance"].mul_(self.second_moment**self.refresh)
        covariance.baddbmm_(recent.mT, recent)
        if self.state["step"] < FIRST_BASIS:
            return
        values, basis = torch.linalg.eigh(covariance)
        self.state["basis"].copy_(basis)
        # What `square` would be, had the basis been this; below the rounding error of the largest
        # value nothing is known.
        floor = values[:, -1:] * torch.finfo(values.dtype).eps
        self.state["square"].copy_(torch.maximum(values, floor))


OPTIMIZERS = {"rotated": RotatedAdam, "adam": Adam, "sgd": SGD}
