"""Does a network count? Solved or not, the first n it fails at, and its excess cross-entropy.

    anb2n, n=2, read A A B B B B: after each B one symbol is certain (B, B, B, A).
    A network fails at n=2 if its most probable symbol differs at any of these four steps.

Networks are evaluated side by side, in groups that bound the memory. A step is right when the
symbol with the largest probability is the one that comes.
"""

import math
from dataclasses import dataclass

import torch

from anbn.languages import CountingLanguage
from anbn.models import State

N_STREAMS = 300  # fresh streams that decide whether a network has solved its language
SOLVED = 0.99  # the fraction of them whose every deterministic step must be right
VALUES = 1 << 24  # numbers one pass over a group of networks may keep
LONGEST_PASS = 256  # symbols read before ended strings and failed networks are dropped


@dataclass
class Evaluation:
    """What S networks can do: (S,) tensors on the CPU, None for a figure the language lacks."""

    solved: torch.Tensor  # bool: at least 99 % of the streams right
    stream_accuracy: torch.Tensor  # streams with every deterministic step right
    deterministic_accuracy: torch.Tensor  # deterministic steps that are right
    legal_accuracy: torch.Tensor  # steps whose most probable symbol is a legal one
    excess_cross_entropy: torch.Tensor  # nats per symbol, 0 is perfect
    first_failing_n: torch.Tensor | None = None  # int64, n_most + 1: none up to n_most
    recall_accuracy: torch.Tensor | None = None  # steps that must recall the outer T or P
    n_most: int | None = None

    @property
    def best(self):
        """The index of the best network: solved, then counting farthest (Reber: recalling best),
        then the least excess cross-entropy."""
        reach = self.recall_accuracy if self.first_failing_n is None else self.first_failing_n
        reach = torch.zeros_like(self.solved) if reach is None else reach
        columns = (self.solved, self.stream_accuracy, reach, -self.excess_cross_entropy)
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        return rows.index(max(rows))


def evaluate(model, language, generator, n_streams=N_STREAMS, n_most=1000):
    """Evaluate every network of `model` on fresh streams of `language`, drawn with `generator`.

    n_most: the largest n tried for first_failing_n; 0 leaves it out. Returns an Evaluation.
    """
    stream = language.streams(language.draw((n_streams,), generator)).to(model.U.device)
    columns = [
        _on_streams(model.select(group), stream) for group in _groups(model, stream.inputs.numel())
    ]
    figures = {name: torch.cat([part[name] for part in columns]) for name in columns[0]}
    counting = isinstance(language, CountingLanguage) and n_most > 0
    return Evaluation(
        solved=figures["stream_accuracy"] >= SOLVED,
        first_failing_n=first_failing_n(model, language, n_most) if counting else None,
        n_most=n_most if counting else None,
        **figures,
    )


@torch.no_grad()
def _on_streams(model, stream):
    """The per-network figures of Evaluation that come from streams (B, T), as (S,) tensors."""
    log_q = model(stream.inputs).logits.log_softmax(-1)  # (S, B, T, K)
    predicted = log_q.argmax(-1)  # (S, B, T)
    right = predicted == stream.targets
    certain = stream.deterministic & stream.valid
    legal = stream.legal.expand(*predicted.shape, -1).gather(-1, predicted[..., None])[..., 0]
    # The mean divergence of the network from the true distribution. Its expectation is the mean
    # cross-entropy minus the source's entropy rate, but it is never below 0 on any sample.
    p = stream.probability
    divergence = (torch.special.xlogy(p, p) - p * log_q).sum(-1)
    figures = {
        "stream_accuracy": (right | ~certain).all(-1).sum(-1).cpu().double() / len(certain),
        "deterministic_accuracy": _mean(right, certain),
        "legal_accuracy": _mean(legal, stream.valid),
        "excess_cross_entropy": _mean(divergence, stream.valid),
    }
    if stream.recall is not None:
        figures["recall_accuracy"] = _mean(right, stream.recall & stream.valid)
    return figures


def _mean(values, where):
    """The mean over the steps `where` (B, T) of values (S, B, T): (S,) float64 on the CPU."""
    return (values * where).sum((-2, -1)).cpu().double() / int(where.sum())


