"""How S networks' weights follow their gradients: SGD, Adam, and Adam in the eigenbasis of the
gradients of each network. Weights and gradients are one tensor (S, P), P parameters per network.

    optimizer = OPTIMIZERS[recipe.optimizer](weights, recipe.momentum, recipe.second_moment)
    optimizer.step(gradient, lr)             # changes `weights` in place
    optimizer.state                          # tensors (S, ...), and the number of steps

Plain formulas: torch.optim's classes import a compiler, which takes longer than many a training.
"""

import torch

TINY = 1e-8
MANY = 50  # parameters of a network, whose eigenvectors would take most of the time
FIRST_BASIS = 20  # step


def select_state(state, which):
    """The part of some networks of an optimizer's state, as a copy."""
    return {k: value[which].clone() if value.dim() else value.clone() for k, value in state.items()}


def join_networks(dicts):
    """One dict of several groups of networks: copies of tensors (S, ...) joined along S, also in
    dicts within it; what is no such tensor is the first group's."""
    joined = dict(dicts[0])
    for name, value in joined.items():
        values = [each[name] for each in dicts]
        if isinstance(value, dict):
            joined[name] = join_networks(values)
        elif isinstance(value, torch.Tensor):
            joined[name] = torch.cat(values) if value.dim() else value.clone()
    return joined


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
        velocity = self.state["velocity"].mul_(self.momentum).add_(gradient)
        self.weights.sub_(velocity, alpha=lr)


class Adam(Optimizer):
    """Kingma & Ba (2015), algorithm 1."""

    moments = ("mean", "square")

    def step(self, gradient, lr):
        self.state["step"] += 1
        step, mean, square = self.state.values()
        n, beta1, beta2 = int(step), self.momentum, self.second_moment
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        size = (square.sqrt() / (1 - beta2**n) ** 0.5).add_(TINY)
        self.weights.addcdiv_(mean, size, value=-lr / (1 - beta1**n))


class RotatedAdam(Optimizer):
    """Adam in the eigenbasis of each network's own gradient covariance, for small networks.

    In a recurrent network that counts, the directions that matter are combinations of parameters (a
    contraction and the matching expansion, say) whose curvatures differ by orders of magnitude, and
    Adam scales each parameter alone. A small network's whole second moment matrix C = E[g g^T] can
    be kept. Its eigenvectors Q turn the gradient into coordinates in which Adam runs as usual; the
    step is turned back:

        step = Q  (Q^T m) / sqrt(E[(Q^T g)^2])

    This is full-matrix Adagrad's metric (Duchi, Hazan & Singer 2011, section 1.1) with Adam's
    moving averages; SOAP (Vyas et al. 2024, algorithm 3) does it per layer. C and Q are brought up
    to date every `refresh` steps; Q is the identity before step FIRST_BASIS, for lack of gradients.
    """

    moments = ("mean", "square")  # square: in the eigenbasis

    def __init__(self, weights, momentum, second_moment):
        super().__init__(weights, momentum, second_moment)
        n_networks, size = weights.shape
        self.refresh = refresh = 10 if size <= MANY else 20
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
        step, mean, square, recent, _, basis = self.state.values()
        n = int(step)
        mean.lerp_(gradient, 1 - self.momentum)
        recent[:, (n - 1) % self.refresh] = gradient
        if n % self.refresh == 0:
            self.update_basis()
        turned, turned_mean = torch.stack([gradient, mean], 1).bmm(basis).unbind(1)
        square.lerp_(turned.square(), 1 - self.second_moment)
        size = (square / (1 - self.second_moment**n)).sqrt_().add_(TINY)
        direction = (turned_mean / size)[:, None].bmm(basis.mT)[:, 0]
        self.weights.sub_(direction, alpha=lr / (1 - self.momentum**n))

    def update_basis(self):
        """Take the recent gradients into C, and its new eigenvectors as Q."""
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
