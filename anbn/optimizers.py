"""How S networks' parameters follow their gradients: momentum, Adam, Adam in the eigenbasis.

    optimizer = OPTIMIZERS[recipe.optimizer](parameters, recipe.momentum, recipe.second_moment)
    optimizer.collect(gradients)             # into the moments
    optimizer.turn()                         # now and then: what no GPU can record and replay
    optimizer.apply(optimizer.numbers(lr))   # the step itself

Cut up like this so that a GPU can record the first and the last of the three, which do the same
with every update; what changes between updates, the rate and the number of updates, comes as a
tensor. torch.optim's formulas in its order of operations; its import would take longer than many a
training.
"""

import math

import torch

from anbn.rotated import RotatedAdam

TINY = 1e-8


class Plain:
    """What the two optimizers share that look at every parameter by itself."""

    kinds = ()  # names of the moments

    def __init__(self, parameters, momentum, second_moment):
        self.parameters = list(parameters)
        self.momentum, self.second_moment = momentum, second_moment
        self.step = torch.tensor(0)  # updates begun
        self.moments = {
            kind: [torch.zeros_like(p, requires_grad=False) for p in self.parameters]
            for kind in self.kinds
        }

    def state(self):
        """The tensors that `collect` and `apply` change, besides the parameters."""
        return [moment for kind in self.kinds for moment in self.moments[kind]]

    def turn(self):
        """Called between collect and apply."""
        self.step += 1

    def state_dict(self):
        state = {"step": self.step}
        for kind, moments in self.moments.items():
            state |= {f"{kind} {k}": moment for k, moment in enumerate(moments)}
        return state

    def load_state_dict(self, state):
        for name, value in self.state_dict().items():
            value.copy_(state[name])


class Momentum(Plain):
    """v <- momentum v + g, w <- w - lr v."""

    kinds = ("velocity",)

    @torch.no_grad()
    def collect(self, gradients):
        for v, g in zip(self.moments["velocity"], gradients, strict=True):
            v.mul_(self.momentum).add_(g)

    def numbers(self, lr):
        """What apply needs to know of this update."""
        return torch.tensor([-lr])

    @torch.no_grad()
    def apply(self, numbers):
        for p, v in zip(self.parameters, self.moments["velocity"], strict=True):
            p.add_(v * numbers[0])


class Adam(Plain):
    """Kingma & Ba (2015), algorithm 1."""

    kinds = ("mean", "square")

    @torch.no_grad()
    def collect(self, gradients):
        for m, s, g in zip(*(self.moments[kind] for kind in self.kinds), gradients, strict=True):
            m.lerp_(g, 1 - self.momentum)
            s.mul_(self.second_moment).addcmul_(g, g, value=1 - self.second_moment)

    def numbers(self, lr):
        """What apply needs to know of this update: the corrections of moments that began at 0."""
        n = int(self.step)
        root = math.sqrt(1 - self.second_moment**n)
        return torch.tensor([-lr / (1 - self.momentum**n), root])

    @torch.no_grad()
    def apply(self, numbers):
        for p, m, s in zip(self.parameters, *self.moments.values(), strict=True):
            p.add_(m * numbers[0] / (s.sqrt() / numbers[1]).add_(TINY))


OPTIMIZERS = {"rotated": RotatedAdam, "adam": Adam, "sgd": Momentum}
