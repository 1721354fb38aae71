"""Why networks did not solve their language: what each of them gets wrong first, and how often.

    anb2n    network 8 (seed 7): right for no n (of 1 to 4); at n = 1, after A B, it predicts A,
             not B (too early)
    anbn     network 5 (seed 4): counts exactly, but turns one B early at every n
    reber    network 2 (seed 1): never offers X at node 2: V, illegal there, is more probable

Networks on numbered strings read single strings of every n up to the training length, then all
pairs of them. The others read fresh strings; the node of the graph at which most go wrong is named.
"""

from collections import Counter

import torch

from anbn.evaluate import right_steps
from anbn.reach import learned_counts
from anbn.trace import first_mistake, in_runs, trace

MAX_LISTED = 5  # networks with a line of their own; pairs of strings that are named
N_STRINGS = 200  # that each unsolved network reads where strings are not numbered


def failures(networks, evaluation):
    """What went wrong in every unsolved network, the best first: dicts of network, seed, kind (one
    of a few words, to be counted) and what (a phrase)."""
    explain = _numbered if networks.language.numbered else _graph
    return [
        {"network": s + 1, "seed": networks.seeds[s]} | explain(networks, s, evaluation)
        for s in evaluation.ranking
        if not evaluation.solved[s]
    ]


def failure_lines(failures):
    """The failures as lines of text; none if all networks have solved the language."""
    if not failures:
        return []
    kinds = Counter(failure["kind"] for failure in failures).most_common()
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds)
    lines = [f"Not solved: {len(failures)} ({counted})"]
    lines += [
        f"    network {failure['network']} (seed {failure['seed']}): {failure['what']}"
        for failure in failures[:MAX_LISTED]
    ]
    left = len(failures) - MAX_LISTED
    return lines + ([f"    ({left} more in summary.json)"] if left > 0 else [])


def _numbered(networks, s, evaluation):
    language = networks.language
    lengths = torch.arange(1, language.length + 1)
    traced = trace(networks.model, s, language, language.strings(lengths))
    mistakes = [first_mistake(traced, b) for b in range(len(lengths))]
    wrong = [b for b, mistake in enumerate(mistakes) if mistake]
    if not wrong:
        return _in_streams(networks.model.select(s), language, evaluation.stream_accuracy[s])
    if language.multiples:
        counts = learned_counts(networks.model.select(s), language, lengths)
        if counts.constant_error[0]:
            how = counts.error_in_words(0)
            kind = "count exactly with a constant error"
            return {"kind": kind, "what": f"counts exactly, but turns {how} at every n"}
    read, predicted, right = mistakes[wrong[0]]
    if right == read[-1]:
        kind, how = "turn too early", "too early"
    elif predicted == read[-1]:
        kind, how = "turn too late", "too late"
    else:
        kind, how = "turn to the wrong letter", "the wrong letter"
    good = [str(b + 1) for b in range(len(lengths)) if b not in wrong]
    which = f"n = {', '.join(good)}" if good else "no n"
    return {
        "kind": kind,
        "what": f"right for {which} (of 1 to {language.length}); at n = {wrong[0] + 1}, after "
        f"{in_runs(read)}, it predicts {predicted}, not {right} ({how})",
    }


@torch.no_grad()
def failing_pairs(model, language):
    """The pairs (n, m), both up to the training length, whose string of m is right from the start
    state but not after the string of n: a list, for a network (S = 1)."""
    every = torch.arange(1, language.length + 1)
    pairs = torch.cartesian_prod(every, every)
    stream = language.streams(pairs)
    right = right_steps(model(stream.inputs).logits, stream, language)[0] | ~stream.valid
    return [tuple(pair) for pair in pairs[~right.all(-1)].tolist()]


def _in_streams(model, language, share):
    """The failure of a network that is right on every single string."""
    pairs = failing_pairs(model, language)
    if pairs:
        named = ", ".join(f"({n},{m})" for n, m in pairs[:MAX_LISTED])
        left = len(pairs) - MAX_LISTED
        more = f" and {left} more of {language.length**2}" if left > 0 else ""
        where = f"fails inside a stream, after the pairs {named}{more}"
    else:
        where = "fails inside a stream, after more than two strings"
    return {
        "kind": "lose count from string to string",
        "what": f"right on every single string up to n = {language.length}, but {where}: "
        f"{1 - float(share):.1%} of the streams are wrong",
    }


@torch.no_grad()
def _graph(networks, s, evaluation):
    language = networks.language
    generator = torch.Generator().manual_seed(0)
    stream = language.streams(language.draw((N_STRINGS,), generator))
    model = networks.model.select(s)
    logits = model(stream.inputs.to(model.U.device)).logits[:1].cpu()
    wrong = ~right_steps(logits, stream, language)[0] & stream.valid
    if not wrong.any():
        share = float(evaluation.stream_accuracy[s])
        return {"kind": "nearly right", "what": f"{share:.1%} of the strings are right"}
    if stream.recall is not None and (share := float(evaluation.recall_accuracy[s])) < 0.99:
        return {
            "kind": "forget the outer letter",
            "what": f"recalls the outer letter in {share:.1%} of the strings (guessing: 50 %)",
        }
    node = Counter(stream.state[wrong].tolist()).most_common(1)[0][0]
    visits, name = int(((stream.state == node) & stream.valid).sum()), language.state_names[node]
    there = wrong & (stream.state == node)
    lowest = logits[0].masked_fill(stream.probability == 0, torch.inf).argmin(-1)[there]
    highest = logits[0].masked_fill(stream.legal, -torch.inf).argmax(-1)[there]
    missed, offered = (
        language.symbols[Counter(part.tolist()).most_common(1)[0][0]] for part in (lowest, highest)
    )
    symbols = f"{offered}, illegal there, is more probable"
    if int((lowest == language.symbols.index(missed)).sum()) == visits:
        kind = f"never offer {missed} at node {name}"
        return {"kind": kind, "what": f"never offers {missed} at node {name}: {symbols}"}
    return {
        "kind": f"offer an illegal symbol at node {name}",
        "what": f"at {int(there.sum()) / visits:.1%} of the visits to node {name} it offers "
        f"{offered}, which is illegal there, rather than {missed}",
    }
