"""Why networks did not solve their language, on networks whose fault is known."""

from types import SimpleNamespace

import torch
from seq_failures import failure_lines, failures
from sequences import Networks, judge

from anbn.analysis.diagnosis import _source
from anbn.analysis.explanation import machine_account
from anbn.analysis.extract import studies
from anbn.counting import CountingLanguage
from anbn.handset import handset
from anbn.models import SRN
from anbn.reber import ReberLanguage


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


def failures_of(model, language):
    networks = Networks(model, language, seeds=[7])
    with torch.no_grad():
        return failures(networks, judge(networks, seed=0))


def test_a_network_that_never_turns_and_one_that_turns_at_once():
    anb2n = CountingLanguage.named("anb2n")
    (late,) = failures_of(reader([[1, 0], [0, 1]]), anb2n)
    assert (late["network"], late["seed"], late["kind"]) == (1, 7, "turn too late")
    assert late["what"] == (
        "right for no n (of 1 to 4); at n = 1, after A B^2, it predicts B, not A (too late)"
    )
    (early,) = failures_of(reader([[1, 0], [1, 0]]), anb2n)
    assert early["kind"] == "turn too early"
    assert "at n = 1, after A B, it predicts A, not B" in early["what"]


def test_right_for_one_n_only():
    (some,) = failures_of(reader([[1, 0], [1, 0]]), CountingLanguage.named("anbn"))
    assert some["what"].startswith("right for n = 1 (of 1 to 8); at n = 2, after A^2 B, ")


def test_a_solved_network_has_no_failure():
    language = CountingLanguage.named("anbncn")
    assert failures_of(handset(language), language) == []
    assert failure_lines([]) == []


def test_reber_names_the_node():
    table = torch.zeros(7, 7)
    table[:, 2] = 1.0  # always S: node 3, where E must follow, is the only certain step
    (wrong,) = failures_of(reader(table), ReberLanguage())
    assert wrong["kind"] == "confuse node 3"
    assert (
        wrong["what"] == "at node 3 of the graph it predicts S instead of E at 100.0% of the steps"
    )


def test_embedded_reber_tells_the_recall():
    table = torch.zeros(7, 7)
    table[:, 1] = 1.0  # always T: right at the recall step in about half of the strings
    (wrong,) = failures_of(reader(table), ReberLanguage(embed=True))
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


def test_the_letter_that_a_counter_takes_its_count_from():
    language = CountingLanguage.named("anbncn", 4)
    stream = language.strings(torch.arange(1, 5))
    after_a, after_b = ((stream.inputs == k).cumsum(-1).double() for k in (0, 1))
    values = torch.stack([after_a, after_b], -1)  # (N, T, 2): counts A; counts B
    assert _source(values, language, 2, [SimpleNamespace(unit=1)]) == "A"
    assert _source(values, language, 2, [SimpleNamespace(unit=2)]) == "B"
    assert _source(values, language, 1, [SimpleNamespace(unit=2)]) is None
    assert _source(values, language, 2, []) is None


def test_only_a_machine_of_the_right_size_is_called_the_grammar():
    language = ReberLanguage()
    study = SimpleNamespace(
        machine=SimpleNamespace(longest=11, n_states=8),
        with_network=1.0,
        with_language=1.0,
        differs=None,
    )
    assert "it is that graph" in machine_account([study, study], language)
    study.machine.n_states = 9
    assert "it is that graph" not in machine_account([study, study], language)
    counting = CountingLanguage.named("anbn", 2)
    assert "graph" not in machine_account(studies(handset(counting), counting), counting)
