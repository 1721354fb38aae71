"""The figures that tell how one network counts a^n b^(jn)...: which unit follows the count while
each letter is read, where the output turns to the next letter, and how it first fails.

    anb2n, n = 2, read    A    A    B    B    B    B
    count                 1    2    3    2    1    0    A read; B still to come
    cell 2, by hand       1    2    2    1    1    0    follows it: correlation 0.86

anbn/analysis/counting_words.py puts them in words. A unit is a cell of an LSTM, a hidden unit of an
SRN; the strings, unless it is said otherwise, those of n = 1..length, read from the start.
"""

from dataclasses import dataclass

import torch

from anbn.analysis.dynamics import one_network
from anbn.analysis.failures import failing_pairs
from anbn.analysis.rates import Rates, counting_rates
from anbn.evaluate import right_steps
from anbn.reach import letters_given

FOLLOWS = 0.95  # a unit whose correlation with n is at least this knows n
ROUGHLY = 0.8  # one whose correlation with a count is below this does not follow it
MIN_MOVE = 0.02  # a unit that moves less than this while a letter is read follows nothing
CLEAR = 0.01  # a gap between two sets of values that is less than this share of them is chance


@dataclass(frozen=True)
class CountingUnit:
    """The unit that follows the count best while one letter is read: the one with the largest
    correlation (in size), those first that move at least half as far as any."""

    unit: int  # from 1
    correlation: float  # with the letters read (A), with the letters to come (others)
    path: tuple  # its values after each of these letters, in the string of n = length
    since: str | None  # the first letter after A whose block ends with a value that follows n


@dataclass(frozen=True)
class Turn:
    """Where the output turns to the next letter while one letter is read."""

    after: str  # the next letter
    share: float  # of these steps at which the next letter is the most probable symbol
    unit: int | None  # one whose value alone tells where, from 1
    bounds: tuple | None  # its value nearest to the others where it has turned, and where not
    lead: tuple  # of the next letter's logit over this one's, first and last letter of n = length
    parts: tuple  # of each hidden unit in the change from the one to the other


@dataclass(frozen=True)
class Failure:
    """The first wrong step of a^n b^(jn)..., n the smallest that fails."""

    n: int
    letter: str  # read when it goes wrong
    read: int  # how many of them had been read
    total: int  # how many there are
    predicted: str
    expected: str
    value: float | None  # of the letter's counting unit then
    ends: tuple | None  # its least and greatest value at the last of these letters, n right before
    moved: tuple  # the distance that the second and that the last A moves the units; () for n < 3


@dataclass(frozen=True)
class Diagnosis:
    """What `counting` needs to know of a network on a counting language."""

    unit_name: str  # "cell" or "hidden unit"
    language: object
    units: dict  # letter: CountingUnit; None if no unit moves
    turns: dict  # letter after A: Turn
    given: list  # per letter after A a list: how many are given for n = 1..length; 0: no end
    closest: tuple | None  # two numbers of letters A whose states are closest, and their distance
    rates: Rates | None  # of an SRN
    failing_pairs: list  # (m, n): the string of n is right from the start, but not after that of m
    n_pairs: int  # pairs tried
    failure: Failure | None  # None if all n up to n_most are right


@torch.no_grad()
def diagnose(model, language, first_failing_n, n_most):
    """The Diagnosis of one network (S = 1).

    first_failing_n: as evaluate gives it, n_most + 1 for none up to n_most. Raises ModelError if
    the model holds several networks.
    """
    one_network(model)
    length = language.length
    n = torch.arange(1, length + 1)
    stream = language.strings(n)  # (N, T)
    activity = model(stream.inputs.to(model.U.device))
    values = activity.memory[0].cpu().double()  # (N, T, H)
    units, turns = {}, {}
    for k, letter in enumerate(language.symbols):
        reading = (stream.inputs == k) & stream.valid
        units[letter] = _unit(values, stream, reading, language, k)
        if k:
            turns[letter] = _turn(model, values, activity, reading, language, k, units[letter])
    after_a = values[-1, :length]  # (length, H)
    apart = (after_a[:, None] - after_a).norm(dim=-1).fill_diagonal_(torch.inf)
    pair = sorted(k + 1 for k in divmod(int(apart.argmin()), length))
    failing, n_pairs = failing_pairs(model, language)
    failure = None
    if first_failing_n <= n_most:
        failure = _failure(model, language, first_failing_n, units, values)
    return Diagnosis(
        unit_name="cell" if model.kind == "lstm" else "hidden unit",
        language=language,
        units=units,
        turns=turns,
        given=letters_given(model, language, n)[0].tolist(),
        closest=(*pair, float(apart.min())) if length > 1 else None,
        rates=counting_rates(model, language) if model.kind == "srn" else None,
        failing_pairs=failing,
        n_pairs=n_pairs,
        failure=failure,
    )


