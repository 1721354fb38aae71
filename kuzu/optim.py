"""SGD with momentum and AdamW: the fused updates of torch.optim, called directly.

torch.optim itself would take 15 % longer for an epoch of NetLin, and more than a second to start,
as long as seven epochs of it.

    optimizer = OPTIMIZERS[recipe.optimizer](model.named_parameters(), recipe)
    optimizer.step(gradients, lr)
"""

import torch


class Optimizer:
    """What both share: the parameters, their moments, what a checkpoint keeps.

    named_parameters: as nn.Module gives them. n_updates: done before, of a resumed run.
    """

    moment_names = ("",)  # added to a parameter's name

    def __init__(self, named_parameters, recipe, n_updates=0):
        self.recipe, self.n_updates = recipe, n_updates
        self.names, self.parameters = map(list, zip(*named_parameters, strict=True))
        self.moments = [[torch.zeros_like(p) for p in self.parameters] for _ in self.moment_names]

    @torch.no_grad()
    def step(self, gradients, lr):
        """Update the parameters in place; gradients: a list in the parameters' order."""
        self.n_updates += 1
        self.update(list(gradients), lr)

    def state_dict(self):
        """The moments by the parameters' names: the tensors themselves, which change."""
        return {
            name + suffix: value
            for suffix, moment in zip(self.moment_names, self.moments, strict=True)
            for name, value in zip(self.names, moment, strict=True)
        }

    @torch.no_grad()
    def load_state_dict(self, state):
        for name, value in self.state_dict().items():
            value.copy_(state[name])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: g <- g + decay w, v <- momentum v + g and
    w <- w - lr v, or w <- w - lr (g + momentum v) in Nesterov's form."""

    def update(self, gradients, lr):
        torch._fused_sgd_(
            self.parameters,
            gradients,
            self.moments[0] if self.recipe.momentum else [],  # without momentum it wants none
            lr=lr,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
            dampening=0.0,
            nesterov=self.recipe.nesterov,
            maximize=False,
            is_first_step=False,
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    moment_names = ("", ".square")
    beta2 = 0.99

    def update(self, gradients, lr):
        step = torch.tensor(float(self.n_updates), device=self.parameters[0].device)
        torch._fused_adamw_(
            self.parameters,
            gradients,
            *self.moments,
            [],
            [step] * len(self.parameters),
            lr=lr,
            beta1=self.recipe.momentum,
            beta2=self.beta2,
            weight_decay=self.recipe.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


OPTIMIZERS = {"sgd": SGD, "adamw": AdamW}
