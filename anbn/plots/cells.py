"""Pictures of what an LSTM's cells count. Every function returns a Figure."""

from anbn.plots.style import FONT, Figure, colour, defaults

MAX_CELLS = 8  # drawn; of more, those that change most


@defaults()
def cell_bars(changes, title):
    """The change of each cell per step, stage by stage: mean (bar) and standard deviation (line).

    changes: the list of cells.cell_changes.
    """
    names, rows, most = list(dict.fromkeys(change.stage for change in changes)), {}, {}
    for change in changes:
        rows.setdefault(change.unit, []).append(change)
        most[change.unit] = max(most.get(change.unit, 0), abs(change.mean))
    units = sorted(sorted(most, key=most.get, reverse=True)[:MAX_CELLS])
    if len(units) < len(most):
        title += f"\nthe {MAX_CELLS} of {len(most)} cells that change most"
    figure = Figure(title, min(9.5, max(7.5, 1.3 * len(names) + 1.2)), 1.5 * len(units) + 1.2)
    axes = figure.subplots(len(units), 1, sharex=True, squeeze=False).ravel()
    for ax, unit in zip(axes, units, strict=True):
        place = [names.index(row.stage) for row in rows[unit]]
        means, spreads = zip(*((row.mean, row.spread) for row in rows[unit]), strict=True)
        style = {"color": colour(unit - 1), "alpha": 0.75, "capsize": 4, "ecolor": "black"}
        ax.bar(place, means, yerr=spreads, width=0.6, **style)
        ax.axhline(0, color="black", lw=0.8)
        ax.margins(y=0.28)
        for x, row in zip(place, rows[unit], strict=True):
            up = row.mean >= 0
            edge = row.mean + row.spread if up else row.mean - row.spread
            at = {"textcoords": "offset points", "ha": "center", "va": "bottom" if up else "top"}
            ax.annotate(row.word, (x, edge), xytext=(0, 3 if up else -3), fontsize=FONT, **at)
        ax.set_ylabel(f"cell {unit}\nchange per step", fontsize=FONT)
        ax.grid(axis="y", alpha=0.3)
    axes[-1].set_xticks(range(len(names)), names, fontsize=FONT)
    return figure
