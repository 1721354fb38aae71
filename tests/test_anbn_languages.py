"""The languages against strings written out one by one, and against counting on many samples."""

import math
from collections import Counter, defaultdict

import pytest
import torch

from anbn.catalogue import named
from anbn.counting import CountingLanguage
from anbn.languages import STRINGS_PER_STREAM, Language, LanguageError
from anbn.reber import ReberLanguage

FAMILY = {
    "anbn": (1, 1),
    "anb2n": (1, 2),
    "anbncn": (1, 1, 1),
    "anb2nc3n": (1, 2, 3),
    "anb3n": (1, 3),
    "anbncndn": (1, 1, 1, 1),
    "anb12nc2n": (1, 12, 2),
}
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


def string(name, n):
    return "".join(
        letter * (n * times) for letter, times in zip("ABCD", FAMILY[name], strict=False)
    )


@pytest.mark.parametrize("name", FAMILY)
def test_strings_are_those_of_the_language(name):
    language = CountingLanguage.named(name)
    assert language.name == name and language.multiples == FAMILY[name]
    single = language.strings(torch.arange(1, 13))
    for n in range(1, 13):
        assert text_of(language, single, n - 1) == string(name, n) + "A"
    counts = torch.tensor([[3, 1, 2, 5, 1], [1, 1, 1, 1, 1], [4, 4, 4, 4, 4]])
    streams = language.streams(counts)
    for b, row in enumerate(counts.tolist()):
        assert text_of(language, streams, b) == "".join(string(name, n) for n in row) + "A"


@pytest.mark.parametrize("name", ["anbn", "anb2n", "anb2nc3n", "anbncndn"])
def test_every_step_against_a_parser(name):
    """State, legal symbols and certainty of each step, read off the text letter by letter."""
    language = CountingLanguage.named(name, length=4)
    generator = torch.Generator().manual_seed(1)
    stream = language.streams(language.draw((20,), generator))
    for b in range(20):
        text = text_of(language, stream, b)
        n, run = 0, 0
        for t, letter in enumerate(text[:-1]):
            run = run + 1 if t and text[t - 1] == letter else 1
            if letter == "A":
                n = run
                legal, certain, state = {"A", "B"}, False, run
            else:
                left = n * FAMILY[name]["ABCD".index(letter)] - run
                later = language.symbols[("ABCD".index(letter) + 1) % language.n_symbols]
                legal, certain, state = {letter if left else later}, True, left
            found = {language.symbols[k] for k in stream.legal[b, t].nonzero()[:, 0].tolist()}
            assert found == legal
            assert bool(stream.deterministic[b, t]) == certain
            assert int(stream.state[b, t]) == state
            if certain:
                assert float(stream.probability[b, t].max()) == 1
                assert int(stream.probability[b, t].argmax()) == int(stream.targets[b, t])
        assert not stream.valid[b, len(text) - 1 :].any()


def counted_distributions(language, n_streams):
    """Frequencies of the next symbol by (letter read, state), and probability of each."""
    stream = language.streams(language.draw((n_streams,), torch.Generator().manual_seed(2)))
    valid = stream.valid
    keys = (stream.inputs * 1000 + stream.state)[valid]
    following = torch.nn.functional.one_hot(stream.targets, language.n_symbols)[valid].double()
    stated = stream.probability[valid].double()
    for key in keys.unique():
        here = keys == key
        yield following[here].mean(0), stated[here], int(here.sum())


@pytest.mark.parametrize(
    "language",
    [
        CountingLanguage.named("anbn"),
        CountingLanguage.named("anb2nc3n"),
        ReberLanguage(),
        ReberLanguage(embed=True),
    ],
    ids=["anbn", "anb2nc3n", "reber", "embedded"],
)
def test_distributions_against_counting(language):
    for counted, stated, trials in counted_distributions(language, 3000):
        assert float((stated - stated[0]).abs().max()) < 1e-6  # a state has one distribution
        # five standard errors of a frequency, and one sample's weight for the rare ones
        allowed = 5 * (stated[0] * (1 - stated[0]) / trials).sqrt() + 1e-6
        assert ((counted - stated[0]).abs() <= allowed).all()


