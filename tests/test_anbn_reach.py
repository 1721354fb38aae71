"""First failing n against loops that read one symbol at a time; learned counts of networks that are
made to count wrongly."""

import pytest
import torch

from anbn.branches import fails
from anbn.counting import CountingLanguage
from anbn.handset import handset
from anbn.languages import Language
from anbn.models import LSTM, SRN
from anbn.reach import first_failing_n, learned_counts, letters_given


def leaky(language, loss):
    """The exact counter made inexact: network s counts a letter A as 1 - loss[s], and so loses
    count the sooner the larger its loss is. float64."""
    exact = handset(language, torch.float64).select([0] * len(loss))
    counters = slice(2 * exact.n_hidden + 1, 3 * exact.n_hidden)  # columns of g, the phase left out
    with torch.no_grad():
        step = torch.atanh(1 - torch.tensor(loss, dtype=torch.float64).clamp(min=1e-15))
        exact.W[:, 0, counters] = step[:, None]
    return exact


@torch.no_grad()
def naive_first_failing_n(model, s, multiples, n_most):
    """One network, one string, one symbol after the other."""
    model = model.select(s)
    for n in range(1, n_most + 1):
        text = [k for k, times in enumerate(multiples) for _ in range(n * times)] + [0]
        predicted = model(torch.tensor([text[:-1]])).logits[0, 0].argmax(-1).tolist()
        for symbol, guess, following in zip(text, predicted, text[1:], strict=False):
            if symbol != 0 and guess != following:
                return n
    return n_most + 1


@pytest.mark.parametrize("name", ["anbn", "anbncn", "anb2nc3n", "anb3n", "anbncndn"])
def test_first_failing_n_against_a_naive_loop(name):
    language = CountingLanguage.named(name)
    model = leaky(language, [0, 0.3, 0.15, 0.1, 0.04, 0.02, 0.015, 0.01])
    found = first_failing_n(model, language, 40).tolist()
    expected = [naive_first_failing_n(model, s, language.multiples, 40) for s in range(8)]
    assert found == expected
    assert found[0] == 41  # the exact counter
    assert len(set(found)) > 3, "the networks leave nothing to tell apart"


def test_first_failing_n_of_random_srns_against_a_naive_loop():
    language = CountingLanguage.named("anb2n")
    model = SRN(2, 3, seeds=range(200), init=3.0).double()
    found = first_failing_n(model, language, 5).tolist()
    assert found == [naive_first_failing_n(model, s, (1, 2), 5) for s in range(200)]
    assert len(set(found)) > 1


def test_exact_counters_never_fail_and_others_are_dropped():
    language = CountingLanguage.named("anbncn")
    mixed = LSTM(3, 3, seeds=range(5)).double()
    exact = handset(language, torch.float64)
    with torch.no_grad():
        for name in exact.names:
            getattr(mixed, name)[3] = getattr(exact, name)[0]
    found = first_failing_n(mixed, language, 300)
    assert found[3] == 301 and int(found[[0, 1, 2, 4]].max()) < 32
    assert first_failing_n(exact, language, 1).tolist() == [2]


@pytest.mark.parametrize("name", ["anbn", "anb2n", "anbncn", "anb2nc3n", "anb3nc2ndn"])
def test_an_exact_counter_is_followed_far(name):
    language = CountingLanguage.named(name)
    assert int(first_failing_n(handset(language), language, 5000)) == 5001
    assert int(first_failing_n(handset(language, torch.float64), language, 300)) == 301


@torch.no_grad()
@pytest.mark.parametrize("multiples", [(1, 1), (1, 2), (1, 2, 3), (1, 3, 1, 2)])
def test_strings_that_go_on_as_the_one_before_end_where_they_should(multiples):
    """The states that strings end in, of networks whose states coincide: exact counters, such with
    a counter or the phase cut off, and saturated ones."""
    language = CountingLanguage(multiples, 4)
    exact = handset(language, torch.float64).select([0] * len(multiples))
    for k in range(1, len(multiples)):
        exact.W[k, :, [k, exact.n_hidden + k]] = -2000.0  # input and forget gate shut
    saturated = LSTM(language.n_symbols, 3, seeds=range(12), init=60.0).double()
    n = torch.arange(1, 17)
    stream = language.strings(n)
    for model in (
        exact,
        saturated,
        SRN(language.n_symbols, 3, seeds=range(12), init=60.0).double(),
    ):
        ends = model(stream.inputs).hidden[
            :, torch.arange(16), stream.valid.sum(-1) - 1
        ]  # (S, N, H)
        for s in range(model.n_networks):
            one = model.select(s)
            activity = one(torch.zeros(1, len(n), dtype=torch.long))
            parts = [part for part in (activity.hidden, activity.cell) if part is not None]
            state = [part[:, 0].mT.contiguous() for part in parts]
            fails(one, language, 1, state)
            torch.testing.assert_close(state[0][0].mT, ends[s])


