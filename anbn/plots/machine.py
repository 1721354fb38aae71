"""Pictures of the finite-state machine that a network implements: as a graph, and drawn over the
hidden space it was found in. Every function returns a Figure."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, Polygon

from anbn.plots.dynamics import plane_of

COLOURS = (  # Okabe & Ito's, one per symbol
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#000000"),
)
SMALL = 12  # machines of so many states are laid out by their distances in the graph


def colour_of(symbols, symbol):
    """The colour of a symbol's arrows."""
    return COLOURS[symbols.index(symbol) % len(COLOURS)]


def draw_machine(machine, language, title):
    """The machine as a graph: states as circles with their number and what they predict, an arrow
    per transition in the colour of its symbol. Large machines are laid out in columns, by how many
    symbols lead to a state, and rows, by the symbol that led there."""
    small = machine.n_states <= SMALL
    place = _by_distance(machine) if small else _in_columns(machine, language.symbols)
    width = max(x for x, _ in place) + 1
    height = max(y for _, y in place) + 1
    inch = 1.0 if small else 0.62
    size = (max(6.5, inch * (width + 1)), max(2.4, inch * (height + 0.6) + 1.2))
    figure = Figure(figsize=size)
    figure.set_layout_engine("constrained")
    ax = figure.add_subplot()
    font = 9 if small else 7
    radius = 0.30
    for (origin, to), symbols in machine.arcs().items():
        colour = colour_of(language.symbols, symbols[0])
        _draw_arc(ax, place, origin, to, symbols, colour, radius, font)
    for state, (x, y) in enumerate(place):
        final = not machine.predicts[state]
        style = {"s": (radius * inch * 2 * 72) ** 2, "edgecolor": "black", "zorder": 3}
        ax.scatter(x, y, color="#fff3c4" if state == 0 else "white", lw=2 if final else 1, **style)
        ax.text(x, y, _short(machine, state), ha="center", va="center", fontsize=font, zorder=4)
    ax.annotate(
        "start",
        place[0],
        (place[0][0] - 0.95, place[0][1]),
        va="center",
        ha="center",
        fontsize=font + 1,
        arrowprops={"arrowstyle": "->", "shrinkB": radius * inch * 72},
    )
    ax.set(xlim=(-1.3, width - 0.3), ylim=(height - 0.4, -0.9), aspect="equal")
    ax.axis("off")
    _key(figure, machine, language)
    figure.suptitle(f"{title}\nin a state: its number, and what it predicts", fontsize=11)
    return figure


def _short(machine, state):
    predicted = machine.predicts[state]
    return f"{state}\n{'/'.join(predicted) if predicted else 'end'}"


def _key(figure, machine, language, *more):
    seen = sorted({s for ways in machine.transitions for s in ways}, key=language.symbols.index)
    handles = [
        Line2D([], [], color=colour_of(language.symbols, s), marker=">", label=f"reading {s}")
        for s in seen
    ]
    handles += more
    columns = min(len(handles), 4)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=9)


def _by_distance(machine):
    """Places (x, y) whose distances are near those in the graph: stress majorisation (Gansner,
    Koren & North 2004) from a circle. The state farthest from the start lies to its right."""
    n = machine.n_states
    apart = np.full((n, n), float(n))
    np.fill_diagonal(apart, 0)
    for a, b in machine.arcs():
        if a != b:
            apart[a, b] = apart[b, a] = 1
    for middle in range(n):  # shortest paths (Floyd & Warshall)
        apart = np.minimum(apart, apart[:, [middle]] + apart[middle])
    weight = 1 / np.where(apart > 0, apart, np.inf) ** 2
    angle = 2 * math.pi * np.arange(n) / n
    points = np.stack([np.cos(angle), np.sin(angle)], -1) * apart.max() / 2
    for _ in range(500):
        gap = points[:, None] - points
        length = np.maximum(np.linalg.norm(gap, axis=-1, keepdims=True), 1e-9)
        wanted = points + apart[..., None] * gap / length
        points = (weight[..., None] * wanted).sum(1) / np.maximum(weight.sum(1), 1e-9)[:, None]
    towards = points[np.argmax(np.linalg.norm(points - points[0], axis=1))] - points[0]
    turn = math.atan2(towards[1], towards[0])
    points = points @ [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    nearest = (np.linalg.norm(points[:, None] - points, axis=-1) + 9 * np.eye(n)).min()
    points = (points - points.min(0)) * 1.25 / max(nearest, 0.5)
    return [tuple(point) for point in points.tolist()]


def _in_columns(machine, symbols):
    """Places (x, y): the column is the number of symbols read on the shortest way to a state, the
    row follows the last of these symbols, then the state's number."""
    distance, by = {0: 0}, {0: 0}
    queue = [0]
    for state in queue:
        for symbol, to in machine.transitions[state].items():
            if to not in distance:
                distance[to], by[to] = distance[state] + 1, symbols.index(symbol)
                queue.append(to)
    columns = {}
    for state in range(machine.n_states):
        columns.setdefault((by[state], distance[state]), []).append(state)
    place, top = [None] * machine.n_states, 0
    for symbol in range(len(symbols)):
        rows = [states for (read, _), states in columns.items() if read == symbol]
        for (read, x), states in columns.items():
            if read == symbol:
                for y, state in enumerate(states):
                    place[state] = (1.3 * x, 1.15 * (top + y))
        top += max(map(len, rows), default=0)
    return place


def _draw_arc(ax, place, origin, to, label, colour, radius, font):
    """An arrow between the rims of two circles, bent so that the way back does not lie on it, and
    further where it would cross another circle."""
    start, end = np.array(place[origin]), np.array(place[to])
    style = {"arrowstyle": "-|>", "mutation_scale": 9, "color": colour, "lw": 1.1, "zorder": 2}
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8}
    if origin == to:
        rim = start - (0.75 * radius, 0.65 * radius), start + (0.75 * radius, -0.65 * radius)
        ax.add_patch(FancyArrowPatch(*rim, connectionstyle="arc3,rad=-1.6", **style))
        at = start - (0, 2.1 * radius)
    else:
        others = np.array([p for k, p in enumerate(place) if k not in (origin, to)]).reshape(-1, 2)
        length = np.linalg.norm(end - start)
        along = (end - start) / length
        # the y axis points down: a bend, to the right on screen, is to the left in coordinates
        aside = np.array([-along[1], along[0]])
        share = np.linspace(0, 1, 41)[:, None]
        for bend in (0.12, 0.2, -0.2, 0.28, -0.28, 0.36, -0.36, 0.12):
            corner = (start + end) / 2 + bend * length * aside
            curve = (1 - share) ** 2 * start + 2 * share * (1 - share) * corner + share**2 * end
            at = (start + end) / 2 + (bend * length / 2 + math.copysign(radius / 2, bend)) * aside
            near = np.linalg.norm(curve[:, None] - others, axis=-1).min(initial=9)
            label_near = np.linalg.norm(at - others, axis=-1).min(initial=9)
            if near > 1.15 * radius and label_near > 1.5 * radius:
                break
        ends = start + radius * along, end - radius * along
        ax.add_patch(FancyArrowPatch(*ends, connectionstyle=f"arc3,rad={bend}", **style))
    ax.text(
        *at, label, fontsize=font, color=colour, ha="center", va="center", bbox=paper, zorder=2.5
    )


