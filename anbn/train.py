"""Training S networks side by side on streams of a language, by back-propagation through time.

    recipe = default_recipe(language, "lstm", n_hidden=3)
    model = build(language, "lstm", 3, seeds=range(8), recipe=recipe)
    for record in train(model, language, recipe, seeds=range(8)):
        print(record.sequences, record.cross_entropy)

Each update reads `batch_size` whole streams per network. Network s draws its own streams from
generators seeded by its own seed, and its gradient is clipped and followed by itself, so that
network s of an ensemble is network s alone within rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import softshrink

from anbn.evaluate import N_STREAMS, coursework_loss, streams_right
from anbn.loss import Batch, loss_and_gradients, smoothing_gradients
from anbn.models import MODELS
from anbn.optim import OPTIMIZERS
from anbn.recipes import RecipeError

# Networks that are trained as one computation, so that any number of processes may share out the
# groups. The smaller, the more processes find work; but 100 networks on one core take, against all
# at once, 1.1 times as long in groups of 25 (LSTM-3; SRN-2: 1.4), 1.6 in groups of 8 (2.7).
GROUP_SIZE = 25
CHUNK = 32  # updates whose streams are drawn from one generator per network
MAX_SYMBOLS = 1 << 22  # of the streams that are made at a time
MAX_LOSS = 1e4  # nats per symbol, more than any network that learns ever has
N_REPORT = 50  # held-out streams on which a report measures the loss


class TrainingDiverged(ArithmeticError):
    """The loss of a network is no longer a number, or beyond all bounds."""


@dataclass
class Record:
    """One reporting step."""

    sequences: int  # training streams per network so far
    loss: torch.Tensor | None  # (S,) the coursework's, on held-out streams
    cross_entropy: torch.Tensor  # (S,) nats per symbol, mean over the streams since the last report
    streams_right: torch.Tensor | None  # (S,) share of held-out streams with every step right
    learning_rate: float
    optimizer_state: Callable  # () -> dict, for a checkpoint


def build(language, kind, n_hidden, seeds, recipe, device="cpu"):
    """A model of len(seeds) networks with the recipe's initial parameters, network s drawn from
    seeds[s] alone. Raises ModelError for impossible sizes."""
    model = MODELS[kind](language.n_symbols, n_hidden, seeds=list(seeds), init=recipe.init)
    with torch.no_grad():
        if kind == "srn" and recipe.identity:
            eye = recipe.identity * torch.eye(n_hidden)
            for s, seed in enumerate(seeds):
                generator = torch.Generator().manual_seed(_mixed(seed, 0))
                noise = torch.randn(n_hidden, n_hidden, generator=generator)
                model.U[s] = eye + recipe.noise * noise
        if kind == "lstm":
            model.hid_bias[:, n_hidden : 2 * n_hidden] += recipe.forget_bias
    return model.to(device)


@torch.no_grad()
def train(
    model,
    language,
    recipe,
    seeds,
    *,
    done=0,
    optimizer_state=None,
    report_every=1000,
    evaluate=True,
):
    """Train `model` in place; yields a Record about every `report_every` streams per network.

    seeds: one per network. done: streams per network already trained on (a multiple of the batch
    size), optimizer_state: the state stored with them; the rest of the training is then the same
    as if it had not been interrupted. evaluate: measure the networks on held-out streams at every
    report; without, loss and streams_right are None. Raises TrainingDiverged when a loss stops
    being finite, RecipeError if the recipe or the optimizer's state cannot be followed.

    The networks are trained in groups of GROUP_SIZE, one after another from report to report.
    """
    held_out = held_out_streams(language).to(model.U.device) if evaluate else None
    groups, runs = [], []
    for first in range(0, model.n_networks, GROUP_SIZE):
        members = slice(first, first + GROUP_SIZE)
        part, state = model.select(members), _of(members, optimizer_state)
        options = (seeds[members], done, state, report_every, held_out)
        groups.append((members, part))
        runs.append(_train_group(part, language, recipe, *options))
    for records in zip(*runs, strict=True):
        record = _joined(records)
        lost = ~(record.cross_entropy.abs() <= MAX_LOSS)
        if lost.any():
            first = seeds[int(lost.nonzero()[0])]
            raise TrainingDiverged(
                f"the loss of {int(lost.sum())} of {len(seeds)} networks is beyond all bounds "
                f"after {record.sequences} sequences (first seed {first}); lower the learning rate "
                "(--lr) or the initial weights (--init)"
            )
        for members, part in groups:
            for name in model.names:
                getattr(model, name)[members] = getattr(part, name)
        yield record


def held_out_streams(language):
    """The streams of every report, always the same: a Stream (N_STREAMS, T)."""
    generator = torch.Generator().manual_seed(1 << 31)
    return language.streams(language.draw((N_STREAMS,), generator))


def _of(members, state):
    """The part of some networks of an optimizer's state."""
    if state is None:
        return None
    try:
        return {name: each[members] if each.dim() else each for name, each in state.items()}
    except (AttributeError, TypeError):
        raise RecipeError("the stored state of the optimizer is none: train anew") from None


