"""How one network does it: what seq_plot.py prints, draws and saves beyond the trace."""

import json
from dataclasses import asdict, dataclass, field

import torch

from anbn.analysis.cells import cell_changes, cell_table
from anbn.analysis.counting_words import counting
from anbn.analysis.diagnosis import diagnose
from anbn.analysis.dynamics import all_fixed_points
from anbn.analysis.explanation import machine, share
from anbn.analysis.extract import studies
from anbn.plots.counts import cell_bars, first_failure, learned_count
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
    machine: object = None  # the finite-state machine, an automaton.Machine

    def add(self, lines, **content):
        """Lines, set off from those before, and content."""
        self.lines += [*([""] if self.lines and lines else []), *lines]
        self.content |= content


@torch.no_grad()
def analyse(model, language, trace, evaluation, title):
    """The Analysis of one network (S = 1) from its trace.Trace and its evaluation, evaluate's."""
    found, words = Analysis(), []
    if model.kind == "lstm":
        gates, changes = gate_table(trace), cell_changes(trace)
        found.add(gate_lines(gates, trace.n_hidden), gates=gates)
        rows = [asdict(change) for change in changes]
        found.add(["What each cell counts", *cell_table(changes)], cell_changes=rows)
        found.figures["cell_changes.png"] = cell_bars(changes, title)
    else:
        points = all_fixed_points(model, language)
        _add_fixed_points(found, points, language)
        if model.n_hidden > 1:
            drawn = phase_portraits(model, language, title, points)
            found.figures["phase_portraits.png"] = drawn
    if language.multiples and evaluation.first_failing_n is not None:
        first = int(evaluation.first_failing_n[0])
        diagnosis = diagnose(model, language, first, evaluation.n_most)
        words += counting(diagnosis)
        found.figures["learned_count.png"] = learned_count(learned_counts(model, language), title)
        if diagnosis.failure is not None:
            drawn = first_failure(model, language, diagnosis, title)
            found.figures["first_failure.png"] = drawn
        if diagnosis.rates is not None:
            _add_rates(found, diagnosis.rates)
    near_far = studies(model, language)
    _add_machine(found, near_far, language, title)
    words += machine(near_far, language)
    found.add(["How it does it", *words], explanation=words)
    return found


def gate_lines(rows, n_units):
    """The gates of an LSTM in each stage, as lines of text: mean, spread, and open or closed."""
    lines = ["Gates by stage: mean +- standard deviation, open above 2/3, closed below 1/3"]
    if max(row["spread"] for row in rows) > 0.3:
        lines.append("(a spread near 0.5: open at some of the steps and closed at the others)")
    table = {("stage", "gate"): [f"unit {u + 1}" for u in range(n_units)]}
    for row in rows:
        cell = f"{row['mean']:.2f} +- {row['spread']:.2f} {row['state']}"
        table.setdefault((row["stage"], row["gate"].replace("_", " ")), []).append(cell)
    width = max(len(row["stage"]) for row in rows)
    for (stage, gate), cells in table.items():
        shown = "".join(f"  {cell:24}" for cell in cells)
        lines.append(f"{stage:{width}}  {gate:11}{shown}".rstrip())
    return lines


def _add_fixed_points(found, points, language):
    lines, rows = ["Fixed points of each symbol's map"], []
    for symbol, some in zip(language.symbols, points, strict=True):
        for point in some:
            position, eigenvalues = point.position.tolist(), point.eigenvalues.tolist()
            place = ", ".join(f"{x:.3f}" for x in position)
            values = ", ".join(number_text(v) for v in eigenvalues)
            lines.append(f"{symbol}: ({place})  eigenvalues {values}  {point.kind}")
            row = {"symbol": symbol, "position": position}
            row["eigenvalues"] = [str(v) for v in eigenvalues]
            rows.append(row | {"kind": point.kind})
    found.add(lines, fixed_points=rows)


def _add_rates(found, rates):
    names = ["contraction", "expansion", "product"]
    names += [f"measured_{name}" for name in names]
    content = {name: getattr(rates, name) for name in names}
    shown = ["-" if value is None else f"{value:.3f}" for value in content.values()]
    law = "contraction x expansion" + (f"^{rates.multiple}" if rates.multiple > 1 else "")
    lines = [
        f"Contraction per A, expansion per B, {law} (1 keeps count)",
        f"at the fixed points:          {', '.join(shown[:3])}",
        f"between neighbouring counts:  {', '.join(shown[3:])}",
    ]
    found.add(lines, rates=content)


def _add_machine(found, near_far, language, title):
    """The finite-state machine of the training length, and how far it holds, there and at twice
    that. near_far: extract.studies."""
    found.machine = smaller = near_far[0].machine
    found.files["machine.dot"] = smaller.as_dot()
    found.files["machine.json"] = json.dumps(smaller.as_dict(), indent=1) + "\n"
    found.figures["machine.png"] = draw_machine(smaller, language, title)
    found.figures["machine_hidden.png"] = draw_over_hidden(smaller, language, title)
    lines, rows = ["Finite-state machine"], []
    for study in near_far:
        longest, n_states = study.machine.longest, study.machine.n_states
        lines.append(
            f"{language.length_means} up to {longest}: {n_states} states; agrees with the network "
            f"at {share(study.with_network)} of the steps, with the language at "
            f"{share(study.with_language)}"
        )
        if study.differs:
            lines.append(f"    the machine is first wrong on {in_runs(study.differs)}")
        rows.append(
            {
                "longest": longest,
                "states": n_states,
                "agrees_with_network": study.with_network,
                "agrees_with_language": study.with_language,
                "network_with_language": study.network_with_language,
                "shortest_difference": study.differs,
            }
        )
    found.add(lines, machine=rows)
