"""What is general in a language: against counting languages and strings written out by hand; and
distributions against counting on many samples. Each kind of language has tests of its own."""

import math

import pytest
import torch

from anbn.catalogue import named
from anbn.counting import CountingLanguage
from anbn.languages import STRINGS_PER_STREAM, Language, LanguageError
from anbn.reber import ReberLanguage


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


class Beginnings(Language):
    """Strings that begin others: the longest that fits may leave what is no string."""

    name, symbols = "beginnings", "ABC"

    def word(self, n):
        return ("AB", "ABA", "AAC")[(n - 1) % 3]


def test_a_text_is_taken_apart_into_strings():
    language = Beginnings(3)
    for text in language.texts(3):
        assert len(language.legal_next(text)) == len(text) - 1
    assert language.legal_next("ABAACA") == ["AB", "A", "AB", "C", "A"]  # AB, not ABA, then AAC


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
    with pytest.raises(LanguageError, match="no method word"):
        plain.word(1)
