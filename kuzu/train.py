"""Train a network, one record per epoch; evaluate it.

model = build("conv", generator=seeded(0))
for epoch in train(model, data, CLASSIC, seed=0):
    print(epoch.number, epoch.test.accuracy)
"""

import math
import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from anbn.replay import replayed

from .confusion import confusion_matrix
from .models import scaled
from .normalized import Normalized
from .vary import Variation, vary

REPORT_EVERY = 100  # batches between two loss lines
GATHERED = 8  # batches gathered and scaled at once: few calls, and they still fit the cache


class TrainingDiverged(ArithmeticError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. The defaults are the coursework's: SGD with momentum at a constant
    rate on the images as they are, scaled to [-1, 1]."""

    name: str = "classic"
    epochs: int = 10
    lr: float = 0.01  # the largest, where it follows a cycle
    momentum: float = 0.5  # of sgd; decay of AdamW's first moment
    batch_size: int = 64
    optimizer: str = "sgd"  # or adamw
    nesterov: bool = False  # sgd: the gradient where the momentum leads, not where it starts
    weight_decay: float = 0.0  # adamw's is decoupled from the gradient, sgd's a part of it
    warm_up: float | None = None  # one cycle: part of the training in which the rate rises from 0
    label_smoothing: float = 0.0  # probability that the target shares among all characters
    normalize: bool = False  # batch normalization of the hidden layers, folded into the weights
    variation: Variation | None = None  # of the images, drawn anew for every epoch
    evaluate_every: int = 1  # epochs

    def __post_init__(self):
        if isinstance(self.variation, dict):  # as a checkpoint has it
            object.__setattr__(self, "variation", Variation(**self.variation))

    def rate(self, progress):
        """The learning rate when a part `progress` of all updates is done: constant, or one cycle
        (Smith & Topin 2018): a linear rise from 0 and a cosine back to it."""
        if self.warm_up is None:
            return self.lr
        if progress < self.warm_up:
            return self.lr * progress / self.warm_up
        fall = (progress - self.warm_up) / (1 - self.warm_up)
        return self.lr * 0.5 * (1 + math.cos(math.pi * fall))


CLASSIC = Recipe()
# Chosen on the second half of 7,011 training images after training on the first half.
CYCLE = {"name": "tuned", "optimizer": "adamw", "momentum": 0.9, "warm_up": 0.25}
TUNED = {
    "lin": Recipe(
        epochs=60,
        lr=0.003,
        weight_decay=0.5,
        variation=Variation(turn=0.1, slant=0.1, scale=0.07, shift=0.04, elastic=0.03),
        evaluate_every=10,
        **CYCLE,
    ),
    "full": Recipe(
        epochs=200,
        lr=0.003,
        batch_size=128,
        weight_decay=0.1,
        label_smoothing=0.1,
        variation=Variation(turn=0.1, slant=0.1, scale=0.07, shift=0.05, elastic=0.03),
        evaluate_every=20,
        **CYCLE,
    ),
    "conv": Recipe(
        name="tuned",
        epochs=180,
        lr=0.1,
        momentum=0.9,
        batch_size=128,
        nesterov=True,
        weight_decay=0.0005,
        warm_up=0.25,
        label_smoothing=0.1,
        normalize=True,
        variation=Variation(elastic=0.08, thickness=0.5, cutout=10),
        evaluate_every=20,
    ),
}


class Optimizer:
    """What the two optimizers share: the gradient of a step, the network that is trained, and what
    a checkpoint keeps. Written out here, since torch.optim's import and bookkeeping would take
    longer than a whole epoch of the small networks."""

    def __init__(self, model, recipe):
        self.lr, self.recipe, self.result = recipe.lr, recipe, model
        self.model = Normalized(model) if recipe.normalize else model
        self.names = [name for name, _ in self.model.named_parameters()]
        self.weights = list(self.model.parameters())
        self.moments = [
            [torch.zeros_like(weight) for weight in self.weights] for _ in range(self.n_moments)
        ]
        self.gradients = replayed(self._gradients, self.weights[0].device)

    def _gradients(self, images, labels):
        outputs = self.model(images)
        loss = F.nll_loss(outputs, labels)
        aim, share = loss, self.recipe.label_smoothing
        if share:
            aim = (1 - share) * loss - share * outputs.mean()
        return outputs.detach(), loss.detach(), *torch.autograd.grad(aim, self.weights)

    def step(self, images, labels):
        """One update on a batch of scaled images (B, 28, 28); its log-probabilities (B, 10) and
        its mean loss as they were before."""
        outputs, loss, *gradients = self.gradients(images, labels)
        with torch.no_grad():
            self.update(gradients)
        return outputs, loss

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
            self.moments[0],
            lr=self.lr,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
            dampening=0.0,
            nesterov=self.recipe.nesterov,
            maximize=False,
            is_first_step=False,
        )

    def at(self, n_updates, progress):
        """Called before an update: n_updates are done, the part `progress` of all."""
        self.lr = self.recipe.rate(progress)


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    n_moments = 2
    second_moment = 0.99

    def at(self, n_updates, progress):
        """Called before an update: n_updates are done, the part `progress` of all."""
        self.lr = self.recipe.rate(progress)
        step = torch.tensor(n_updates + 1.0, device=self.weights[0].device)
        self.steps = [step] * len(self.weights)

    def update(self, gradients):
        torch._fused_adamw_(  # what torch.optim.AdamW(fused=True) calls
            self.weights,
            gradients,
            *self.moments,
            [],
            self.steps,
            lr=self.lr,
            beta1=self.recipe.momentum,
            beta2=self.second_moment,
            weight_decay=self.recipe.weight_decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


OPTIMIZERS = {"sgd": Momentum, "adamw": AdamW}


@dataclass(frozen=True)
class Evaluation:
    """What a network makes of a set: mean loss (nats), predictions (N,), confusion (10, 10)."""

    loss: float
    predictions: torch.Tensor
    confusion: torch.Tensor

    @property
    def correct(self):
        return int(self.confusion.diagonal().sum())

    @property
    def total(self):
        return int(self.confusion.sum())

    @property
    def accuracy(self):
        return self.correct / self.total


@dataclass(frozen=True)
class Epoch:
    """The results after an epoch. `train_loss` and `train_accuracy` are those of each batch when
    its turn came, before its update. `seconds` is training alone, without evaluations, since the
    last record."""

    number: int
    train_loss: float
    train_accuracy: float
    test: Evaluation
    seconds: float
    optimizer: Optimizer = field(repr=False)


def seeded(seed, epoch=0):
    """The generator of an epoch's shuffling; epoch 0 is the drawing of the weights.

    A new one for every epoch, so that a resumed run needs no random state to be kept.
    """
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def train(model, data, recipe=CLASSIC, seed=0, done=0, optimizer_state=None, report=None):
    """Train `model` in place; a generator of one Epoch record per epoch, or as often as the recipe
    evaluates.

    data: a Data on the model's device. seed: of the shuffling and the images' variation. done:
    epochs trained before, with optimizer_state as `epoch.optimizer.state_dict()` gave it: the
    result is then that of an uninterrupted run. report: called as report(epoch, images seen, loss
    of the batch) now and then. Raises TrainingDiverged if a loss is infinite or not a number.
    """
    optimizer = OPTIMIZERS[recipe.optimizer](model, recipe)
    if optimizer_state is not None:
        optimizer.load_state_dict(optimizer_state)
    seconds = 0.0
    for number in range(done + 1, recipe.epochs + 1):
        start = time.perf_counter()
        images = data.train_images
        if recipe.variation is not None:
            images = vary(images, recipe.variation, seeded(seed, -number))
        order = torch.randperm(len(data.train_labels), generator=seeded(seed, number))
        labels = data.train_labels
        outputs = run_epoch(images, labels, recipe, optimizer, order, number, report)  # (N, 10)
        labels = labels[order.to(labels.device)]
        loss = float(F.nll_loss(outputs, labels))
        check(loss, number, recipe)
        if number % recipe.evaluate_every and number < recipe.epochs:
            seconds += time.perf_counter() - start
            continue
        accuracy = float((outputs.argmax(1) == labels).float().mean())
        optimizer.settle(images)
        seconds += time.perf_counter() - start
        test = evaluate(model, data.test_images, data.test_labels)
        check(test.loss, number, recipe)
        yield Epoch(number, loss, accuracy, test, seconds, optimizer)
        seconds = 0.0


def run_epoch(images, labels, recipe, optimizer, order, number, report=None):
    """One pass over images (N, 28, 28) and labels (N,) in the given order (N,); returns the
    log-probabilities (N, 10) as they were when each batch's turn came."""
    device = images.device
    order = order.to(device)
    size = recipe.batch_size
    per_epoch = math.ceil(len(order) / size)
    n_updates, total = (number - 1) * per_epoch, recipe.epochs * per_epoch
    outputs, losses, seen = [], [], 0

    def tell():
        """Report the losses collected, and forget them."""
        for images_before, loss in losses:
            check(float(loss), number, recipe)
            report(number, images_before, float(loss))
        losses.clear()

    for chunk in order.split(GATHERED * size):
        x_chunk = scaled(images.index_select(0, chunk))  # (GATHERED * B, 28, 28)
        y_chunk = labels.index_select(0, chunk)
        for x, y in zip(x_chunk.split(size), y_chunk.split(size), strict=True):
            optimizer.at(n_updates, n_updates / total)
            output, loss = optimizer.step(x, y)
            n_updates += 1
            outputs.append(output.clone())  # on a GPU its place is used again
            if report is not None and seen // size % REPORT_EVERY == 0:
                losses.append((seen, loss.clone()))
                if device.type == "cpu":  # elsewhere to look at a loss is to wait for it
                    tell()
            seen += len(y)
    tell()
    return torch.cat(outputs)


@torch.inference_mode()
def evaluate(model, images, labels, batch_size=1000):
    """Evaluate on uint8 images (N, 28, 28) and labels (N,) on the model's device."""
    model.eval()
    outputs = torch.cat([model(scaled(part)) for part in images.split(batch_size)])  # (N, 10)
    predictions = outputs.argmax(1)
    loss = float(F.nll_loss(outputs, labels))
    return Evaluation(loss, predictions.cpu(), confusion_matrix(labels, predictions))


def check(loss, epoch, recipe):
    """Raise TrainingDiverged unless the loss is a finite number."""
    if not math.isfinite(loss):
        raise TrainingDiverged(
            f"The loss became {loss} in epoch {epoch}: the learning rate {recipe.lr:g} is too "
            "large; try a tenth of it."
        )
