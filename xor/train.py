"""The train loop: S perceptrons side by side, full-batch Adam, a little weight decay, a cosine.

    inputs, targets = grid(3)
    model = random_networks(range(1000), n_hidden=4, size=3)
    for record in train(model, inputs, targets, seeds=range(1000)):
        print(record.epoch, record.solved.sum())

Plain descent leaves more than half of the networks with four units on a plateau: all points but one
or two are right, and two hidden units do the same job or have run away from the points, where they
are saturated and get no gradient. Weight decay on the hidden units pulls such a unit back; lines
that start nearly parallel (`random_networks`) keep two units from blocking each other's way.
"""

import math
from typing import NamedTuple

import torch

from xor.model import MLP, losses, points_right, random_networks
from xor.optim import Adam
from xor.recipes import Recipe, default_recipe
from xor.tasks import XorError

REPORT_EVERY = 100  # epochs; networks that have held stop here
# Networks trained as one computation: half as many take 1.4 times as long per network, twice as
# many 0.8 times, and leave a second core idle more often.
GROUP_SIZE = 1000
LOSS_DIVERGED = 1e6  # a mean cross-entropy no useful network comes near


class Record(NamedTuple):
    """All networks at one epoch, before its update; those that have stopped stay as they were."""

    epoch: int
    logits: torch.Tensor  # (S, N) net inputs of the output units
    targets: torch.Tensor  # (N,)
    first_right: torch.Tensor  # (S,) the first epoch with every point right, -1: none
    stays_right_from: torch.Tensor  # (S,) the epoch since which every point is right, -1: some not
    draws: torch.Tensor  # (S,) how often the network has been drawn

    @property
    def loss(self):
        """(S,) mean binary cross-entropy, nats."""
        return losses(self.logits, self.targets)

    @property
    def accuracy(self):
        """(S,) percent."""
        return 100 * points_right(self.logits, self.targets).float().mean(1)

    @property
    def solved(self):
        """(S,) whether every point is right at this epoch."""
        return self.stays_right_from >= 0

    def then(self, epoch, logits):
        """The record that follows this one."""
        all_right = points_right(logits, self.targets).all(1)  # (S,)
        first, since = self.first_right, self.stays_right_from
        if not torch.equal(all_right, self.solved):  # of few networks it is equal at most epochs
            first = torch.where(all_right & (first < 0), epoch, first)
            since = torch.where(all_right, torch.where(self.solved, since, epoch), -1)
        return Record(epoch, logits, self.targets, first, since, self.draws)

    def redrawn(self, places):
        """This record, the networks `places` (R,) drawn anew."""
        first = self.first_right.index_fill(0, places, -1)
        since = self.stays_right_from.index_fill(0, places, -1)
        draws = self.draws.index_add(0, places, torch.ones_like(places))
        return self._replace(first_right=first, stays_right_from=since, draws=draws)

    def of(self, chosen):
        """The record of some of the networks, an index or mask over S."""
        return self._replace(**{name: getattr(self, name)[chosen] for name in PER_NETWORK})

    def cpu(self):
        return Record(self.epoch, *(part.cpu() for part in self[1:]))


PER_NETWORK = ("logits", "first_right", "stays_right_from", "draws")


def untrained(model, inputs, targets):
    """The record of epoch 0."""
    never = torch.full((model.n_networks,), -1, device=inputs.device)
    logits = model.logits(inputs).detach()
    return Record(0, logits, targets, never, never, torch.ones_like(never))


def joined(records):
    """Records of different networks as one, at the latest of their epochs."""
    parts = {name: torch.cat([getattr(record, name) for record in records]) for name in PER_NETWORK}
    return records[0]._replace(epoch=max(record.epoch for record in records), **parts)


