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

REPORT_EVERY = 100  # batches between two loss lines
GATHERED = 8  # batches gathered and scaled at once: few calls, and they still fit the cache


class TrainingDiverged(ArithmeticError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum on inputs scaled to [-1, 1]."""

    name: str = "classic"
    epochs: int = 10
    lr: float = 0.01
    momentum: float = 0.5
    batch_size: int = 64


CLASSIC = Recipe()


class Momentum:
    """Stochastic gradient descent with momentum: v <- momentum v + g, w <- w - lr v.

    The same as torch.optim.SGD, whose import and bookkeeping would take longer than a whole epoch
    of the small networks.
    """

    def __init__(self, model, recipe):
        self.lr, self.momentum = recipe.lr, recipe.momentum
        self.model = model
        self.names = [name for name, _ in model.named_parameters()]
        self.weights = list(model.parameters())
        self.velocities = [torch.zeros_like(weight) for weight in self.weights]
        self.gradients = replayed(self._gradients, self.weights[0].device)

    def _gradients(self, images, labels):
        outputs = self.model(images)
        loss = F.nll_loss(outputs, labels)
        return outputs.detach(), loss.detach(), *torch.autograd.grad(loss, self.weights)

    def step(self, images, labels):
        """One update on a batch of scaled images (B, 28, 28); its log-probabilities (B, 10) and
        its mean loss as they were before."""
        outputs, loss, *gradients = self.gradients(images, labels)
        with torch.no_grad():  # what torch.optim.SGD(fused=True) calls: one pass over all weights
            torch._fused_sgd_(
                self.weights,
                gradients,
                self.velocities,
                lr=self.lr,
                momentum=self.momentum,
                weight_decay=0.0,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=False,
            )
        return outputs, loss

    def state_dict(self):
        """The velocities by parameter name, as a checkpoint keeps them."""
        return dict(zip(self.names, self.velocities, strict=True))

    def load_state_dict(self, state):
        for name, velocity in zip(self.names, self.velocities, strict=True):
            velocity.copy_(state[name])


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
    """One epoch's results. `train_loss` and `train_accuracy` are those of each batch when its turn
    came, before its update. `seconds` is training alone, without the evaluation."""

    number: int
    train_loss: float
    train_accuracy: float
    test: Evaluation
    seconds: float
    optimizer: Momentum = field(repr=False)


def seeded(seed, epoch=0):
    """The generator of an epoch's shuffling; epoch 0 is the drawing of the weights.

    A new one for every epoch, so that a resumed run needs no random state to be kept.
    """
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def train(model, data, recipe=CLASSIC, seed=0, done=0, optimizer_state=None, report=None):
    """Train `model` in place; a generator of one Epoch record per epoch.

    data: a Data on the model's device. seed: of the shuffling. done: epochs trained before, with
    optimizer_state as `epoch.optimizer.state_dict()` gave it: the result is then that of an
    uninterrupted run. report: called as report(epoch, images seen, loss of the batch) now and
    then. Raises TrainingDiverged if a loss is infinite or not a number.
    """
    optimizer = Momentum(model, recipe)
    if optimizer_state is not None:
        optimizer.load_state_dict(optimizer_state)
    for number in range(done + 1, recipe.epochs + 1):
        start = time.perf_counter()
        order = torch.randperm(len(data.train_labels), generator=seeded(seed, number))
        outputs = run_epoch(model, data, recipe, optimizer, order, number, report)  # (N, 10)
        labels = data.train_labels[order.to(data.train_labels.device)]
        loss = float(F.nll_loss(outputs, labels))
        check(loss, number, recipe)
        accuracy = float((outputs.argmax(1) == labels).float().mean())
        seconds = time.perf_counter() - start
        test = evaluate(model, data.test_images, data.test_labels)
        check(test.loss, number, recipe)
        yield Epoch(number, loss, accuracy, test, seconds, optimizer)


def run_epoch(model, data, recipe, optimizer, order, number, report=None):
    """One pass over the images in the given order (N,); returns the log-probabilities (N, 10) as
    they were when each batch's turn came."""
    model.train()
    device = data.train_images.device
    order = order.to(device)
    size = recipe.batch_size
    outputs, losses, seen = [], [], 0

    def tell():
        """Report the losses collected, and forget them."""
        for images_before, loss in losses:
            check(float(loss), number, recipe)
            report(number, images_before, float(loss))
        losses.clear()

    for chunk in order.split(GATHERED * size):
        images = scaled(data.train_images.index_select(0, chunk))  # (GATHERED * B, 28, 28)
        labels = data.train_labels.index_select(0, chunk)
        for x, y in zip(images.split(size), labels.split(size), strict=True):
            output, loss = optimizer.step(x, y)
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
