"""Has a network learned its language? Solved or not, the first n it fails at, its excess
cross-entropy.

    anb2n, n=2, read A A B B B B: after each B one symbol is certain (B, B, B, A).
    A network fails at n=2 if its most probable symbol differs at any of these four steps.
    reber, read B: T and P are legal; both must be more probable than each of the other five.

Nothing is asked at a choice, but where the language judges choices (Reber, Dyck).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from anbn.reach import first_failing_n, groups

N_STREAMS = 300  # fresh streams that decide whether a network has solved its language
MIN_STEPS = 30  # at a height of the stack, so that their share means something
SOLVED = 0.99  # the fraction of them that must be right at every step


@dataclass
class Evaluation:
    """What S networks can do: (S,) tensors on the CPU, None for a figure the language lacks."""

    solved: torch.Tensor  # bool: at least 99 % of the streams right
    stream_accuracy: torch.Tensor  # streams with every step right
    legal_accuracy: torch.Tensor  # steps whose most probable symbol is a legal one
    excess_cross_entropy: torch.Tensor  # nats per symbol, 0 is perfect
    # int64, n_most + 1: none up to n_most; of pairs (language.axes) the least with a failing pair
    first_failing_n: torch.Tensor | None = None
    grid_right: torch.Tensor | None = None  # (S, n_most, n_most) bool: right on a pair's string
    deterministic_accuracy: torch.Tensor | None = None  # deterministic steps that are right
    recall_accuracy: torch.Tensor | None = None  # steps that must recall the outer T or P
    choice_accuracy: torch.Tensor | None = None  # choices that are right, where they are judged
    n_most: int | None = None
    buried_accuracy: torch.Tensor | None = None  # (S, heights) steps right by Stream.buried

    @property
    def ranking(self):
        """Indices of the networks, the best first: solved, then the share of streams right, then
        counting farthest (embedded Reber: recalling best), then the least excess cross-entropy."""
        reach = self.recall_accuracy if self.first_failing_n is None else self.first_failing_n
        reach = torch.zeros_like(self.solved) if reach is None else reach
        columns = (self.solved, self.stream_accuracy, reach, -self.excess_cross_entropy)
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        return sorted(range(len(rows)), key=rows.__getitem__, reverse=True)

    best = property(lambda self: self.ranking[0])


def evaluate(model, language, generator, n_streams=N_STREAMS, n_most=None):
    """The Evaluation of every network of `model`, on fresh streams. n_most: the largest n tried for
    first_failing_n, by default language.n_most; 0 leaves it out."""
    n_most = language.n_most if n_most is None else n_most
    stream = language.streams(language.draw((n_streams,), generator)).to(model.U.device)
    every = groups(model, stream.inputs.numel())
    parts = [_on_streams(model.select(group), stream, language) for group in every]
    figures = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    if language.axes and n_most > 0:
        right = right_on_grid(model, language, n_most)
        n = torch.arange(1, n_most + 1)
        larger = torch.maximum(n[:, None], n).where(~right, n_most + 1)
        figures |= {"first_failing_n": larger.amin((1, 2)), "grid_right": right, "n_most": n_most}
    elif language.numbered and n_most > 0:
        figures |= {"first_failing_n": first_failing_n(model, language, n_most), "n_most": n_most}
    return Evaluation(solved=figures["stream_accuracy"] >= SOLVED, **figures)


@torch.no_grad()
def right_on_grid(model, language, n_most):
    """Whether each network is right at every step of the string of each pair of numbers up to
    n_most: (S, n_most, n_most) bool on the CPU."""
    stream = language.grid(n_most).to(model.U.device)
    parts = []
    for group in groups(model, stream.inputs.numel()):
        right = right_steps(model.select(group)(stream.inputs).logits, stream, language)
        parts.append((right | ~stream.valid).all(-1).cpu())
    return torch.cat(parts).unflatten(1, (n_most, n_most))


@torch.no_grad()
def streams_right(model, stream, language):
    """The share of streams (B, T) of `language` with every step right: (S,) on the CPU."""
    every = groups(model, stream.inputs.numel())
    logits = (model.select(group)(stream.inputs).logits for group in every)
    return torch.cat([_share_right(right_steps(part, stream, language), stream) for part in logits])


def right_steps(logits, stream, language):
    """Whether a network is right at each step: logits (S, B, T, K) -> (S, B, T) bool. A symbol that
    is certain must be the most probable one; at a choice that is judged, every symbol that can come
    must be more probable than every illegal one."""
    right = logits.argmax(-1) == stream.targets
    if not language.judges_choices:
        return right | ~stream.deterministic
    least = logits.masked_fill(stream.probability == 0, torch.inf).amin(-1)
    most_illegal = logits.masked_fill(stream.legal, -torch.inf).amax(-1)
    return torch.where(stream.deterministic, right, least > most_illegal)


def _share_right(right, stream):
    """The share of streams with every step right: right (S, B, T) -> (S,) float64 on the CPU."""
    return (right | ~stream.valid).all(-1).sum(-1).cpu().double() / len(stream.valid)


@torch.no_grad()
def _on_streams(model, stream, language):
    """The per-network figures of Evaluation that come from streams (B, T), as (S,) tensors."""
    log_q = model(stream.inputs).logits.log_softmax(-1)  # (S, B, T, K)
    right = right_steps(log_q, stream, language)
    certain = stream.deterministic & stream.valid
    predicted = log_q.argmax(-1, keepdim=True)  # (S, B, T, 1)
    legal = stream.legal.expand(log_q.shape).gather(-1, predicted)[..., 0]
    # The mean divergence of the network from the true distribution. Its expectation is the mean
    # cross-entropy minus the source's entropy rate, but it is never below 0 on any sample.
    p = stream.probability
    divergence = (torch.special.xlogy(p, p) - p * log_q).sum(-1)
    figures = {
        "stream_accuracy": _share_right(right, stream),
        "legal_accuracy": _mean(legal, stream.valid),
        "excess_cross_entropy": _mean(divergence, stream.valid),
    }
    if certain.any():
        figures["deterministic_accuracy"] = _mean(right, certain)
    if stream.recall is not None:
        figures["recall_accuracy"] = _mean(right, stream.recall & stream.valid)
    if language.judges_choices:
        figures["choice_accuracy"] = _mean(right, stream.valid & ~stream.deterministic)
    if stream.buried is not None:
        opened = stream.valid & (stream.state > 0)
        steps = stream.buried[opened].bincount()
        heights = range(max(1, int((steps >= MIN_STEPS).cumprod(0).sum())))
        each = [_mean(right, opened & (stream.buried == height)) for height in heights]
        figures["buried_accuracy"] = torch.stack(each, 1)
    return figures


def likelier(model, languages):
    """The one of `languages`, which share their symbols, whose streams the networks predict best:
    with the least excess cross-entropy, mean over the networks, on streams of a fixed seed."""

    def excess(language):
        generator = torch.Generator().manual_seed(0)
        return float(evaluate(model, language, generator, n_most=0).excess_cross_entropy.mean())

    return min(languages, key=excess)


def _mean(values, where):
    """The mean over the steps `where` (B, T) of values (S, B, T): (S,) float64 on the CPU, NaN
    where there are none."""
    return (values * where).sum((-2, -1)).cpu().double() / where.sum().cpu()


def quantiles(values, levels=(0.1, 0.25, 0.5, 0.75, 0.9)):
    """For each level the smallest of the values that at least this fraction of them do not exceed,
    by name: {"10%": ...}."""
    found = np.quantile(values, levels, method="inverted_cdf").tolist()
    return {f"{level:.0%}": value for level, value in zip(levels, found, strict=True)}


def wilson(successes, trials):
    """The 95 % interval of a success rate (Wilson 1927): (low, high), within 0..1."""
    z = 1.959964
    rate, shrink = successes / trials, z * z / trials
    centre = (rate + shrink / 2) / (1 + shrink)
    spread = z / (1 + shrink) * math.sqrt((rate * (1 - rate) + shrink / 4) / trials)
    return max(0.0, centre - spread), min(1.0, centre + spread)


def coursework_loss(probability, stream, language):
    """The loss the coursework prints: the mean squared difference between the predicted
    distribution (..., B, T, K) and the target one, over a stream, then over streams: (...)."""
    squared = (probability - language.coursework_target(stream)).square().mean(-1)
    return ((squared * stream.valid).sum(-1) / stream.valid.sum(-1)).mean(-1)


def true_distribution_loss(language, n_streams=5000):
    """The coursework_loss of a predictor that knows the true distributions, over streams of a fixed
    seed. No floor: a counting language's target after an A is not the truth. 0 for Reber."""
    stream = language.streams(language.draw((n_streams,), torch.Generator().manual_seed(0)))
    return float(coursework_loss(stream.probability, stream, language))
