"""What an LSTM's cells count: the change of each cell per step, by what is being read.

    anb2nc3n, weights set by hand, cell 2     reading A  +1.00 +-0.00  counts up
                                              counting C  0.00 +-0.00  holds

The stages are the language's `cell_stages`; a Reber network's are the symbols read.
"""

from dataclasses import dataclass

import torch

from anbn.models import ModelError

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
    word: str  # what it does, see _word


@torch.no_grad()
def cell_changes(trace):
    """The change of every cell in every stage: a list of CellChange, stage by stage.

    trace: a trace.Trace of an LSTM. Raises ModelError for an SRN, which has no cells.
    """
    if trace.cell is None:
        raise ModelError("an SRN has no cells; its fixed points show how it counts")
    cell = trace.cell.double()  # (B, T, H)
    change = cell.diff(dim=1, prepend=torch.zeros_like(cell[:, :1]))
    label, names = trace.language.cell_stages(trace.stream)
    seen = {}  # stage: change and value of all cells at its steps, (steps, H) each
    for number, name in enumerate(names):
        where = (label == number) & trace.stream.valid
        if where.any():
            seen[name] = change[where], cell[where]
    largest = torch.stack([change.mean(0).abs() for change, _ in seen.values()]).amax(0)  # (H,)
    rows = []
    for name, (change, value) in seen.items():
        for u in range(trace.n_hidden):
            spread, mean = (float(x) for x in torch.std_mean(change[:, u], correction=0))
            around, middle = (float(x) for x in torch.std_mean(value[:, u], correction=0))
            word = _word(name, change[:, u], mean, spread, around, float(largest[u]))
            rows.append(CellChange(name, u + 1, mean, spread, middle, around, len(change), word))
    return rows


def _word(stage, change, mean, spread, value_spread, largest):
    """What a cell does in a stage, given its changes (steps,) there, as in CellChange.

    holds: moves little; counts up, down: by about the same at every step, or unevenly but never
    back; rises, falls: the same in a stage that a string passes once; is set: to about one value,
    whatever it was; varies: none of these. largest: its largest mean change in any stage.
    """
    slack = HOLDS * largest
    if abs(mean) + spread <= slack or largest == 0:
        return "holds"
    again = stage.startswith(("reading", "counting"))
    up, down = ("counts up", "counts down") if again else ("rises", "falls")
    way, forward = (up, change) if mean > 0 else (down, -change)
    if spread <= STEADY * abs(mean):
        return way
    if value_spread < STEADY * spread:
        return "is set"
    return f"{way} unevenly" if abs(mean) > slack and forward.min() > -slack else "varies"


def cell_table(changes):
    """The changes as a list of lines of text: a row per stage, a column per cell."""
    rows = {"stage": [f"cell {u}, change" for u in sorted({change.unit for change in changes})]}
    for change in changes:
        cell = f"{change.mean:+.2f} +-{change.spread:.2f}  {change.word}"
        rows.setdefault(change.stage, []).append(cell)
    width = max(map(len, rows))
    return [
        "  ".join([f"{stage:{width}}", *(f"{cell:34}" for cell in row)]).rstrip()
        for stage, row in rows.items()
    ]
