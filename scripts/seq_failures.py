"""Why networks did not solve their language: what each of them gets wrong first, and how often.

    anb2n    network 8 (seed 7): right for no n (of 1 to 4); at n = 1, after A B, it predicts A,
             not B (too early)

Counting networks are read single strings of every n up to the training length. Reber networks are
read fresh strings; the node of the graph at which most go wrong is named.
"""

from collections import Counter

from sequences import HELD_OUT

MOST_LISTED = 5  # networks with a line of their own
N_STRINGS = 200  # Reber strings each unsolved network reads


def failures(networks, found):
    """What went wrong in every unsolved network, the best first: dicts of network, seed, kind (one
    of a few words, to be counted) and what (a phrase)."""
    from anbn.counting import CountingLanguage

    counting = isinstance(networks.language, CountingLanguage)
    explain = _counting if counting else _reber
    unsolved = [s for s in found.ranking if not found.solved[s]]
    return [
        {"network": s + 1, "seed": networks.seeds[s]} | explain(networks, s, found)
        for s in unsolved
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
        for failure in failures[:MOST_LISTED]
    ]
    left = len(failures) - MOST_LISTED
    return lines + ([f"    ({left} more in summary.json)"] if left > 0 else [])


def _counting(networks, s, found):
    import torch

    from anbn.trace import first_mistake, in_runs, trace

    language = networks.language
    lengths = torch.arange(1, language.length + 1)
    traced = trace(networks.model, s, language, language.strings(lengths))
    mistakes = [first_mistake(traced, b) for b in range(len(lengths))]
    wrong = [b for b, mistake in enumerate(mistakes) if mistake]
    if not wrong:
        return {
            "kind": "lose count from string to string",
            "what": f"every single string up to n = {language.length} is right, but "
            f"{1 - float(found.stream_accuracy[s]):.1%} of the sequences of strings are not: it "
            "does not return to where it started",
        }
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


def _reber(networks, s, found):
    import torch

    from anbn.trace import trace

    language = networks.language
    generator = torch.Generator().manual_seed(HELD_OUT)
    stream = language.streams(language.draw((N_STRINGS,), generator))
    traced = trace(networks.model, s, language, stream)
    predicted = traced.probability.argmax(-1)  # (B, T)
    certain = stream.deterministic & stream.valid
    wrong = certain & (predicted != stream.targets)
    if not wrong.any():
        share = float(found.stream_accuracy[s])
        return {"kind": "nearly right", "what": f"{share:.1%} of the strings are right"}
    if stream.recall is not None and float(found.recall_accuracy[s]) < 0.99:
        return {
            "kind": "forget the outer letter",
            "what": f"recalls the outer letter in {float(found.recall_accuracy[s]):.1%} of the "
            "strings (guessing: 50 %)",
        }
    nodes = Counter(stream.state[wrong].tolist()).most_common()
    node, times = nodes[0]
    there = stream.state == node
    guess = Counter(predicted[wrong & there].tolist()).most_common()[0][0]
    right = int(stream.targets[wrong & there][0])
    name = language.state_names[node]
    return {
        "kind": f"confuse node {name}",
        "what": f"at node {name} of the graph it predicts {language.symbols[guess]} instead of "
        f"{language.symbols[right]} at {times / int((certain & there).sum()):.1%} of the steps",
    }
