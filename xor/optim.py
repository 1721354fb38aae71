"""Adam (Kingma and Ba 2015) for many small networks, some of which end before the others.

The same update as torch.optim.Adam, which the tests compare it with. That one takes twice as long
on a small network, and two seconds for what its first use imports.
"""

import math

import torch

MOMENT_1, MOMENT_2, TINY = 0.9, 0.999, 1e-8  # the usual constants


class Adam:
    """decays: of each parameter, the share of it that is added to its gradient (weight decay)."""

    def __init__(self, parameters, decays):
        self.parameters, self.decays = [p.data for p in parameters], decays
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]
        self.steps = 0

    def step(self, gradients, rate):
        """One update by the gradients, which it changes."""
        self.steps += 1
        correction = math.sqrt(1 - MOMENT_2**self.steps)
        rate *= correction / (1 - MOMENT_1**self.steps)
        groups = zip(self.parameters, gradients, self.decays, self.means, self.squares, strict=True)
        for parameter, gradient, decay, mean, square in groups:
            if decay:
                gradient.add_(parameter, alpha=decay)
            mean.lerp_(gradient, 1 - MOMENT_1)
            square.mul_(MOMENT_2).addcmul_(gradient, gradient, value=1 - MOMENT_2)
            parameter.addcdiv_(mean, square.sqrt().add_(TINY * correction), value=-rate)

    def go_on(self, parameters, chosen):
        """Continue with some of the networks (a mask over the leading axis), whose parameters are
        given anew."""
        self.parameters = [p.data for p in parameters]
        self.means = [mean[chosen] for mean in self.means]
        self.squares = [square[chosen] for square in self.squares]
