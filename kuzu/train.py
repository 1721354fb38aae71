"""Train loop and evaluation. The whole data set lies on the device as bytes; an epoch is shuffled
there in one go and read in slices, and nothing is copied back before its end.

    for epoch in train(model, data, CLASSIC, seed=0):
        print(epoch.number, epoch.test.accuracy)
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from kuzu.confusion import confusion_matrix
from kuzu.distort import Distortion, distort


class TrainingDiverged(ArithmeticError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    name: str
    epochs: int
    learning_rate: float  # the largest, where the rate follows a schedule
    momentum: float
    batch_size: int = 64
    one_cycle: bool = False  # AdamW, the rate rising and falling once over all epochs
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    distortion: Distortion | None = None  # new distorted images every epoch


CLASSIC = Recipe("classic", epochs=10, learning_rate=0.01, momentum=0.5)
TUNED = Recipe(
    "tuned",
    epochs=40,
    learning_rate=0.004,
    momentum=0.9,
    one_cycle=True,
    weight_decay=0.01,
    label_smoothing=0.1,
    distortion=Distortion(rotation=8, slant=0.15, scale=0.1, shift=0.1, elastic=0.04),
)
RECIPES = {"classic": CLASSIC, "tuned": TUNED}


@dataclass
class Evaluation:
    """What a network does on test images."""

    loss: float  # mean negative log-likelihood, nats per image
    matrix: torch.Tensor  # (10, 10) int64, rows target, columns predicted

    @property
    def correct(self):
        return int(self.matrix.diagonal().sum())

    @property
    def n_images(self):
        return int(self.matrix.sum())

    @property
    def accuracy(self):
        """Percent."""
        return 100 * self.correct / self.n_images


@dataclass
class Epoch:
    """One epoch. Training figures are means over its batches, taken while the network learns."""

    number: int  # from 1
    batch_losses: torch.Tensor  # (batches,)
    train_loss: float
    train_accuracy: float  # percent
    test: Evaluation
    optimizer_state: Callable  # () -> dict, for a checkpoint


def scaled(images):
    """uint8 0..255 -> float -1..1, the coursework's scaling."""
    return images.float().div_(127.5).sub_(1)


@torch.inference_mode()
def predict(model, images, batch_size=1000):
    """Log-probabilities of all images: (N, 28, 28) uint8 -> (N, 10)."""
    model.eval()
    return torch.cat([model(scaled(part)) for part in images.split(batch_size)])


def evaluate(model, images, labels):
    """The Evaluation of a model on images (N, 28, 28) uint8 with labels (N,)."""
    log_probability = predict(model, images)
    loss = F.nll_loss(log_probability, labels).item()
    return Evaluation(loss, confusion_matrix(labels, log_probability.argmax(1)).cpu())


def train(model, data, recipe, seed, *, done=0, optimizer_state=None):
    """Train `model` in place on `data` (both on the same device); yields an Epoch after each.

    The order of the images depends on the seed and the epoch alone, so training that is taken up
    after `done` epochs with the stored optimizer_state goes on as if it had never stopped.
    Raises TrainingDiverged at the end of an epoch whose loss is not finite; the model is then as
    that epoch left it.
    """
    optimizer = _optimizer(model, recipe)
    if optimizer_state is not None:
        optimizer.load_state_dict(optimizer_state)
    n_batches = -(-len(data.train_labels) // recipe.batch_size)
    for number in range(done + 1, recipe.epochs + 1):
        model.train()
        # seed and epoch in separate parts of the generator's 64 bits
        generator = torch.Generator().manual_seed((seed + 1 << 24) + number)
        order = torch.randperm(len(data.train_labels), generator=generator)
        order = order.to(data.train_labels.device)
        images, labels = data.train_images[order], data.train_labels[order]
        losses = torch.empty(n_batches, device=labels.device)
        correct = torch.zeros((), dtype=torch.long, device=labels.device)
        batches = zip(images.split(recipe.batch_size), labels.split(recipe.batch_size), strict=True)
        for step, (x, y) in enumerate(batches):
            if recipe.one_cycle:
                _set_rate(optimizer, recipe, (number - 1 + step / n_batches) / recipe.epochs)
            x = scaled(x)
            if recipe.distortion:
                x = distort(x, recipe.distortion, generator)
            log_probability = model(x)
            loss = (
                F.cross_entropy(log_probability, y, label_smoothing=recipe.label_smoothing)
                if recipe.label_smoothing
                else F.nll_loss(log_probability, y)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[step] = loss.detach()
            correct += (log_probability.detach().argmax(1) == y).sum()
        losses = losses.cpu()
        if not losses.isfinite().all():
            raise TrainingDiverged(
                f"the loss is not a number in epoch {number}; choose a smaller learning rate than "
                f"{recipe.learning_rate}"
            )
        yield Epoch(
            number,
            losses,
            float(losses.mean()),
            100 * int(correct) / len(labels),
            evaluate(model, data.test_images, data.test_labels),
            optimizer.state_dict,
        )


def with_options(recipe, **options):
    """The recipe with those options that are not None."""
    return replace(recipe, **{name: value for name, value in options.items() if value is not None})


def _optimizer(model, recipe):
    if recipe.one_cycle:
        betas = (recipe.momentum, 0.99)
        return torch.optim.AdamW(
            model.parameters(), recipe.learning_rate, betas, weight_decay=recipe.weight_decay
        )
    return torch.optim.SGD(model.parameters(), recipe.learning_rate, recipe.momentum)


def _set_rate(optimizer, recipe, progress, rise=0.2):
    """A straight rise over the first `rise` of the training, then a straight fall to 0."""
    part = progress / rise if progress < rise else (1 - progress) / (1 - rise)
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * max(part, 0.01)
