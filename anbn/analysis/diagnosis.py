"""The figures that tell how one network counts a^n b^(jn)...: which unit follows the count while
each letter is read, where the output turns to the next letter, and how it first fails.

    anb2n, n = 2, read    A    A    B    B    B    B
    count                 1    2    3    2    1    0    A read; B still to come
    cell 2, by hand       1    2    2    1    1    0    follows it: correlation 0.86

anbn/analysis/counting.py puts them in words. A unit is a cell of an LSTM, a hidden unit of an
SRN. Unless it is said otherwise, the strings are those of n = 1..length, read from the start.
"""

from dataclasses import dataclass

import torch

from anbn.analysis.dynamics import visited_states
from anbn.analysis.rates import Rates, counting_rates
from anbn.reach import letters_given

FOLLOWS = 0.95  # a unit whose correlation with n is at least this knows n
ROUGHLY = 0.8  # one whose correlation with a count is below this does not follow it
MIN_MOVE = 0.02  # a unit that moves less than this while a letter is read follows nothing
CLEAR = 0.01  # a gap between two sets of values that is less than this share of them is chance
MAX_PAIRS = 16  # the largest n of the pairs of strings that are tried


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

    share: float  # of these steps at which the next letter is the most probable symbol
    unit: int | None  # one whose value alone tells where, from 1
    bounds: tuple | None  # its value nearest to the others where it has turned, and where not
    lead: tuple  # of the next letter's logit over this one's, at the first and the last letter of
    # n = length
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
    moved: tuple  # the distance that the second and that the last A moves the units


@dataclass(frozen=True)
class Diagnosis:
    """What `counting` needs to know of a network on a counting language."""

    kind: str  # srn or lstm
    language: object
    units: dict  # letter: CountingUnit; None if no unit moves
    turns: dict  # letter after A: Turn
    given: (
        list  # per letter after A a list: how many the network gives for n = 1..length; 0: no end
    )
    closest: tuple | None  # two numbers of letters A whose states are closest, and their distance
    rates: Rates | None  # of an SRN
    failing_pairs: tuple  # (m, n): the string of n is right from the start, but not after that of m
    n_pairs: int  # pairs tried
    n_most: int  # the largest n tried
    failure: Failure | None  # None if all n up to n_most are right


@torch.no_grad()
def diagnose(model, language, first_failing_n, n_most):
    """The Diagnosis of one network (S = 1).

    first_failing_n: as evaluate gives it, n_most + 1 for none up to n_most. Raises ModelError if
    the model holds several networks.
    """
    stream, activity = visited_states(model, language)
    values = _units(activity)
    blocks = {letter: _block(language, k) for k, letter in enumerate(language.symbols)}
    units = {letter: _unit(values, stream, blocks, letter) for letter in language.symbols}
    after_a = values[-1, : language.length]  # (length, H)
    apart = (after_a[:, None] - after_a).norm(dim=-1).fill_diagonal_(torch.inf)
    pair = divmod(int(apart.argmin()), language.length)
    first_failing_n = int(first_failing_n)
    return Diagnosis(
        model.kind,
        language,
        units,
        {
            letter: _turn(model, values, activity, block, k, units[letter])
            for k, (letter, block) in enumerate(blocks.items())
            if k
        },
        letters_given(model, language, torch.arange(1, language.length + 1))[0].tolist(),
        (*sorted(n + 1 for n in pair), float(apart.min())) if language.length > 1 else None,
        counting_rates(model, language) if model.kind == "srn" else None,
        *_failing_pairs(model, language),
        n_most,
        _failure(model, language, first_failing_n, units) if first_failing_n <= n_most else None,
    )


def _units(activity):
    """(B, T, H) float64 cells of an LSTM, hidden units of an SRN."""
    return (activity.hidden if activity.cell is None else activity.cell)[0].cpu().double()


def _block(language, k):
    """The steps at which the strings of n = 1..length read letter k: a list of slices."""
    before, times = sum(language.multiples[:k]), language.multiples[k]
    return [slice(n * before, n * (before + times)) for n in range(1, language.length + 1)]


def _unit(values, stream, blocks, letter):
    """The CountingUnit while a letter is read: values (N, T, H), row n - 1 the string of n."""
    state = stream.state.cpu().double()
    rows = list(enumerate(blocks[letter]))
    count = torch.cat([state[b, steps] for b, steps in rows])  # (steps,)
    value = torch.cat([values[b, steps] for b, steps in rows])  # (steps, H)
    moved = (value.amax(0) - value.amin(0)).tolist()
    if max(moved) < MIN_MOVE or len(count) < 3:
        return None
    follows = [_correlation(count, column) for column in value.T]

    def rank(u):
        return abs(follows[u]) >= ROUGHLY, 2 * moved[u] >= max(moved), abs(follows[u])

    unit = max(range(len(moved)), key=rank)
    since, n = None, torch.arange(1.0, len(values) + 1)
    for earlier in list(blocks)[1 : list(blocks).index(letter)]:
        ends = torch.stack(
            [values[b, steps.stop - 1, unit] for b, steps in enumerate(blocks[earlier])]
        )
        if since is None and len(n) > 2 and abs(_correlation(n, ends)) >= FOLLOWS:
            since = earlier
    path = values[-1, blocks[letter][-1], unit].tolist()
    return CountingUnit(unit + 1, follows[unit], tuple(path), since)


