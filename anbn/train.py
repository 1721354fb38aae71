"""Training S networks side by side on streams of a language, by back-propagation through time.

    recipe = default_recipe(language, "lstm", n_hidden=3)
    model = build(language, "lstm", 3, seeds=range(8), recipe=recipe)
    for record in train(model, language, recipe, seeds=range(8)):
        print(record.sequences, record.cross_entropy)

Network s draws its own streams, `batch_size` per update, from its own seed, and its gradient is
clipped and followed by itself: network s of an ensemble is network s alone within rounding.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import softshrink

from anbn.evaluate import N_STREAMS, coursework_loss, streams_right
from anbn.loss import (
    Batch,
    Strings,
    closure_gradients,
    loss_and_gradients,
    smoothing_gradients,
)
from anbn.models import MODELS
from anbn.optim import OPTIMIZERS, join_networks, select_state
from anbn.recipes import RecipeError

# Networks that are trained as one computation; processes share out whole groups. The smaller, the
# more processes find work; but against all at once, 100 networks on one core take 1.1 times as long
# in groups of 25 (LSTM-3; SRN-2: 1.4), 1.6 in groups of 8 (2.7).
GROUP_SIZE = 25
CHUNK = 32  # updates whose streams are drawn from one generator per network
MAX_SYMBOLS = 1 << 22  # of the streams that are made at a time
MAX_CLOSED = 16  # the largest n whose strings `closure` reads: its time grows with the longest
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
    optimizer_state: dict  # for a checkpoint


def build(language, kind, n_hidden, seeds, recipe):
    """A model of len(seeds) networks with the recipe's initial parameters, each drawn from its own
    seed alone. Raises ModelError for impossible sizes."""
    model = MODELS[kind](language.n_symbols, n_hidden, seeds=list(seeds), init=recipe.init)
    with torch.no_grad():
        if kind == "srn" and (recipe.identity or recipe.inhibition):
            mean = recipe.identity * torch.eye(n_hidden) - recipe.inhibition / n_hidden
            for s, seed in enumerate(seeds):
                generator = torch.Generator().manual_seed(_mixed(seed, 0))
                noise = torch.randn(n_hidden, n_hidden, generator=generator)
                model.U[s] = mean + recipe.noise * noise
        if kind == "lstm":
            model.hid_bias[:, n_hidden : 2 * n_hidden] += recipe.forget_bias
    return model


@torch.no_grad()
def train(
    model, language, recipe, seeds, *, optimizer_state=None, report_every=1000, evaluate=True
):
    """Train `model` in place; yields a Record about every `report_every` streams per network.

    seeds: one per network. optimizer_state: the state stored with the networks; training then goes
    on as if it had not been interrupted. evaluate: whether a report has loss and streams_right.
    Raises TrainingDiverged when a loss stops being finite, RecipeError if the recipe or the state
    cannot be followed.

    The networks are trained in groups of GROUP_SIZE, one after another from report to report.
    """
    held_out = held_out_streams(language).to(model.U.device) if evaluate else None
    groups = [slice(s, s + GROUP_SIZE) for s in range(0, model.n_networks, GROUP_SIZE)]
    parts = [model.select(group) for group in groups]
    runs = []
    for group, part in zip(groups, parts, strict=True):
        optimizer = _optimizer(part, recipe, optimizer_state, group)
        options = recipe, seeds[group], report_every, held_out
        runs.append(_train_group(part, language, optimizer, *options))
    for records in zip(*runs, strict=True):
        lost = ~(torch.cat([record.cross_entropy for record in records]).abs() <= MAX_LOSS)
        if lost.any():
            first = seeds[int(lost.nonzero()[0])]
            raise TrainingDiverged(
                f"the loss of {int(lost.sum())} of {len(seeds)} networks is beyond all bounds "
                f"after {records[0].sequences} sequences (first seed {first}); lower the learning "
                "rate (--lr) or the initial weights (--init)"
            )
        for group, part in zip(groups, parts, strict=True):
            for whole, trained in zip(model.parameters(), part.parameters(), strict=True):
                whole[group] = trained
        yield Record(**join_networks([vars(record) for record in records]))


def held_out_streams(language):
    """The streams of every report, always the same: a Stream (N_STREAMS, T)."""
    generator = torch.Generator().manual_seed(1 << 31)
    return language.streams(language.draw((N_STREAMS,), generator))


def _optimizer(model, recipe, state, which):
    """The recipe's optimizer of some networks' weights, from their part of a stored state on."""
    kind, weights = OPTIMIZERS[recipe.optimizer], model.flatten_parameters()
    optimizer = kind(weights, recipe.momentum, recipe.second_moment)
    if state is not None:
        try:
            optimizer.load(select_state(state, which))
        except (ValueError, AttributeError, TypeError) as error:
            raise RecipeError(f"{error}: train anew") from None
    return optimizer


def _train_group(model, language, optimizer, recipe, seeds, report_every, held_out):
    """`train` for networks that are trained as one computation; yields Records."""
    first, last = int(optimizer.state["step"]), recipe.n_updates
    per_report = max(1, report_every // recipe.batch_size)
    mean = None
    if recipe.stochastic_target == "mean":
        if language.stochastic_mean is None:
            raise RecipeError(f"{language.name} has no mean distribution to learn")
        mean = language.stochastic_mean.to(model.U)
    strings = None
    if recipe.closure or recipe.block_closure:
        if not language.numbered:
            raise RecipeError(f"the strings of {language.name} are not numbered: no closure")
        if recipe.block_closure and model.kind != "lstm":
            raise RecipeError("block_closure is for LSTMs: an SRN has no forget gates")
        n = torch.arange(1, min(language.length, MAX_CLOSED) + 1, device=model.U.device)
        strings = Strings.of(language, n, blocks=recipe.block_closure > 0)

    def follow(update, batch):
        """One update; returns the cross-entropy (S,) before it."""
        batch = Batch(*(part.to(model.U.device) for part in batch))
        gain = recipe.gain(update, model)
        _, cross_entropy, gradient = loss_and_gradients(
            model, batch, recipe.stochastic_weight, mean, gain
        )
        if recipe.turn_smoothing and 2 * update >= last:
            smoothing = smoothing_gradients(model, batch, recipe.stochastic_weight, gain)
            gradient += recipe.turn_smoothing * smoothing
        if strings is not None:
            blocks = recipe.block_closure and update >= recipe.gain_start * last
            weight = recipe.block_closure if blocks else recipe.closure
            if weight:
                gradient += weight * closure_gradients(model, strings, gain, blocks)
        optimizer.step(clipped(gradient, recipe.clip), recipe.rate(update))
        _regularize(model, recipe, update)
        if recipe.max_weight is not None:
            for weights in (model.W, model.U):
                weights.clamp_(-recipe.max_weight, recipe.max_weight)
        return cross_entropy

    model.scale_weights(1 / recipe.gain(first, model))
    while first < last:  # from report to report, when nothing of the streams is kept
        end = min(last, (first // per_report + 1) * per_report)
        updates = _batches(language, recipe, seeds, first, end)
        total = sum(follow(update, batch) for update, batch in updates)
        gain = recipe.gain(end, model)
        model.scale_weights(gain)
        loss = right = None
        if held_out is not None:
            right, some = streams_right(model, held_out, language), held_out[:N_REPORT]
            loss = coursework_loss(model(some.inputs).probability, some, language).cpu()
        cross_entropy = (total / (end - first)).float().cpu()
        sequences = end * recipe.batch_size
        yield Record(sequences, loss, cross_entropy, right, optimizer.state)
        model.scale_weights(1 / gain)
        first = end


def _regularize(model, recipe, update):
    """Move the weights by the recipe's pulls, in place. Softly thresholded weights can become 0
    exactly."""
    rate, begun = recipe.rate(update), update >= recipe.gain_start * recipe.n_updates
    if recipe.recurrent_pull:
        model.U.copy_(softshrink(model.U, recipe.recurrent_pull * rate))
    if recipe.read_out_pull and begun:
        model.V.copy_(softshrink(model.V, recipe.read_out_pull * rate))
        model.W[..., 3 * model.n_hidden :] -= recipe.read_out_pull * rate  # an LSTM's output gates
    if recipe.saturation and begun:
        away = (model.W + model.hid_bias[:, None]).sign()  # (S, K, 4H)
        model.W.add_(away, alpha=recipe.saturation * rate)


def _batches(language, recipe, seeds, first, last):
    """Pairs (update, Batch) for updates first..last - 1. Chunk c of network s depends on its seed
    and c alone, wherever training was taken up and however many networks are trained with it."""
    together = 1  # updates whose streams are made at a time
    for chunk in range(first // CHUNK, -(-last // CHUNK)):
        start = chunk * CHUNK
        draws = []
        for seed in seeds:
            generator = torch.Generator().manual_seed(_mixed(seed, chunk + 1))
            draws.append(language.draw((CHUNK, recipe.batch_size), generator))
        update = max(first, start)
        draws = torch.stack(draws, 1)[update - start : last - start]  # (updates, S, B, ...)
        while len(draws):
            streams = language.training_symbols(draws[:together])  # (updates, S, B, ...) each
            for batch in zip(*streams, strict=True):
                yield update, Batch(*batch)
                update += 1
            draws = draws[together:]
            together = max(1, MAX_SYMBOLS // streams[0][0].numel())


def _mixed(seed, purpose):
    """A generator seed for one purpose of one network: 0 its weights, c + 1 its chunk c. (torch's
    CPU generator looks at the lowest 32 bits alone, so both must show there.)"""
    return (int(seed) * 1_000_003 + purpose) % 2**32


def clipped(gradient, largest):
    """The gradient of each network (S, P), scaled to norm `largest` at most; 0 where it is not
    finite: such a network is reported, not followed."""
    scale = largest / gradient.norm(dim=1, keepdim=True).clamp(min=largest)
    return torch.nan_to_num_(gradient * scale, 0.0, 0.0, 0.0)
