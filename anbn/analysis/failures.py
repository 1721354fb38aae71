"""Why networks did not solve their language: what each of them gets wrong first, and how often.

    anb2n    network 8 (seed 7): right for no n (of 1 to 4); at n = 1, after A B, it predicts A,
             not B (too early)
    anbn     network 5 (seed 4): counts exactly, but turns one B early at every n
    reber    network 2 (seed 1): never offers X at node 2: V, illegal there, is more probable

    anbmcmdn network 3 (seed 2): right on 60 of 64 strings; first wrong at n = 1, m = 5: ...

Networks read each single string in training, then all pairs of them; of random walks fresh ones, of
which the state (a node of the graph, a depth) at which most go wrong is named.
"""

from collections import Counter
from statistics import mode

import torch

from anbn.evaluate import SOLVED, groups, right_steps
from anbn.reach import learned_counts
from anbn.trace import in_runs

MAX_LISTED = 5  # networks with a line of their own; pairs of strings that are named
MAX_COUNT = 16  # of each of several counts in the strings that unsolved networks read
MAX_PAIRED = 16  # the largest n of which all pairs of strings are read
N_STRINGS = 200  # that each unsolved network reads where strings are not numbered


def failures(networks, evaluation):
    """What went wrong in every unsolved network, the best first: dicts of network, seed, kind (one
    of a few words, to be counted) and what (a phrase)."""
    language = networks.language
    unsolved = [s for s in evaluation.ranking if not evaluation.solved[s]]
    if not unsolved:
        return []
    if not language.judges_choices:
        stream, explain = language.strings(torch.tensor(_numbers(language))), _numbered
    else:
        generator = torch.Generator().manual_seed(0)
        stream, explain = language.streams(language.draw((N_STRINGS,), generator)), _graph
    model, found = networks.model.select(unsolved).cpu(), []
    for group in groups(model, stream.inputs.numel()):
        found += explain(model.select(group), language, stream, evaluation, unsolved[group])
    return [
        {"network": s + 1, "seed": networks.seeds[s], "kind": kind, "what": what}
        for s, (kind, what) in zip(unsolved, found, strict=True)
    ]


def _numbers(language):
    """Those of the strings in training; of several counts no more than MAX_COUNT."""
    longest = language.length if language.numbered else min(language.length, MAX_COUNT)
    return language.numbers_to(longest)


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


@torch.no_grad()
def _numbered(model, language, stream, evaluation, which):
    """The kind of failure and what it is of each network of `model`, number `which` of all.
    stream: single strings."""
    predicted = model(stream.inputs).logits.argmax(-1)  # (S, B, T)
    wrong = stream.wrong(predicted)
    numbers = _numbers(language)
    counts = learned_counts(model, language, numbers) if language.multiples else None
    found = []
    for k, s in enumerate(which):
        bad = wrong[k].any(-1)  # (B,) strings
        if not bad.any():
            found.append(_in_streams(model.select(k), language, evaluation.stream_accuracy[s]))
        elif counts is not None and counts.constant_error[k]:
            what = f"counts exactly, but turns {counts.error_in_words(k)} at every n"
            found.append(("count exactly with a constant error", what))
        else:
            b = int(bad.int().argmax())
            t = int(wrong[k, b].int().argmax())
            text = stream.text(language.symbols, b)
            read, right = text[: t + 1], text[t + 1]
            guess = language.symbols[int(predicted[k, b, t])]
            if read[-1] in (right, guess):
                how = "too early" if right == read[-1] else "too late"
                kind = f"turn {how}"
            else:
                kind, how = "turn to the wrong letter", "the wrong letter"
            where = language.label(numbers[b])
            if language.numbered:
                good = ", ".join(str(n) for n in numbers if not bad[n - 1])
                shown = f"for {f'n = {good}' if good else 'no n'} (of 1 to {language.length}); at"
            else:
                shown = f"on {int((~bad).sum())} of {len(bad)} strings; first wrong at"
            said = f"after {in_runs(read)}, it predicts {guess}, not {right} ({how})"
            found.append((kind, f"right {shown} {where}, {said}"))
    return found


@torch.no_grad()
def failing_pairs(model, language):
    """The pairs (m, n) of which the string of n is right from the start state of a network (S = 1),
    but not after the string of m: a list; and how many pairs were read."""
    n = torch.arange(1, min(language.length, MAX_PAIRED) + 1)
    pairs, single = torch.cartesian_prod(n, n), language.strings(n)

    def wrong(stream):  # (B, T)
        logits = model(stream.inputs.to(model.U.device)).logits.cpu()
        return ~right_steps(logits, stream, language)[0] & stream.valid

    after = wrong(language.streams(pairs))
    second = torch.arange(after.shape[1]) >= single.valid.sum(-1)[pairs[:, :1] - 1]
    failing = (after & second).any(-1) & ~wrong(single).any(-1)[pairs[:, 1] - 1]
    return [tuple(pair) for pair in pairs[failing].tolist()], len(pairs)


def _in_streams(model, language, share):
    """The failure of a network that is right on every single string."""
    last = language.label(_numbers(language)[-1])
    where, pairs = "others", []
    if language.numbered:
        pairs, n_pairs = failing_pairs(model, language)
        where = "more than two strings" if n_pairs == language.length**2 else "other strings"
    if pairs:
        where = "the pairs " + ", ".join(f"({m},{n})" for m, n in pairs[:MAX_LISTED])
        if len(pairs) > MAX_LISTED:
            where += f" and {len(pairs) - MAX_LISTED} more of {n_pairs}"
    return "lose count from string to string", (
        f"right on every single string up to {last}, but fails inside a stream, "
        f"after {where}: {1 - float(share):.1%} of the streams are wrong"
    )


@torch.no_grad()
def _graph(model, language, stream, evaluation, which):
    """As _numbered. stream: fresh strings."""
    logits = model(stream.inputs).logits  # (S, B, T, K)
    wrong = ~right_steps(logits, stream, language) & stream.valid
    lowest = logits.masked_fill(stream.probability == 0, torch.inf).argmin(-1)
    highest = logits.masked_fill(stream.legal, -torch.inf).argmax(-1)
    recall, found = evaluation.recall_accuracy, []
    for k, s in enumerate(which):
        if not wrong[k].any():
            share = float(evaluation.stream_accuracy[s])
            found.append(("nearly right", f"{share:.1%} of the strings are right"))
        elif recall is not None and recall[s] < SOLVED:
            share = f"{float(recall[s]):.1%} of the strings (guessing: 50 %)"
            found.append(("forget the outer letter", f"recalls the outer letter in {share}"))
        else:
            found.append(_worst_node(wrong[k], lowest[k], highest[k], stream, language))
    return found


def _worst_node(wrong, lowest, highest, stream, language):
    """The failure at the node at which most steps are wrong (B, T). lowest: the least probable
    symbol that can come; highest: the most probable illegal one."""
    node = mode(stream.state[wrong].tolist())
    there = wrong & (stream.state == node)
    visits, name = int(((stream.state == node) & stream.valid).sum()), language.state_label(node)
    lowest, highest = lowest[there].tolist(), highest[there].tolist()
    missed, offered = language.symbols[mode(lowest)], language.symbols[mode(highest)]
    if lowest.count(mode(lowest)) == visits:
        what = f"never offers {missed} at {name}: {offered}, illegal there, is more probable"
        return f"never offer {missed} at {name}", what
    return f"offer an illegal symbol at {name}", (
        f"at {len(lowest) / visits:.1%} of the visits to {name} it offers {offered}, "
        f"which is illegal there, rather than {missed}"
    )
