"""How far does a network count, and what has it learned to count? For many networks at once.

    first failing n   the smallest n whose string, from the start state, has a wrong certain step
    learned count     the letters B given after n A, as a line: letters = slope * n + offset

    anb2n, read A A B B B: the first most probable symbol A comes after the third B, so it gives 3
    letters B at n = 2. If it gives 2 n - 1 at every n, it counts exactly and turns one B early.

In float32 an exact counter ends at FLOAT32_ENDS at the latest; model.double() counts on to 2^53.
"""

from dataclasses import dataclass

import torch

from anbn import branches
from anbn.models import State

MAX_STEP_VALUES = 1 << 18  # of one step of a group of networks, so that it fits the cache
MAX_VALUES = 1 << 24  # that one pass over a group of networks may keep
FLOAT32_ENDS = 1 << 24  # from here on n + 1 is not always another number in float32
NEVER_CONSTANT = torch.iinfo(torch.int64).min


def groups(model, n_steps):
    """Slices of networks whose activity over `n_steps` symbols each stays within MAX_VALUES."""
    width = model.n_symbols * 4 + model.n_hidden * (model.gate_rows + 4)
    size = max(1, MAX_VALUES // (n_steps * width))
    return [slice(s, s + size) for s in range(0, model.n_networks, size)]


@torch.no_grad()
def first_failing_n(model, language, n_most=1000):
    """The smallest n >= 1 whose single string, read from the start state, has a wrong certain step
    (the next string's first symbol included), for every network of `model`.

    The n are tried in doubling ranges 1-32, 33-64, 65-128, ... without the networks that have
    failed before. Returns (S,) int64 on the CPU; n_most + 1 if there is none up to n_most.
    """
    method = _branching if language.multiples else _whole_strings
    result = torch.full((model.n_networks,), n_most + 1)
    for group in groups(model, n_most):
        found = result[group]  # a view
        fails = method(model.select(group), language, n_most)
        alive, first, last = torch.arange(len(found)), 1, min(32, n_most)
        while first <= n_most and len(alive):
            failed = fails(alive, first, last)  # (alive, N), right up to the first that fails
            n = torch.where(failed, torch.arange(first, last + 1), n_most + 1).amin(-1)
            found[alive] = n
            alive = alive[n > n_most]
            first, last = last + 1, min(2 * last, n_most)
    return result


def _whole_strings(model, language, n_most):
    """A function of networks, first and last n: whether each string has a wrong certain step, (few,
    N) bool on the CPU."""

    def fails(few, first, last):
        stream = language.strings(torch.arange(first, last + 1)).to(model.U.device)
        alive, parts = model.select(few), []
        for group in groups(alive, stream.inputs.numel()):
            logits = alive.select(group)(stream.inputs).logits  # (S, N, T, K)
            parts.append(stream.wrong(logits.argmax(-1)).any(-1).cpu())
        return torch.cat(parts)

    return fails


def _branching(model, language, n_most):
    """The same for a counting language, whose strings share their letters A."""
    shared = _state_at(_read(model, 0, n_most, model.start(1)), torch.arange(n_most))

    def fails(few, first, last):
        width = (last - first + 1) * model.n_hidden * model.gate_rows
        parts = []
        for some in few.to(model.U.device).split(max(1, MAX_STEP_VALUES // width)):
            state = [part[some, first - 1 : last].mT.contiguous() for part in shared]
            parts.append(branches.fails(model.select(some), language, first, state))
        return torch.cat(parts)

    return fails


def _read(model, letter, steps, state):
    """Let every sequence read `letter` so often from a State (S, N, H): the State of every step."""
    letters = torch.full((state.hidden.shape[1], steps), letter, device=model.U.device)
    return model(letters, state)


def _state_at(activity, steps):
    """Hidden and, for an LSTM, cell of each sequence (only one: of the one) at its own step (N,):
    (S, N, H) each."""
    parts = [part for part in activity[:2] if part is not None]
    sequence = torch.arange(parts[0].shape[1])
    return [part[:, sequence, steps] for part in parts]


@dataclass
class LearnedCounts:
    """What S networks have learned to count: of every letter after the first (L of them) the
    number given, as a line in n. Tensors on the CPU, NaN for a letter that does not turn."""

    language: object
    n: torch.Tensor  # (N,) int64, ascending
    given: torch.Tensor  # (S, L, N) int64: letters given; 0 where it never turns
    slope: torch.Tensor  # (S, L) float64, of the line through n up to the training length
    offset: torch.Tensor  # (S, L) letters
    deviation: torch.Tensor  # (S, L) the largest distance of `given` from the line, in letters
    holds_to: torch.Tensor  # (S, L) int64: up to which of `n` it lies within one letter of the line

    @property
    def error(self):
        """(S, L) int64: by how many letters the count is too high at every n up to the training
        length (as far as at least one is given); NEVER_CONSTANT where that is not one number."""
        trained = self.n <= self.language.length
        right = torch.tensor(self.language.multiples[1:])[:, None] * self.n[trained]  # (L, N)
        given = self.given[..., trained]
        error = given[..., -1] - right[..., -1]
        same = (given == (right + error[..., None]).clamp(min=1)).all(-1)
        counts = ((given > 1).sum(-1) > 1) | (error == 0)  # or they are always one letter
        return torch.where(same & counts, error, NEVER_CONSTANT)

    @property
    def exact(self):
        """(S,) bool: every letter as often as it should be."""
        return (self.error == 0).all(-1)

    @property
    def constant_error(self):
        """(S,) bool: counts exactly, but turns so many letters early or late at every n."""
        return (self.error != NEVER_CONSTANT).all(-1) & ~self.exact

    def error_in_words(self, s):
        """The constant error of network s: "one B early and 2 C late"."""
        errors = zip(self.language.symbols[1:], self.error[s].tolist(), strict=True)
        return " and ".join(
            f"{'one' if abs(more) == 1 else abs(more)} {letter} {'late' if more > 0 else 'early'}"
            for letter, more in errors
            if more
        )


@torch.no_grad()
def letters_given(model, language, n_values):
    """How often a network gives each letter after the first: after a^n, and the right number of
    the letters in between, it reads the letter on until another symbol is more probable (the first
    one is read, not predicted). n_values (N,) ascending -> (S, L, N) int64 on the CPU; 0 where it
    has not turned after twice the right number and ten."""
    n = torch.as_tensor(n_values)
    steps = int(2 * max(language.multiples) * n.max()) + 10
    every = groups(model, steps * len(n))
    return torch.cat([_given(model.select(group), language, n) for group in every])


def _given(model, language, n):
    state = _state_at(_read(model, 0, int(n.max()), model.start(1)), n - 1)
    given = []
    for letter, multiple in list(enumerate(language.multiples))[1:]:
        most = 2 * multiple * n + 10
        activity = _read(model, letter, int(most.max()), State(*state))
        turned = activity.logits.argmax(-1).cpu() != letter  # (S, N, T)
        first = turned.int().argmax(-1) + 1
        given.append(torch.where(turned.any(-1) & (first <= most), first, 0))
        state = _state_at(activity, multiple * n - 1)
    return torch.stack(given, 1)


def learned_counts(model, language, n_values=None):
    """The LearnedCounts of every network on a counting language.

    The line is that of least squares through n = 1, 2, ... up to the training length, those n left
    out where one letter is given: it is the least there can be. n_values: by default these n, and
    2, 4, 8, 16 times the training length, where the line may still hold.
    """
    length = language.length
    default = [*range(1, length + 1), *(length * times for times in (2, 4, 8, 16))]
    n = torch.as_tensor(default if n_values is None else n_values)
    given = letters_given(model, language, n)
    trained = n <= length
    x, y = n[trained].double(), given[..., trained].double()  # (N,), (S, L, N)
    used = y > 1
    used = torch.where(used.sum(-1, keepdim=True) > 1, used, True).double()
    mean_x, mean_y = ((part * used).sum(-1) / used.sum(-1) for part in (x, y))  # (S, L)
    to_x = (x - mean_x[..., None]) * used
    spread = to_x.square().sum(-1)
    slope = torch.where(spread > 0, (to_x * y).sum(-1) / spread, mean_y / mean_x)
    slope = slope.where((y > 0).all(-1), torch.nan)
    offset = mean_y - slope * mean_x
    line = (slope[..., None] * n + offset[..., None]).clamp(min=1)  # (S, L, N)
    distance = (given - line).abs()
    within = ((distance < 1) & (given > 0)).cumprod(-1).sum(-1)  # so many of n, from the first
    holds_to = torch.where(within > 0, n[(within - 1).clamp(min=0)], 0)
    deviation = distance[..., trained].amax(-1)
    return LearnedCounts(language, n, given, slope, offset, deviation, holds_to)
