"""Train S perceptrons side by side: full-batch Adam, a little weight decay, a cosine schedule.

    inputs, targets = grid(3)
    model = random_networks(range(1000), n_hidden=4, size=3)
    for record in train(model, inputs, targets, seeds=range(1000)):
        print(record.epoch, (record.accuracy == 100).sum())

Plain descent leaves more than half of the networks with four units on a plateau: all points but one
or two are right, and two hidden units do the same job or have run away from the points, where they
are saturated and get no gradient. Weight decay on the hidden units pulls such a unit back; lines
that start nearly parallel (`random_networks`) keep two units from blocking each other's way.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, pad

from xor.model import PARAMETERS, random_networks
from xor.tasks import XorError

REPORT_EVERY = 100  # epochs
LOSS_DIVERGED = 1e6  # a mean cross-entropy no useful network comes near
VECTOR = 16  # numbers: a processor's rounding differs between whole vectors and the rest, so there
# is no rest; then a network is the same to the last bit however many are trained with it.
MOMENT_1, MOMENT_2, TINY = 0.9, 0.999, 1e-8  # Adam's usual constants


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are those that reach the success rates in the README."""

    epochs: int = 4_000  # of one draw, at most
    hold: int = 2_000  # epochs at 100 % before a network stops
    learning_rate: float = 0.2  # falls to 0 over `epochs` along a cosine
    init: float = 3.0  # slope across a hidden unit's line at the start
    decay: float = 3e-4  # pull of a hidden unit's weights and bias towards 0, added to the gradient
    restarts: int = 0  # a network unsolved after `epochs` is drawn anew at most this often


@dataclass
class Record:
    """All networks at a reporting step; those that have stopped keep their last figures."""

    epoch: int
    loss: torch.Tensor  # (S,) mean binary cross-entropy, nats
    accuracy: torch.Tensor  # (S,) percent
    solved_at: torch.Tensor  # (S,) first epoch of the unbroken run at 100 %, -1 where there is none
    draws: torch.Tensor  # (S,) how often the network has been drawn

    def cpu(self):
        return Record(self.epoch, *(getattr(self, name).cpu() for name in FIGURES))


FIGURES = ("loss", "accuracy", "solved_at", "draws")


def joined(records):
    """Records of different networks as one, at the latest of their epochs."""
    figures = (torch.cat([getattr(record, name) for record in records]) for name in FIGURES)
    return Record(max(record.epoch for record in records), *figures)


def flattened(model):
    """All parameters in one tensor (S, P), P = 4 H + 1 made up to a whole number of vectors, so
    that an update is a few operations."""
    parts = [getattr(model, name).detach() for name in PARAMETERS]
    flat = torch.cat([part.reshape(model.n_networks, -1) for part in parts], dim=1)
    return pad(flat, (0, -flat.shape[1] % VECTOR))


def views(flat, n_hidden):
    """hid_weight (S, H, 2), hid_bias (S, H), out_weight (S, H), out_bias (S,) inside (S, P)."""
    weight, bias, out_weight, out_bias = flat[:, : 4 * n_hidden + 1].split(
        [2 * n_hidden, n_hidden, n_hidden, 1], dim=1
    )
    return weight.unflatten(1, (n_hidden, 2)), bias, out_weight, out_bias[:, 0]


def whole_vectors(inputs, targets):
    """inputs (N, 2) and targets (N,) made up to a whole number of vectors with points that count
    nothing, and the share of each point in the loss (N,)."""
    n = len(targets)
    share = torch.full_like(targets, 1 / n)
    more = -n % VECTOR
    return pad(inputs, (0, 0, 0, more)), pad(targets, (0, more)), pad(share, (0, more))


def gradients(flat, n_hidden, inputs, targets, share):
    """Net inputs of the output units (S, N), and the gradient (S, P) of each network's mean binary
    cross-entropy, by the chain rule written out: several times as fast as autograd here.

    flat: the networks' parameters (S, P), inputs (N, 2), targets (N,), share (N,).
    """
    hid_weight, hid_bias, out_weight, out_bias = views(flat, n_hidden)
    x, y = inputs.unbind(1)  # (N,)
    net_input = hid_weight[..., :1] * x + hid_weight[..., 1:] * y + hid_bias[..., None]
    hidden = torch.sigmoid(net_input)  # (S, H, N)
    logits = (hidden * out_weight[..., None]).sum(1) + out_bias[:, None]  # (S, N)
    error = (torch.sigmoid(logits) - targets) * share  # (S, N)
    d_out = hidden * error[:, None]  # (S, H, N)
    d_net_input = d_out * (1 - hidden) * out_weight[..., None]  # (S, H, N)
    d_weight = torch.stack([(d_net_input * x).sum(2), (d_net_input * y).sum(2)], dim=2)  # (S, H, 2)
    parts = (d_weight.flatten(1), d_net_input.sum(2), d_out.sum(2), error.sum(1, keepdim=True))
    rest = flat.new_zeros(len(flat), -(4 * n_hidden + 1) % VECTOR)
    return logits, torch.cat([*parts, rest], dim=1)


