"""Languages with one counter and with several, against strings written out and read letter by
letter."""

import itertools
import math

import pytest
import torch

from anbn.counting import CountingLanguage
from anbn.languages import LanguageError

# the size of each block, written a second time, and the letters whose size nobody knows
FAMILY = {
    "anbn": (lambda n: (n, n), "A"),
    "anb2nc3n": (lambda n: (n, 2 * n, 3 * n), "A"),
    "anb12nc2n": (lambda n: (n, 12 * n, 2 * n), "A"),
    "anbmcmdn": (lambda n, m: (n, m, m, n), "AB"),
    "anbmcndm": (lambda n, m: (n, m, n, m), "AB"),
    "anbmcn+m": (lambda n, m: (n, m, n + m), "AB"),
    "anbncmdm": (lambda n, m: (n, n, m, m), "AC"),
    "anbmcm": (lambda n, m: (n, m, m), "AB"),
    "anbncm": (lambda n, m: (n, n, m), "AC"),
    "anbmc2n+3m": (lambda n, m: (n, m, 2 * n + 3 * m), "AB"),
    "anbmckdkemfn": (lambda n, m, k: (n, m, k, k, m, n), "ABC"),
}


def written(name, counts):
    sizes = FAMILY[name][0](*([counts] if isinstance(counts, int) else counts))
    return "".join(letter * size for letter, size in zip("ABCDEF", sizes, strict=False))


def all_counts(language, longest):
    """n of one counter, tuples of several."""
    every = list(itertools.product(range(1, longest + 1), repeat=language.n_counters))
    return [n for (n,) in every] if language.numbered else every


@pytest.mark.parametrize("name", FAMILY)
def test_strings_are_those_of_the_language(name):
    language = CountingLanguage.named(name, 3)
    assert language.name == name and language.numbered == (FAMILY[name][1] == "A")
    assert language.multiples == (FAMILY[name][0](1) if language.numbered else ())
    every = all_counts(language, 3)
    single = language.strings(torch.tensor(every))
    for b, counts in enumerate(every):
        assert single.text(language.symbols, b) == written(name, counts) + "A"
        assert language.word(counts) == written(name, counts)
    draws = language.draw((7,), torch.Generator().manual_seed(1))
    assert draws.shape == ((7, 5) if language.numbered else (7, 5, language.n_counters))
    stream = language.streams(draws)
    for b, rows in enumerate(draws.tolist()):
        text = "".join(written(name, counts) for counts in rows) + "A"
        assert stream.text(language.symbols, b) == text


def blocks_of(text):
    """(letter, place in its block from 1, size of the block) of each letter of a text."""
    for letter, run in itertools.groupby(text):
        size = len(list(run))
        yield from ((letter, place, size) for place in range(1, size + 1))


@pytest.mark.parametrize("name", FAMILY)
def test_every_step_against_a_reader(name):
    language = CountingLanguage.named(name, 4)
    stream = language.streams(language.draw((20,), torch.Generator().manual_seed(2)))
    for b in range(20):
        text = stream.text(language.symbols, b)
        following = {
            letter: language.symbols[(k + 1) % language.n_symbols]
            for k, letter in enumerate(language.symbols)
        }
        legal_next = language.legal_next(text)
        for t, (letter, place, size) in enumerate(list(blocks_of(text))[:-1]):
            unknown = letter in FAMILY[name][1]
            legal = {letter, following[letter]} if unknown else {text[t + 1]}
            found = {language.symbols[k] for k in stream.legal[b, t].nonzero()[:, 0].tolist()}
            assert found == legal == set(legal_next[t])
            assert bool(stream.deterministic[b, t]) != unknown
            assert int(stream.state[b, t]) == (place if unknown else size - place)
            chances = [1.0 if symbol == text[t + 1] else 0.0 for symbol in language.symbols]
            if unknown:
                chances = [0.0] * language.n_symbols
                chances[language.symbols.index(following[letter])] = 1 / (5 - place)
                chances[language.symbols.index(letter)] = 1 - 1 / (5 - place)
            assert stream.probability[b, t].tolist() == pytest.approx(chances)
        assert not stream.valid[b, len(text) - 1 :].any()
    symbols, valid, certain = language.training_symbols(
        language.draw((20,), torch.Generator().manual_seed(2))
    )
    assert torch.equal(symbols.long(), stream.symbols) and torch.equal(valid, stream.valid)
    assert torch.equal(certain, stream.deterministic & stream.valid)


@pytest.mark.parametrize("name", FAMILY)
def test_rates_by_enumeration(name):
    """Entropy rate, mean of what is not certain, and the excess of a predictor that knows no more:
    counted over every string, each as probable as the others."""
    language = CountingLanguage.named(name, 3)
    every = all_counts(language, 3)
    symbols = sum(len(written(name, counts)) for counts in every)
    rate = math.log(len(every)) / (symbols / len(every))
    assert language.entropy_rate == pytest.approx(rate)
    stream = language.strings(torch.tensor(every))
    unknown = stream.valid & ~stream.deterministic
    surprise = 0.0
    for k, mean in enumerate(language.stochastic_mean):
        targets = stream.targets[unknown & (stream.inputs == k)]
        following = torch.bincount(targets, minlength=language.n_symbols).float()
        torch.testing.assert_close(mean, following / following.sum().clamp(min=1))
        surprise -= float((following * mean.log()).nansum()) / symbols
    assert language.memoryless_excess == pytest.approx(surprise - rate, rel=1e-4)


def test_the_coursework_target_of_two_counters():
    language = CountingLanguage.named("anbmcmdn")
    stream = language.strings(torch.tensor([[1, 2]]))  # A B B C C D
    target = language.coursework_target(stream)[0]
    assert target[0].tolist() == pytest.approx([0.8, 0.2, 0, 0])
    assert target[2].tolist() == pytest.approx([0, 0.8, 0.2, 0])
    assert target[5].tolist() == [1, 0, 0, 0]


def test_the_strings_of_an_analysis():
    language = CountingLanguage.named("anbmcmdn")
    assert language.axes == ("n", "m") and language.machine_length == 3
    assert language.numbers_to(2) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    grid = language.grid(3)
    assert grid.text("ABCD", 5) == "AABBBCCCDDA"
    assert language.probe(2).text("ABCD", 1) == "ABBCCDABCDA"
    assert len(language.texts(2)) == 16 and language.texts(2)[1] == "ABCDABBCCDA"
    lengths = [len(text) for text in language.single_texts(50)]
    assert lengths == sorted(lengths) and max(lengths) == 2 * 51 + 3
    fresh = language.fresh(7, torch.Generator().manual_seed(0))
    assert fresh.valid.shape[0] == 2
    label, names = language.stages(language.strings(torch.tensor([[2, 2]])))
    assert [names[k] for k in label[0].tolist()] == [
        *("reading A", "reading A", "first B", "reading B"),
        *("switching to C", "counting C", "switching to D", "counting D"),
    ]
    third = CountingLanguage.named("anbmckdkemfn").grid(2)
    assert third.text("ABCDEF", 1) == "ABBCDEEFA"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("anbmambn", "letters abab"),
        ("ambn", "order m, n"),
        ("anb2m", "alone and once"),
        ("anbn+mcm", "alone and once"),
        ("anbm", "nothing to count"),
        ("anbmcm+n", "spelled anbmcn[+]m"),
        ("anbmc0n", "unknown language"),
        ("anbxcn", "unknown language"),
    ],
)
def test_languages_that_cannot_be(name, why):
    with pytest.raises(LanguageError, match=why):
        CountingLanguage.named(name)
