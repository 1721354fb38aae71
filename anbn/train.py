"""Training S networks side by side on streams of a language, by back-propagation through time.

    recipe = default_recipe(language, "lstm", n_hidden=3)
    model = build(language, "lstm", 3, seeds=range(8), recipe=recipe)
    for record in train(model, language, recipe, seeds=range(8)):
        print(record.sequences, record.cross_entropy)

Each update reads `batch_size` whole streams per network. The loss is the sum over networks of each
one's mean cross-entropy, gradients are clipped per network, and network s draws its own streams
from generators seeded by its own seed, so that network s of an ensemble is network s alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import pad

from anbn.evaluate import N_STREAMS, coursework_loss, streams_right
from anbn.models import MODELS
from anbn.replay import Replayed, replayed
from anbn.rotated import RotatedAdam

OPTIMIZERS = ("rotated", "adam", "sgd")
AIMS = ("next", "mean")
CHUNK = 32  # updates whose streams are drawn together, from one generator per network
LARGEST_ROTATED = 300  # parameters per network: beyond, the eigenvectors take most of the time
STREAMS_TOGETHER = 1 << 15  # streams made from their draws at a time, so that they fit in memory
RECORDED_STEPS = 32  # lengths are rounded up to multiples of this where a GPU replays them
N_REPORT = 50  # held-out streams on which a report measures the loss


class TrainingDiverged(ArithmeticError):
    """The loss of a network is no longer a finite number."""


class RecipeError(ValueError):
    """A recipe that cannot be followed."""


@dataclass(frozen=True)
class Recipe:
    """How a network is made and trained. Lengths are training streams per network."""

    n_sequences: int  # the whole training
    batch_size: int = 8  # streams per update
    optimizer: str = "rotated"  # adam in the eigenbasis of the gradients; or adam; or sgd
    learning_rate: float = 0.02  # the largest; it follows a cosine down to 0
    warm_up: float = 0.02  # the part of the training in which it rises from 0
    momentum: float = 0.9  # of sgd; decay of Adam's first moment
    second_moment: float = 0.99  # Adam's; 0.99 forgets the long plateau before the count is found
    clip: float = 1.0  # largest norm of one network's gradient
    undetermined_weight: float = 1.0  # weight of steps whose next symbol is not certain
    undetermined_aim: str = (
        "next"  # what they learn: the symbol that comes; or mean, see far_recipe
    )
    init: float | None = None  # normal(0, init) parameters; None: uniform in +-1/sqrt(H)
    identity: float = 0.0  # SRN: recurrent weights start as this times the identity, and noise
    noise: float = 0.1  # standard deviation of that noise
    steepness: float = 1.0  # LSTM: the slope of forget and output gates grows from 1 to this
    input_steepness: float = 1.0  # and that of input gates and candidates to this
    flat: float = 0.3  # the part of the training before they grow
    forget_bias: float = 0.0  # LSTM: added to the forget gates' first bias, so that cells hold

    def __post_init__(self):
        if self.optimizer not in OPTIMIZERS:
            names = ", ".join(OPTIMIZERS)
            raise RecipeError(f"unknown optimizer {self.optimizer!r}; choose one of {names}")
        if self.undetermined_aim not in AIMS:
            names = ", ".join(AIMS)
            raise RecipeError(f"unknown aim {self.undetermined_aim!r}; choose one of {names}")
        for name in ("n_sequences", "batch_size"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise RecipeError(f"the learning rate {self.learning_rate} must be a number above 0")

    @property
    def n_updates(self):
        return max(1, self.n_sequences // self.batch_size)

    def rate(self, update):
        """The learning rate of an update: linear warm-up, then a cosine down to 0."""
        progress = update / self.n_updates
        rise = min(1.0, progress / self.warm_up) if self.warm_up else 1.0
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return self.learning_rate * max(rise * fall, 1e-3)

    def slopes(self, update, model):
        """The factors of the model's pre-activations at an update, (G,): 1 until the count is
        found, then a geometric rise, then constant while the learning rate falls to 0."""
        progress = update / self.n_updates
        grown = min(1.0, max(0.0, progress - self.flat) / (0.9 - self.flat))
        switch, amount = self.steepness**grown, self.input_steepness**grown
        factors = [amount, switch, amount, switch] if model.kind == "lstm" else [1.0]  # i, f, g, o
        return torch.tensor(factors, device=model.U.device).repeat_interleave(model.n_hidden)


@dataclass
class Record:
    """One reporting step."""

    sequences: int  # training streams per network so far
    loss: torch.Tensor  # (S,) the coursework's, of the networks as they are, on held-out streams
    cross_entropy: torch.Tensor  # (S,) nats per symbol, mean over the streams since the last report
    streams_right: torch.Tensor  # (S,) share of held-out streams with every certain step right
    learning_rate: float
    optimizer_state: Callable  # () -> dict, for a checkpoint


def default_recipe(language, kind, n_hidden):
    """The recipe that makes nearly every network of the usual size learn the language.

    SRN: recurrent weights near the identity (Le, Jaitly & Hinton 2015), so that a unit keeps what
    it has counted and the gradient reaches back over a whole string; further from it where one
    letter stands for several. LSTM: forget gates that start open (Gers et al. 2000). Two units bear
    larger steps than three or four, which large steps of few strings can spoil for good. Embedded
    Reber: most steps are a coin's throw, and their noise drowns the one that must be recalled
    unless they weigh less.
    """
    sizes = MODELS[kind].shapes(language.n_symbols, n_hidden).values()
    small = sum(map(math.prod, sizes)) <= LARGEST_ROTATED
    shared = {"optimizer": "rotated" if small else "adam"}
    counting = hasattr(language, "multiples")
    if kind == "lstm":
        shared["forget_bias"] = 1.0
        if getattr(language, "embed", False):
            return Recipe(n_sequences=24_000, undetermined_weight=0.1, **shared)
        return Recipe(n_sequences=16_000, **shared)
    if not counting:
        return Recipe(n_sequences=32_000, batch_size=16, learning_rate=0.03, **shared)
    if n_hidden <= 2:
        plain = max(language.multiples) == 1
        length, identity = (32_000, 1.0) if plain else (48_000, 0.7)
        return Recipe(length, batch_size=16, learning_rate=0.05, identity=identity, **shared)
    return Recipe(n_sequences=96_000, batch_size=32, learning_rate=0.03, identity=1.0, **shared)


def far_recipe(language, kind, n_hidden):
    """The recipe for LSTMs that count far beyond the longest n in training, and whose predictions
    are probabilities at every step.

    Two things end a trained LSTM's count soon after. One is soft gates, by which the cell leaks a
    little at every step: so once the count is found, the slope of forget and output gates grows
    until they switch, and, less, that of input gates and candidates, the amounts that are counted
    (where a letter takes back half of what another adds, these must stay soft). The other is the
    lesson that no n in training is larger than it is: so the steps that are not certain learn their
    mean distribution, P(B) = 1 / mean n after any A, and no unit has a reason to know how many
    letters A are usual; what that gives up is the excess of a predictor that does not
    (CountingLanguage.memoryless_excess). Without a weight at all these steps would leave a network
    no reason to tell A from B, and fewer learn to count. Plain Adam: in the eigenbasis they count
    less far.

    Raises RecipeError for an SRN, whose units have no gates, and for Reber, which does not count.
    """
    if kind != "lstm" or not hasattr(language, "multiples"):
        raise RecipeError("only LSTMs that count have a recipe for counting far: use --model lstm")
    alike = max(language.multiples) == 1
    return Recipe(
        n_sequences=128_000,
        batch_size=16,
        optimizer="adam",
        learning_rate=0.03 if language.n_symbols == 2 else 0.04,
        forget_bias=1.0,
        steepness=200.0,
        input_steepness=30.0 if alike else 1.0,
        undetermined_weight=0.2,
        undetermined_aim="mean",
    )


RECIPES = {"usual": default_recipe, "far": far_recipe}


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
    being finite.
    """
    first, last = done // recipe.batch_size, recipe.n_updates
    per_report = max(1, report_every // recipe.batch_size)
    device = model.U.device
    parameters = list(model.parameters())
    optimizer = _optimizer(parameters, recipe)
    if optimizer_state is not None:
        optimizer.load_state_dict(optimizer_state)
    aim = language.mean_undetermined.to(device) if recipe.undetermined_aim == "mean" else None
    total = torch.zeros(model.n_networks, device=device)
    counted = 0

    def losses_and_gradients(slope, *batch):
        weighted, plain = _losses(model, *batch, recipe.undetermined_weight, slope, aim)
        return plain.detach(), *torch.autograd.grad(weighted.sum(), parameters)

    gradients = replayed(losses_and_gradients, device)
    model.fold(1 / recipe.slopes(first, model))
    # A recording is made once for every length; a few padded steps cost less than another one.
    grain = RECORDED_STEPS if isinstance(gradients, Replayed) else 1
    for update, batch in _updates(language, recipe, seeds, first, last, device, grain):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(update)
        plain, *downhill = gradients(recipe.slopes(update, model), *batch)
        for parameter, gradient in zip(parameters, downhill, strict=True):
            parameter.grad = gradient
        clip_per_network(parameters, recipe.clip)
        optimizer.step()
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
                streams_right=streams_right(model, held_out) if judge else None,
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


def clip_per_network(parameters, largest):
    """Scale the gradient of each network s, parameters[...].grad[s], to norm `largest` at most."""
    squares = sum(summed(p.grad.flatten(1).square(), 1) for p in parameters).float()  # (S,)
    scale = (largest / squares.sqrt().clamp(min=1e-12)).clamp(max=1.0)
    for p in parameters:
        p.grad.mul_(scale.view(-1, *[1] * (p.dim() - 1)))


def _optimizer(parameters, recipe):
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=recipe.learning_rate, momentum=recipe.momentum)
    betas = (recipe.momentum, recipe.second_moment)
    kind = {"adam": torch.optim.Adam, "rotated": RotatedAdam}[recipe.optimizer]
    return kind(parameters, lr=recipe.learning_rate, betas=betas)


def with_options(recipe, **options):
    """The recipe with those options that are not None."""
    return replace(recipe, **{name: value for name, value in options.items() if value is not None})