@pytest.mark.parametrize("name", ["anbn", "anb2n", "anb2nc3n"])
def test_entropy_rate_of_counting(name):
    """By enumeration of n: surprise of the choice of n over the symbols it brings."""
    language = CountingLanguage.named(name)
    lengths = [len(string(name, n)) for n in range(1, language.length + 1)]
    expected = math.log(len(lengths)) / (sum(lengths) / len(lengths))
    assert language.entropy_rate == pytest.approx(expected, rel=1e-12)
    stream = language.streams(language.draw((8000,), torch.Generator().manual_seed(3)))
    chance = stream.probability.gather(-1, stream.targets[..., None])[..., 0]
    surprise = -(chance.clamp(min=1e-30).log() * stream.valid).sum() / stream.valid.sum()
    assert float(surprise) == pytest.approx(expected, rel=0.01)


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


@pytest.mark.parametrize("name", ["anbn", "anb2nc3n"])
def test_a_predictor_without_memory(name):
    """Counted over every string of the language, each as probable as the others."""
    language = CountingLanguage.named(name, 5)
    stream = language.strings(torch.arange(1, 6))
    uncertain = stream.valid & ~stream.deterministic
    following = torch.bincount(stream.targets[uncertain], minlength=language.n_symbols)
    mean = language.stochastic_mean[0]  # only after an A
    torch.testing.assert_close(mean, following / following.sum())
    assert language.stochastic_mean[1:].sum() == 0
    surprise = -mean[stream.targets[uncertain]].log().sum() / stream.valid.sum()
    assert language.memoryless_excess == pytest.approx(
        float(surprise) - language.entropy_rate, rel=1e-5
    )


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


def test_a_curriculum_draws_shorter_strings():
    language = CountingLanguage.named("anbn")
    n = language.draw((400,), torch.Generator().manual_seed(0), length=3)
    assert n.shape == (400, STRINGS_PER_STREAM) and set(n.unique().tolist()) == {1, 2, 3}


@pytest.mark.parametrize(
    "name", ["", "an", "anbm", "bnan", "a2nbn", "anb0n", "ancn", "ANBN", "anbn ", "dyck"]
)
def test_unknown_languages_are_refused(name):
    with pytest.raises(LanguageError):
        CountingLanguage.named(name)


def test_impossible_lengths_are_refused():
    with pytest.raises(LanguageError):
        CountingLanguage((1, 1), 0)
    for length in (0, 61):
        with pytest.raises(LanguageError):
            ReberLanguage(length=length)


@pytest.mark.parametrize("language", [CountingLanguage.named("anb2nc3n"), ReberLanguage(True)])
def test_training_reads_the_streams(language):
    draws = language.draw((3, 4), torch.Generator().manual_seed(5))
    streams = language.streams(draws)
    symbols, valid, deterministic = language.training_symbols(draws)
    assert torch.equal(symbols.long(), streams.symbols) and torch.equal(valid, streams.valid)
    assert torch.equal(deterministic & valid, streams.deterministic & streams.valid)


class Written(Language):
    """A counting language by its strings alone: everything else is the general case."""

    def __init__(self, counting):
        super().__init__(counting.length)
        self.name, self.symbols, self.counting = counting.name, counting.symbols, counting

    def word(self, n):
        return "".join(
            letter * (n * times)
            for letter, times in zip(self.symbols, self.counting.multiples, strict=True)
        )


