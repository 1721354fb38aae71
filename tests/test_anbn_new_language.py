"""A language defined here alone is trained, evaluated, traced, extracted, explained and drawn."""

import pytest
import torch

from anbn import analysis
from anbn.analysis.summary import analyse
from anbn.evaluate import evaluate
from anbn.languages import Language
from anbn.networks import Networks
from anbn.recipes import default_recipe
from anbn.result_text import result_lines
from anbn.results import summary
from anbn.trace import rows, trace
from anbn.train import build, train


class Separated(Language):
    """a^n s b^n.    n=2: A A S B B, then A"""

    name, symbols = "ansbn", "ASB"

    def word(self, n):
        return "A" * n + "S" + "B" * n


LANGUAGE = Separated(4)


def test_what_is_certain_of_it():
    stream = LANGUAGE.streams(torch.tensor([[2, 1]]))
    assert stream.text("ASB", 0) == "AASBBASBA"
    assert stream.deterministic[0].tolist() == [0, 0, 1, 1, 1, 0, 1, 1]
    assert stream.legal[0, 1].tolist() == [True, True, False]
    assert stream.probability[0, :2, 1].tolist() == pytest.approx([1 / 4, 1 / 3])


@pytest.fixture(scope="module")
def networks():
    recipe = default_recipe(LANGUAGE, "srn", 3)
    model = build(LANGUAGE, "srn", LANGUAGE.default_hidden("srn"), [0, 1, 2], recipe)
    networks = Networks(model, LANGUAGE, seeds=[0, 1, 2])
    for record in train(model, LANGUAGE, recipe, networks.seeds, report_every=2000):
        networks.sequences = record.sequences
        if record.streams_right.max() == 1:
            break
    return networks


def test_it_is_learned_and_evaluated(networks):
    evaluation = evaluate(networks.model, LANGUAGE, torch.Generator().manual_seed(1), n_most=50)
    assert evaluation.solved.any()
    assert int(evaluation.first_failing_n[evaluation.best]) > LANGUAGE.length
    content = summary(networks, evaluation, 1.0)
    text = "\n".join(result_lines(content))
    assert "ansbn, SRN with 3 hidden units" in text and "First failing n" in text
    assert "learned_counts" not in content


def test_it_is_traced_extracted_explained_and_drawn(networks):
    generator = torch.Generator().manual_seed(2)
    evaluation = evaluate(networks.model, LANGUAGE, generator, n_most=50)
    best = networks.model.select(evaluation.best)
    traced = trace(best, 0, LANGUAGE, LANGUAGE.fresh(7, generator))
    assert len(traced.lines(0)) == 2 + traced.n_steps(0)
    assert {row["symbol"] for row in rows(traced)} == {"", "A", "S", "B"}
    assert any("olved" in line for line in analysis.explain(best, LANGUAGE, n_most=50))
    one = evaluate(best, LANGUAGE, generator, n_most=50)
    found = analyse(best, LANGUAGE, traced, one, "a^n s b^n")
    assert found.lines and found.figures
    assert found.content["machine"][0]["agrees_with_language"] > 0.9
