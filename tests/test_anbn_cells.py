"""Cell changes of the exact counters, which are known."""

import math

import pytest
import torch

from anbn.analysis.cells import cell_changes, cell_table
from anbn.counting import CountingLanguage
from anbn.handset import handset
from anbn.models import SRN, ModelError
from anbn.plots.counts import cell_bars
from anbn.trace import trace


def handset_trace(name):
    language = CountingLanguage.named(name, 5)
    stream = language.streams(torch.tensor([[5, 1, 3], [2, 4, 2]]))
    return trace(handset(language), 0, language, stream)


def test_cell_changes_of_the_exact_counter():
    changes = {(c.stage, c.unit): c for c in cell_changes(handset_trace("anbncn"))}
    expected = {
        ("reading A", 2): ("counts up", 1),
        ("reading A", 3): ("counts up", 1),
        ("counting B", 2): ("counts down", -1),
        ("counting B", 3): ("holds", 0),
        ("counting C", 2): ("holds", 0),
        ("counting C", 3): ("counts down", -1),
        ("switching to C", 3): ("falls", -1),
        ("end", 2): ("rises", 1),
    }
    for place, (word, mean) in expected.items():
        found = changes[place]
        assert (found.word, found.mean, found.spread) == (word, mean, 0), place


def test_cell_that_counts_groups_moves_unevenly_but_never_back():
    changes = {(c.stage, c.unit): c for c in cell_changes(handset_trace("anb3n"))}
    found = changes["counting B", 2]
    # -1 at every third B; the first B of each string is another stage
    groups, letters = 17, 3 * 17 - 6
    assert found.word == "counts down unevenly" and found.steps == letters
    assert found.mean == pytest.approx(-groups / letters)
    share = groups / letters
    assert found.spread == pytest.approx(math.sqrt(share * (1 - share)))


def test_cell_table_and_its_refusal():
    lines = cell_table(cell_changes(handset_trace("anbn")))
    assert lines[0].split("  ")[0] == "stage"
    (reading,) = (line for line in lines if line.startswith("reading A"))
    assert "+1.00 +-0.00  counts up" in reading
    language = CountingLanguage.named("anbn")
    srn = trace(SRN(2, 2), 0, language, language.streams(torch.tensor([[1, 2]])))
    with pytest.raises(ModelError, match="no cells"):
        cell_changes(srn)


def test_bars_show_a_panel_per_cell_and_a_bar_per_stage():
    changes = cell_changes(handset_trace("anbncn"))
    axes = cell_bars(changes, "cells").axes
    assert len(axes) == 3
    stages = list(dict.fromkeys(change.stage for change in changes))
    assert [label.get_text() for label in axes[-1].get_xticklabels()] == stages
    assert [bar.get_height() for bar in axes[1].patches] == [c.mean for c in changes if c.unit == 2]
