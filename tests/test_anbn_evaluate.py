"""Evaluation against loops that read one symbol at a time, and traces against what they print."""

import math
import re

import pytest
import torch

from anbn import trace as tracing
from anbn.counting import CountingLanguage
from anbn.evaluate import coursework_loss, evaluate, loss_floor, quantiles, wilson
from anbn.handset import handset
from anbn.models import LSTM, MODELS, SRN
from anbn.reach import first_failing_n
from anbn.reber import ReberLanguage


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def leaky(language, loss):
    """The exact counter made inexact: network s counts a letter A as 1 - loss[s], and so loses
    count the sooner the larger its loss is. float64."""
    exact = handset(language, torch.float64).select([0] * len(loss))
    counters = slice(2 * exact.n_hidden + 1, 3 * exact.n_hidden)  # columns of g, the phase left out
    with torch.no_grad():
        step = torch.atanh(1 - torch.tensor(loss, dtype=torch.float64).clamp(min=1e-15))
        exact.W[:, 0, counters] = step[:, None]
    return exact


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
    found = first_failing_n(model, language, 70).tolist()
    expected = [naive_first_failing_n(model, s, language.multiples, 70) for s in range(8)]
    assert found == expected
    assert found[0] == 71  # the exact counter
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


@torch.no_grad()
def naive_figures(model, s, stream):
    """Shares of right streams, right certain steps and legal steps; mean divergence from the true
    distribution: read off sequence by sequence."""
    model = model.select(s)
    streams, certain, legal, divergence, recall = [], [], [], [], []
    for b in range(len(stream.valid)):
        state, fine = model.start(1), True
        for t in range(int(stream.valid[b].sum())):
            state = model.step(stream.symbols[b, t : t + 1], state)
            q = model.read_out(state.hidden)[0, 0].softmax(-1)
            right = int(q.argmax()) == int(stream.symbols[b, t + 1])
            if stream.deterministic[b, t]:
                certain.append(right)
                fine &= right
            if stream.recall is not None and stream.recall[b, t]:
                recall.append(right)
            legal.append(bool(stream.legal[b, t, int(q.argmax())]))
            p = stream.probability[b, t]
            terms = zip(p.tolist(), q.tolist(), strict=True)
            divergence.append(sum(a * math.log(a / b) for a, b in terms if a > 0))
        streams.append(fine)
    return [sum(x) / len(x) if x else None for x in (streams, certain, legal, divergence, recall)]


@pytest.mark.parametrize(
    ("language", "kind"),
    [
        (CountingLanguage.named("anb2n"), "srn"),
        (CountingLanguage.named("anbncn"), "lstm"),
        (ReberLanguage(), "srn"),
        (ReberLanguage(embed=True), "lstm"),
    ],
    ids=["anb2n", "anbncn", "reber", "embedded"],
)
def test_evaluation_against_a_naive_loop(language, kind):
    model = MODELS[kind](language.n_symbols, 3, seeds=range(4), init=1.5).double()
    if kind == "lstm" and isinstance(language, CountingLanguage):
        model = leaky(language, [0, 0.4, 0.2, 0.1])
    found = evaluate(model, language, generator(3), n_streams=12, n_most=0)
    stream = language.streams(language.draw((12,), generator(3)))
    for s in range(4):
        streams, certain, legal, divergence, recall = naive_figures(model, s, stream)
        assert float(found.stream_accuracy[s]) == pytest.approx(streams)
        assert bool(found.solved[s]) == (streams >= 0.99)
        assert float(found.deterministic_accuracy[s]) == pytest.approx(certain)
        assert float(found.legal_accuracy[s]) == pytest.approx(legal)
        assert float(found.excess_cross_entropy[s]) == pytest.approx(divergence, rel=1e-5)
        if recall is None:
            assert found.recall_accuracy is None
        else:
            assert float(found.recall_accuracy[s]) == pytest.approx(recall)
    assert found.first_failing_n is None


def test_excess_cross_entropy_is_cross_entropy_minus_entropy_rate():
    language = CountingLanguage.named("anbn")
    model = SRN(2, 2, seeds=[1])
    excess = float(evaluate(model, language, generator(), 4000, 0).excess_cross_entropy[0])
    stream = language.streams(language.draw((4000,), generator(1)))
    log_q = model(stream.inputs).logits.detach().log_softmax(-1)[0]
    taken = log_q.gather(-1, stream.targets[..., None])[..., 0]
    cross_entropy = -float((taken * stream.valid).sum() / stream.valid.sum())
    assert excess == pytest.approx(cross_entropy - language.entropy_rate, abs=0.01)


def test_solved_needs_297_of_300_streams(monkeypatch):
    """At the border: a network wrong on exactly 3 or 4 of the 300 streams."""
    language = CountingLanguage.named("anbn")
    stream = language.streams(language.draw((300,), generator(5)))
    with_eight = (stream.inputs[:, :8] == 0).all(-1)  # the first string has n = 8
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

    assert with_eight.any()
    for n_wrong, solved in ((0, True), (3, True), (4, False)):
        assert bool(evaluate(Reader(n_wrong), language, generator(5), 300, 0).solved) == solved


def test_the_best_network():
    language = CountingLanguage.named("anbn")
    model = leaky(language, [0.3, 0.2, 0, 0.1])
    assert evaluate(model, language, generator(), 50, 100).best == 2


@pytest.mark.parametrize(
    ("name", "floor"),
    [("anbn", 0.0120), ("anbncn", 0.0054), ("anb2n", 0.0274), ("anb2nc3n", 0.0091)],
)
def test_loss_floor_by_the_coursework_measure(name, floor):
    """The figures the coursework's own code gives for a perfect predictor."""
    assert loss_floor(CountingLanguage.named(name)) == pytest.approx(floor, abs=2e-4)
    assert loss_floor(ReberLanguage()) == 0


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
    assert quantiles(values) == [5, 7, 9, 12, 1001]
    assert quantiles(torch.tensor([4])) == [4] * 5
    for level in (0.1, 0.5, 0.9):  # the definition: so many do not exceed it, and no smaller one
        (q,) = quantiles(values, (level,))
        assert (values <= q).double().mean() >= level - 1e-9
        assert (values < q).double().mean() < level


@pytest.mark.parametrize("kind", MODELS)
def test_trace_lines(kind):
    """The coursework's format; the letter is the next symbol, the numbers follow the one before."""
    language = CountingLanguage.named("anb2nc3n")
    model = MODELS[kind](3, 3, seeds=[0, 1])
    stream = tracing.fresh_strings(language, 7, generator())
    found = tracing.trace(model, 1, language, stream)
    lines = found.lines(1)
    assert re.fullmatch(r"symbol= [ABC]+A", lines[0])
    text = lines[0].split()[1]
    assert text == found.text(1)
    assert (
        lines[1]
        == {
            "srn": "hidden activations and output probabilities:",
            "lstm": "hidden activations, cell states, and output probabilities:",
        }[kind]
    )
    assert len(lines) == 2 + len(text) - 1
    state = model.start(1)
    for t, line in enumerate(lines[2:]):
        state = model.step(torch.tensor([language.symbols.index(text[t])]), state)
        numbers = {
            name: [float(x) for x in values.split()]
            for name, values in re.findall(r"(\w+): \[([^]]*)\]", line)
        }
        assert line[:2] == text[t + 1] + " "
        assert list(numbers) == ["hidden", *(["cell"] if kind == "lstm" else []), "output"]
        assert numbers["hidden"] == pytest.approx(state.hidden[1, 0].tolist(), abs=0.0051)
        output = model.read_out(state.hidden)[1, 0].softmax(-1).tolist()
        assert numbers["output"] == pytest.approx(output, abs=0.0051)
        if kind == "lstm":
            assert numbers["cell"] == pytest.approx(state.cell[1, 0].tolist(), abs=0.0051)


def test_fresh_strings_are_as_many_as_asked():
    language = CountingLanguage.named("anbncn")
    for wanted, sequences in ((1, 1), (5, 1), (7, 2), (10, 2)):
        stream = tracing.fresh_strings(language, wanted, generator(wanted))
        found = tracing.trace(LSTM(3, 2), 0, language, stream)
        texts = [found.text(b) for b in range(len(stream.valid))]
        assert len(texts) == sequences
        strings = re.findall(r"A+B+C+", "".join(text[:-1] for text in texts))
        assert len(strings) == wanted
        assert all(len(s) == 3 * s.count("A") == 3 * s.count("B") for s in strings)
    stream = tracing.fresh_strings(ReberLanguage(), 4, generator())
    assert len(stream.valid) == 4


def test_stages_and_gates_of_the_exact_counter():
    """What opens when follows from how its weights were set (anbn/handset.py)."""
    language = CountingLanguage.named("anbncn")
    stream = language.streams(torch.tensor([[2, 3, 2, 1, 2]]))
    labels, names = tracing.stages(language, stream)
    read = [names[k] for k in labels[0, : int(stream.valid.sum())].tolist()]
    assert read[:8] == [
        *("reading A", "reading A", "first B", "counting B"),
        *("switching to C", "counting C", "end", "reading A"),
    ]
    found = tracing.trace(handset(language), 0, language, stream)
    table = {(r["stage"], r["gate"], r["unit"]): r for r in tracing.gate_table(found)}
    assert len(table) == len(names) * 3 * 3
    for stage in ("first B", "counting B"):
        # unit 2 counts the letters B down: input and forget gate open, unit 3 waits
        assert table[stage, "input_gate", 2]["state"] == "open"
        assert table[stage, "forget_gate", 2]["mean"] == 1
        assert table[stage, "input_gate", 3]["state"] == "closed"
        assert table[stage, "input_gate", 3]["spread"] == 0
    assert table["counting C", "input_gate", 3]["state"] == "open"
    assert table["reading A", "output_gate", 2]["state"] == "closed"
    assert table["reading A", "output_gate", 2]["steps"] == 6
    assert [tracing.in_words(x) for x in (0.7, 0.5, 0.3)] == ["open", "partly open", "closed"]
    srn = tracing.trace(SRN(3, 2), 0, language, stream)
    assert tracing.gate_table(srn) == []


def test_rows_hold_the_whole_trace():
    language = ReberLanguage(embed=True)
    model = LSTM(7, 2, seeds=[4])
    stream = tracing.fresh_strings(language, 3, generator())
    found = tracing.trace(model, 0, language, stream)
    rows = tracing.rows(found)
    assert len(rows) == sum(len(found.text(b)) for b in range(3))
    assert rows[0]["step"] == 0 and rows[0]["hidden_1"] == 0
    row = next(r for r in rows if r["sequence"] == 2 and r["step"] == 3)
    assert row["symbol"] == found.text(1)[2] and row["next"] == found.text(1)[3]
    assert row["stage"] == language.state_names[int(stream.state[1, 2])]
    assert row["forget_gate_2"] == float(found.forget_gate[1, 2, 1])
    assert sum(row[f"p_{letter}"] for letter in language.symbols) == pytest.approx(1, abs=1e-5)
