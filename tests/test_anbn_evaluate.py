"""What solved means, and the measures that stand beside it. test_anbn_second_implementation.py
compares every verdict on many networks."""

import math

import pytest
import torch

from anbn.catalogue import named
from anbn.counting import CountingLanguage
from anbn.evaluate import (
    coursework_loss,
    evaluate,
    likelier,
    quantiles,
    streams_right,
    true_distribution_loss,
    wilson,
)
from anbn.handset import handset
from anbn.models import LSTM, SRN
from anbn.reber import ReberLanguage


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def reader(table):
    """An SRN that predicts from the symbol read alone: table (K, K) of logits, read to next."""
    n_symbols = len(table)
    nothing = torch.zeros(n_symbols)
    parameters = {
        "H0": nothing,
        "W": 9 * torch.eye(n_symbols),  # hidden unit k is nearly 1 after symbol k, else 0
        "U": torch.zeros(n_symbols, n_symbols),
        "hid_bias": nothing,
        "V": torch.as_tensor(table, dtype=torch.float32),
        "out_bias": nothing,
    }
    return SRN.from_parameters({name: value[None] for name, value in parameters.items()})


def test_a_network_that_knows_nothing_but_e_has_not_solved_the_reber_grammar():
    language = ReberLanguage()
    model = SRN(7, 2)
    with torch.no_grad():
        model.V.zero_()
        model.out_bias.zero_()[0, language.symbols.index("E")] = 1.0
    found = evaluate(model, language, generator())
    assert float(found.deterministic_accuracy) == 1
    assert not found.solved.any() and float(found.choice_accuracy) == 0
    stream = language.streams(language.draw((50,), generator()))
    assert float(streams_right(model, stream, language)) == 0


def test_a_choice_needs_every_legal_symbol_above_every_illegal_one():
    """After B, T and P are legal. Of three networks one prefers P, and both to the rest; one offers
    V as well; one knows T alone."""
    language = ReberLanguage()
    rows = [[0, 2, 0, 0, 3, 1, 0], [0, 2, 0, 0, 3, 2.5, 0], [0, 9, 0, 0, 0, 0, 0]]
    for row, right in zip(rows, (True, False, False), strict=True):
        table = torch.zeros(7, 7)
        table[0] = torch.tensor(row)
        stream = language.streams(language.draw((20,), generator()))
        stream.valid[:, 1:] = False  # the step after B alone
        assert float(streams_right(reader(table), stream, language)) == float(right)


def test_a_counting_language_asks_nothing_after_an_a():
    language = CountingLanguage.named("anbn")
    found = evaluate(handset(language, stop=1e-6), language, generator(), n_most=10)
    assert found.solved.all() and found.choice_accuracy is None


def test_symbols_that_a_least_length_rules_out_need_not_be_offered():
    """Of strings with at least 50 symbols the network that knows the true distribution is right,
    though it gives nothing to legal symbols that end them too early."""
    language = ReberLanguage(length=50)
    stream = language.streams(language.draw((30,), generator()))
    assert ((stream.probability == 0) & stream.legal & stream.valid[..., None]).any()

    class Truth:
        n_networks, n_symbols, n_hidden, gate_rows, U = 1, 7, 2, 1, torch.zeros(1)

        def select(self, _):
            return self

        def __call__(self, inputs):
            return type("Activity", (), {"logits": stream.probability[None].log()})

    assert float(streams_right(Truth(), stream, language)) == 1


def test_the_likelier_grammar():
    """A network that knows how the embedded grammar's strings begin and end."""
    plain, embedded = named("reber"), named("reber", embed=True)
    model = LSTM(7, 4)
    assert likelier(model, [plain]) is plain
    table = torch.zeros(7, 7)
    table[1, 0] = table[4, 0] = 3.0  # B after T and P: never in the plain grammar
    assert likelier(reader(table), [plain, embedded]) is embedded
    table[:, 0] = -9.0  # no B but the first
    assert likelier(reader(table), [plain, embedded]) is plain


def test_excess_cross_entropy_is_cross_entropy_minus_entropy_rate():
    language = CountingLanguage.named("anbn")
    model = SRN(2, 2, seeds=[1])
    excess = float(evaluate(model, language, generator(), 4000, 0).excess_cross_entropy[0])
    stream = language.streams(language.draw((4000,), generator(1)))
    log_q = model(stream.inputs).logits.detach().log_softmax(-1)[0]
    taken = log_q.gather(-1, stream.targets[..., None])[..., 0]
    cross_entropy = -float((taken * stream.valid).sum() / stream.valid.sum())
    assert excess == pytest.approx(cross_entropy - language.entropy_rate, abs=0.01)


