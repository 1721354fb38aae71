"""The Reber grammars against every string of the graph, written down a second time."""

import math
from collections import Counter, defaultdict

import pytest
import torch

from anbn.reber import ReberLanguage

# The grammar as it is drawn in the literature, written down a second time and in another form.
REBER_EDGES = {
    "start": ["B>0"],
    "0": ["T>1", "P>5"],
    "1": ["S>1", "X>2"],
    "2": ["S>3", "X>5"],
    "3": ["E>end"],
    "4": ["V>3", "P>2"],
    "5": ["V>4", "T>5"],
    "end": [],
}


def text_of(language, stream, b):
    """Sequence b as letters, its last, predicted symbol included."""
    steps = int(stream.valid[b].sum())
    return "".join(language.symbols[k] for k in stream.symbols[b, : steps + 1].tolist())


def walks(edges, node="start", prefix="", chance=1.0, longest=22):
    """Every string of the grammar up to `longest` symbols, with its probability."""
    if not edges[node]:
        yield prefix, chance
    elif len(prefix) < longest:
        for edge in edges[node]:
            symbol, to = edge.split(">")
            yield from walks(edges, to, prefix + symbol, chance / len(edges[node]), longest)


REBER = dict(walks(REBER_EDGES))
EMBEDDED = {
    f"B{outer}{inner}{outer}E": chance / 2 for inner, chance in REBER.items() for outer in "TP"
}


@pytest.mark.parametrize(
    ("embed", "length", "strings"),
    [(False, 4, REBER), (False, 10, REBER), (True, 4, EMBEDDED), (True, 12, EMBEDDED)],
)
def test_reber_strings_against_all_strings(embed, length, strings):
    """Samples are strings of the grammar, at least `length` long, as often as they should be; every
    step's legal symbols and distribution follow from the enumerated strings."""
    language = ReberLanguage(embed, length)
    kept = {text: p for text, p in strings.items() if len(text) >= length}
    total = 1 - sum(p for text, p in strings.items() if len(text) < length)
    kept = {text: p / total for text, p in kept.items()}
    follows = defaultdict(Counter)  # prefix -> probability of each next symbol, unnormalised
    for text, p in kept.items():
        for t in range(1, len(text)):
            follows[text[:t]][text[t]] += p
    legal_after = defaultdict(set)
    for text in strings:
        for t in range(1, len(text)):
            legal_after[text[:t]].add(text[t])

    n_samples = 3000
    stream = language.streams(language.draw((n_samples,), torch.Generator().manual_seed(4)))
    seen = Counter()
    for b in range(n_samples):
        text = text_of(language, stream, b)
        seen[text] += 1
        if len(text) > 22:  # where the enumeration ends
            continue
        assert text in kept
        for t in range(min(len(text) - 1, 10) if b < 300 else 0):
            prefix = text[: t + 1]
            legal = {language.symbols[k] for k in stream.legal[b, t].nonzero()[:, 0].tolist()}
            assert legal == legal_after[prefix]
            assert bool(stream.deterministic[b, t]) == (len(legal) == 1)
            weight = sum(follows[prefix].values())
            for k, symbol in enumerate(language.symbols):
                expected = follows[prefix][symbol] / weight
                assert float(stream.probability[b, t, k]) == pytest.approx(
                    expected, abs=0.02
                )  # the cut tail
            if embed:
                assert bool(stream.recall[b, t]) == (t == len(text) - 3)
    for text, p in sorted(kept.items(), key=lambda item: -item[1])[:12]:
        assert abs(seen[text] / n_samples - p) < 5 * math.sqrt(p * (1 - p) / n_samples)


@pytest.mark.parametrize("embed", [False, True])
def test_reber_entropy_rate(embed):
    """A string's surprise over its steps, from the edges alone: after an edge the rest of the
    string is expected to bring what it brings from the next node on."""
    surprise, steps = dict.fromkeys(REBER_EDGES, 0.0), dict.fromkeys(REBER_EDGES, 0.0)
    for _ in range(300):
        for node, edges in REBER_EDGES.items():
            rest = [edge.split(">")[1] for edge in edges]
            if rest:
                mean = [sum(table[to] for to in rest) / len(rest) for table in (surprise, steps)]
                surprise[node], steps[node] = math.log(len(rest)) + mean[0], 1 + mean[1]
    total, length = surprise["0"], steps["0"]  # the first B is read, not predicted
    if embed:  # the outer letter costs log 2; it, the inner B, the recalled letter and E: 4 steps
        total, length = total + math.log(2), length + 4
    assert ReberLanguage(embed).entropy_rate == pytest.approx(total / length, rel=1e-9)


def test_reber_states_are_the_nodes():
    language = ReberLanguage()
    stream = language.streams(language.draw((200,), torch.Generator().manual_seed(5)))
    names = language.state_names
    for b in range(200):
        node = "0"
        text = text_of(language, stream, b)
        for t, symbol in enumerate(text[1:]):
            assert names[int(stream.state[b, t])] == node
            node = next(edge[2:] for edge in REBER_EDGES[node] if edge[0] == symbol)
        assert node == "end"


def test_training_reads_the_streams():
    language = ReberLanguage(True)
    draws = language.draw((3, 4), torch.Generator().manual_seed(5))
    streams = language.streams(draws)
    symbols, valid, deterministic = language.training_symbols(draws)
    assert torch.equal(symbols.long(), streams.symbols) and torch.equal(valid, streams.valid)
    assert torch.equal(deterministic & valid, streams.deterministic & streams.valid)