def train(model, inputs, targets, recipe=None, seeds=None):
    """Train the networks of `model` in place; yields a Record every REPORT_EVERY epochs and last.

    inputs (N, 2) a square grid, targets (N,). seeds: one per network, for its redraws alone
    (default: 0, 1, ...). Between records `model` is up to date, so a caller may stop at any of
    them. Raises XorError if the model has steps (no gradient) or if a loss diverges.
    """
    if model.act != "sig":
        raise XorError("step units have no gradient, so they cannot be trained; use sig")
    recipe = recipe or Recipe()
    seeds = list(range(model.n_networks) if seeds is None else seeds)
    n_points, device = len(targets), inputs.device
    points = whole_vectors(inputs, targets)
    running = _Running(model)
    record = Record(
        0,
        loss=torch.zeros(model.n_networks, device=device),
        accuracy=torch.zeros(model.n_networks, device=device),
        solved_at=torch.full((model.n_networks,), -1, device=device),
        draws=torch.ones(model.n_networks, dtype=torch.long, device=device),
    )
    last = recipe.epochs * (recipe.restarts + 1)
    for epoch in range(1, last + 1):
        logits, slope = gradients(running.flat, model.n_hidden, *points)
        logits = logits[:, :n_points]
        right = (logits >= 0) == (targets > 0.5)  # (R, N), before this epoch's update
        running.note(right.all(1), epoch)
        if epoch % REPORT_EVERY == 0 or epoch == last:
            running.store(model)
            record = _report(record, running, logits, right, targets, epoch)
            yield record
            going_on = ~running.held(epoch, recipe.hold)
            running.keep(going_on)
            slope = slope[going_on]
            if epoch == last or not len(running.index):
                return
        progress = (epoch - 1) % recipe.epochs / recipe.epochs
        rate = recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
        running.adam(slope, rate, recipe.decay, model.n_hidden)
        if epoch % recipe.epochs == 0:
            running.keep(running.solved_at < 0)
            for row, s in enumerate(running.index.tolist()):
                seed = redraw_seed(seeds[s], epoch // recipe.epochs)
                new = random_networks([seed], model.n_hidden, math.isqrt(n_points), recipe.init)
                running.flat[row] = flattened(new)[0].to(device)
            running.forget()
            if not len(running.index):
                return
            record.draws[running.index] += 1


def redraw_seed(seed, redraw):
    """The seed of a network's redraw number 1, 2, ...: far from every seed a user gives."""
    return (seed * 1_000_003 + redraw * 500_000_003) % 2**32


class _Running:
    """The networks still in training, R of them, with Adam's state."""

    def __init__(self, model):
        self.index = torch.arange(model.n_networks, device=model.out_bias.device)  # (R,)
        self.solved_at = torch.full_like(self.index, -1)  # (R,)
        self.flat = flattened(model)  # (R, P)
        self.forget()

    def forget(self):
        """A fresh optimiser."""
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.steps = 0

    def keep(self, chosen):
        """Drop the networks outside the mask `chosen` (R,)."""
        if not chosen.all():
            for name in ("index", "solved_at", "flat", "mean", "square"):
                setattr(self, name, getattr(self, name)[chosen])

    def note(self, at_100, epoch):
        """Keep the epoch since when a network has been at 100 % without a break."""
        first = self.solved_at.masked_fill(self.solved_at < 0, epoch)
        self.solved_at = torch.where(at_100, first, -1)

    def held(self, epoch, hold):
        """(R,) whether a network has been at 100 % for `hold` epochs."""
        return (self.solved_at > 0) & (epoch - self.solved_at >= hold)

    def adam(self, slope, rate, decay, n_hidden):
        hidden = 3 * n_hidden  # the hidden units' weights and biases come first
        slope[:, :hidden] += decay * self.flat[:, :hidden]
        self.steps += 1
        self.mean.lerp_(slope, 1 - MOMENT_1)
        self.square.mul_(MOMENT_2).addcmul_(slope, slope, value=1 - MOMENT_2)
        correction = math.sqrt(1 - MOMENT_2**self.steps)
        size = self.square.sqrt().add_(TINY * correction)
        step = rate * correction / (1 - MOMENT_1**self.steps)
        self.flat.addcdiv_(self.mean, size, value=-step)

    def store(self, model):
        for name, value in zip(PARAMETERS, views(self.flat, model.n_hidden), strict=True):
            getattr(model, name).data[self.index] = value


def _report(record, running, logits, right, targets, epoch):
    """The next Record: the running networks' figures are new, the others' stay."""
    new = Record(epoch, *(getattr(record, name).clone() for name in FIGURES))
    wanted = targets.expand_as(logits)
    loss = binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(1)
    if not bool((loss < LOSS_DIVERGED).all()):
        raise XorError(f"the loss has diverged by epoch {epoch}: choose a smaller --lr or --init")
    new.loss[running.index] = loss
    new.accuracy[running.index] = 100 * right.float().mean(1)
    new.solved_at[running.index] = running.solved_at
    return new
