"""Dyck languages against brackets matched one by one, and against counting on many walks."""

import itertools
import math

import pytest
import torch

from anbn.catalogue import named
from anbn.dyck import DyckLanguage
from anbn.languages import LanguageError

CLOSES = {")": "(", "]": "["}


def legal_after(text):
    """The brackets that may follow, and how many are open."""
    opened = []
    for symbol in text:
        if symbol in CLOSES:
            assert opened.pop() == CLOSES[symbol]
        else:
            opened.append(symbol)
    return opened


@pytest.mark.parametrize("kinds", [1, 2])
def test_every_step_against_a_matcher(kinds):
    language = named(f"dyck{kinds}", length=30)
    stream = language.streams(language.draw((50,), torch.Generator().manual_seed(kinds)))
    assert stream.inputs.shape == (50, 30) and stream.valid.all()
    openers = language.symbols[::2]
    for b in range(50):
        text = stream.text(language.symbols, b)
        for t, legal in enumerate(language.legal_next(text)):
            opened = legal_after(text[: t + 1])
            closing = {k for k, v in CLOSES.items() if opened and v == opened[-1]}
            expected = set(openers) | closing
            found = {language.symbols[k] for k in stream.legal[b, t].nonzero()[:, 0].tolist()}
            assert found == expected == set(legal)
            chances = [0.0] * language.n_symbols
            for symbol in expected:
                share = 0.5 if opened else 1.0
                chances[language.symbols.index(symbol)] = (
                    0.5 if symbol in closing else share / kinds
                )
            assert stream.probability[b, t].tolist() == pytest.approx(chances)
            assert int(stream.state[b, t]) == len(opened)
            assert bool(stream.deterministic[b, t]) == (len(expected) == 1)
            assert text[t + 1] in expected


@pytest.mark.parametrize("kinds", [1, 2])
def test_rates_and_shares(kinds):
    """The entropy rate by enumeration of all walks of ten symbols; shares by counting."""
    language = DyckLanguage(kinds, 10)
    surprise, total = 0.0, 0.0
    for ups in itertools.product((True, False), repeat=10):
        depth, chance, here = 1, 1.0, 0.0
        for up in ups:  # what follows each of the ten symbols read
            here += math.log(kinds) if depth == 0 else math.log(2) + math.log(kinds) / 2
            if depth == 0 and not up:
                chance = 0.0
            chance *= 1.0 if depth == 0 else 0.5
            depth += 1 if up else -1
        surprise, total = surprise + chance * here, total + chance
    assert total == pytest.approx(1)
    assert language.entropy_rate == pytest.approx(surprise / 10)
    stream = language.streams(language.draw((4000,), torch.Generator().manual_seed(3)))
    chance = stream.probability.gather(-1, stream.targets[..., None])
    assert -float(chance.log().mean()) == pytest.approx(language.entropy_rate, rel=0.02)
    symbols = torch.bincount(stream.targets[stream.state > 0].flatten(), minlength=2 * kinds)
    share = symbols[::2] / symbols.sum()
    torch.testing.assert_close(share, torch.full((kinds,), 0.5 / kinds), atol=0.01, rtol=0)


def test_the_strings_of_an_analysis():
    one, two = DyckLanguage(1), DyckLanguage(2)
    grid = two.grid(3)  # in the order (1, 1), (1, 2), (1, 3), (2, 1), ...
    assert grid.text("()[]", 2) == "()[]()["
    assert grid.text("()[]", 4) == "([])[()]("
    assert one.grid(3).text("()", 8) == "((()))((()))((()))("
    assert one.texts(3) == ["((((", "(()(", "()(("]
    assert len(two.texts(3)) == 8 + 4 + 4 and two.texts(2)[0] == "((("
    assert one.single_texts(2) == ["()(", "(())(", "((()))("]
    assert one.state_label(2) == "depth 2"
    assert one.fresh(4, torch.Generator().manual_seed(0)).symbols.shape == (4, 51)
    assert one.draw((2,), torch.Generator().manual_seed(0), length=12).shape == (2, 13)


@pytest.mark.parametrize(("kinds", "length"), [(3, 8), (0, 8), (1, 0), (1, 1001)])
def test_languages_that_cannot_be(kinds, length):
    with pytest.raises(LanguageError):
        DyckLanguage(kinds, length)