def _ends(values, language, k):
    """values (N, T, H) at the last letter k of each string: (N, H)."""
    n = torch.arange(1, len(values) + 1)
    return values[n - 1, n * sum(language.multiples[: k + 1]) - 1]


def _unit(values, stream, reading, language, k):
    """The CountingUnit while letter k is read, at the steps `reading` (N, T)."""
    count = stream.state[reading].double()  # (steps,)
    value = values[reading]  # (steps, H)
    moved = (value.amax(0) - value.amin(0)).tolist()
    if max(moved) < MIN_MOVE or len(count) < 3:
        return None
    follows = [_correlation(count, column) for column in value.T]

    def rank(u):
        return abs(follows[u]) >= ROUGHLY, 2 * moved[u] >= max(moved), abs(follows[u])

    unit = max(range(len(moved)), key=rank)
    n, path = torch.arange(1.0, len(values) + 1), values[-1, reading[-1], unit].tolist()
    since = None
    for earlier in range(1, k if len(n) > 2 else 1):
        ends = _ends(values, language, earlier)[:, unit]
        if since is None and abs(_correlation(n, ends)) >= FOLLOWS:
            since = language.symbols[earlier]
    return CountingUnit(unit + 1, follows[unit], tuple(path), since)


def _correlation(x, y):
    """The correlation of two series; 0 if one of them hardly moves."""
    if min(float(z.max() - z.min()) for z in (x, y)) < MIN_MOVE:
        return 0.0
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1])


def _turn(model, values, activity, reading, language, k, counting):
    """The Turn while letter k is read; of the units that tell where, the `counting` one if it does,
    else the one that tells it most clearly."""
    following = (k + 1) % language.n_symbols
    turned = activity.logits[0].argmax(-1).cpu()[reading] == following  # (steps,)
    value = values[reading]  # (steps, H)
    telling = []  # whether it is the counting unit, how clear it is, unit, bounds
    for u, column in enumerate(value.T if 0 < turned.sum() < len(turned) else ()):
        moved = max(float(column.max() - column.min()), MIN_MOVE)
        for sign in (1, -1):  # turned where the unit is low; where it is high
            inner, outer = (sign * column)[turned].max(), (sign * column)[~turned].min()
            clear, bounds = float(outer - inner) / moved, (float(sign * inner), float(sign * outer))
            if clear > CLEAR:
                follows = counting is not None and counting.unit == u + 1
                telling.append((follows, clear, u + 1, bounds))
    first = max(telling, key=lambda row: row[:2], default=(None,) * 4)
    V, bias = model.V[0].detach().cpu().double(), model.out_bias[0].detach().cpu().double()
    hidden = activity.hidden[0, -1].cpu().double()[reading[-1]][[0, -1]]  # (2, H)
    parts = hidden * (V[:, following] - V[:, k])
    lead = parts.sum(-1) + bias[following] - bias[k]
    after, share, change = language.symbols[following], turned.double().mean(), parts[1] - parts[0]
    return Turn(after, float(share), *first[2:], tuple(lead.tolist()), tuple(change.tolist()))


def _failure(model, language, n, units, values):
    """The Failure on the string of n, which is known to have a wrong step. values (N, T, H): of
    the strings of n = 1..length."""
    stream = language.strings(torch.tensor([n]))
    activity = model(stream.inputs.to(model.U.device))
    wrong = ~right_steps(activity.logits.cpu(), stream, language)[0, 0]
    if not wrong.any():  # right here, wrong in the other order of summation: nothing to tell
        return None
    here, t = activity.memory[0, 0].cpu().double(), int(wrong.int().argmax())  # (T, H)
    k = int(stream.inputs[0, t])
    letter, total = language.symbols[k], n * language.multiples[k]
    value = ends = None
    if units[letter] is not None:
        unit = units[letter].unit - 1
        value, last = float(here[t, unit]), _ends(values[: n - 1], language, k)[:, unit]
        ends = (float(last.min()), float(last.max())) if n > 1 else None
    moved = here[:n].diff(dim=0).norm(dim=-1).tolist()
    moved = (moved[0], moved[-1]) if n > 2 else ()
    predicted = language.symbols[int(activity.logits[0, 0, t].argmax())]
    expected, read = language.symbols[int(stream.targets[0, t])], total - int(stream.state[0, t])
    return Failure(n, letter, read, total, predicted, expected, value, ends, moved)
