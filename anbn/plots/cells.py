"""Pictures of what an LSTM's cells count. Every function returns a Figure."""

from matplotlib.figure import Figure

UNIT_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2")


def cell_bars(changes, title):
    """The change of each cell per step, stage by stage: mean (bar) and standard deviation (line).

    changes: the list of cells.cell_changes.
    """
    names = list(dict.fromkeys(change.stage for change in changes))
    units = sorted({change.unit for change in changes})
    figure = Figure(figsize=(max(6.5, 1.35 * len(names) + 1.2), 1.75 * len(units) + 1.0))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(units), 1, sharex=True, squeeze=False).ravel()
    for ax, unit in zip(axes, units, strict=True):
        rows = [change for change in changes if change.unit == unit]
        place = [names.index(row.stage) for row in rows]
        means, spreads = [row.mean for row in rows], [row.spread for row in rows]
        colour = UNIT_COLOURS[(unit - 1) % len(UNIT_COLOURS)]
        style = {"color": colour, "alpha": 0.75, "capsize": 4, "ecolor": "black"}
        ax.bar(place, means, yerr=spreads, width=0.6, **style)
        ax.axhline(0, color="black", lw=0.8)
        ax.margins(y=0.28)
        for x, row in zip(place, rows, strict=True):
            up = row.mean >= 0
            edge = row.mean + row.spread if up else row.mean - row.spread
            at = {"textcoords": "offset points", "ha": "center", "va": "bottom" if up else "top"}
            ax.annotate(row.word, (x, edge), xytext=(0, 3 if up else -3), fontsize=9, **at)
        ax.set_ylabel(f"cell {unit}\nchange per step", fontsize=9)
        ax.grid(axis="y", alpha=0.3)
    axes[-1].set_xticks(range(len(names)), names, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure
