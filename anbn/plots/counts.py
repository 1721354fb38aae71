"""Pictures of how one network counts: what its cells count, the number of letters it gives for each
n, and what happens at the first n that fails."""

import numpy as np
import torch

from anbn.plots.style import FONT, PAPER, Figure, colour, defaults
from anbn.plots.traces import LETTER_MARKERS, draw_lines, mark_what_came, most_moving

MAX_STEPS = 40  # of a string drawn, those before its end or the step that fails
MAX_UNITS = 3
MAX_CELLS = 8  # drawn; of more, those that change most


@defaults()
def cell_bars(changes, title):
    """The change of each cell per step, stage by stage: mean (bar) and standard deviation (line).

    changes: the list of cells.cell_changes.
    """
    rows = {}  # unit: its changes, a stage each
    for change in changes:
        rows.setdefault(change.unit, []).append(change)
    names = [row.stage for row in changes if row.unit == 1]
    most = {unit: max(abs(row.mean) for row in some) for unit, some in rows.items()}
    units = sorted(sorted(most, key=most.get, reverse=True)[:MAX_CELLS])
    if len(units) < len(most):
        title += f"\nthe {MAX_CELLS} of {len(most)} cells that change most"
    figure = Figure(title, min(9.5, max(7.5, 1.3 * len(names) + 1.2)), 1.5 * len(units) + 1.2)
    axes = figure.subplots(len(units), 1, sharex=True, squeeze=False)[:, 0]
    for ax, unit in zip(axes, units, strict=True):
        style = {"color": colour(unit - 1), "alpha": 0.75, "capsize": 4, "ecolor": "black"}
        ax.margins(y=0.28)
        for x, row in enumerate(rows[unit]):
            ax.bar(x, row.mean, yerr=row.spread, width=0.6, **style)
            up = row.mean >= 0
            edge = row.mean + row.spread if up else row.mean - row.spread
            at = {"textcoords": "offset points", "ha": "center", "va": "bottom" if up else "top"}
            ax.annotate(row.word, (x, edge), xytext=(0, 3 if up else -3), fontsize=FONT, **at)
        ax.axhline(0, color="black", lw=0.8)
        ax.set_ylabel(f"cell {unit}\nchange per step", fontsize=FONT)
        ax.grid(axis="y", alpha=0.3)
    axes[-1].set_xticks(range(len(names)), names, fontsize=FONT)
    return figure


@defaults()
def learned_count(counts, title):
    """Letters given against n for each letter after A, with the line through them and the right
    number. counts: reach.LearnedCounts of one network (S = 1)."""
    language, n = counts.language, counts.n.numpy()
    figure = Figure(title, 7.6, 5.2)
    ax = figure.add_subplot()
    for k, letter in enumerate(language.symbols[1:]):
        times, given, shade = language.multiples[k + 1], counts.given[0, k].numpy(), colour(k + 1)
        turns, each = given > 0, "n" if times == 1 else f"{times}n"
        mark = {"marker": LETTER_MARKERS[k % len(LETTER_MARKERS)], "ms": max(3, 7 - k), "ls": ""}
        mark |= {"mfc": "none", "color": shade, "label": f"{letter} given"}
        ax.plot(n[turns], given[turns], **mark, zorder=3)
        slope, offset = counts.slope[0, k].item(), counts.offset[0, k].item()
        if np.isfinite(slope):
            label = f"{slope:.2f} n {offset:+.2f}, at most {counts.deviation[0, k].item():.2f} off"
            ax.plot(n, slope * n + offset, color=shade, lw=1.2, label=label)
        ax.plot(n, times * n, ":", color=shade, lw=1.5, label=f"right: {each}")
        if not turns.all():
            no_end = {"color": shade, "ms": 7, "label": f"does not turn from {letter}"}
            ax.plot(n[~turns], times * n[~turns], "x", **no_end)
    ax.axvline(language.length, color="black", lw=0.8)
    text = f"largest n in training,\nof the lines: {language.length}"
    beside = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
    place = (language.length, 0.98)
    ax.annotate(text, place, xytext=(4, 0), fontsize=FONT, bbox=PAPER, **beside)
    ax.set(xscale="log", yscale="log", xlabel="n, the letters A read")
    ax.set_ylabel("letters given before the output turns")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid(alpha=0.3, which="both")
    figure.legend_below(most=language.n_symbols - 1 if language.n_symbols < 5 else 3)
    return figure


@defaults()
def first_failure(model, language, diagnosis, title):
    """One network (S = 1) on the string of its first failing n, beside that of n - 1, which is
    right: the units that tell the count and where the output turns, and what is predicted. The
    step that fails is marked. diagnosis: a Diagnosis with a failure."""
    failure, unit_name = diagnosis.failure, diagnosis.unit_name
    turn, counting = diagnosis.turns[failure.letter], diagnosis.units[failure.letter]
    title += (
        f"\nat n = {failure.n:,} {failure.predicted} is predicted after {failure.read} of "
        f"{failure.total} letters {failure.letter}, not {failure.expected}"
    )
    shown = [n for n in (failure.n - 1, failure.n) if n]
    figure = Figure(title, 9.0 if len(shown) > 1 else 6.5, 5.0)
    axes = figure.subplots(2, len(shown), squeeze=False, sharey="row", sharex="col")
    units = [unit - 1 for unit in (turn.unit, counting and counting.unit) if unit]
    for (upper, lower), n in zip(axes.T, shown, strict=True):
        stream = language.strings(torch.tensor([n]))
        with torch.no_grad():
            activity = model(stream.inputs.to(model.U.device))
        values = activity.memory[0, 0].cpu()  # (T, H)
        units = list(dict.fromkeys([*units, *most_moving(values, MAX_UNITS)]))[:MAX_UNITS]
        reading = stream.inputs[0] == language.symbols.index(failure.letter)
        end = int(reading.nonzero().max()) + 1  # of the block that fails
        steps = slice(max(0, end - MAX_STEPS), min(len(values), end + 3))
        draw_lines(upper, values[steps, units].numpy(), [f"{unit_name} {u + 1}" for u in units])
        probability = activity.probability[0, 0, steps].cpu()
        draw_lines(lower, probability.numpy(), language.symbols)
        mark_what_came(lower, probability, stream.targets[0, steps])
        text = stream.text(language.symbols, 0)[steps]
        cut = f", from symbol {steps.start + 1} on" if steps.start else ""
        lower.set_xticks(range(len(text)), text, fontsize=FONT if len(text) <= 25 else FONT - 2)
        lower.set(xlabel=f"n = {n:,}: symbols read{cut}", ylim=(-0.06, 1.06))
        upper.set_title(f"n = {n:,}: {'wrong' if n == failure.n else 'right'}", fontsize=FONT + 1)
        if turn.bounds is not None:
            shade, label = colour(units.index(turn.unit - 1)), f"turns to {turn.after}"
            upper.axhline(np.mean(turn.bounds), color=shade, ls=":", label=label)
    at = end - failure.total + failure.read - 1 - steps.start
    for ax in axes[:, -1]:
        ax.axvspan(at - 0.5, at + 0.5, color="#d62728", alpha=0.18, zorder=0)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.04), fontsize=FONT)
    axes[0, 0].set_ylabel(unit_name.removesuffix(" unit"), fontsize=FONT)
    axes[1, 0].set_ylabel("probability\nof next symbol", fontsize=FONT)
    return figure
