"""How a network is made and trained: the settings, and those that succeed nearly always.

recipe = default_recipe(language, "lstm", n_hidden=3)
shorter = with_options(recipe, n_sequences=4_000)
"""

import math
from dataclasses import dataclass, replace
from numbers import Real

import torch

from anbn.models import MODELS
from anbn.optim import OPTIMIZERS

MAX_ROTATED = 300  # parameters per network: beyond, the eigenvectors take most of the time
GAIN_END = 0.9  # the part of the training after which gains stay as they are
CHOICES = {"optimizer": tuple(OPTIMIZERS), "stochastic_target": ("next", "mean")}
TINY, HUGE = 1e-300, 1e300  # what is above 0, and finite
LIMITS = (  # settings: what they are, the least and the largest they may be, and in words
    (("n_sequences", "batch_size"), int, 1, 10**15, "a whole number from 1 to 10^15"),
    (("momentum", "second_moment"), Real, 0, 1 - 1e-6, "a number from 0 to below 1"),
    (("clip", "max_weight", "init"), Real, TINY, HUGE, "a number above 0"),
    (("stochastic_weight", "noise"), Real, 0, HUGE, "a number not below 0"),
    (("recurrent_pull", "read_out_pull", "saturation"), Real, 0, HUGE, "a number not below 0"),
    (("inhibition", "closure", "block_closure"), Real, 0, HUGE, "a number not below 0"),
    (("identity", "forget_bias"), Real, -HUGE, HUGE, "a number"),
    (("gate_gain", "input_gain"), Real, TINY, 1e6, "a number above 0, at most 10^6"),
    (("learning_rate",), Real, TINY, 1e30, "a number above 0, at most 10^30"),
    (("warm_up", "turn_smoothing"), Real, 0, 1, "a number from 0 to 1"),
    (("gain_start",), Real, 0, GAIN_END - 1e-6, f"a number from 0 to below {GAIN_END}"),
)


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
    max_weight: float | None = None  # W and U are kept within +- this after every update
    stochastic_weight: float = 1.0  # weight of steps whose next symbol is not certain
    stochastic_target: str = "next"  # what these learn: the next symbol; or mean, see far_recipe
    init: float | None = None  # normal(0, init) parameters; None: uniform in +-1/sqrt(H)
    identity: float = 0.0  # SRN: recurrent weights start as this times the identity, and noise
    inhibition: float = 0.0  # SRN: or as minus this in all, shared by the units, and noise
    noise: float = 0.1  # standard deviation of that noise
    gate_gain: float = 1.0  # LSTM: the gain of forget and output gates grows from 1 to this
    input_gain: float = 1.0  # and that of input gates and candidates to this
    gain_start: float = 0.3  # the part of the training before they grow
    closure: float = 0.0  # weight of the variance of the states that training strings end in
    block_closure: float = 0.0  # from gain_start: the same, and of what cells forget on the way
    # What weights move by at every update, in learning rates; the last two from gain_start
    recurrent_pull: float = 0.0  # U towards 0
    read_out_pull: float = 0.0  # V towards 0, an LSTM's output gates towards closed
    saturation: float = 0.0  # every letter's gates and candidates away from 0
    turn_smoothing: float = 0.0  # second half: weight of a uniform target about the turns
    forget_bias: float = 0.0  # LSTM: added to the forget gates' first bias, so that cells hold

    def __post_init__(self):
        for name, names in CHOICES.items():
            if getattr(self, name) not in names:
                raise RecipeError(f"{name} is {getattr(self, name)!r}; choose {' or '.join(names)}")
        for names, kind, least, most, words in LIMITS:
            for name in names:
                value = getattr(self, name)
                if name in ("init", "max_weight") and value is None:
                    continue
                number = isinstance(value, kind) and not isinstance(value, bool)
                if not (number and least <= value <= most):
                    raise RecipeError(f"{name} is {value!r}; it must be {words}")

    @property
    def n_updates(self):
        return max(1, self.n_sequences // self.batch_size)

    def rate(self, update):
        """The learning rate of an update: linear warm-up, then a cosine down to 0."""
        progress = update / self.n_updates
        rise = min(1.0, progress / self.warm_up) if self.warm_up else 1.0
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return self.learning_rate * max(rise * fall, 1e-3)

    def gain(self, update, model):
        """The factors of the model's pre-activations at an update, (G,) or one for all: 1 until the
        count is found, then a geometric rise, then constant while the learning rate falls to 0."""
        if self.gate_gain == self.input_gain == 1 or model.kind == "srn":
            return 1.0
        progress = update / self.n_updates
        grown = min(1.0, max(0.0, progress - self.gain_start) / (GAIN_END - self.gain_start))
        gate, amount = self.gate_gain**grown, self.input_gain**grown
        factors = (amount, gate, amount, gate)  # i, f, g, o
        each = [factor for factor in factors for _ in range(model.n_hidden)]
        return torch.tensor(each, device=model.U.device)


def default_recipe(language, kind, n_hidden):
    """The recipe that makes nearly every network of the usual size learn the language.

    SRN: recurrent weights near the identity (Le, Jaitly & Hinton 2015), so that a unit keeps what
    it has counted; further from it where one letter stands for several. Two units bear larger steps
    than three or four. Without `closure`, which asks for a state to which every string returns,
    some stay where one or two n are wrong, or B is predicted for good; fewer so where the other
    weights start small. On the Reber grammar large recurrent weights can hold states together that
    must be told apart, those of nodes 0 and 4: so weights are bounded, and grow slowly. LSTM:
    forget gates that start open (Gers et al. 2000). Embedded Reber: most steps are a coin's throw,
    whose noise drowns the one that must be recalled unless they weigh less.
    """
    sizes = MODELS[kind].shapes(language.n_symbols, n_hidden).values()
    small = sum(map(math.prod, sizes)) <= MAX_ROTATED
    optimizer = {"optimizer": "rotated" if small else "adam"}
    if kind == "lstm":
        length, weight = 24_000 if language.embed else 16_000, language.stochastic_weight
        return Recipe(length, stochastic_weight=weight, forget_bias=1.0, **optimizer)
    small_start = {"init": 0.1, **optimizer}
    if language.judges_choices:
        steps = {"learning_rate": 0.08, "warm_up": 0.5, "max_weight": 2.5}
        return Recipe(64_000, batch_size=32, **steps, **small_start)
    small_start["closure"] = 3.0 if language.numbered else 0.0
    if n_hidden <= 2:
        plain = max(language.multiples, default=1) == 1
        length, identity = (32_000, 1.0) if plain else (48_000, 0.7)
        steps = {"learning_rate": 0.05, "identity": identity}
        return Recipe(length, batch_size=16, **steps, **small_start)
    return Recipe(96_000, batch_size=32, learning_rate=0.03, identity=1.0, **small_start)


def far_recipe(language, kind, n_hidden):
    """The recipe for networks that count far beyond the longest n in training, and whose
    predictions are probabilities at every step.

    That no n in training is larger than it is must not be learned: so steps that are not certain
    learn their mean distribution after each symbol, P(B) = 1 / mean n after any A; what that gives
    up is language.memoryless_excess. With no weight at all these steps would give a network no
    reason to tell A from B. And where a count is a little off, letters turn at steeper places of
    tanh, where the loss is less: so the targets about the turns are softened, for all n meet a
    finite logit only where the count is exact. Plain Adam: in the eigenbasis they count less far.

    Raises RecipeError for random walks and languages without a choice, and for SRNs on any language
    but a^n b^n.
    """
    if language.judges_choices:
        raise RecipeError("only languages that count have a recipe for counting far")
    if language.stochastic_mean is None:
        raise RecipeError(f"no step of {language.name} is uncertain: take the usual recipe")
    mean = {"optimizer": "adam", "stochastic_weight": 0.2, "stochastic_target": "mean"}
    if kind == "srn":
        if language.blocks != ((1,), (1,)):
            raise RecipeError("SRNs count far on anbn alone: use --model lstm, or --lang anbn")
        return _far_srn(mean)
    return _far_lstm(language, mean)


def _far_lstm(language, mean):
    """Soft gates let a cell leak at every step: so once the count is found, the gain of forget and
    output gates grows until they switch, and, less, that of input gates and candidates (where a
    letter takes back half of what another adds, these must stay soft).

    Gates that see the hidden units change with the count what a letter adds: so recurrent weights
    are pulled to 0, until gates see the letter alone. Cells can drift against each other: so the
    read-out is pulled to few of them. Where all letters are alike, gates and candidates are pushed
    into saturation as well: every letter then adds 1, 0 or -1. What is saturated does not learn any
    more: so cells must end every string as they began it, or the first of a stream is misread.
    Where a letter takes back a half or a third, only the like at the end of every block makes it
    exact: two cells that drift to opposite sides predict as well for small n. (With two letters
    both let some drift.)
    """
    alike = max(map(max, language.blocks), default=1) == 1
    exact = {"recurrent_pull": 1.0, "read_out_pull": 0.3, "turn_smoothing": 0.02}
    exact["saturation"] = 1.0 if alike else 0.0
    if language.numbered and language.n_symbols > 2:
        exact |= {"closure": 1.0} if alike else {"block_closure": 300.0}
    return Recipe(
        n_sequences=128_000,
        batch_size=16,
        learning_rate=0.03 if language.n_symbols == 2 else 0.04,
        forget_bias=1.0,
        gate_gain=200.0,
        input_gain=30.0 if alike else 1.0,
        **mean,
        **(exact if language.blocks else {}),
    )


def _far_srn(mean):
    """Reading A must contract the distance between two counts as much as reading B expands it, for
    what is left over grows with every letter (Rodriguez, Wiles & Elman 1999). So the states that
    training strings end in are pulled together. Units that start by inhibiting each other jump to
    and fro about the fixed points, where both factors are eigenvalues and the same for all n;
    near the identity they drift along instead, until tanh saturates.
    """
    return Recipe(
        n_sequences=96_000,
        batch_size=16,
        learning_rate=0.05,
        warm_up=0.2,
        inhibition=2.0,
        closure=100.0,
        turn_smoothing=0.1,
        read_out_pull=0.1,
        gain_start=0.0,
        **mean,
    )


RECIPES = {"usual": default_recipe, "far": far_recipe}


def with_options(recipe, **options):
    """The recipe with those options that are not None."""
    return replace(recipe, **{name: value for name, value in options.items() if value is not None})