class Spelled(Language):
    """A counting language by its strings alone."""

    def __init__(self, counting):
        super().__init__(counting.length)
        self.name, self.symbols, self.word = counting.name, counting.symbols, counting.word


def test_any_numbered_language_has_a_first_failing_n():
    counting = CountingLanguage.named("anb2n")
    model = leaky(counting, [0, 0.3, 0.1, 0.04])
    assert torch.equal(
        first_failing_n(model, Spelled(counting), 60), first_failing_n(model, counting, 60)
    )
    assert int(first_failing_n(handset(counting), Spelled(counting), 200)) == 201


def counting_srn(change=0.0, slope=1.0, size=0.002):
    """An SRN of one unit that goes up `size` per A and down as much per B, times `slope`, and turns
    `change` letters late."""
    parts = {
        "H0": torch.zeros(1),
        "W": torch.tensor([[size], [-size * slope]]),
        "U": torch.ones(1, 1),
        "hid_bias": torch.zeros(1),
        "V": torch.tensor([[0.0, 1 / size]]),
        "out_bias": torch.tensor([0.0, -0.5 + change]),
    }
    return SRN.from_parameters({name: part[None].double() for name, part in parts.items()})


@pytest.mark.parametrize("change", [-2, -1, 0, 1, 2])
def test_a_constant_error_is_told_from_a_wrong_slope(change):
    language = CountingLanguage.named("anbn")
    counts = learned_counts(counting_srn(change), language)
    n = torch.arange(1, 9)
    assert counts.given[0, 0, :8].tolist() == (n + change).clamp(min=1).tolist()
    assert float(counts.slope) == pytest.approx(1) and float(counts.offset) == pytest.approx(change)
    assert float(counts.deviation) == pytest.approx(0, abs=1e-9)
    assert bool(counts.exact) == (change == 0) and bool(counts.constant_error) == (change != 0)
    assert int(counts.error) == change and int(counts.holds_to) >= 16
    words = {-2: "2 B early", -1: "one B early", 0: "", 1: "one B late", 2: "2 B late"}
    assert counts.error_in_words(0) == words[change]
    expected = {0: 9, -1: 2, -2: 2, 1: 1, 2: 1}[change]
    found = int(first_failing_n(counting_srn(change), language, 8))
    assert found == expected


def test_a_wrong_slope_is_no_constant_error():
    language = CountingLanguage.named("anbn")
    counts = learned_counts(counting_srn(slope=1.25), language)
    assert float(counts.slope) == pytest.approx(0.8, abs=0.05)
    assert not counts.exact.any() and not counts.constant_error.any()
    assert 0 < float(counts.deviation) < 1


def test_networks_that_always_give_one_letter_or_never_turn():
    language = CountingLanguage.named("anbn")
    one, never = counting_srn(-50), counting_srn(50)
    assert learned_counts(one, language).given[..., :8].unique().tolist() == [1]
    assert not learned_counts(one, language).constant_error.any()
    counts = learned_counts(never, language)
    assert counts.given[0, 0, :8].tolist() == [0] * 8 and counts.slope.isnan().all()
    assert not counts.exact.any() and not counts.constant_error.any()
    assert int(counts.holds_to) == 0


def test_letters_given_of_many_networks_are_those_of_each():
    language = CountingLanguage.named("anb2nc3n")
    model = LSTM(3, 3, seeds=range(40), init=2.0).double()
    together = letters_given(model, language, [1, 2, 3, 7])
    assert together.shape == (40, 2, 4)
    each = [letters_given(model.select(s), language, [1, 2, 3, 7]) for s in range(40)]
    assert torch.equal(together, torch.cat(each))
    exact = letters_given(handset(language), language, [1, 5, 60])
    assert exact.tolist() == [[[2, 10, 120], [3, 15, 180]]]
