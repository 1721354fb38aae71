"""SGD with momentum and AdamW: the fused updates of torch.optim, called directly.

torch.optim itself would take 15 % longer for an epoch of NetLin, and more than a second to start,
as long as seven epochs of it.

    optimizer = Optimizer(model.named_parameters(), recipe)
    optimizer.step(gradients, lr)
"""

import torch


class Optimizer:
    """What updates the parameters, and their moments. named_parameters: as nn.Module gives them;
    n_updates: done before, of a resumed run."""

    beta2 = 0.99  # of AdamW

    def __init__(self, named_parameters, recipe, n_updates=0):
        self.recipe, self.n_updates = recipe, n_updates
        self.names, self.parameters = map(list, zip(*named_parameters, strict=True))
        suffixes = ("", ".square") if recipe.optimizer == "adamw" else ("",)
        self.moments = {s: [torch.zeros_like(p) for p in self.parameters] for s in suffixes}

    @torch.no_grad()
    def step(self, gradients, lr):
        """Update the parameters in place; gradients: in the parameters' order."""
        self.n_updates += 1
        update = self.adamw if self.recipe.optimizer == "adamw" else self.sgd
        update(list(gradients), lr)

    def sgd(self, gradients, lr):
        """g <- g + decay w, v <- momentum v + g and w <- w - lr v, or w <- w - lr (g + momentum v)
        in Nesterov's form."""
        momentum = self.recipe.momentum
        torch._fused_sgd_(
            self.parameters,
            gradients,
            self.moments[""] if momentum else [],  # without momentum it wants none
            lr=lr,
            momentum=momentum,
            weight_decay=self.recipe.weight_decay,
            dampening=0.0,
            nesterov=self.recipe.nesterov,
            maximize=False,
            is_first_step=False,
        )

    def adamw(self, gradients, lr):
        """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
        step = torch.tensor(float(self.n_updates), device=self.parameters[0].device)
        torch._fused_adamw_(
            self.parameters,
            gradients,
            *self.moments.values(),
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

    def state_dict(self):
        """The moments by the parameters' names: the tensors themselves, which change."""
        return {
            name + suffix: value
            for suffix, values in self.moments.items()
            for name, value in zip(self.names, values, strict=True)
        }
