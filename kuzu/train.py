"""Train a network, one record per epoch; evaluate it.

model = build("conv", generator=seeded(0))
for epoch in train(model, data, CLASSIC, seed=0):
    print(epoch.number, epoch.test.accuracy)
"""

import math
import time
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F

from .augment import augment
from .backprop import fastest
from .batchnorm import BatchNormalized, sync_eval_model
from .confusion import confusion_matrix
from .models import build, scaled
from .optim import Optimizer
from .recipes import CLASSIC

REPORT_EVERY = 100  # batches between two loss lines
CHUNK_BATCHES = 8  # batches gathered and scaled at once: few calls, and they still fit the cache
MAX_LOSS = 1e6  # nats: a log-probability of -1e6 is no prediction any more


class TrainingDiverged(ArithmeticError):
    """The loss is no longer a number, or beyond MAX_LOSS."""


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
    last record. `state` is what training needs to go on, by name: the tensors themselves, which the
    next epoch changes."""

    number: int
    train_loss: float
    train_accuracy: float
    test: Evaluation
    seconds: float
    state: dict = field(repr=False)


def seeded(seed, epoch=0):
    """The generator of an epoch's shuffling; epoch 0 is the drawing of the weights. A new one for
    every epoch, so that a resumed run needs no random state to be kept."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**64)


def train(model, data, recipe=CLASSIC, seed=0, done=0, state=None, report=None, time_limit=None):
    """Train `model` in place; a generator of one Epoch record per epoch, or as often as the recipe
    evaluates.

    data: a Data on the model's device. seed: of the shuffling and the images' augmentation. done:
    epochs trained before, with their last record's `state`: the result is then that of an
    uninterrupted run. report: called as report(epoch, images seen, loss of the batch) now and then.
    time_limit: seconds of training, evaluations left out, in place of the recipe's epochs. Raises
    TrainingDiverged.
    """
    per_epoch = math.ceil(len(data.train_labels) / recipe.batch_size)
    trained, optimizer = prepare(model, recipe, done * per_epoch)
    if state is not None:
        for name, value in training_state(model, trained, optimizer).items():
            value.copy_(state[name])
    start, pauses, before = time.perf_counter(), 0.0, 0.0

    def seconds():
        """Seconds of training until now."""
        return time.perf_counter() - start - pauses

    def progress():
        """The part of the training that is done; at 1 it ends."""
        if time_limit is not None:
            return seconds() / time_limit
        return optimizer.n_updates / (recipe.epochs * per_epoch)

    number, labels = done, data.train_labels
    finished = done >= recipe.epochs
    while not finished:
        number, images = number + 1, data.train_images
        if recipe.augmentation is not None:
            images = augment(images, recipe.augmentation, seeded(seed, -number))
        order = torch.randperm(len(labels), generator=seeded(seed, number)).to(labels.device)
        outputs = run_epoch(
            trained, optimizer, images, labels, order, recipe, progress, number, report
        )  # (N, 10)
        targets = labels[order[: len(outputs)]]
        loss = float(F.nll_loss(outputs, targets))
        check(loss, number, recipe)
        finished = progress() >= 1
        if number % recipe.evaluate_every and not finished:
            continue
        accuracy = float((outputs.argmax(1) == targets).float().mean())
        if trained is not model:
            sync_eval_model(trained, model, images)
        now, pause = seconds(), time.perf_counter()
        test = evaluate(model, data.test_images, data.test_labels)
        check(test.loss, number, recipe)
        state = training_state(model, trained, optimizer)
        yield Epoch(number, loss, accuracy, test, now - before, state)
        before, pauses = now, pauses + time.perf_counter() - pause


def prepare(model, recipe, n_updates=0):
    """The network that is trained, `model` itself unless it needs batch normalization, and its
    optimizer."""
    trained = BatchNormalized(model) if recipe.batch_norm else model
    return trained, Optimizer(trained.named_parameters(), recipe, n_updates)


def training_state(model, trained, optimizer):
    """What training needs to go on, by name: the moments; the weights that are not `model`'s."""
    state = optimizer.state_dict()
    if trained is not model:
        state |= {f"training.{name}": weight for name, weight in trained.state_dict().items()}
    return state


def run_epoch(trained, optimizer, images, labels, order, recipe, progress, number=1, report=None):
    """One pass over images (N, 28, 28) and labels (N,) in the given order (N,), or the part of it
    that brings progress() to 1, a batch at least; returns the log-probabilities (N, 10) as they
    were when each batch's turn came."""
    size = min(recipe.batch_size, len(order))
    outputs, seen = [], 0
    n_pixels = min(CHUNK_BATCHES * size, len(order)), 28, 28
    pixels = images.new_empty(n_pixels, dtype=torch.float32)
    differentiate = fastest(trained, scaled(images[order[:size]]), labels[order[:size]])
    for chunk in order.split(CHUNK_BATCHES * size):
        x_chunk = scaled(images.index_select(0, chunk), pixels)  # (CHUNK_BATCHES * B, 28, 28)
        y_chunk = labels.index_select(0, chunk)
        for x, y in zip(x_chunk.split(size), y_chunk.split(size), strict=True):
            done = progress()
            if done >= 1 and outputs:
                return torch.cat(outputs)
            output, gradients = differentiate(trained, x, y, recipe.label_smoothing)
            optimizer.step(gradients, recipe.rate(min(done, 1.0)))
            outputs.append(output)  # (B, 10)
            if report is not None and seen // size % REPORT_EVERY == 0:
                loss = F.nll_loss(output, y).item()
                check(loss, number, recipe)
                report(number, seen, loss)
            seen += len(y)
    return torch.cat(outputs)


@torch.inference_mode()
def evaluate(model, images, labels, batch_size=200):
    """Evaluate on uint8 images (N, 28, 28) and labels (N,) on the model's device."""
    outputs = torch.cat([model(scaled(part)) for part in images.split(batch_size)])  # (N, 10)
    predictions = outputs.argmax(1)
    loss = float(F.nll_loss(outputs, labels))
    return Evaluation(loss, predictions.cpu(), confusion_matrix(labels, predictions))


def check(loss, epoch, recipe):
    """Raise TrainingDiverged unless the loss is a number that a prediction can have."""
    if not loss <= MAX_LOSS:
        raise TrainingDiverged(
            f"The loss became {loss:g} in epoch {epoch}: the learning rate {recipe.lr:g} is too "
            "large; try a tenth of it."
        )


def at_equal_time(net, n_hidden, recipe, seed, data):
    """The classic recipe and `recipe` from the same weights, both trained for the seconds that the
    classic one takes: {name: {"epochs", "seconds", "accuracy"}}; the last epoch may be a part."""
    found, limit = {}, None
    for each in (CLASSIC, replace(recipe, evaluate_every=10**9)):
        model = build(net, n_hidden, seeded(seed)).to(data.train_images.device)
        epochs = list(train(model, data, each, seed, time_limit=limit))
        limit = sum(epoch.seconds for epoch in epochs)
        accuracy = epochs[-1].test.accuracy
        found[each.name] = {"epochs": epochs[-1].number, "seconds": limit, "accuracy": accuracy}
    return found