def _correlation(x, y):
    """The correlation of two series; 0 if one of them hardly moves."""
    if min(float(z.max() - z.min()) for z in (x, y)) < MIN_MOVE:
        return 0.0
    return float(torch.corrcoef(torch.stack([x.double(), y.double()]))[0, 1])


def _turn(model, values, activity, block, k, counting):
    """The Turn while letter k is read; of the units that tell where, the `counting` one if it does,
    else the one that tells it most clearly."""
    following = (k + 1) % model.n_symbols
    rows = list(enumerate(block))
    predicted = activity.logits[0].argmax(-1).cpu()
    turned = torch.cat([predicted[b, steps] for b, steps in rows]) == following  # (steps,)
    value = torch.cat([values[b, steps] for b, steps in rows])  # (steps, H)
    unit, bounds, widest = None, None, CLEAR
    for u, column in enumerate(value.T if 0 < turned.sum() < len(turned) else ()):
        yes, no = column[turned], column[~turned]
        moved = float(column.max() - column.min())
        for inner, outer, gap in (
            (yes.max(), no.min(), no.min() - yes.max()),
            (yes.min(), no.max(), yes.min() - no.max()),
        ):
            clear = gap / max(moved, MIN_MOVE)
            if clear > CLEAR and counting is not None and counting.unit == u + 1:
                clear += 1
            if clear > widest:
                unit, bounds, widest = u + 1, (float(inner), float(outer)), clear
    V, bias = model.V[0].detach().cpu().double(), model.out_bias[0].detach().cpu().double()
    hidden = activity.hidden[0, -1].cpu().double()[[block[-1].start, block[-1].stop - 1]]  # (2, H)
    parts = hidden * (V[:, following] - V[:, k])
    lead = parts.sum(-1) + bias[following] - bias[k]
    change = (parts[1] - parts[0]).tolist()
    share = float(turned.double().mean())
    return Turn(share, unit, bounds, tuple(lead.tolist()), tuple(change))


def _wrong(model, stream):
    """The certain steps at which the network is wrong: stream (B, T) -> (B, T) bool."""
    predicted = model(stream.inputs.to(model.U.device)).logits[0].argmax(-1).cpu()
    return (predicted != stream.targets) & stream.deterministic & stream.valid


def _failing_pairs(model, language):
    """The pairs (m, n) of which the string of n is right from the start, but not when read after
    that of m, for m and n up to the length or MAX_PAIRS; and the number of pairs tried."""
    n = torch.arange(1, min(language.length, MAX_PAIRS) + 1)
    pairs = torch.cartesian_prod(n, n)  # (P, 2)
    wrong = _wrong(model, language.streams(pairs))  # (P, T)
    second = torch.arange(wrong.shape[1]) >= pairs[:, :1] * sum(language.multiples)
    alone = _wrong(model, language.strings(n)).any(-1)
    failing = (wrong & second).any(-1) & ~alone[pairs[:, 1] - 1]
    return tuple(map(tuple, pairs[failing].tolist())), len(pairs)


def _failure(model, language, n, units):
    """The Failure on the string of n, which is known to have a wrong step."""
    stream = language.strings(torch.tensor([n]))
    activity = model(stream.inputs.to(model.U.device))
    wrong = _wrong(model, stream)[0].nonzero()[:, 0]
    if not len(wrong):  # right here, wrong in the other order of summation: nothing to tell
        return None
    values = _units(activity)[0]  # (T, H)
    t = int(wrong[0])
    k = int(stream.inputs[0, t])
    letter, total = language.symbols[k], n * language.multiples[k]
    value = ends = None
    if units[letter] is not None:
        unit = units[letter].unit - 1
        value = float(values[t, unit])
        right = torch.arange(1, min(n - 1, language.length) + 1)
        if len(right):
            before = _units(model(language.strings(right).inputs.to(model.U.device)))  # (N, T, H)
            last = before[right - 1, right * sum(language.multiples[: k + 1]) - 1, unit]
            ends = float(last.min()), float(last.max())
    moved = values[:n].diff(dim=0).norm(dim=-1).tolist() if n > 2 else ()
    return Failure(
        n,
        letter,
        total - int(stream.state[0, t]),
        total,
        language.symbols[int(activity.logits[0, 0, t].argmax())],
        language.symbols[int(stream.targets[0, t])],
        value,
        ends,
        tuple(moved[:: len(moved) - 1]) if len(moved) > 1 else (),
    )
