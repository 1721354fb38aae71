"""The summary of trained networks against figures written out by hand, and its lines."""

import json

import pytest
import torch
from test_anbn_evaluate import generator
from test_anbn_reach import counting_srn

from anbn.catalogue import named
from anbn.evaluate import evaluate
from anbn.handset import handset
from anbn.models import LSTM, SRN
from anbn.networks import Networks, Report
from anbn.result_text import result_lines
from anbn.results import summary, to_criterion


def summarised(model, language, history=(), n_most=30, **fields):
    seeds = list(range(40, 40 + model.n_networks))
    fields |= {"seeds": seeds, "sequences": 5000, "history": list(history)}
    networks = Networks(model, language, **fields)
    evaluation = evaluate(model, language, generator(), n_most=n_most)
    content = summary(networks, evaluation, 2.5)
    return json.loads(json.dumps(content)), "\n".join(result_lines(content))


def joined(models):
    parts = {k: torch.cat([getattr(m, k) for m in models]) for k in models[0].names}
    return type(models[0]).from_parameters(parts)


def reports(*shares):
    """History of one network that has so many of its held-out streams right."""
    return [Report(1000 * (k + 1), [0.1], [share], [0.2]) for k, share in enumerate(shares)]


def test_sequences_to_criterion():
    found = to_criterion(reports(0.5, 0.99, 0.9, 1.0, 0.995))
    assert found["quantiles"]["50%"] == 2000 and found["stays_quantiles"]["50%"] == 4000
    assert (found["reached"], found["stays"], found["lost"], found["tested_every"]) == (
        1,
        1,
        1,
        1000,
    )
    found = to_criterion(reports(0.5, 0.98))
    assert found["quantiles"]["50%"] is None and (found["reached"], found["lost"]) == (0, 0)
    found = to_criterion(reports(0.5, 1.0, 0.5))
    assert found["quantiles"]["50%"] == 2000 and found["stays_quantiles"]["50%"] is None
    assert (found["stays"], found["lost"]) == (0, 1)
    assert to_criterion(reports(1.0, 1.0))["stays_quantiles"]["10%"] == 1000
    assert to_criterion(reports(1.0)) is None
    assert to_criterion(reports(0.5, 0.6, 1.0)[1:]) is None  # its beginning is not known


def test_counting_networks():
    """An exact count, two with a constant error, one with a wrong slope, one that never turns."""
    model = joined(
        [
            counting_srn(),
            counting_srn(-1),
            counting_srn(1),
            counting_srn(slope=1.25),
            counting_srn(60),
        ]
    )
    history = [Report(1000 * k, [0.1] * 5, [0.99] + [0.0] * 4, [0.2] * 5) for k in range(1, 6)]
    content, text = summarised(model, named("anbn"), history)
    assert (content["solved"], content["networks"]) == (1, 5)
    assert [row["solved"] for row in content["networks_best_first"]] == [True] + [False] * 4
    counts = content["learned_counts"]
    assert (counts["exact"], counts["constant_error"]) == (1, 2)
    assert counts["letters"]["B"]["turns"] == 4 and counts["letters"]["B"]["per_n"] == 1
    assert counts["letters"]["B"]["slope"]["50%"] == pytest.approx(1)
    assert [line["B"] and round(line["B"]["offset"]) for line in counts["lines"][:3]] == [0, -1, 1]
    assert counts["lines"][4]["B"] is None
    assert "1 networks count exactly, 2 with a constant error" in text
    assert "turns one B early at every n" in text and "turns one B late at every n" in text
    assert "Sequences until first solved, tested every 1,000: 10% 1,000" in text
    assert "solved is every certain symbol right in 99 % of 300 fresh streams" in text
    assert content["true_distribution_loss"] == pytest.approx(0.0120, abs=2e-4)
    assert content["first_failing_n"]["quantiles"]["10%"] == 1


def test_what_the_best_network_does_wrong_first():
    content, text = summarised(counting_srn(-1), named("anbn"))
    assert content["why"] == "it first fails at n = 2: after A^2 B it predicts A, not B"
    assert text.endswith("\nIt first fails at n = 2: after A^2 B it predicts A, not B")


@pytest.mark.rounding
def test_what_float64_changes_is_said():
    """Counters in steps that are no power of two, whose read-out takes a rounding error of float32
    for a count; which steps happen to sum up exactly depends on how tanh is rounded."""
    language, model = named("anbn"), handset(named("anbn"))
    content, text = summarised(model, language)
    assert content["float64"] == {"networks": 1, "float32_ends": 2**24, "differ": []}
    assert "Float32 can count to n = 16,777,216" in text
    model = joined([model] * 8)
    with torch.no_grad():
        steps = torch.linspace(0.1, 0.2, 8)
        model.W[:, :, 5] = torch.stack([steps, -steps], dim=-1)  # the candidate of B's counter
        model.V[:, 1, 1] *= 1e9
    content, text = summarised(model, language)
    differ = content["float64"]["differ"]
    assert differ and all(row["float64"] == 31 and row["float32"] < 31 for row in differ)
    row = differ[0]
    first = f"Network {row['network']} fails first at no n up to 30 in float64"
    assert f"{first}, at n = {row['float32']} in float32" in text


def test_reber_networks():
    content, text = summarised(SRN(7, 2, seeds=range(3)), named("reber"))
    assert content["solved"] == 0 and content["legal_throughout"] == 0
    assert "every symbol that can come more probable than every illegal one" in text
    assert "Choices right, quantiles over the networks: 10% 0.0%" in text
    assert "learned_counts" not in content and "first_failing_n" not in content
    content, text = summarised(LSTM(7, 4, seeds=range(2)), named("reber", embed=True))
    assert content["embedded"] and "Recall of the outer letter, quantiles" in text


def test_one_network():
    content, text = summarised(handset(named("anb2n")), named("anb2n"), hand_set=True)
    assert "weights set by hand, no training" in text and "Solved: yes" in text
    assert "It predicts every certain symbol right up to n = 30, all that was tried" in text
    assert content["first_failing_n"]["never_failed"] == 1
