"""Why networks did not solve their language, on networks whose fault is known."""

import pytest
import torch
from test_anbn_evaluate import generator, reader
from test_anbn_reach import counting_srn
from test_anbn_second_implementation import arcs, grammar_network

from anbn.analysis.failures import failing_pairs, failure_lines, failures
from anbn.catalogue import named
from anbn.evaluate import evaluate
from anbn.handset import handset
from anbn.languages import Language
from anbn.models import SRN
from anbn.networks import Networks


def failures_of(model, language):
    evaluation = evaluate(model, language, generator(), n_most=20)
    return failures(Networks(model, language, seeds=[7]), evaluation)


def test_a_network_that_never_turns_and_one_that_turns_at_once():
    (late,) = failures_of(reader([[1, 0], [0, 1]]), named("anb2n"))
    assert (late["network"], late["seed"], late["kind"]) == (1, 7, "turn too late")
    assert late["what"] == (
        "right for no n (of 1 to 4); at n = 1, after A B^2, it predicts B, not A (too late)"
    )
    (early,) = failures_of(reader([[1, 0], [1, 0]]), named("anb2n"))
    assert early["kind"] == "turn too early"
    assert "at n = 1, after A B, it predicts A, not B" in early["what"]


def test_right_for_one_n_only():
    (some,) = failures_of(reader([[1, 0], [1, 0]]), named("anbn"))
    assert some["what"].startswith("right for n = 1 (of 1 to 8); at n = 2, after A^2 B, ")


def test_a_solved_network_has_no_failure():
    language = named("anbncn")
    assert failures_of(handset(language), language) == []
    assert failure_lines([]) == []


@pytest.mark.parametrize(
    ("change", "how"), [(-1, "one B early"), (2, "2 B late"), (-3, "3 B early")]
)
def test_a_constant_error_is_said_to_be_one(change, how):
    (wrong,) = failures_of(counting_srn(change), named("anbn"))
    assert wrong["kind"] == "count exactly with a constant error"
    assert wrong["what"] == f"counts exactly, but turns {how} at every n"
    (wrong,) = failures_of(counting_srn(slope=1.3), named("anbn"))
    assert wrong["kind"] == "turn too early"


def test_pairs_of_strings_that_fail():
    """The unit comes down a twentieth too far per B: half a letter after ten of them."""
    language, model = named("anbn"), counting_srn(slope=1.05)
    pairs, n_pairs = failing_pairs(model, language)
    assert pairs == [(n, m) for n in range(1, 9) for m in range(1, 9) if n + m > 10]
    (wrong,) = failures_of(model, language)
    assert wrong["kind"] == "lose count from string to string"
    named_pairs = "(3,8), (4,7), (4,8), (5,6), (5,7) and 16 more of 64"
    what = "right on every single string up to n = 8, but fails inside a stream, after the pairs "
    assert wrong["what"].startswith(f"{what}{named_pairs}: ")


def test_pairs_of_long_strings_are_not_all_read():
    pairs, n_pairs = failing_pairs(counting_srn(slope=1.05), named("anbn", length=40))
    assert n_pairs == 16 * 16 and (3, 8) in pairs
    assert max(map(max, pairs)) <= 16


def always(symbol):
    table = torch.zeros(7, 7)
    table[:, "BTSXPVE".index(symbol)] = 1.0
    return reader(table)


def test_reber_names_the_node_and_the_symbol():
    graph = arcs(False)
    units = [(node, symbol) for node, choices in graph.items() for symbol in choices]
    exact = grammar_network("srn", graph)

    def changed(node, symbol, **logits):
        """What is said of the exact network with other logits after an arc, whose unit goes from
        -1 to 1 (half of the difference lies in the bias)."""
        model = SRN.from_parameters({k: v[None] for k, v in exact.items()})
        with torch.no_grad():
            for letter, value in logits.items():
                u, k = units.index((node, symbol)), "BTSXPVE".index(letter)
                model.out_bias[0, k] += value / 2 - model.V[0, u, k]
                model.V[0, u, k] = value / 2
        return failures_of(model, named("reber"))

    assert changed("0", "T") == []
    (wrong,) = changed("start", "B", T=0, V=6)
    assert wrong["kind"] == "never offer T at node 0"
    assert wrong["what"] == "never offers T at node 0: V, illegal there, is more probable"
    (wrong,) = changed("2", "S", V=15)  # node 3 is also reached from node 4
    assert wrong["kind"] == "offer an illegal symbol at node 3"
    share, what = wrong["what"].split(" of the visits to node 3 it offers ")
    assert what == "V, which is illegal there, rather than E"
    assert 20 < float(share.removeprefix("at ").removesuffix("%")) < 80


def test_embedded_reber_tells_the_recall():
    (wrong,) = failures_of(always("T"), named("reber", embed=True))
    assert wrong["kind"] == "forget the outer letter"
    share = float(wrong["what"].split(" in ")[1].split("%")[0])
    assert 40 < share < 60


def test_failures_are_counted_by_kind():
    some = [
        {"network": s, "seed": s - 1, "kind": "turn too late" if s % 3 else "turn too early"}
        | {"what": f"reason {s}"}
        for s in range(1, 8)
    ]
    lines = failure_lines(some)
    assert lines[0] == "Not solved: 7 (5 turn too late, 2 turn too early)"
    assert lines[1] == "    network 1 (seed 0): reason 1" and "2 more" in lines[-1]


class Spelled(Language):
    name, symbols = "asb", "ASB"

    def word(self, n):
        return "A" * n + "S" + "B" * n


def test_a_language_of_its_own_has_failures_too():
    (wrong,) = failures_of(SRN(3, 2), Spelled(5))
    assert wrong["what"].startswith("right for ") and "(of 1 to 5)" in wrong["what"]
