"""One update of a classifier's weights: stochastic gradient descent with momentum, or AdamW.

optimizer = OPTIMIZERS[recipe.optimizer](model, recipe)
optimizer.at(n_updates, progress)                 # sets the rate
outputs, loss = optimizer.step(images, labels)
"""

import itertools

import torch
import torch.nn.functional as F

from anbn.replay import replayed

from .normalized import Normalized


class Optimizer:
    """What the two optimizers share: a whole step, which a GPU records and replays, the network
    that is trained, and what a checkpoint keeps. Written out here, since torch.optim's import and
    bookkeeping would take longer than a whole epoch of the small networks."""

    def __init__(self, model, recipe):
        self.recipe, self.result = recipe, model
        self.model = Normalized(model) if recipe.normalize else model
        self.names = [name for name, _ in self.model.named_parameters()]
        self.weights = list(self.model.parameters())
        self.moments = [
            [torch.zeros_like(weight) for weight in self.weights] for _ in range(self.n_moments)
        ]
        device = self.weights[0].device
        # Tensors, which a replayed step reads anew; a GPU's update takes no other type.
        exact = torch.float64 if device.type == "cpu" else torch.float32
        self.rate = torch.tensor(recipe.lr, dtype=exact, device=device)
        self.count = torch.tensor(1.0, device=device)  # of updates, this one included
        changes = [*self.weights, *itertools.chain(*self.moments)]
        self.step = replayed(self._step, device, changes)

    def at(self, n_updates, progress):
        """Called before an update: n_updates are done, the part `progress` of all."""
        self.rate.fill_(self.recipe.rate(progress))
        self.count.fill_(n_updates + 1)

    def _step(self, images, labels):
        """One update on a batch of scaled images (B, 28, 28) with labels (B,); its
        log-probabilities (B, 10) and its mean loss as they were before."""
        outputs = self.model(images)
        loss = F.nll_loss(outputs, labels)
        aim, smoothing = loss, self.recipe.label_smoothing
        if smoothing:
            aim = (1 - smoothing) * loss - smoothing * outputs.mean()
        gradients = list(torch.autograd.grad(aim, self.weights))
        with torch.no_grad():
            self.update(gradients)
        return outputs.detach(), loss.detach()

    def settle(self, images):
        """Bring the network asked for up to date, with statistics of `images` (N, 28, 28)."""
        if self.model is not self.result:
            self.model.fold_into(self.result, images)

    def state_dict(self):
        """The moments by parameter name, and the weights if they are not the network's own."""
        state = {}
        for k, moment in enumerate(self.moments):
            state |= {_key(name, k): value for name, value in zip(self.names, moment, strict=True)}
        if self.model is not self.result:
            state |= {f"training.{name}": w for name, w in self.model.named_parameters()}
        return state

    @torch.no_grad()
    def load_state_dict(self, state):
        for k, moment in enumerate(self.moments):
            for name, value in zip(self.names, moment, strict=True):
                value.copy_(state[_key(name, k)])
        if self.model is not self.result:
            for name, weight in self.model.named_parameters():
                weight.copy_(state[f"training.{name}"])


def _key(name, k):
    return name if k == 0 else f"{name}.square"


class Momentum(Optimizer):
    """Stochastic gradient descent with momentum: g <- g + decay w, v <- momentum v + g and
    w <- w - lr v, or w <- w - lr (g + momentum v) in Nesterov's form."""

    n_moments = 1

    def update(self, gradients):
        torch._fused_sgd_(  # what torch.optim.SGD(fused=True) calls: one pass over all weights
            self.weights,
            gradients,
            self.moments[0] if self.recipe.momentum else [],  # without momentum it wants none
            lr=self.rate,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
            dampening=0.0,
            nesterov=self.recipe.nesterov,
            maximize=False,
            is_first_step=False,
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    n_moments = 2
    second_moment = 0.99

    def update(self, gradients):
        torch._fused_adamw_(  # what torch.optim.AdamW(fused=True) calls
            self.weights,
            gradients,
            *self.moments,
            [],
            [self.count] * len(self.weights),
            lr=self.rate,
            beta1=self.recipe.momentum,
            beta2=self.second_moment,
            weight_decay=self.recipe.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


OPTIMIZERS = {"sgd": Momentum, "adamw": AdamW}
