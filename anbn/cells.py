"""What an LSTM's cells count: the change of each cell per step, by what is being read.

    anb2nc3n, weights set by hand, cell 2     reading A  +1.00 +-0.00  counts up
                                              counting C  0.00 +-0.00  holds

The stages are those of the gate table (trace.stages); a Reber network's rows are its symbols.
"""

from dataclasses import dataclass

import torch

from anbn.languages import CountingLanguage
from anbn.models import ModelError
from anbn.trace import stages

HOLDS = 0.1  # a cell whose change is below this share of its largest mean change holds
STEADY = 0.5  # a cell counts where its change spreads by less than this share of its mean


@dataclass(frozen=True)
class CellChange:
    """One cell in one stage, over all traced steps of that stage."""

    stage: str
    unit: int  # from 1
    mean: float  # of the change per step
    spread: float  # its standard deviation
    value: float  # of the cell after the step, mean
    value_spread: float
    steps: int
    word: str  # counts up, counts down, holds, is set, varies


@torch.no_grad()
def cell_changes(trace):
    """The change of every cell in every stage: a list of CellChange, stage by stage.

    trace: a trace.Trace of an LSTM. Raises ModelError for an SRN, which has no cells.
    """
    if trace.cell is None:
        raise ModelError("an SRN has no cells; its fixed points show how it counts")
    cell = trace.cell.double()  # (B, T, H)
    before = torch.cat([torch.zeros_like(cell[:, :1]), cell[:, :-1]], 1)
    label, names = stages(trace.language, trace.stream)
    if not isinstance(trace.language, CountingLanguage):
        label, names = trace.stream.inputs, trace.language.symbols
    measured = []  # per stage: name, steps, change mean and spread, value mean and spread (H,)
    for number, name in enumerate(names):
        where = (label == number) & trace.stream.valid
        if where.any():
            change, after = (cell - before)[where], cell[where]  # (steps, H)
            parts = (change.mean(0), change.std(0, correction=0))
            parts += (after.mean(0), after.std(0, correction=0))
            measured.append((name, len(change), *(part.tolist() for part in parts)))
    largest = [max(abs(m[2][u]) for m in measured) for u in range(trace.n_hidden)]
    return [
        CellChange(
            name,
            u + 1,
            mean[u],
            spread[u],
            value[u],
            value_spread[u],
            steps,
            _word(mean[u], spread[u], value_spread[u], largest[u]),
        )
        for name, steps, mean, spread, value, value_spread in measured
        for u in range(trace.n_hidden)
    ]


def _word(mean, spread, value_spread, largest):
    """What a cell does, in words. largest: its largest mean change in any stage."""
    if abs(mean) + spread <= HOLDS * largest or largest == 0:
        return "holds"
    if spread <= STEADY * abs(mean):

        return "counts up" if mean > 0 else "counts down"
    if value_spread < STEADY * spread:
        return "is set"
    return "varies"


def cell_table(changes):
    """The changes as lines of text: a row per stage, a column per cell."""
    units = sorted({change.unit for change in changes})
    names = list(dict.fromkeys(change.stage for change in changes))
    width = max(len("stage"), *map(len, names))
    lines = ["".join([f"{'stage':{width}}", *(f"  {f'cell {u}, change':25}" for u in units)])]
    by_place = {(change.stage, change.unit): change for change in changes}
    for name in names:
        row = [by_place[name, u] for u in units]
        parts = (f"{f'{c.mean:+.2f} +-{c.spread:.2f}  {c.word}':25}" for c in row)
        lines.append(f"{name:{width}}  " + "  ".join(parts))
    return "\n".join(line.rstrip() for line in lines)
