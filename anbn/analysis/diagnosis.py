"""The figures that tell how one network counts: which unit carries the count while each letter is
read, at what rate, where the output turns to the next letter, and how it first fails.

anbn/account.py puts them in words. A unit is a cell of an LSTM, a hidden unit of an SRN.
"""

from dataclasses import dataclass

import torch

from anbn.analysis.dynamics import visited_states
from anbn.analysis.rates import Rates, counting_rates
from anbn.counting import CountingLanguage

FOLLOWS = 0.95  # a unit whose correlation with the count is at least this carries the count
MOVES = 0.02  # one that moves less than this while the letter is read carries nothing


@dataclass(frozen=True)
class Carrier:
    """A unit that follows the count while one letter is read, on n = 1..length."""

    unit: int  # from 1
    correlation: float  # with the letters read (A), with the letters to come (others)
    rate: float | None  # mean change per letter, the first of a block excepted
    spread: float | None  # its standard deviation
    first: float  # after the first letter of the longest string's block
    last: float  # after its last letter
    turn: tuple  # (least, greatest) value after the last letter, over all n


@dataclass(frozen=True)
class Failure:
    """The first wrong step of a^n b^(jn)..., n the smallest that fails."""

    n: int
    letter: str  # read when it goes wrong
    read: int  # how many of them had been read
    total: int  # how many there are
    predicted: str
    expected: str
    value: float | None  # of the letter's first carrier then
    gap: float  # between the units' values after n - 1 and after n letters A
    first_gap: float  # after 1 and after 2 letters A


@dataclass(frozen=True)
class Findings:
    """What `account` needs to know of a network on a counting language."""

    kind: str  # srn or lstm
    language: CountingLanguage
    carriers: dict  # letter: list of Carrier, the clearest first; empty if no unit moves
    sources: dict  # letter after A: the one during which its clearest carrier takes up the count
    oscillates: bool  # reading A, the best carrier jumps to and fro
    rates: Rates | None  # of an SRN
    n_most: int  # the largest n tried
    failure: Failure | None  # None if all n up to n_most are right


@torch.no_grad()
def findings(model, language, first_failing_n, n_most):
    """The Findings of one network (S = 1).

    first_failing_n: as evaluate.first_failing_n gives it, n_most + 1 for none up to n_most.
    Raises ModelError if the model holds several networks.
    """
    stream, activity = visited_states(model, language)
    values = (activity.hidden if activity.cell is None else activity.cell)[0].cpu().double()
    carriers = {
        letter: _carriers(values, stream, language, k) for k, letter in enumerate(language.symbols)
    }
    sources = {
        letter: _source(values, language, k, carriers[letter])
        for k, letter in enumerate(language.symbols[1:], start=1)
    }
    best = carriers["A"][0].unit - 1 if carriers["A"] else None
    steps = values[-1, : language.length].diff(dim=0)
    swings = best is None or bool((steps[1:, best] * steps[:-1, best] < 0).all())
    failure = None
    if first_failing_n <= n_most:
        failure = _failure(model, language, int(first_failing_n), carriers)
    return Findings(
        model.kind,
        language,
        carriers,
        sources,
        len(steps) > 1 and best is not None and swings,
        counting_rates(model, language) if model.kind == "srn" else None,
        n_most,
        failure,
    )


def _carriers(values, stream, language, k):
    """The Carriers while letter k is read: values (N, T, H), row n - 1 the string of n."""
    longest = len(values)
    ends = torch.arange(1, longest + 1) * sum(language.multiples[: k + 1])  # (N,) of the block
    step = torch.arange(stream.inputs.shape[1])
    first = ends - torch.arange(1, longest + 1) * language.multiples[k]
    within = (step >= first[:, None]) & (step < ends[:, None])  # (N, T)
    count, value = stream.state.cpu()[within].double(), values[within]  # (steps,), (steps, H)
    if longest == 1 or len(count) < 3:
        return []
    again = within[:, 1:] & within[:, :-1]
    changes = values.diff(dim=1)[again]  # (steps, H)
    last = values[torch.arange(longest), ends - 1]  # (N, H)
    found = []
    for u in range(values.shape[-1]):
        moves = float(value[:, u].max() - value[:, u].min())
        if moves < MOVES:
            continue
        found.append(
            Carrier(
                u + 1,
                float(torch.corrcoef(torch.stack([count, value[:, u]]))[0, 1]),
                float(changes[:, u].mean()) if len(changes) else None,
                float(changes[:, u].std(correction=0)) if len(changes) else None,
                float(values[-1, first[-1], u]),
                float(last[-1, u]),
                (float(last[:, u].min()), float(last[:, u].max())),
            )
        )
    # of units that follow the count alike, the one that moves as much as any carries it; it must
    # also end up in the same place for every n, for the output to turn there
    moved = value.amax(0) - value.amin(0)
    weight = (2 * moved / moved.max()).clamp(max=1)
    if k > 0:
        weight *= 1 - (last.amax(0) - last.amin(0)) / moved.clamp(min=MOVES)
    found.sort(key=lambda carrier: -abs(carrier.correlation) * float(weight[carrier.unit - 1]))
    return [c for c in found if c is found[0] or abs(c.correlation) >= FOLLOWS]


def _source(values, language, k, carriers):
    """The first letter at whose end the clearest carrier of letter k follows n; None if none."""
    if not carriers:
        return None
    n = torch.arange(1, len(values) + 1)
    for j in range(k):
        ends = n * sum(language.multiples[: j + 1])  # (N,)
        value = values[n - 1, ends - 1, carriers[0].unit - 1]
        if len(value) < 3 or float(value.max() - value.min()) < MOVES:
            continue
        if abs(float(torch.corrcoef(torch.stack([n.double(), value]))[0, 1])) >= FOLLOWS:
            return language.symbols[j]
    return None


def _failure(model, language, n, carriers):
    """The Failure on the string of n, which is known to have a wrong step."""
    stream = language.strings(torch.tensor([n])).to(model.U.device)
    activity = model(stream.inputs)
    values = (activity.hidden if activity.cell is None else activity.cell)[0, 0].cpu().double()
    predicted = activity.logits[0, 0].argmax(-1).cpu()
    targets, inputs = stream.targets[0].cpu(), stream.inputs[0].cpu()
    wrong = (stream.deterministic[0].cpu() & (predicted != targets)).nonzero()[:, 0]
    if not len(wrong):  # right here, wrong in the other order of summation: nothing to tell
        return None
    t = int(wrong[0])
    k = int(inputs[t])
    letter, total = language.symbols[k], n * language.multiples[k]
    carrier = carriers[letter][0] if carriers[letter] else None

    def gap(count):  # between count - 1 and count letters A
        return float((values[count - 1] - values[count - 2]).norm()) if count > 1 else 0.0

    return Failure(
        n,
        letter,
        total - int(stream.state[0, t]),
        total,
        language.symbols[int(predicted[t])],
        language.symbols[int(targets[t])],
        None if carrier is None else float(values[t, carrier.unit - 1]),
        gap(n),
        gap(2) if n > 1 else 0.0,
    )