def train(model, inputs, targets, recipe=None, seeds=None, store_every=REPORT_EVERY):
    """Train the networks of `model` in place; yields a Record of every epoch.

    inputs (N, 2) a square grid, targets (N,). seeds: one per network, for its redraws alone
    (default: 0, 1, ...). `model` holds the trained networks at every store_every-th epoch and as
    soon as the loop is left, however that happens. Raises XorError if the model has steps (no
    gradient) or if a loss diverges.
    """
    if model.act != "sig":
        raise XorError("step units have no gradient, so they cannot be trained; use sig")
    seeds = list(range(model.n_networks) if seeds is None else seeds)
    recipe = recipe or default_recipe(math.isqrt(len(targets)))
    groups = []
    for start in range(0, model.n_networks, GROUP_SIZE):
        some = slice(start, start + GROUP_SIZE)
        group = MLP(*(weight.data[some] for weight in model.parameters()))  # the same memory
        groups.append(_train_group(group, inputs, targets, recipe, seeds[some], store_every))
    records = [None] * len(groups)
    try:
        while any(new := [next(group, None) for group in groups]):
            records = [now or last for now, last in zip(new, records, strict=True)]
            yield joined(records) if len(records) > 1 else records[0]
    finally:
        for group in groups:
            group.close()


def _train_group(group, inputs, targets, recipe, seeds, store_every):
    """The Records of one group of networks. Those still in training, R of them, are trained apart
    from it and copied into it, at `places` (R,)."""
    size, last = math.isqrt(len(targets)), recipe.epochs * (recipe.restarts + 1)
    places = torch.arange(group.n_networks, device=inputs.device)
    record, middle = untrained(group, inputs, targets), recipe.centred * (size - 1) / 2
    decays = recipe.decay, recipe.decay * (not recipe.centred), 0, 0
    networks, inputs = group.subset(places).moved(middle), inputs - middle
    optimizer = Adam(networks.parameters(), decays)

    def store():
        trained = networks.moved(-middle).parameters()
        for weight, new in zip(group.parameters(), trained, strict=True):
            weight.data[places] = new.data

    try:
        for epoch in range(1, last + 1):
            logits = networks.backpropagate(inputs, targets)  # (R, N)
            record = record.then(epoch, record.logits.index_copy(0, places, logits))
            draw, step = divmod(epoch, recipe.epochs)  # step 0: the last epoch of a draw
            reporting = step == 0 or epoch % REPORT_EVERY == 0
            if reporting or epoch % store_every == 0:
                store()
            if reporting:
                _check(record, recipe)
            yield record
            going_on = ~record.solved
            if step:
                cosine = 0.5 * (1 + math.cos(math.pi * (step - 1) / recipe.epochs))
                gradients = [weight.grad for weight in networks.parameters()]
                optimizer.step(gradients, recipe.learning_rate * cosine)
                going_on |= epoch - record.stays_right_from < recipe.hold
            if reporting and not bool((mine := going_on[places]).all()):  # (R,)
                places, networks = places[mine], networks.subset(mine)
                optimizer.select(networks.parameters(), mine)
            if epoch == last or not len(places):
                return
            if step == 0:
                new = [redraw_seed(seeds[place], draw) for place in places.tolist()]
                networks = random_networks(new, group.n_hidden, size, recipe.init)
                networks = networks.to(group.out_bias).moved(middle)
                optimizer = Adam(networks.parameters(), decays)
                record = record.redrawn(places)
    finally:
        store()


def redraw_seed(seed, redraw):
    """The seed of a network's redraw number 1, 2, ...: far from every seed a user gives."""
    return (seed * 1_000_003 + redraw * 500_000_003) % 2**32


def _check(record, recipe):
    """Raise XorError if a loss has diverged, naming the options that are larger than usual."""
    if bool((record.loss < LOSS_DIVERGED).all()):
        return
    options = {"--lr": "learning_rate", "--init": "init", "--decay": "decay"}
    large = [o for o, name in options.items() if getattr(recipe, name) > getattr(Recipe, name)]
    what = " or ".join(large or options)
    raise XorError(f"the loss has diverged by epoch {record.epoch}: choose a smaller {what}")
