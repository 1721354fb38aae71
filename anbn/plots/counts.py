"""Pictures of how one network counts: the number of letters it gives for each n, and what happens
at the first n that fails. Every function returns a Figure."""

import numpy as np
import torch
from matplotlib.lines import Line2D

from anbn.plots.style import FONT, PAPER, Figure, colour, drawn
from anbn.plots.traces import LETTER_MARKERS, draw_lines, mark_what_came, most_moving

MAX_STEPS = 40  # of a string drawn, those before its end or the step that fails
MAX_UNITS = 3


@drawn
def learned_count(counts, title):
    """Letters given against n for each letter after A, with the line through them and the right
    number. counts: reach.LearnedCounts of one network (S = 1)."""
    language, n = counts.language, counts.n.numpy()
    figure = Figure(title, 7.6, 5.2)
    ax = figure.add_subplot()
    for k, (letter, times) in enumerate(
        zip(language.symbols[1:], language.multiples[1:], strict=True)
    ):
        given, shade = counts.given[0, k].numpy(), colour(k + 1)
        turns, each = given > 0, "n" if times == 1 else f"{times}n"
        mark = {"ls": "", "marker": LETTER_MARKERS[k], "mfc": "none", "ms": 7 - k, "color": shade}
        ax.plot(n[turns], given[turns], **mark, zorder=3, label=f"{letter} given")
        slope, offset = counts.slope[0, k].item(), counts.offset[0, k].item()
        if np.isfinite(slope):
            label = f"{slope:.2f} n {offset:+.2f}, at most {counts.deviation[0, k].item():.2f} off"
            ax.plot(n, slope * n + offset, color=shade, lw=1.2, label=label)
        ax.plot(n, times * n, ":", color=shade, lw=1.5, label=f"right: {each}")
        if not turns.all():
            no_end = {"color": shade, "ms": 7, "label": f"does not turn from {letter}"}
            ax.plot(n[~turns], times * n[~turns], "x", **no_end)
    ax.axvline(language.length, color="black", lw=0.8)
    ax.annotate(
        f"largest n in training,\nof the lines: {language.length}",
        (language.length, 0.98),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        va="top",
        fontsize=FONT,
        bbox=PAPER,
    )
    ax.set(xscale="log", yscale="log", xlabel="n, the letters A read")
    ax.set_ylabel("letters given before the output turns")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid(alpha=0.3, which="both")
    columns = language.n_symbols - 1 if language.n_symbols < 5 else 3
    figure.legend(loc="outside lower center", ncols=columns, fontsize=FONT)
    return figure


@drawn
def first_failure(model, language, diagnosis, title):
    """One network (S = 1) on the string of its first failing n, beside that of n - 1, which is
    right: the units that tell the count and where the output turns, and what is predicted. The
    step that fails is marked. diagnosis: a Diagnosis with a failure."""
    failure = diagnosis.failure
    shown = [n for n in (failure.n - 1, failure.n) if n]
    title += (
        f"\nat n = {failure.n:,} {failure.predicted} is predicted after {failure.read} of "
        f"{failure.total} letters {failure.letter}, not {failure.expected}"
    )
    figure = Figure(title, 9.0 if len(shown) > 1 else 6.5, 5.0)
    axes = figure.subplots(2, len(shown), squeeze=False, sharey="row", sharex="col")
    cell = diagnosis.kind == "lstm"
    turn, counting = diagnosis.turns[failure.letter], diagnosis.units[failure.letter]
    units = [unit - 1 for unit in (turn.unit, counting and counting.unit) if unit]
    for column, n in zip(axes.T, shown, strict=True):
        stream = language.strings(torch.tensor([n]))
        with torch.no_grad():
            activity = model(stream.inputs.to(model.U.device))
        values = (activity.cell if cell else activity.hidden)[0, 0].cpu()  # (T, H)
        units += [u for u in most_moving(values, MAX_UNITS) if u not in units]
        units = list(dict.fromkeys(units))[:MAX_UNITS]
        letters = language.symbols.index(failure.letter)
        end = int((stream.inputs[0] == letters).nonzero().max()) + 1  # of the block that fails
        steps = slice(max(0, end - MAX_STEPS), min(len(values), end + 3))
        names = [f"{'cell' if cell else 'hidden unit'} {u + 1}" for u in units]
        draw_lines(column[0], values[steps, units].numpy(), names)
        probability = activity.probability[0, 0, steps].cpu()
        draw_lines(column[1], probability.numpy(), list(language.symbols))
        mark_what_came(column[1], probability, stream.targets[0, steps])
        text = stream.text(language.symbols, 0)[steps]
        cut = f", from symbol {steps.start + 1} on" if steps.start else ""
        size = FONT if len(text) <= 25 else FONT - 2
        column[1].set_xticks(range(len(text)), text, fontsize=size)
        column[1].set(xlabel=f"n = {n:,}: symbols read{cut}", ylim=(-0.06, 1.06))
        column[0].set_title(
            f"n = {n:,}: {'wrong' if n == failure.n else 'right'}", fontsize=FONT + 1
        )
        if turn.bounds is not None:
            column[0].axhline(
                np.mean(turn.bounds), color=colour(units.index(turn.unit - 1)), ls=":"
            )
        if n == failure.n:
            at = end - failure.total + failure.read - 1 - steps.start
            for ax in column:
                ax.axvspan(at - 0.5, at + 0.5, color="#d62728", alpha=0.18, zorder=0)
    axes[0, 0].set_ylabel("cell" if cell else "hidden", fontsize=FONT)
    axes[1, 0].set_ylabel("probability\nof next symbol", fontsize=FONT)
    handles, labels = axes[0, -1].get_legend_handles_labels()
    if turn.bounds is not None:
        after = language.symbols[(language.symbols.index(failure.letter) + 1) % language.n_symbols]
        handles.append(Line2D([], [], color=colour(units.index(turn.unit - 1)), ls=":"))
        labels.append(f"turns to {after}")
    axes[0, -1].legend(handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.04), fontsize=FONT)
    axes[1, -1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.04), fontsize=FONT)
    return figure