def _groups(model, n_steps):
    """Slices of networks whose activity over `n_steps` symbols each stays within VALUES."""
    width = model.n_symbols * 4 + model.n_hidden * (model.gate_rows + 4)
    size = max(1, VALUES // (n_steps * width))
    return [slice(s, s + size) for s in range(0, model.n_networks, size)]


@torch.no_grad()
def first_failing_n(model, language, n_most=1000):
    """The smallest n >= 1 whose single string a^n b^jn c^kn..., read from the start state, has a
    wrong deterministic step, for every network: (S,) int64 on the CPU; n_most + 1 if there is
    none up to n_most.

    The strings share their letters A, so a^n_most is read once and each n branches off its n-th
    state. The n are tried in doubling ranges 1-32, 33-64, 65-128, ... without the networks that
    have failed before.
    """
    device = model.U.device
    result = torch.full((model.n_networks,), n_most + 1, device=device)
    for group in _groups(model, n_most):
        some = model.select(group)
        letters = torch.zeros(1, n_most, dtype=torch.long, device=device)
        activity = some(letters)
        states = State(*(_first_sequence(part) for part in (activity.hidden, activity.cell)))
        found = result[group]
        last = 0
        while last < n_most:
            n = torch.arange(last + 1, min(max(32, 2 * last), n_most) + 1, device=device)
            alive = (found > n_most).nonzero()[:, 0]
            if not len(alive):
                break
            start = State(*(None if part is None else part[alive][:, n - 1] for part in states))
            found[alive] = _first_wrong(some.select(alive), language, n, start, n_most + 1)
            last = int(n[-1])
        result[group] = found
    return result.cpu()


def _first_sequence(part):
    """(S, 1, T, H) -> (S, T, H)."""
    return None if part is None else part[:, 0]


def _first_wrong(model, language, n, state, none):
    """The first of the n (N,) at which each network fails, or `none`: (S,) int64.

    state: the State after the letters A, hidden (S, N, H). Read in passes of a limited number of
    symbols, so that ended strings, failed networks and memory are dropped in between.
    """
    rest = language.strings(n).symbols  # (N, T + 1)
    index = torch.arange(rest.shape[1] - int(n[0]), device=n.device)
    rest = rest.gather(1, (index + n[:, None]).clamp(max=rest.shape[1] - 1))  # from the first B on
    length = n * sum(language.multiples[1:])
    found = torch.full((model.n_networks,), none, device=n.device)
    networks = torch.arange(model.n_networks, device=n.device)
    read = 0
    while len(n) and len(networks):
        width = model.n_symbols * 4 + model.n_hidden * (model.gate_rows + 4)
        steps = max(1, min(LONGEST_PASS, VALUES // (len(networks) * len(n) * width)))
        steps = min(steps, int(length[-1]) - read)
        symbols = rest[:, read : read + steps + 1]
        activity = model(symbols[:, :-1], state)
        step = torch.arange(read, read + steps, device=n.device)
        wrong = (activity.logits.argmax(-1) != symbols[:, 1:]) & (step < length[:, None])
        first = torch.where(wrong.any(-1), n, none).amin(-1)  # (S,)
        found[networks] = torch.minimum(found[networks], first)
        read += steps
        # a string matters while it goes on; a network while a string below its first failure does
        going = (length > read).nonzero()[:, 0]
        keep = (found[networks] > n[going].amin()).nonzero()[:, 0] if len(going) else going[:0]
        state = State(
            *(
                None if part is None else part[keep][:, going, -1]
                for part in (activity.hidden, activity.cell)
            )
        )
        model = model.select(keep) if len(keep) else model
        networks, n, length, rest = networks[keep], n[going], length[going], rest[going]
    return found


def quantiles(first_failing, levels=(0.1, 0.25, 0.5, 0.75, 0.9)):
    """For each level the smallest value that at least this fraction of the networks do not
    exceed: a list of whole numbers, all of them measured ones, n_most + 1 standing for none."""
    ordered = first_failing.sort().values.tolist()
    return [ordered[max(0, math.ceil(level * len(ordered) - 1e-9) - 1)] for level in levels]


def wilson(successes, trials, z=1.959964):
    """The 95 % interval of a success rate (Wilson 1927): (low, high), within 0..1."""
    rate, shrink = successes / trials, z * z / trials
    centre = (rate + shrink / 2) / (1 + shrink)
    spread = z / (1 + shrink) * math.sqrt((rate * (1 - rate) + shrink / 4) / trials)
    return max(0.0, centre - spread), min(1.0, centre + spread)


def coursework_loss(probability, stream, language):
    """The loss the coursework prints: the mean squared difference between the predicted
    distribution (..., B, T, K) and the target one, of each stream, then over streams: (...)."""
    squared = (probability - language.coursework_target(stream)).square().mean(-1)
    return ((squared * stream.valid).sum(-1) / stream.valid.sum(-1)).mean(-1)


def loss_floor(language, n_streams=5000):
    """The coursework_loss of a predictor that knows the true distributions, over streams drawn
    with a fixed seed; 0 for Reber, whose target is the true distribution itself."""
    stream = language.streams(language.draw((n_streams,), torch.Generator().manual_seed(0)))
    return float(coursework_loss(stream.probability, stream, language))
