"""Merging the prefixes of texts into a machine, and the machine in JSON, dot and pictures."""

import itertools
import json
import re

import pytest
import torch
from graphs import reber_network, srn_of_graph

from anbn.analysis.automaton import PrefixTree
from anbn.analysis.extract import extract
from anbn.counting import CountingLanguage
from anbn.handset import handset
from anbn.plots.machine import draw_machine, draw_over_hidden
from anbn.reber import ReberLanguage


def test_parity_machine():
    # even -B-> odd -B-> even, A changes nothing; even predicts A, odd predicts B
    model = srn_of_graph([(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)], 2, [[0], [1]])
    tree = PrefixTree("A", torch.zeros(5))
    for letters in itertools.product((0, 1), repeat=7):
        with torch.no_grad():
            activity = model(torch.tensor([letters]))
        labels = ["AB"[k] for k in activity.logits[0, 0].argmax(-1)]
        assert labels == ["AB"[sum(letters[: t + 1]) % 2] for t in range(7)]
        tree.insert("".join("AB"[k] for k in letters), labels, activity.hidden[0, 0])
    machine = tree.machine(7)
    assert machine.predicts == ["A", "B"]
    assert machine.transitions == [{"A": 0, "B": 1}, {"A": 1, "B": 0}]
    assert [len(part) for part in machine.hidden] == [1 + 127, 127]  # and the empty prefix


def test_json_and_dot_hold_the_whole_machine():
    language = ReberLanguage()
    machine = extract(reber_network(language), language)
    stored = json.loads(json.dumps(machine.as_dict(), allow_nan=False))
    ways = {
        (row["state"], symbol, to)
        for row in stored["states"]
        for symbol, to in row["transitions"].items()
    }
    assert ways == {(a, s, b) for a, row in enumerate(machine.transitions) for s, b in row.items()}
    dot = machine.as_dot()
    drawn = re.findall(r"^  (\d+) -> (\d+) \[label=\"(.*)\"\];$", dot, re.M)
    assert {(int(a), s, int(b)) for a, b, labels in drawn for s in labels.split(", ")} == ways
    assert "start -> 0;" in dot and "doublecircle" in dot


@pytest.mark.parametrize("language", [ReberLanguage(), CountingLanguage.named("anbncn", 4)])
def test_drawings_show_every_state(language):
    model = handset(language) if language.multiples else reber_network(language)
    machine = extract(model, language)
    shown = {
        t.get_text().split("\n")[0] for t in draw_machine(machine, language, "m").axes[0].texts
    }
    assert {str(state) for state in range(machine.n_states)} <= shown
    ax = draw_over_hidden(machine, language, "m").axes[0]
    seen = {str(state) for state, part in enumerate(machine.hidden) if len(part)}
    assert seen <= {t.get_text().split()[0] for t in ax.texts}
