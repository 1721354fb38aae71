"""SGD with momentum and AdamW: the fused updates of torch.optim, called directly.

torch.optim itself would take 15 % longer for an epoch of NetLin, and more than a second to start,
as long as seven epochs of it.

    optimizer = Optimizer(model.named_parameters(), recipe)
    optimizer.step(gradients, lr)
"""

import torch


class Optimizer:
    """What updates the parameters, and their moments. named_parameters: as nn.Module gives them;
    n_updates: done before, of a resumed run.

    sgd: g <- g + decay w, v <- momentum v + g and w <- w - lr v, or w <- w - lr (g + momentum v) in
    Nesterov's form. adamw: Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    """

    def __init__(self, named_parameters, recipe, n_updates=0):
        self.recipe, self.n_updates = recipe, n_updates
        self.names, self.parameters = map(list, zip(*named_parameters, strict=True))
        suffixes = ("", ".square") if recipe.optimizer == "adamw" else ("",)
        self.moments = {s: [torch.zeros_like(p) for p in self.parameters] for s in suffixes}

    @torch.no_grad()
    def step(self, gradients, lr):
        """Update the parameters in place; gradients: in the parameters' order."""
        self.n_updates += 1
        recipe, weights = self.recipe, self.parameters
        # The fused updates pair numbers by their place in memory, not by their index.
        gradients = [
            g if g.stride() == w.stride() else torch.empty_like(w).copy_(g)
            for w, g in zip(weights, gradients, strict=True)
        ]
        options = {"lr": lr, "weight_decay": recipe.weight_decay, "maximize": False}
        if recipe.optimizer == "adamw":
            options |= {"beta1": recipe.momentum, "beta2": 0.99, "eps": 1e-8, "amsgrad": False}
            steps = [torch.tensor(float(self.n_updates), device=weights[0].device)] * len(weights)
            torch._fused_adamw_(weights, gradients, *self.moments.values(), [], steps, **options)
        else:
            options |= {"momentum": recipe.momentum, "dampening": 0.0, "nesterov": recipe.nesterov}
            moments = self.moments[""] if recipe.momentum else []  # without momentum it wants none
            torch._fused_sgd_(weights, gradients, moments, is_first_step=False, **options)

    def state_dict(self):
        """The moments by the parameters' names: the tensors themselves, which change."""
        return {
            name + suffix: value
            for suffix, values in self.moments.items()
            for name, value in zip(self.names, values, strict=True)
        }