def _joined(records):
    """One Record of several groups'."""

    def joined(name):
        values = [getattr(record, name) for record in records]
        return None if values[0] is None else torch.cat(values)

    def state():
        states = [record.optimizer_state() for record in records]
        return {
            name: torch.cat([state[name] for state in states]) if value.dim() else value.clone()
            for name, value in states[0].items()
        }

    figures = {name: joined(name) for name in ("loss", "cross_entropy", "streams_right")}
    sequences, rate = records[0].sequences, records[0].learning_rate
    return Record(sequences, **figures, learning_rate=rate, optimizer_state=state)


def _train_group(model, language, recipe, seeds, done, state, report_every, held_out):
    """`train` for networks that are trained as one computation; yields Records."""
    first, last = done // recipe.batch_size, recipe.n_updates
    per_report = max(1, report_every // recipe.batch_size)
    mean = None
    if recipe.stochastic_target == "mean":
        if language.stochastic_mean is None:
            raise RecipeError(f"{language.name} has no mean distribution to learn: use next")
        mean = language.stochastic_mean.to(model.U)
    weights = model.flatten_parameters()
    optimizer = OPTIMIZERS[recipe.optimizer](weights, recipe.momentum, recipe.second_moment)
    if state is not None:
        try:
            optimizer.load(state)
        except ValueError as error:
            raise RecipeError(f"{error}: train anew") from None
    total, counted = 0, 0
    model.scale_weights(1 / recipe.gain(first, model))
    for update, batch in _batches(language, recipe, seeds, first, last):
        batch = Batch(*(part.to(weights.device) for part in batch))
        gain = recipe.gain(update, model)
        _, cross_entropy, gradient = loss_and_gradients(
            model, batch, recipe.stochastic_weight, mean, gain
        )
        if recipe.turn_smoothing and 2 * update >= last:
            smoothing = smoothing_gradients(model, batch, recipe.stochastic_weight, gain)
            gradient += recipe.turn_smoothing * smoothing
        optimizer.step(clipped(gradient, recipe.clip), recipe.rate(update))
        if model.kind == "lstm":
            _regularize(model, recipe, update)
        if recipe.max_weight is not None:
            for weights_read in (model.W, model.U):
                weights_read.clamp_(-recipe.max_weight, recipe.max_weight)
        total, counted = total + cross_entropy, counted + 1
        if (update + 1) % per_report == 0 or update + 1 == last:
            gain = recipe.gain(update + 1, model)
            model.scale_weights(gain)
            loss = right = None
            if held_out is not None:
                right, some = streams_right(model, held_out, language), held_out[:N_REPORT]
                loss = coursework_loss(model(some.inputs).probability, some, language).cpu()
            yield Record(
                sequences=(update + 1) * recipe.batch_size,
                loss=loss,
                streams_right=right,
                cross_entropy=(total / counted).float().cpu(),
                learning_rate=recipe.rate(update),
                optimizer_state=lambda: optimizer.state,
            )
            model.scale_weights(1 / gain)
            total, counted = 0, 0


def _regularize(model, recipe, update):
    """Move the weights of LSTMs by the recipe's pulls, in place. Softly thresholded weights can
    become 0 exactly."""
    rate, begun = recipe.rate(update), update >= recipe.gain_start * recipe.n_updates
    if recipe.recurrent_pull:
        model.U.copy_(softshrink(model.U, recipe.recurrent_pull * rate))
    if recipe.read_out_pull and begun:
        model.V.copy_(softshrink(model.V, recipe.read_out_pull * rate))
        model.W[..., 3 * model.n_hidden :] -= recipe.read_out_pull * rate  # output gates
    if recipe.saturation and begun:
        away = (model.W + model.hid_bias[:, None]).sign()  # (S, K, 4H)
        model.W.add_(away, alpha=recipe.saturation * rate)


def _batches(language, recipe, seeds, first, last):
    """Pairs (update, Batch) for updates first..last - 1.

    Chunk c of network s depends on its seed and c alone: update u reads the same streams wherever
    training was taken up, and however many networks are trained with it.
    """
    together = 1  # updates whose streams are made at a time
    for chunk in range(first // CHUNK, -(-last // CHUNK)):
        draws = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(_mixed(seed, chunk + 1))
            draws.append(language.draw((CHUNK, recipe.batch_size), generator))
        update = max(first, chunk * CHUNK)
        draws = torch.stack(draws, 1)  # (CHUNK, S, B, ...)
        draws = draws[update - chunk * CHUNK : last - chunk * CHUNK]
        while len(draws):
            streams = language.training_symbols(draws[:together])  # (updates, S, B, ...) each
            for batch in zip(*streams, strict=True):
                yield update, Batch(*batch)
                update += 1
            draws = draws[together:]
            together = max(1, MAX_SYMBOLS // streams[0][0].numel())


def _mixed(seed, purpose):
    """A generator seed for one purpose of one network: 0 its weights, c + 1 its chunk c.

    torch's CPU generator looks at the lowest 32 bits alone, so both must show there.
    """
    return (int(seed) * 1_000_003 + purpose) % 2**32


def clipped(gradient, largest):
    """The gradient of each network (S, P), scaled to norm `largest` at most; 0 where it is not
    finite: such a network is reported, not followed."""
    scale = largest / gradient.norm(dim=1, keepdim=True).clamp(min=largest)
    return torch.nan_to_num_(gradient * scale, 0.0, 0.0, 0.0)
