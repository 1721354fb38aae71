"""What all figures of Part 3 share: colours, size, title, and labels that lie on free ground.

Figures are drawn under matplotlib's defaults, whatever the reader's own settings are (text.usetex,
a style file): a figure is a `Figure` of this file, made by a function under `@defaults()`.
"""

import functools

import matplotlib.figure
import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

COLOURS = (  # Okabe & Ito's without yellow, then three of tab10: symbols, units, nodes
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"),
    *("#8c564b", "#7f7f7f", "#bcbd22"),
)
COUNTS = "viridis"
LIGHT = "#fff3c4"
PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}  # behind a label
ARROW = {"angles": "xy", "scale_units": "xy", "scale": 1}  # a quiver's, from point to point
LARGEST, FONT, SMALL = 11, 9, 8  # points, of titles, labels, and marks in large figures
MIN_ROOM = 0.05  # of a panel's height, around the name of a region
GRID = 41  # places a side that are tried for a label
defaults = functools.partial(matplotlib.style.context, "default")


def colour(k):
    return COLOURS[k % len(COLOURS)]


class Figure(matplotlib.figure.Figure):
    """A Figure that draws itself under matplotlib's defaults: ticks are made when it is drawn."""

    def __init__(self, title, width, height):
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)  # whatever MPLBACKEND says
        self.suptitle(title, fontsize=LARGEST)

    @defaults()
    def draw(self, renderer):
        super().draw(renderer)

    def grid_of(self, n_panels, across):
        """The axes of so many panels, in rows of `across`: an array."""
        axes = self.subplots(-(-n_panels // across), across, squeeze=False).ravel()
        for ax in axes[n_panels:]:
            ax.remove()
        return axes[:n_panels]

    def legend_below(self, handles=None, most=5):
        """A legend below the panels, in at most `most` columns."""
        self.legend(handles=handles, loc="outside lower center", ncols=most, fontsize=FONT)


def place_labels(ax, labels, obstacles=(), **style):
    """Write labels beside points, clear of each other, of the points and of the `obstacles` (N, 2),
    with a line to the point where that is not near. labels: (text, (x, y)) in data coordinates.

    The layout must be final: call figure.draw_without_rendering() first.
    """
    style = {"fontsize": FONT, "bbox": {**PAPER, "edgecolor": "0.6", "lw": 0.5}} | style
    renderer, scale = ax.figure.canvas.get_renderer(), ax.figure.dpi / 72
    box = ax.get_window_extent()
    points = ax.transData.transform(np.array([place for _, place in labels]).reshape(-1, 2))
    taken = [(x, y, 5 * scale, 5 * scale, 20) for x, y in points]  # centre, half size, weight
    places = ax.transData.transform(np.asarray(obstacles).reshape(-1, 2))
    taken = np.array(taken + [(x, y, 1, 1, 1) for x, y in places]).reshape(-1, 5)
    ways = [(1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0)]
    ways += [(a, b / 2) for a, b in ways[:4]] + [(a / 2, b) for a, b in ways[:4]]
    for (text, _), (x, y) in zip(labels, points, strict=True):
        note = ax.text(0, 0, text, ha="center", va="center", zorder=7, **style)
        size = note.get_window_extent(renderer)
        half = np.array([size.width, size.height]) / 2 + 2 * scale
        best, least = None, np.inf
        for distance in np.array([0, 8, 18, 30, 45, 60]) * scale:
            for way in np.array(ways):
                at = np.array([x, y]) + way * (half + 5 * scale + distance)
                inside = (at - half > box.min).all() and (at + half < box.max).all()
                over = (abs(taken[:, :2] - at) < taken[:, 2:4] + half).all(-1) @ taken[:, 4]
                cost = (over if inside else 1000 + over) + distance / 1000
                if cost < least:
                    best, least = at, cost
            if least < 1:
                break
        note.set_position(ax.transData.inverted().transform(best))
        note.set_in_layout(False)
        if np.hypot(*((best - (x, y)) / (half + 6 * scale))) > 2:
            ends = ax.transData.inverted().transform([(x, y), best])
            ax.plot(*ends.T, color="0.5", lw=0.6, zorder=6.5)
        taken = np.vstack([taken, [*best, *half, 20]])


def draw_regions(ax, region, symbols, obstacles=(), fontsize=FONT):
    """Outline where each symbol is predicted, and write it where there is most room; a region with
    no room stays without. region: a function of points (N, 2) in data coordinates that gives the
    symbols' numbers (N,); obstacles (N, 2): what to keep clear of.

    Returns points under the names, as further obstacles.
    """
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    x, y = np.linspace(low, high, 300).T
    exact = region(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)).reshape(300, 300)
    for k in np.unique(exact)[1:]:
        ax.contour(x, y, exact == k, levels=[0.5], colors="black", linewidths=0.9)
    unit = np.stack(np.meshgrid(*[np.linspace(0, 1, GRID)] * 2), -1).reshape(-1, 2)
    here = region(low + unit * (high - low))
    used = (np.asarray(obstacles).reshape(-1, 2) - low) / (high - low)
    used = np.unique(used.round(2), axis=0)  # a long trace has very many
    names_at = []
    for k in np.unique(here):
        inside = unit[here == k]
        if len(inside) < 0.01 * len(unit):
            continue
        around = np.concatenate([unit[here != k], used])
        wide = (0.45, 1)  # a label is wide: a place to the side is nearer to it than one above
        room = np.linalg.norm((inside[:, None] - around) * wide, axis=-1).min(1, initial=1)
        room = np.minimum(room, (np.minimum(inside, 1 - inside) * wide).min(1))
        if room.max() < MIN_ROOM:
            continue
        at = inside[room.argmax()]
        place = low + at * (high - low)
        centred = {"ha": "center", "va": "center", "bbox": PAPER, "zorder": 4.5}
        ax.text(*place, f"next: {symbols[k]}", color="0.3", fontsize=fontsize, **centred)
        used = np.vstack([used, at])
        names_at += [place + (high - low) * (x, 0) for x in (-0.1, -0.05, 0, 0.05, 0.1)]
    return names_at


def along(ends):
    """Points along steps (N, 2, 2), ten to a step: (10 N, 2), as obstacles."""
    share = np.linspace(0, 1, 10)[:, None]
    one, two = np.asarray(ends).reshape(-1, 2, 2).swapaxes(0, 1)[:, :, None]
    return (one + share * (two - one)).reshape(-1, 2)