def test_solved_needs_297_of_300_streams():
    """At the border: a network wrong on exactly 3 or 4 of the 300 streams."""
    language = CountingLanguage.named("anbn")
    exact = handset(language)

    class Reader:
        n_networks, n_symbols, n_hidden, gate_rows, U = 1, 2, 2, 4, exact.U

        def __init__(self, n_wrong):
            self.n_wrong = n_wrong

        def select(self, _):
            return self

        @torch.no_grad()
        def __call__(self, inputs):
            activity = exact(inputs)
            activity.logits[0, : self.n_wrong, 12:] *= -1
            return activity

    for n_wrong, solved in ((0, True), (3, True), (4, False)):
        assert bool(evaluate(Reader(n_wrong), language, generator(5), 300, 0).solved) == solved


def test_the_best_network():
    language = CountingLanguage.named("anbn")
    model = handset(language).select([0] * 4)
    with torch.no_grad():  # too slow a count of A in three of them
        model.W[:, 0, 5] = torch.tensor([0.9, 1.2, 1000, 1.5])
    assert evaluate(model, language, generator(), 50, 100).best == 2


@pytest.mark.parametrize(
    ("name", "loss"),
    [("anbn", 0.0120), ("anbncn", 0.0054), ("anb2n", 0.0274), ("anb2nc3n", 0.0091)],
)
def test_loss_of_the_true_distribution_by_the_coursework_measure(name, loss):
    """The figures the coursework's own code gives for a perfect predictor."""
    assert true_distribution_loss(CountingLanguage.named(name)) == pytest.approx(loss, abs=2e-4)
    assert true_distribution_loss(ReberLanguage()) == 0


def test_coursework_loss_by_hand():
    """AB and four strings more: after A the target is (0.8, 0.2), else the symbol that comes."""
    language = CountingLanguage.named("anbn")
    stream = language.strings(torch.tensor([1, 2]))  # A B A padded, A A B B A
    guess = torch.tensor([0.5, 0.5]).expand(2, 4, 2)
    first = (0.09 + 0.25) / 2
    second = (0.09 + 0.09 + 0.25 + 0.25) / 4
    assert float(coursework_loss(guess, stream, language)) == pytest.approx((first + second) / 2)


def test_wilson_interval():
    """Published values: Newcombe (1998), table I: 81/263, 15/148, 0/20, 1/29."""
    for successes, trials, low, high in (
        *((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)),
        *((0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)),
    ):
        assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)
    assert wilson(20, 20)[1] == 1


def test_quantiles_are_measured_values():
    values = torch.tensor([9, 1001, 5, 7, 1001, 6, 8, 11, 10, 12])
    assert quantiles(values) == {"10%": 5, "25%": 7, "50%": 9, "75%": 12, "90%": 1001}
    assert quantiles([3, 1, math.inf], (0.5, 0.9)) == {"50%": 3, "90%": math.inf}
    for level in (0.1, 0.5, 0.9):  # the definition: so many do not exceed it, and no smaller one
        (q,) = quantiles(values, (level,)).values()
        assert (values <= q).double().mean() >= level - 1e-9
        assert (values < q).double().mean() < level


@pytest.mark.parametrize("name", ["anbmcmdn", "dyck2"])
def test_pairs_are_right_where_their_single_string_is(name):
    """Read string by string: the map, the first pair that fails, what has lain on a bracket."""
    language = named(name, length=3)
    model = LSTM(4, 3, seeds=range(3), init=1.0)
    with torch.no_grad():
        exact = handset(named("anbmcmdn", length=3), n_hidden=4)
        model = exact if name == "anbmcmdn" else model
        model.V += (
            0.0 if name == "dyck2" else 20 * torch.randn(model.V.shape, generator=generator())
        )
    found = evaluate(model, language, generator(), n_streams=50, n_most=3)
    assert found.n_most == 3 and found.grid_right.shape == (model.n_networks, 3, 3)
    for s in range(model.n_networks):
        first = 4
        for n in range(1, 4):
            for m in range(1, 4):
                stream = language.grid(3)[(n - 1) * 3 + m - 1 : (n - 1) * 3 + m]
                steps = int(stream.valid.sum())
                logits = model.select(s)(stream.inputs[:, :steps]).logits[0, 0]
                right = True
                for t in range(steps):
                    legal = stream.legal[0, t]
                    if name == "dyck2":
                        right &= bool(logits[t][legal].min() > logits[t][~legal].max())
                    elif legal.sum() == 1:
                        right &= int(logits[t].argmax()) == int(stream.targets[0, t])
                assert bool(found.grid_right[s, n - 1, m - 1]) == right
                first = first if right else min(first, max(n, m))
        assert int(found.first_failing_n[s]) == first
    assert (found.buried_accuracy is None) == (name == "anbmcmdn")


def test_the_height_of_the_stack_since_a_bracket_was_opened():
    language = named("dyck2", length=40)
    stream = language.streams(language.draw((30,), generator()))
    for b in range(30):
        opened = []  # of each bracket that is open, the most brackets since then
        for t, symbol in enumerate(stream.inputs[b].tolist()):
            if symbol % 2 == 0:
                opened.append(0)
                opened = [max(most, len(opened) - k - 1) for k, most in enumerate(opened)]
            else:
                opened.pop()
            if opened:
                assert int(stream.buried[b, t]) == opened[-1]