def draw_over_hidden(machine, language, title):
    """The machine over the hidden space it was found in: a boundary around the states visited that
    are one state of the machine, its number at their centre, an arrow per transition. In the
    plane of the two leading principal directions where there are more than two hidden units."""
    visits = machine.hidden
    if visits[0].shape[-1] == 1:  # a single unit: along a line
        visits = [torch.nn.functional.pad(part, (0, 1)) for part in visits]
    plane = plane_of(torch.cat(visits))
    figure = Figure(figsize=(8.2, 6.6))
    figure.set_layout_engine("constrained")
    ax = figure.add_subplot()
    flat = [plane.flat(part).numpy() for part in visits]
    reach = max(high - low for low, high in plane.limits)
    centres = [points.mean(0) if len(points) else None for points in flat]
    font = 9 if machine.n_states <= SMALL else 7
    for points in flat:
        if len(points):
            outline = _outline(points, 0.012 * reach)
            ax.add_patch(Polygon(outline, facecolor="#fff3c4", edgecolor="0.35", lw=0.9, zorder=1))
            ax.plot(*points.T, ".", color="0.55", ms=2.5, zorder=2)
    for (origin, to), symbols in machine.arcs().items():
        colour = colour_of(language.symbols, symbols[0])
        if origin == to:
            at = centres[origin] + (0, 0.035 * reach)
            ax.text(*at, f"\N{CLOCKWISE OPEN CIRCLE ARROW} {symbols}", color=colour, fontsize=11)
        elif centres[origin] is not None and centres[to] is not None:
            style = {"arrowstyle": "-|>", "mutation_scale": 8, "color": colour, "lw": 0.8}
            bent = {"connectionstyle": "arc3,rad=0.12", "shrinkA": 5, "shrinkB": 5, "alpha": 0.75}
            arrow = FancyArrowPatch(centres[origin], centres[to], **style, **bent, zorder=3)
            ax.add_patch(arrow)
            if machine.n_states <= SMALL:
                way = centres[to] - centres[origin]
                at = (centres[origin] + centres[to]) / 2 + 0.06 * np.array([way[1], -way[0]])
                ax.text(*at, symbols, color=colour, fontsize=font, ha="center", zorder=4)
    paper = {"facecolor": "white", "edgecolor": "0.5", "lw": 0.4, "pad": 1, "alpha": 0.85}
    for state, centre in enumerate(centres):
        if centre is not None:
            ax.text(*centre, state, fontsize=font, ha="center", va="center", bbox=paper, zorder=5)
    ax.plot(*flat[0][0], "*", mfc="white", mec="black", ms=14, zorder=4)
    wide = [(low - 0.05 * reach, high + 0.05 * reach) for low, high in plane.limits]
    ax.set(xlim=wide[0], ylim=wide[1], xlabel=plane.names[0], ylabel=plane.names[1])
    star = Line2D([], [], ls="", marker="*", mfc="white", mec="black", ms=12, label="start state")
    _key(figure, machine, language, star)
    figure.suptitle("\n".join(filter(None, [title, plane.note])), fontsize=11)
    return figure


def _outline(points, margin):
    """A polygon around points (N, 2), `margin` away: the convex hull of small circles."""
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    circle = margin * np.stack([np.cos(angle), np.sin(angle)], -1)
    around = (points[:, None] + circle).reshape(-1, 2)
    around = sorted(map(tuple, around.tolist()))

    def half(path):  # Andrew's monotone chain
        chain = []
        for point in path:
            while len(chain) > 1 and _turn(*chain[-2:], point) <= 0:
                chain.pop()
            chain.append(point)
        return chain[:-1]

    return half(around) + half(around[::-1])


def _turn(a, b, c):
    """Above 0 where the way a, b, c turns left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
