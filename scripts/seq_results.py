"""What seq_train.py says at the end of a run: figures per network, then over all of them."""

import math

from seq_failures import failure_lines, failures
from sequences import in_words

MOST_LISTED = 20  # networks with a line of their own
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
COLUMNS = {  # heading and format of each figure in the table of networks
    "seed": ("seed", "d"),
    "solved": ("solved", ""),
    "streams_right": ("streams right", ".1%"),
    "legal_symbols": ("legal symbols", ".1%"),
    "recall": ("recall", ".1%"),
    "first_failing_n": ("first failing n", "d"),
    "excess_cross_entropy": ("excess nats/symbol", ".4f"),
    "loss": ("loss", ".4f"),
}


def title(networks):
    """A title for the figures of all networks."""
    count = networks.model.n_networks
    return in_words(networks.language, networks.model) + (
        f", {count} networks" if count > 1 else ""
    )


def summary(networks, found, history, seconds):
    """Everything that is printed, and the figures of every network: the content of summary.json."""
    from anbn.evaluate import loss_floor, quantiles, wilson

    model, language = networks.model, networks.language
    n_solved, total = int(found.solved.sum()), model.n_networks
    content = {
        "language": language.name,
        "embedded": getattr(language, "embed", False),
        "length": language.length,
        "model": model.kind,
        "hidden": model.n_hidden,
        "what": title(networks),
        "parameters": sum(parameter[0].numel() for parameter in model.parameters()),
        "hand_set": networks.hand_set,
        "networks": total,
        "sequences": networks.sequences,
        "training_seconds": seconds,
        "recipe": networks.recipe,
        "to_criterion": _to_criterion(networks, history),
        "solved": n_solved,
        "success_rate": n_solved / total,
        "success_rate_95": wilson(n_solved, total),
        "excess_cross_entropy": _quantiles(found.excess_cross_entropy),
        "legal_symbols": _quantiles(found.legal_accuracy),
        "loss_floor": loss_floor(language),
        "best": {"network": found.best + 1, "seed": networks.seeds[found.best]},
        "networks_best_first": _per_network(networks, found, history),
    }
    if language.memoryless_excess is not None:
        content["memoryless_excess"] = language.memoryless_excess
    if found.recall_accuracy is not None:
        content["recall"] = _quantiles(found.recall_accuracy)
    if found.first_failing_n is not None:
        ordered = quantiles(found.first_failing_n, LEVELS)
        content["first_failing_n"] = {
            "tried_up_to": found.n_most,
            "quantiles": {f"{level:.0%}": n for level, n in zip(LEVELS, ordered, strict=True)},
            "largest": int(found.first_failing_n.max()),
            "never_failed": int((found.first_failing_n > found.n_most).sum()),
        }
        content["why"] = _why(networks, found)
    content["not_solved"] = failures(networks, found)
    return content


def _quantiles(values):
    from anbn.evaluate import quantiles

    return {
        f"{level:.0%}": value
        for level, value in zip(LEVELS, quantiles(values, LEVELS), strict=True)
    }


def _to_criterion(networks, history):
    """After how many training sequences the networks first solved the language, in whole reports:
    quantiles, None where so many never did; None for networks whose training is not known whole."""
    from anbn.evaluate import SOLVED

    if len(history) < 2 or history[0][0] > history[1][0] - history[0][0]:
        return None
    reached = []
    for s in range(networks.model.n_networks):
        solved = (sequences for sequences, _, right in history if right[s] >= SOLVED)
        reached.append(next(solved, math.inf))
    ordered = sorted(reached)
    places = {f"{q:.0%}": ordered[math.ceil(q * len(ordered) - 1e-9) - 1] for q in LEVELS}
    return {
        "tested_every": history[1][0] - history[0][0],
        "reached": sum(map(math.isfinite, reached)),
        "quantiles": {q: n if math.isfinite(n) else None for q, n in places.items()},
    }


def _per_network(networks, found, history):
    """One dict per network, the best first; first_failing_n is n_most + 1 where none failed."""
    columns = {
        "solved": found.solved,
        "streams_right": found.stream_accuracy,
        "certain_steps_right": found.deterministic_accuracy,
        "legal_symbols": found.legal_accuracy,
        "recall": found.recall_accuracy,
        "first_failing_n": found.first_failing_n,
        "excess_cross_entropy": found.excess_cross_entropy,
    }
    columns = {name: part.tolist() for name, part in columns.items() if part is not None}
    if history:
        columns["loss"] = history[-1][1]
    return [
        {"network": s + 1, "seed": networks.seeds[s]} | {k: v[s] for k, v in columns.items()}
        for s in found.ranking
    ]


