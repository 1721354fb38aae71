"""Traces against what they print, and the stages and gates of a network whose weights are known."""

import re

import pytest
import torch

from anbn import trace as tracing
from anbn.counting import CountingLanguage
from anbn.handset import handset
from anbn.models import LSTM, MODELS, SRN
from anbn.reber import ReberLanguage


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", MODELS)
def test_trace_lines(kind):
    """The format of the coursework's report: each row bears the symbol read."""
    language = CountingLanguage.named("anb2nc3n")
    model = MODELS[kind](3, 3, seeds=[0, 1])
    stream = language.fresh(7, generator())
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
        assert line[:2] == text[t] + " "
        assert list(numbers) == ["hidden", *(["cell"] if kind == "lstm" else []), "output"]
        assert numbers["hidden"] == pytest.approx(state.hidden[1, 0].tolist(), abs=0.0051)
        output = model.read_out(state.hidden)[1, 0].softmax(-1).tolist()
        assert numbers["output"] == pytest.approx(output, abs=0.0051)
        if kind == "lstm":
            assert numbers["cell"] == pytest.approx(state.cell[1, 0].tolist(), abs=0.0051)


def test_a_string_that_begins_with_four_a_has_four_rows_a_before_its_first_b():
    language = CountingLanguage.named("anb2n")
    found = tracing.trace(handset(language), 0, language, language.streams(torch.tensor([[4, 1]])))
    letters = "".join(line[0] for line in found.lines(0)[2:])
    assert letters == "AAAABBBBBBBBABB"
    table = tracing.rows(found)[1:]
    assert "".join(row["symbol"] for row in table) == letters
    assert "".join(row["next"] for row in table) == letters[1:] + "A"


def test_fresh_strings_are_as_many_as_asked():
    language = CountingLanguage.named("anbncn")
    for wanted, sequences in ((1, 1), (5, 1), (7, 2), (10, 2)):
        stream = language.fresh(wanted, generator(wanted))
        found = tracing.trace(LSTM(3, 2), 0, language, stream)
        texts = [found.text(b) for b in range(len(stream.valid))]
        assert len(texts) == sequences
        strings = re.findall(r"A+B+C+", "".join(text[:-1] for text in texts))
        assert len(strings) == wanted
        assert all(len(s) == 3 * s.count("A") == 3 * s.count("B") for s in strings)
    stream = ReberLanguage().fresh(4, generator())
    assert len(stream.valid) == 4


def test_stages_and_gates_of_the_exact_counter():
    """What opens when follows from how its weights were set (anbn/handset.py)."""
    language = CountingLanguage.named("anbncn")
    stream = language.streams(torch.tensor([[2, 3, 2, 1, 2]]))
    labels, names = language.stages(stream)
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
    order = list(dict.fromkeys(row["stage"] for row in tracing.gate_table(found)))
    assert order == [
        *("reading A", "first B", "counting B", "switching to C", "counting C", "end"),
    ]
    srn = tracing.trace(SRN(3, 2), 0, language, stream)
    assert tracing.gate_table(srn) == []


def test_rows_hold_the_whole_trace():
    language = ReberLanguage(embed=True)
    model = LSTM(7, 2, seeds=[4])
    stream = language.fresh(3, generator())
    found = tracing.trace(model, 0, language, stream)
    rows = tracing.rows(found)
    assert len(rows) == sum(len(found.text(b)) for b in range(3))
    assert rows[0]["step"] == 0 and rows[0]["hidden_1"] == 0
    row = next(r for r in rows if r["sequence"] == 2 and r["step"] == 3)
    assert row["symbol"] == found.text(1)[2] and row["next"] == found.text(1)[3]
    assert row["stage"] == language.state_names[int(stream.state[1, 2])]
    assert row["forget_gate_2"] == float(found.forget_gate[1, 2, 1])
    assert sum(row[f"p_{letter}"] for letter in language.symbols) == pytest.approx(1, abs=1e-5)


def test_stages_of_the_embedded_grammar_are_in_the_order_of_its_strings():
    language = ReberLanguage(embed=True)
    found = tracing.trace(LSTM(7, 2), 0, language, language.fresh(50, generator()))
    order = list(dict.fromkeys(row["stage"] for row in tracing.gate_table(found)))
    assert order[0] == "outer" and order[-1] == "closing"
    assert order.index("BT") < order.index("0T") < order.index("recallT") < order.index("BP")
