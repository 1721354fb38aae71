"""Summary of trained networks: figures of each one, figures over all of them, and their text.

content = summary(networks, evaluation, seconds)   # what summary.json holds
print("\\n".join(result_lines(content)))        # anbn/result_text.py
"""

import math

import torch

from anbn.analysis.explanation import verdict as verdict_lines
from anbn.analysis.failures import failures
from anbn.evaluate import (
    N_STREAMS,
    SOLVED,
    coursework_loss,
    quantiles,
    true_distribution_loss,
    wilson,
)
from anbn.reach import FLOAT32_ENDS, first_failing_n, learned_counts
from anbn.result_text import FIGURES
from anbn.trace import first_mistake, in_runs, trace
from anbn.train import N_REPORT, held_out_streams

MAX_FLOAT64 = 8  # networks, the best, that count in float64 as well
CERTAIN = f"solved is every certain symbol right in {100 * SOLVED:g} % of {N_STREAMS} fresh streams"
CHOICES = (
    f"solved is, in {100 * SOLVED:g} % of {N_STREAMS} fresh strings, every symbol that can come "
    "more probable than every illegal one at each step"
)


def summary(networks, evaluation, seconds):
    """Everything that is printed, and the figures of every network: the content of summary.json.
    seconds: of the training."""
    model, language = networks.model, networks.language
    n_solved, total = int(evaluation.solved.sum()), model.n_networks
    content = {
        "language": language.spelling,
        "embedded": language.embed,
        "length": language.length,
        "model": model.kind,
        "hidden": model.n_hidden,
        "what": networks.title,
        "parameters": sum(parameter[0].numel() for parameter in model.parameters()),
        "hand_set": networks.hand_set,
        "networks": total,
        "sequences": networks.sequences,
        "training_seconds": seconds,
        "recipe": networks.recipe,
        "to_criterion": to_criterion(networks.history),
        "solved": n_solved,
        "solved_means": CHOICES if language.judges_choices else CERTAIN,
        "success_rate": n_solved / total,
        "success_rate_95": wilson(n_solved, total),
        "excess_cross_entropy": quantiles(evaluation.excess_cross_entropy),
        "legal_symbols": quantiles(evaluation.legal_accuracy),
        "legal_throughout": int((evaluation.legal_accuracy == 1).sum()),
        "true_distribution_loss": true_distribution_loss(language),
        "best": {"network": evaluation.best + 1, "seed": networks.seeds[evaluation.best]},
        "networks_best_first": _per_network(networks, evaluation),
    }
    if language.memoryless_excess is not None:
        content["memoryless_excess"] = language.memoryless_excess
    for name in ("choices_right", "recall"):
        if (values := getattr(evaluation, FIGURES[name][0])) is not None:
            content[name] = quantiles(values)
    if evaluation.buried_accuracy is not None:
        content["right_by_height"] = evaluation.buried_accuracy.mean(0).nan_to_num().tolist()
    if (first := evaluation.first_failing_n) is not None:
        content["first_failing_n"] = {
            "tried_up_to": evaluation.n_most,
            "quantiles": quantiles(first),
            "largest": int(first.max()),
            "never_failed": int((first > evaluation.n_most).sum()),
        }
        if language.numbered:
            content["float64"] = _float64(networks, evaluation)
        content["why"] = _why(networks, evaluation)
    if (grid := evaluation.grid_right) is not None:
        shares = grid.double().mean(0)
        best = grid[evaluation.best].int()
        content["grid"] = {"axes": language.axes, "right": shares.tolist(), "best": best.tolist()}
    if language.multiples:
        content["learned_counts"] = _learned_counts(model, language)
    content["not_solved"] = failures(networks, evaluation)
    return content


def verdict(networks, evaluation):
    """How good one network is (S = 1): (figures, lines of text)."""
    (figures,) = _per_network(networks, evaluation)
    lines = verdict_lines(evaluation, networks.language)
    for failure in failures(networks, evaluation):
        lines.append(f"What it gets wrong: {failure['what']}")
        figures["failure"] = failure["what"]
    return figures, lines


def report_lines(networks, generator):
    """A sample trace of the network with the least loss, and its loss, in the coursework's format:
    on the way of a training. generator: of the strings traced."""
    loss, language = networks.history[-1].loss, networks.language
    best = loss.index(min(loss))
    streams = held_out_streams(language)[:N_REPORT]
    true = f"{coursework_loss(streams.probability, streams, language):.4f} on the same streams"
    which = f"; network {best + 1}, the best of {len(loss)}" if len(loss) > 1 else ""
    return [
        *trace(networks.model, best, language, language.fresh(5, generator)).lines(0),
        f"epoch: {networks.sequences}",
        f" loss: {loss[best]:.4f}   (the true probabilities: {true}{which})",
        "",
    ]


