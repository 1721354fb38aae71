"""Training S networks side by side on streams of a language, by back-propagation through time.

    recipe = default_recipe(language, "lstm", n_hidden=3)
    model = build(language, "lstm", 3, seeds=range(8), recipe=recipe)
    for record in train(model, language, recipe, seeds=range(8)):
        print(record.sequences, record.cross_entropy)

Each update reads `batch_size` whole streams per network. The loss is the sum over networks of each
one's mean cross-entropy, gradients are clipped per network, and network s draws its own streams
from generators seeded by its own seed, so that network s of an ensemble is network s alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from anbn.evaluate import N_STREAMS, coursework_loss, streams_right
from anbn.models import MODELS
from anbn.optimizers import OPTIMIZERS
from anbn.recipes import RecipeError
from anbn.replay import Replayed, replayed, sent

CHUNK = 32  # updates whose streams are drawn together, from one generator per network
STREAMS_TOGETHER = 1 << 15  # streams made from their draws at a time, so that they fit in memory
RECORDED_STEPS = 32  # lengths are rounded up to multiples of this where a GPU replays them
N_REPORT = 50  # held-out streams on which a report measures the loss


class TrainingDiverged(ArithmeticError):
    """The loss of a network is no longer a finite number."""


@dataclass
class Record:
    """One reporting step."""

    sequences: int  # training streams per network so far
    loss: torch.Tensor  # (S,) the coursework's, of the networks as they are, on held-out streams
    cross_entropy: torch.Tensor  # (S,) nats per symbol, mean over the streams since the last report
    streams_right: torch.Tensor  # (S,) share of held-out streams with every certain step right
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


def train(
    model, language, recipe, seeds, *, done=0, optimizer_state=None, report_every=1000, judge=True
):
    """Train `model` in place; yields a Record about every `report_every` streams per network.

    seeds: one per network. done: streams per network already trained on (a multiple of the batch
    size), optimizer_state: the state stored with them; the rest of the training is then the same
    as if it had not been interrupted. judge: measure the networks on held-out streams at every
    report; without, loss and streams_right are None. Raises TrainingDiverged when a loss stops
    being finite, RecipeError if the recipe or the optimizer's state cannot be followed.
    """
    first, last = done // recipe.batch_size, recipe.n_updates
    per_report = max(1, report_every // recipe.batch_size)
    device = model.U.device
    parameters = list(model.parameters())
    kind = OPTIMIZERS[recipe.optimizer]
    optimizer = kind(parameters, recipe.momentum, recipe.second_moment)
    if optimizer_state is not None:
        if optimizer_state.keys() != optimizer.state_dict().keys():
            raise RecipeError(
                f"the stored state of the optimizer is not one of {recipe.optimizer} as this "
                "version keeps it: train anew"
            )
        optimizer.load_state_dict(optimizer_state)
    aim = None
    if recipe.undetermined_aim == "mean":
        if language.stochastic_mean is None:
            raise RecipeError(f"{language.name} has no mean distribution to aim at: use next")
        aim = language.stochastic_mean.to(device)
    total = torch.zeros(model.n_networks, device=device)
    counted = 0

    def collect(slope, *batch):
        weighted, plain = _losses(model, *batch, recipe.undetermined_weight, slope, aim)
        gradients = torch.autograd.grad(weighted.sum(), parameters)
        optimizer.collect(clipped_per_network(gradients, recipe.clip))
        return (plain.detach(),)

    def apply(numbers):
        optimizer.apply(numbers)
        return ()

    collect = replayed(collect, device, optimizer.state())
    apply = replayed(apply, device, [*optimizer.state(), *parameters])
    model.fold(1 / recipe.slopes(first, model))
    # A recording is made once for every length; a few padded steps cost less than another one.
    grain = RECORDED_STEPS if isinstance(collect, Replayed) else 1
    for update, batch in _updates(language, recipe, seeds, first, last, device, grain):
        (plain,) = collect(recipe.slopes(update, model), *batch)
        optimizer.turn()
        apply(sent(optimizer.numbers(recipe.rate(update)), device))
        total += plain
        counted += 1
        if (update + 1) % per_report == 0 or update + 1 == last:
            mean = (total / counted).cpu()
            if not mean.isfinite().all():
                lost = [seeds[s] for s in (~mean.isfinite()).nonzero()[:, 0].tolist()]
                raise TrainingDiverged(
                    f"the loss of {len(lost)} of {len(seeds)} networks is not a number after "
                    f"{(update + 1) * recipe.batch_size} sequences (first seed {lost[0]}); "
                    "choose a smaller learning rate"
                )
            slopes = recipe.slopes(update + 1, model)
            model.fold(slopes)
            held_out = _held_out(language, N_STREAMS, device) if judge else None
            yield Record(
                sequences=(update + 1) * recipe.batch_size,
                loss=_held_out_loss(model, language) if judge else None,
                streams_right=streams_right(model, held_out, language) if judge else None,
                cross_entropy=mean,
                learning_rate=recipe.rate(update),
                optimizer_state=optimizer.state_dict,
            )
            if update + 1 < last:
                model.fold(1 / slopes)
            total, counted = torch.zeros_like(total), 0


def _updates(language, recipe, seeds, first, last, device, grain=1):
    """Pairs (update, batch) for updates first..last - 1. batch: symbols (S, B, T + 1) int64, valid
    and deterministic (S, B, T), T that of its longest stream, rounded up to a multiple of `grain`.

    Chunk c of network s depends on its seed and c alone: update u reads the same streams wherever
    training was taken up, and however many networks are trained with it.
    """
    for chunk in range(first // CHUNK, -(-last // CHUNK)):
        draws = [_draws(language, recipe, seed, chunk) for seed in seeds]
        draws = torch.stack(draws, 1).to(device)  # (CHUNK, S, B, ...)
        together = max(1, STREAMS_TOGETHER // (len(seeds) * recipe.batch_size))
        update = chunk * CHUNK
        for part in draws.split(together):
            symbols, valid, deterministic = language.training_symbols(part)
            more = -valid.shape[-1] % grain
            symbols, valid, deterministic = (
                pad(tensor, (0, more)) for tensor in (symbols, valid, deterministic)
            )
            n_steps = valid.flatten(1, 2).any(1).sum(-1).tolist()
            for k, n in enumerate(n_steps):
                n += -n % grain
                if first <= update < last:
                    read = symbols[k, ..., : n + 1].long()
                    yield update, (read, valid[k, ..., :n], deterministic[k, ..., :n])
                update += 1


def _draws(language, recipe, seed, chunk):
    """The random numbers of one chunk of one network: (CHUNK, B, ...)."""
    generator = torch.Generator().manual_seed(_mixed(seed, chunk + 1))
    return language.draw((CHUNK, recipe.batch_size), generator)


def _mixed(seed, purpose):
    """A generator seed for one purpose of one network: 0 its weights, c + 1 its chunk c.

    torch's CPU generator looks at the lowest 32 bits alone, so both must show there.
    """
    return (int(seed) * 1_000_003 + purpose) % 2**32


def _losses(model, symbols, valid, deterministic, undetermined_weight, slope=None, aim=None):
    """(S,), (S,): each network's mean cross-entropy, weighted for training and plain. aim (K,):
    the distribution that the steps which are not certain learn, for the symbols that follow."""
    logits = model(symbols[..., :-1], slope=slope).logits  # (S, B, T, K)
    log_q = logits.permute(0, 2, 3, 1).log_softmax(2)  # (S, T, K, B), as the model made them
    targets = symbols[..., 1:].mT[:, :, None]
    surprise = -log_q.gather(2, targets)[:, :, 0]  # (S, T, B)
    valid = valid.mT.to(surprise.dtype)
    weight = torch.where(deterministic.mT, valid, undetermined_weight * valid)
    learned = surprise
    if aim is not None:
        learned = torch.where(deterministic.mT, surprise, -(log_q * aim[:, None]).sum(2))
    weighted = summed(learned * weight, (1, 2)) / summed(weight, (1, 2))
    plain = summed(surprise.detach() * valid, (1, 2)) / summed(valid, (1, 2))
    return weighted, plain


def summed(values, dim):
    """The sum in float64 where there is one, so that it does not depend on the order of summation,
    which changes with the number of networks."""
    return values.sum(dim, dtype=torch.float32 if values.device.type == "mps" else torch.float64)


@torch.no_grad()
def _held_out_loss(model, language):
    """(S,) the coursework's loss on streams that are the same at every report."""
    stream = _held_out(language, N_REPORT, model.U.device)
    return coursework_loss(model(stream.inputs).probability, stream, language).cpu()


def _held_out(language, n_streams, device):
    """The same streams at every report."""
    generator = torch.Generator().manual_seed(1 << 31)
    return language.streams(language.draw((n_streams,), generator)).to(device)


def clipped_per_network(gradients, largest):
    """The gradient of each network s, gradients[...][s], scaled to norm `largest` at most."""
    squares = sum(summed(g.flatten(1).square(), 1) for g in gradients).float()  # (S,)
    scale = (largest / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)
    return [g * scale.view(-1, *[1] * (g.dim() - 1)) for g in gradients]
