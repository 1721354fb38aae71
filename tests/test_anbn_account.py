"""The account in words against figures found by reading string after string."""

from types import SimpleNamespace

import pytest
import torch

from anbn.analysis.diagnosis import findings
from anbn.analysis.explanation import account
from anbn.counting import CountingLanguage
from anbn.evaluate import first_failing_n
from anbn.handset import handset
from anbn.models import SRN


def test_account_of_the_exact_counter():
    language = CountingLanguage.named("anb2nc3n")
    text = account(findings(handset(language), language, 201, 200))
    assert (
        "cell 2 goes up (from 1.00 after one A to 4.00 after 4, by 1.00 ± 0.00 per letter)" in text
    )
    assert "cell 3 goes up" in text
    assert "While B is read, cell 2 goes down" in text
    assert "turns from B to C where it has come to 0.00" in text
    assert "While C is read, cell 3 goes down" in text
    assert "right for all n up to 200" in text


def slow_counter(share):
    """The exact counter of a^n b^n, its count going up by `share` per A instead of 1."""
    language = CountingLanguage.named("anbn")
    parameters = dict(handset(language, torch.float64).named_parameters())
    W = parameters["W"].detach().clone()
    W[0, 0, 1] = torch.logit(torch.tensor(share))  # input gate of the counter, reading A
    return language, type(handset(language)).from_parameters({**parameters, "W": W})


def test_account_of_a_counter_that_counts_down_too_fast():
    language, model = slow_counter(0.95)
    first = int(first_failing_n(model, language, 100))
    found = findings(model, language, first, 100)
    # the same, by reading one string after another
    for n in range(1, first + 1):
        stream = language.strings(torch.tensor([n]))
        with torch.no_grad():
            predicted = model(stream.inputs).logits[0, 0].argmax(-1)
        wrong = [t for t in range(n, 2 * n) if predicted[t] != stream.targets[0, t]]
        assert bool(wrong) == (n == first)
    assert 8 < first < 30
    failure = found.failure
    assert (failure.n, failure.letter, failure.read) == (first, "B", wrong[0] + 1 - n)
    assert (failure.total, failure.predicted, failure.expected) == (n, "A", "B")
    assert failure.gap == pytest.approx(failure.first_gap, rel=1e-6)
    text = account(found)
    assert "by 0.95 ± 0.00 per letter" in text and "by 1.00 ± 0.00 per letter" in text
    assert f"It is right for n = 1 to {first - 1}. At n = {first} it fails" in text
    assert f"after {failure.read} of {n} letters B it predicts A instead of B" in text
    assert "too early" in text


def test_account_of_an_srn_states_its_rates():
    language = CountingLanguage.named("anbn")
    model = SRN(2, 2, seeds=[1], init=1.0)
    first = int(first_failing_n(model, language, 50))
    found = findings(model, language, first, 50)
    text = account(found)
    assert f"{found.rates.contraction:.2f} per A" in text
    assert f"{found.rates.measured_product:.2f} (1 would treat all n alike)" in text
    assert "hidden unit" in text and "cell" not in text


def test_account_is_a_function_of_the_figures_alone():
    language, model = slow_counter(0.95)
    found = findings(model, language, 101, 100)
    assert found.failure is None and account(found) == account(found)
    bare = SimpleNamespace(**{**vars(found), "carriers": {"A": [], "B": []}})
    assert account(bare).startswith("While A is read no unit moves: nothing is counted.")