def to_criterion(history):
    """After how many training sequences the networks first solved the language, and from when on
    they kept it, in whole reports: quantiles, None where so many never did; and how many lost it in
    between. None where the training is not known whole."""
    if len(history) < 2 or history[0].sequences > history[1].sequences - history[0].sequences:
        return None
    sequences = [report.sequences for report in history] + [math.inf]
    first, stays, lost = [], [], 0
    for shares in zip(*(report.streams_right for report in history), strict=True):
        solved = [share >= SOLVED for share in shares]
        last_failure = max((k for k, yes in enumerate(solved) if not yes), default=-1)
        first.append(sequences[solved.index(True)] if any(solved) else math.inf)
        stays.append(sequences[last_failure + 1])
        lost += any(solved[: last_failure + 1])
    return {
        "tested_every": history[1].sequences - history[0].sequences,
        "reached": sum(map(math.isfinite, first)),
        "quantiles": _finite(first),
        "stays": sum(map(math.isfinite, stays)),
        "stays_quantiles": _finite(stays),
        "lost": lost,
    }


def _finite(values):
    found = quantiles(values)
    return {level: int(n) if math.isfinite(n) else None for level, n in found.items()}


def _per_network(networks, evaluation):
    """One dict per network, the best first; first_failing_n is n_most + 1 where none failed."""
    columns = {k: getattr(evaluation, name) for k, (name, *_) in FIGURES.items() if name}
    columns = {name: part.tolist() for name, part in columns.items() if part is not None}
    if networks.history:
        columns["loss"] = networks.history[-1].loss
    return [
        {"network": s + 1, "seed": networks.seeds[s]} | {k: v[s] for k, v in columns.items()}
        for s in evaluation.ranking
    ]


def _float64(networks, evaluation):
    """The first failing n of the best networks in float64, where it differs from float32's; of
    those that fail, for float64 takes long where nothing fails."""
    single, most = evaluation.first_failing_n.tolist(), evaluation.n_most
    best = evaluation.ranking[:MAX_FLOAT64]
    failing, differ = [s for s in best if single[s] <= most], []
    if failing:
        model = networks.model.select(failing).double()
        for s, n in zip(failing, first_failing_n(model, networks.language, most), strict=True):
            if n != single[s]:
                row = {"network": s + 1, "seed": networks.seeds[s]}
                differ.append(row | {"float32": single[s], "float64": int(n)})
    return {"networks": len(best), "float32_ends": FLOAT32_ENDS, "differ": differ}


def _learned_counts(model, language):
    """What the networks have learned to count; None for a letter that does not turn."""
    counts = learned_counts(model, language)
    letters, lines = {}, [{} for _ in range(model.n_networks)]
    for k, letter in enumerate(language.symbols[1:]):
        names = ("slope", "offset", "deviation", "holds_to")
        columns = {name: getattr(counts, name)[:, k] for name in names}
        turns = counts.slope[:, k].isfinite()
        letters[letter] = {"per_n": language.multiples[k + 1], "turns": int(turns.sum())}
        if turns.any():
            letters[letter] |= {name: quantiles(columns[name][turns]) for name in names[:3]}
        for s, line in enumerate(lines):
            values = {name: column[s].item() for name, column in columns.items()}
            line[letter] = values if turns[s] else None
    return {
        "trained_to": language.length,
        "looked_at": counts.n.tolist(),
        "exact": int(counts.exact.sum()),
        "constant_error": int(counts.constant_error.sum()),
        "letters": letters,
        "lines": lines,
    }


def _why(networks, evaluation):
    """What the best network does wrong first, in one sentence."""
    language, n = networks.language, int(evaluation.first_failing_n[evaluation.best])
    names = language.axes or ("n",)
    if n > evaluation.n_most:
        tried = f"{' = '.join(names)} = {evaluation.n_most:,}"
        what = "predicts every certain symbol right"
        if language.judges_choices:
            what = "is right at every step"
        return f"it {what} up to {tried}, all that was tried"
    numbers, b = (n,), 0
    if language.axes:
        failing = ~evaluation.grid_right[evaluation.best]
        numbers = min((failing.nonzero() + 1).tolist(), key=lambda pair: (max(pair), pair))
        strings = language.grid(n)
        b = (numbers[0] - 1) * n + numbers[1] - 1
    else:
        strings = language.strings(torch.tensor([n]))
    where = ", ".join(f"{name} = {k}" for name, k in zip(names, numbers, strict=True))
    traced = trace(networks.model, evaluation.best, language, strings)
    if (mistake := first_mistake(traced, b)) is None:  # a choice, or right by a rounding error
        return f"it first fails at {where}"
    read, predicted, right = mistake
    return f"it first fails at {where}: after {in_runs(read)} it predicts {predicted}, not {right}"
