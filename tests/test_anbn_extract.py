"""Machines of networks that are known to be one: the Reber graph, the exact counters."""

import pytest
import torch
from graphs import is_graph_of, reber_network

from anbn.analysis.explanation import machine as machine_sentences
from anbn.analysis.extract import extract, first_difference, predict_labels, studies
from anbn.counting import CountingLanguage
from anbn.evaluate import evaluate
from anbn.handset import handset
from anbn.models import SRN, ModelError
from anbn.reber import ReberLanguage


@pytest.mark.parametrize("embed", [False, True])
def test_the_reber_graph_as_a_network_yields_the_reber_graph(embed):
    language = ReberLanguage(embed=embed)
    model = reber_network(language)
    assert is_graph_of(extract(model, language), language)
    near, far = studies(model, language, longest=None if not embed else 13, n_streams=50)
    for study in (near, far):
        assert study.with_network == study.with_language == study.network_with_language == 1
        assert study.differs is None and study.machine.n_states == len(language.state_names)
    assert "it is that graph" in machine_sentences([near, far], language)[-1]


@pytest.mark.parametrize("node, symbol", [("0", "P"), ("2", "X"), ("4", "V")])
def test_a_machine_that_never_offers_one_legal_arc_is_not_the_graph(node, symbol):
    language = ReberLanguage()
    model = reber_network(language, never=[(node, symbol)])
    near, far = studies(model, language, n_streams=50)
    assert not is_graph_of(near.machine, language)
    assert near.with_network == 1 and near.with_language < 1 and near.differs is not None
    text = " ".join(machine_sentences([near, far], language))
    assert "that graph" not in text and f"is first wrong on {near.differs}" in text
    evaluation = evaluate(model, language, torch.Generator().manual_seed(0))
    assert not evaluation.solved[0]


@pytest.mark.parametrize("seed", range(4))
def test_a_label_is_the_legal_set_where_every_legal_symbol_outweighs_every_illegal_one(seed):
    language = ReberLanguage()
    model = SRN(7, 3, seeds=[seed], init=1.0)
    text = "BTSSXXTVPXTVVE"
    (labels,), _ = predict_labels(model, language, [text])
    with torch.no_grad():
        logits = model(language.numbers(text[:-1])[None]).logits[0, 0]
    for label, legal, row in zip(labels, language.legal_next(text), logits, strict=True):
        inside = [row[k] for k, s in enumerate(language.symbols) if s in legal]
        outside = [row[k] for k, s in enumerate(language.symbols) if s not in legal]
        assert (label == legal) == (min(inside) > max(outside))
        assert len(label) == len(legal)
    flat = SRN.from_parameters({k: v * 0 for k, v in model.named_parameters()})
    (labels,), _ = predict_labels(flat, language, ["BTXSE"])
    assert labels == ["BEPSTVX", "BEPSTVX", "BEPSTVX", "B"]  # all alike: no choice is right


def residuals(language, longest):
    """How many prefixes of streams with n up to `longest` differ in what may follow: by definition,
    the states of the minimal machine that sees no further than the string in hand."""
    ways = set()
    for prefix in {
        text[:t]
        for n in range(1, longest + 1)
        for text in [language.word(n)]
        for t in range(len(text))
    }:
        endings = {
            text[len(prefix) :]
            for n in range(1, longest + 1)
            for text in [language.word(n)]
            if text.startswith(prefix)
        }
        ways.add(frozenset(endings))
    return len(ways)


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
        assert (study.differs, study.differs_at) == (language.word(n), n)
    assert "It takes a state per count, so the number grows with n." in machine_sentences(
        [near, far], language
    )


def test_machine_says_what_the_network_says_on_every_string_it_was_made_from():
    language = CountingLanguage.named("anbncn", 4)
    model = SRN(3, 3, seeds=[5], init=2.0)  # untrained: wrong, but it predicts something
    machine = extract(model, language)
    texts = language.texts(4)
    predictions, _ = predict_labels(model, language, texts)
    for text, labels in zip(texts, predictions, strict=True):
        assert machine.predictions(text[:-1]) == labels
    again = extract(model, language)
    assert (machine.predicts, machine.transitions) == (again.predicts, again.transitions)
    wrong, at = first_difference(machine, language)
    labels = machine.predictions(wrong)
    legal = language.legal_next(wrong + "A")
    assert [a == b for a, b in zip(labels, legal, strict=True)].index(False) == at - 1


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
    assert language.texts(2) == ["ABBABBA", "ABBAABBBBA", "AABBBBABBA", "AABBBBAABBBBA"]
    assert language.legal_next("AABBBBA") == ["AB", "AB", "B", "B", "B", "A"]
    reber = ReberLanguage()
    assert [len(text) for text in reber.texts(6)] == [5, 5, 6, 6, 6]
    assert set(reber.texts(6)) == {"BTXSE", "BPVVE", "BTSXSE", "BPTVVE", "BPVPSE"}
    assert reber.legal_next("BTXSE") == ["PT", "SX", "SX", "E"]


def test_refuses_several_networks():
    language = CountingLanguage.named("anbn")
    with pytest.raises(ModelError, match="select one"):
        extract(SRN(2, 2, seeds=[0, 1]), language)