@pytest.mark.parametrize("name", ["anbn", "anb2nc3n"])
def test_the_general_language_agrees_with_the_counting_one(name):
    counting = CountingLanguage.named(name)
    written = Written(counting)
    n = written.draw((30,), torch.Generator().manual_seed(3))
    ours, theirs = written.streams(n), counting.streams(n)
    assert torch.equal(ours.symbols, theirs.symbols) and torch.equal(ours.valid, theirs.valid)
    for field in ("legal", "deterministic", "probability"):
        mine, other = getattr(ours, field)[ours.valid], getattr(theirs, field)[ours.valid]
        torch.testing.assert_close(mine, other)
    assert written.entropy_rate == pytest.approx(counting.entropy_rate)
    torch.testing.assert_close(written.stochastic_mean, counting.stochastic_mean)
    assert written.memoryless_excess == pytest.approx(counting.memoryless_excess)
    assert written.machine_length == counting.machine_length
    assert written.texts(5) == counting.texts(5)
    for text in written.texts(5):
        assert written.legal_next(text) == [
            "AB" if read == "A" else follows for read, follows in zip(text, text[1:], strict=False)
        ]


def test_what_is_read_in_training_does_not_limit_what_is_legal():
    """Far beyond it the general language agrees with the counting one, too."""
    counting = CountingLanguage.named("anb2n", 2)
    language = Written(counting)
    n = torch.tensor([5, 1, 40, 120])
    stream, expected = language.strings(n), counting.strings(n)
    assert stream.text("AB", 0) == "AAAAABBBBBBBBBBA"
    assert torch.equal(stream.symbols, expected.symbols)
    for field in ("legal", "deterministic"):
        mine, other = getattr(stream, field), getattr(expected, field)
        assert torch.equal(mine[stream.valid], other[stream.valid])


class Prefixes(Language):
    """n: A, then n mod 3 letters B, then C.  1: A B C  2: A B B C  3: A C, and so on again."""

    name, symbols = "prefixes", "ABC"

    def word(self, n):
        return "A" + n % 3 * "B" + "C"


def test_strings_that_are_alike_for_a_while_and_equal_ones():
    language = Prefixes(4)  # ABC, ABBC, AC, ABC
    stream = language.streams(torch.tensor([[2, 3]]))
    assert stream.text("ABC", 0) == "ABBCACA"
    legal = [{"ABC"[k] for k in row.nonzero()[:, 0].tolist()} for row in stream.legal[0]]
    assert legal == [{"B", "C"}, {"B", "C"}, {"C"}, {"A"}, {"B", "C"}, {"A"}]
    after_a, after_b = stream.probability[0, :2].tolist()
    assert after_a == pytest.approx([0, 3 / 4, 1 / 4]) and after_b == pytest.approx(
        [0, 1 / 3, 2 / 3]
    )
    surprise = 4 * (3 / 4 * math.log(4 / 3) + math.log(4) / 4) + 3 * (
        math.log(3) / 3 + 2 / 3 * math.log(3 / 2)
    )
    assert language.entropy_rate == pytest.approx(surprise / (3 + 4 + 2 + 3))
    assert language.legal_next("ABBCACA") == ["BC", "BC", "C", "A", "BC", "A"]


def test_languages_by_name():
    assert named("anb2n").multiples == (1, 2) and named("anb2n").length == 4
    assert named("anbn").length == 8 and named("anbn", length=3).length == 3
    plain, embedded = named("reber"), named("reber", embed=True, length=12)
    assert (plain.embed, plain.length, embedded.embed, embedded.length) == (False, 4, True, 12)
    assert (plain.title, embedded.title) == ("reber", "embedded reber")
    assert (plain.file_name, embedded.file_name) == ("reber", "reber_embedded")
    hidden = {"anbn": (2, 3), "anb2nc3n": (4, 3), "anbncndn": (4, 3), "reber": (2, 3)}
    for name, (srn, lstm) in hidden.items():
        language = named(name)
        assert (language.default_hidden("srn"), language.default_hidden("lstm")) == (srn, lstm)
    assert embedded.default_hidden("lstm") == 4
    with pytest.raises(LanguageError, match="only reber can be embedded"):
        named("anbn", embed=True)
    with pytest.raises(LanguageError, match="at least 1"):
        Language(0)
    with pytest.raises(LanguageError, match="not numbered"):
        plain.word(1)