def _why(networks, found):
    """What the best network does wrong first, in one sentence."""
    import torch

    from anbn.trace import first_mistake, in_runs, trace

    n = int(found.first_failing_n[found.best])
    if n > found.n_most:
        return (
            f"it predicts every certain symbol right up to n = {found.n_most:,}, all that was tried"
        )
    strings = networks.language.strings(torch.tensor([n]))
    mistake = first_mistake(trace(networks.model, found.best, networks.language, strings))
    if mistake is None:  # right by a rounding error
        return f"it first fails at n = {n}"
    read, predicted, right = mistake
    return f"it first fails at n = {n}: after {in_runs(read)} it predicts {predicted}, not {right}"


def result_lines(content):
    """The end of a run as lines of text. content: what `summary` returns."""
    total, n_solved = content["networks"], content["solved"]
    lines = [f"{content['what']} ({content['parameters']} parameters each)"]
    if content["hand_set"]:
        lines.append("weights set by hand, no training")
    else:
        lines.append(
            f"{content['sequences']:,} training sequences per network "
            f"in {content['training_seconds']:.1f} s"
        )
    lines += ["", *_table(content), ""]
    meaning = "solved is every certain symbol right in 99 % of 300 fresh streams"
    if total == 1:
        lines.append(f"Solved: {'yes' if n_solved else 'no'}; {meaning}")
        lines += failure_lines(content["not_solved"])
        return lines + ([_capital(content["why"])] if "why" in content else [])
    low, high = content["success_rate_95"]
    lines.append(
        f"Solved: {n_solved} of {total} = {n_solved / total:.0%} (95 % interval {low:.0%} to "
        f"{high:.0%}); {meaning}"
    )
    lines += failure_lines(content["not_solved"])
    if found := content["to_criterion"]:
        never = f"not by {content['sequences']:,}"
        shown = ", ".join(
            f"{q} {never if n is None else format(n, ',')}" for q, n in found["quantiles"].items()
        )
        lines.append(
            f"Sequences until first solved, tested every {found['tested_every']:,}: {shown}"
        )
    if reach := content.get("first_failing_n"):
        tried = reach["tried_up_to"]
        shown = ", ".join(f"{k} {_reach(n, tried)}" for k, n in reach["quantiles"].items())
        lines.append(f"First failing n over the networks, quantiles: {shown}")
        shown = ", ".join(f"{k} {v:.4f}" for k, v in content["excess_cross_entropy"].items())
        lines.append(
            f"Excess nats per symbol, quantiles: {shown}; the least there is without counting the "
            f"letters A: {content['memoryless_excess']:.4f}"
        )
    for name, words in (
        ("legal_symbols", "Legal symbols"),
        ("recall", "Recall of the outer letter"),
    ):
        if name in content and "why" not in content:
            shown = ", ".join(f"{k} {v:.1%}" for k, v in content[name].items())
            lines.append(f"{words}, quantiles over the networks: {shown}")
    best = content["best"]
    why = content.get("why", "nearest to the grammar's probabilities")
    lines.append(f"Best: network {best['network']}, {why}")
    return lines


def _capital(text):
    return text[0].upper() + text[1:]


def _table(content):
    """The best networks, a line each."""
    tried = content.get("first_failing_n", {}).get("tried_up_to")
    rows = content["networks_best_first"][:MOST_LISTED]
    names = [name for name in COLUMNS if name in rows[0]]
    lines = ["network" + "".join(f"  {COLUMNS[name][0]}" for name in names)]
    for row in rows:
        cells = []
        for name in names:
            heading, form = COLUMNS[name]
            value = row[name]
            if name == "solved":
                text = "yes" if value else "no"
            elif name == "first_failing_n":
                text = _reach(value, tried)
            else:
                text = format(value, form)
            cells.append(f"  {text:>{len(heading)}}")
        lines.append(f"{row['network']:7d}" + "".join(cells))
    left = content["networks"] - len(rows)
    return lines + ([f"({left} more in summary.json)"] if left else [])


def _reach(n, tried):
    return f"> {tried:,}" if n > tried else f"{n:,}"
