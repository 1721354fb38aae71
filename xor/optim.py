"""Adam (Kingma and Ba 2015) for many small networks, some of which end before the others.

The same update as torch.optim.Adam, which the tests compare it with. That one takes twice as long
on a small network, and two seconds for what its first use imports.
"""

import math

import torch

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8  # the usual constants


class Adam:
    """decays: of each parameter, the share of it that is added to its gradient (weight decay)."""

    def __init__(self, parameters, decays):
        self.parameters, self.decays = [p.data for p in parameters], decays
        self.exp_avgs = [torch.zeros_like(p) for p in self.parameters]
        self.exp_avg_sqs = [torch.zeros_like(p) for p in self.parameters]
        self.steps = 0

    def step(self, gradients, lr):
        """One update by the gradients, which it changes."""
        self.steps += 1
        correction = math.sqrt(1 - BETA2**self.steps)
        lr *= correction / (1 - BETA1**self.steps)
        moments = zip(self.exp_avgs, self.exp_avg_sqs, strict=True)
        groups = zip(self.parameters, gradients, self.decays, moments, strict=True)
        for parameter, gradient, decay, (exp_avg, exp_avg_sq) in groups:
            if decay:
                gradient.add_(parameter, alpha=decay)
            exp_avg.lerp_(gradient, 1 - BETA1)
            exp_avg_sq.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            parameter.addcdiv_(exp_avg, exp_avg_sq.sqrt().add_(EPS * correction), value=-lr)

    def select(self, parameters, chosen):
        """Continue with some of the networks (a mask over the leading axis), whose parameters are
        given anew."""
        self.parameters = [p.data for p in parameters]
        self.exp_avgs = [moment[chosen] for moment in self.exp_avgs]
        self.exp_avg_sqs = [moment[chosen] for moment in self.exp_avg_sqs]
