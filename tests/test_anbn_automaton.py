"""Machines of networks that are known to be one: a parity machine, the Reber graph, the exact
counters."""

import itertools
import json
import re

import networkx
import pytest
import torch

from anbn.analysis.automaton import PrefixTree
from anbn.analysis.explanation import machine_account
from anbn.analysis.extract import (
    ask,
    extract,
    first_difference,
    is_right,
    legal_next,
    legal_texts,
    reber_texts,
    studies,
)
from anbn.counting import CountingLanguage
from anbn.handset import handset
from anbn.models import SRN, ModelError
from anbn.plots.machine import draw_machine, draw_over_hidden
from anbn.reber import ReberLanguage


def srn_of_graph(arcs, n_symbols, predicts):
    """An SRN that is the machine with the given arcs, node 0 first. One hidden unit per arc: it
    fires (+1) where its symbol is read after a unit that leads to its origin, else it is at -1.

    arcs: (origin, symbol, next node). predicts: per node, the symbols predicted, equally likely.
    """
    n, strength = len(arcs), 20.0
    first = len(arcs)  # one more unit fires before the first symbol alone: it leads to node 0
    W = torch.full((n_symbols, n + 1), -2 * strength)
    U, V = torch.zeros(n + 1, n + 1), torch.zeros(n + 1, n_symbols)
    sources = [to for _, _, to in arcs] + [0]
    for unit, (origin, symbol, to) in enumerate(arcs):
        # hidden is -1 or 1: the sum over sources is 2 - (number) if one fires, -(number) if none
        leading = [k for k, node in enumerate(sources) if node == origin]
        U[leading, unit] = strength
        W[symbol, unit] = strength * (len(leading) - 1)
        others = [k for k in range(n_symbols) if k != symbol]
        W[others, unit] = strength * (len(leading) - 5)
        for predicted in predicts[to]:
            V[unit, predicted] = strength
    H0 = torch.full((n + 1,), -strength)
    H0[first] = strength
    parameters = {"H0": H0, "W": W, "U": U, "V": V}
    # the units at -1 cancel out: what remains is of the one that fires
    parameters |= {"hid_bias": torch.zeros(n + 1), "out_bias": V.sum(0)}
    return SRN.from_parameters({name: value[None] for name, value in parameters.items()})


def graph_of(machine):
    """The machine's transitions as a networkx graph with the symbols on the arcs."""
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(range(machine.n_states))
    for state, ways in enumerate(machine.transitions):
        for symbol, to in ways.items():
            graph.add_edge(state, to, symbol=symbol)
    return graph


def reber_graph(language):
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(range(len(language.state_names)))
    for node, arcs in enumerate(language.arcs):
        for symbol, to in arcs:
            graph.add_edge(node, to, symbol=language.symbols[symbol])
    return graph


def reber_network(language):
    arcs = [(node, k, to) for node, ways in enumerate(language.arcs) for k, to in ways]
    predicts = [[k for k, _ in ways] for ways in language.arcs]
    return srn_of_graph(arcs, language.n_symbols, predicts)


def same_symbols(one, other):
    return sorted(e["symbol"] for e in one.values()) == sorted(e["symbol"] for e in other.values())


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


@pytest.mark.parametrize("embed", [False, True])
def test_the_reber_graph_as_a_network_yields_the_reber_graph(embed):
    language = ReberLanguage(embed=embed)
    model = reber_network(language)
    machine = extract(model, language)
    assert networkx.is_isomorphic(graph_of(machine), reber_graph(language), edge_match=same_symbols)
    # and the states predict what the nodes allow
    assert sorted(machine.predicts) == sorted(
        "".join(sorted(language.symbols[k] for k, _ in arcs)) for arcs in language.arcs
    )
    near, far = studies(model, language, longest=None if not embed else 13, n_streams=50)
    for study in (near, far):
        assert study.with_network == study.with_language == study.network_with_language == 1
        assert study.differs is None and study.machine.n_states == len(language.state_names)
    assert "is right on every string tried" in machine_account([near, far], language)


def residuals(language, longest):
    """How many prefixes of streams with n up to `longest` differ in what may follow: by definition,
    the states of the minimal machine that sees no further than the string in hand."""
    ways = set()
    for prefix in {
        text[:t]
        for n in range(1, longest + 1)
        for text in [full(language, n)]
        for t in range(len(text))
    }:
        endings = {
            text[len(prefix) :]
            for n in range(1, longest + 1)
            for text in [full(language, n)]
            if text.startswith(prefix)
        }
        ways.add(frozenset(endings))
    return len(ways)


def full(language, n):
    return "".join(s * (n * m) for s, m in zip(language.symbols, language.multiples, strict=True))


@pytest.mark.parametrize(
    "name, longest", [("anbn", 8), ("anb2n", 4), ("anbncn", 5), ("anb2nc3n", 4)]
)
def test_machine_of_an_exact_counter_has_a_state_per_count(name, longest):
    language = CountingLanguage.named(name, longest)
    near, far = studies(handset(language), language, n_streams=30)
    assert near.machine.longest == longest and far.machine.longest == 2 * longest
    assert near.machine.n_states == residuals(language, longest)
    assert far.machine.n_states == residuals(language, 2 * longest) > near.machine.n_states
    for study in (near, far):
        assert study.with_network == study.with_language == study.network_with_language == 1
        # right on every n it was made from, and no state for one letter A more
        n = study.machine.longest + 1
        assert (study.differs, study.differs_at) == (full(language, n), n)
    text = machine_account([near, far], language)
    assert "the number grows with n" in text and "has no state" in text


def test_machine_says_what_the_network_says_on_every_string_it_was_made_from():
    language = CountingLanguage.named("anbncn", 4)
    torch.manual_seed(0)
    model = SRN(3, 3, seeds=[5], init=2.0)  # untrained: wrong, but it predicts something
    machine = extract(model, language)
    texts = legal_texts(language, 4)
    told, _ = ask(model, language, texts)
    for text, labels in zip(texts, told, strict=True):
        assert machine.predictions(text[:-1]) == labels
    again = extract(model, language)
    assert (machine.predicts, machine.transitions) == (again.predicts, again.transitions)
    wrong, at = first_difference(machine, language)
    labels = machine.predictions(wrong)
    legal = legal_next(language, wrong + "A")
    assert [is_right(*pair) for pair in zip(labels, legal, strict=True)].index(False) == at - 1


def test_a_network_of_another_language_differs_where_it_should():
    # the counter of a^n b^2n reads a^n b^n: after A B it expects another B
    language = CountingLanguage.named("anbn", 3)
    machine = extract(handset(CountingLanguage.named("anb2n", 3)), language)
    assert first_difference(machine, language) == ("AB", 2)


def test_centres_are_the_means_of_the_hidden_states():
    language = CountingLanguage.named("anbn", 3)
    model = handset(language)
    machine = extract(model, language)
    state = machine.transitions[machine.transitions[0]["A"]]["A"]
    with torch.no_grad():
        after = model(torch.tensor([[0, 0]])).hidden[0, 0, -1].double()
    torch.testing.assert_close(machine.centres[state], after)
    assert machine.spread[state] < 1e-6
    # state 0: before the first symbol, and after each of the strings with n = 1, 2, 3 and pairs
    assert len(machine.hidden[0]) == 1 + 3 + 9


def test_legal_texts():
    language = CountingLanguage.named("anb2n", 2)
    assert legal_texts(language, 2) == ["ABBABBA", "ABBAABBBBA", "AABBBBABBA", "AABBBBAABBBBA"]
    assert legal_next(language, "AABBBBA") == ["AB", "AB", "B", "B", "B", "A"]
    reber = ReberLanguage()
    assert [len(text) for text in reber_texts(reber, 6)] == [5, 5, 6, 6, 6]
    assert set(reber_texts(reber, 6)) == {"BTXSE", "BPVVE", "BTSXSE", "BPTVVE", "BPVPSE"}
    assert legal_next(reber, "BTXSE") == ["PT", "SX", "SX", "E"]


def test_json_and_dot_hold_the_whole_machine():
    language = ReberLanguage()
    machine = extract(reber_network(language), language)
    stored = json.loads(json.dumps(machine.as_dict(), allow_nan=False))
    ways = {
        (row["state"], symbol, to)
        for row in stored["states"]
        for symbol, to in row["transitions"].items()
    }
    assert ways == {(a, e["symbol"], b) for a, b, e in graph_of(machine).edges(data=True)}
    dot = machine.as_dot()
    drawn = re.findall(r"^  (\d+) -> (\d+) \[label=\"(.*)\"\];$", dot, re.M)
    assert {(int(a), s, int(b)) for a, b, labels in drawn for s in labels.split(", ")} == ways
    assert "start -> 0;" in dot and "doublecircle" in dot


@pytest.mark.parametrize("language", [ReberLanguage(), CountingLanguage.named("anbncn", 4)])
def test_drawings_show_every_state(language):
    reber = isinstance(language, ReberLanguage)
    model = reber_network(language) if reber else handset(language)
    machine = extract(model, language)
    shown = {
        t.get_text().split("\n")[0] for t in draw_machine(machine, language, "m").axes[0].texts
    }
    assert {str(state) for state in range(machine.n_states)} <= shown
    ax = draw_over_hidden(machine, language, "m").axes[0]
    seen = {str(state) for state, part in enumerate(machine.hidden) if len(part)}
    assert seen <= {t.get_text() for t in ax.texts}


def test_refuses_several_networks():
    language = CountingLanguage.named("anbn")
    with pytest.raises(ModelError, match="select one"):
        extract(SRN(2, 2, seeds=[0, 1]), language)
