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

from .confusion import confusion_matrix
from .models import scaled
from .optimizers import OPTIMIZERS, Optimizer
from .recipes import CLASSIC
from .vary import vary

REPORT_EVERY = 100  # batches between two loss lines
GATHERED = 8  # batches gathered and scaled at once: few calls, and they still fit the cache


class TrainingDiverged(ArithmeticError):
    """The loss is no longer a number."""


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
