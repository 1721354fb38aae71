"""How one network does it: what seq_plot.py prints, draws and saves beyond the trace.

Gates by stage (LSTM), fixed points and rates (SRN), what each cell counts (LSTM), the finite-state
machine, and an explanation in words.
"""

import json
from dataclasses import asdict, dataclass, field

import torch

from anbn.analysis.cells import cell_changes, cell_table
from anbn.analysis.counting import counting
from anbn.analysis.diagnosis import diagnose
from anbn.analysis.dynamics import all_fixed_points
from anbn.analysis.explanation import machine, share
from anbn.analysis.extract import studies
from anbn.plots.cells import cell_bars
from anbn.plots.counts import first_failure, learned_count
from anbn.plots.dynamics import number_text, phase_portraits
from anbn.plots.machine import draw_machine, draw_over_hidden
from anbn.reach import learned_counts
from anbn.trace import gate_table, in_runs


@dataclass
class Analysis:
    """What is found of one network."""

    lines: list = field(default_factory=list)  # of text
    content: dict = field(default_factory=dict)  # for summary.json
    figures: dict = field(default_factory=dict)  # file name: Figure
    files: dict = field(default_factory=dict)  # file name: text

    def add(self, lines, **content):
        """Lines, set off from those before, and content."""
        self.lines += [*([""] if self.lines and lines else []), *lines]
        self.content |= content


@torch.no_grad()
def analyse(model, language, trace, evaluation, title):
    """The Analysis of one network (S = 1). trace: its trace.Trace; evaluation: evaluate's, S = 1;
    title: of the figures."""
    found, words = Analysis(), []
    if model.kind == "lstm":
        rows = gate_table(trace)
        changes = cell_changes(trace)
        found.add(gate_lines(rows, trace.n_hidden), gates=rows)
        found.add(
            ["What each cell counts", *cell_table(changes)],
            cell_changes=[asdict(change) for change in changes],
        )
        found.figures["cell_changes.png"] = cell_bars(changes, title)
    else:
        points = all_fixed_points(model, language)
        lines, rows = _fixed_points(points, language)
        found.add(lines, fixed_points=rows)
        if model.n_hidden > 1:
            figure = phase_portraits(model, language, title, points)
            found.figures["phase_portraits.png"] = figure
    if language.multiples and evaluation.first_failing_n is not None:
        first = int(evaluation.first_failing_n[0])
        diagnosis = diagnose(model, language, first, evaluation.n_most)
        words += counting(diagnosis)
        counts = learned_counts(model, language)
        found.figures["learned_count.png"] = learned_count(counts, title)
        if diagnosis.failure is not None:
            figure = first_failure(model, language, diagnosis, title)
            found.figures["first_failure.png"] = figure
        if diagnosis.rates is not None:
            lines, rates = _rates(diagnosis.rates)
            found.add(lines, rates=rates)
    near_far = studies(model, language)
    _machine(near_far, language, title, found)
    words += machine(near_far, language)
    found.add(["How it does it", *words], explanation=words)
    return found


def gate_lines(rows, n_units):
    """The gates of an LSTM in each stage, as lines of text: mean, spread, and open or closed."""
    width = max(len(row["stage"]) for row in rows)
    heading = "".join(f"  {f'unit {u + 1}':24}" for u in range(n_units))
    lines = ["Gates by stage: mean +- standard deviation, open above 2/3, closed below 1/3"]
    if max(row["spread"] for row in rows) > 0.3:
        lines.append("(a spread near 0.5: open at some of the steps and closed at the others)")
    lines.append(f"{'stage':{width}}  {'gate':11}{heading}".rstrip())
    for first in range(0, len(rows), n_units):
        stage, gate = rows[first]["stage"], rows[first]["gate"].replace("_", " ")
        cells = (
            f"{r['mean']:.2f} +- {r['spread']:.2f} {r['state']}" for r in rows[first:][:n_units]
        )
        shown = "".join(f"  {cell:24}" for cell in cells)
        lines.append(f"{stage:{width}}  {gate:11}{shown}".rstrip())
    return lines


def _fixed_points(points, language):
    """Lines and rows on the fixed points of each symbol's map."""
    lines, rows = ["Fixed points of each symbol's map"], []
    for symbol, some in zip(language.symbols, points, strict=True):
        for point in some:
            place = ", ".join(f"{x:.3f}" for x in point.position.tolist())
            values = ", ".join(number_text(v) for v in point.eigenvalues.tolist())
            lines.append(f"{symbol}: ({place})  eigenvalues {values}  {point.kind}")
            rows.append(
                {
                    "symbol": symbol,
                    "position": point.position.tolist(),
                    "eigenvalues": [str(complex(v)) for v in point.eigenvalues.tolist()],
                    "kind": point.kind,
                }
            )
    return lines, rows


def _rates(rates):
    """Lines and a dict on contraction under A and expansion under B."""
    names = ("contraction", "expansion", "product")
    names += tuple(f"measured_{name}" for name in names)
    content = {name: getattr(rates, name) for name in names}
    shown = ["-" if value is None else f"{value:.3f}" for value in content.values()]
    law = "contraction x expansion" + (f"^{rates.multiple}" if rates.multiple > 1 else "")
    lines = [
        f"Contraction per A, expansion per B, {law} (1 keeps count)",
        f"at the fixed points:          {shown[0]}, {shown[1]}, {shown[2]}",
        f"between neighbouring counts:  {shown[3]}, {shown[4]}, {shown[5]}",
    ]
    return lines, content


def _machine(near_far, language, title, found):
    """Add the finite-state machine of the training length, and how far it holds, there and at
    twice that. near_far: extract.studies."""
    smaller = near_far[0].machine
    found.files["machine.dot"] = smaller.as_dot()
    found.files["machine.json"] = json.dumps(smaller.as_dict(), indent=1) + "\n"
    found.figures["machine.png"] = draw_machine(smaller, language, title)
    found.figures["machine_hidden.png"] = draw_over_hidden(smaller, language, title)
    lines, rows = ["Finite-state machine"], []
    for study in near_far:
        lines.append(
            f"{language.length_means} up to {study.machine.longest}: {study.machine.n_states} "
            f"states; agrees with the network at {share(study.with_network)} of the steps, with "
            f"the language at {share(study.with_language)}"
        )
        if study.differs:
            lines.append(f"    first wrong on {in_runs(study.differs)}")
        rows.append(
            {
                "longest": study.machine.longest,
                "states": study.machine.n_states,
                "agrees_with_network": study.with_network,
                "agrees_with_language": study.with_language,
                "network_with_language": study.network_with_language,
                "shortest_difference": study.differs,
            }
        )
    found.add(lines, machine=rows)
