"""Pictures of the finite-state machine that a network implements: as a graph, and drawn over the
hidden space it was found in."""

import math
from collections import Counter

import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path

from anbn.plots.dynamics import plane_of
from anbn.plots.style import FONT, LIGHT, PAPER, SMALL, Figure, colour, defaults, place_labels

MAX_FREE = 24  # machines of so many states are laid out by their distances in the graph
MAX_STATES = 60  # drawn; of a larger machine the first ones
RADIUS = 0.30  # of a state; states are at least 1.15 apart


@defaults()
def draw_machine(machine, language, title):
    """The machine as a graph: states as circles with their number and what they predict, an arrow
    per transition in the colour of its symbol. Machines for numbered strings, and large ones, are
    laid out in columns, by how many symbols lead to a state, and rows, by the symbol that led
    there."""
    free = machine.n_states <= (12 if language.numbered else MAX_FREE)
    place = _by_distance(machine) if free else _in_columns(machine, language.symbols)
    place = place[:MAX_STATES]  # (states, 2)
    arcs = {e: s for e, s in machine.arcs().items() if max(e) < len(place)}
    curves = {ends: _curve(place, *ends) for ends in arcs if ends[0] != ends[1]}
    start = _start_label(place, curves.values())
    around = [start - 0.3, start + 0.3]
    corners = np.concatenate([place - 0.75, place + 0.75, around, *curves.values()])
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    inch = min(1.0, max(0.5, 9.0 / (right - left)))  # of a unit
    font = FONT if inch > 0.8 else SMALL
    title += "\nin a state: its number, and what it predicts"
    if len(place) < machine.n_states:
        title += f"; the first {len(place)} of {machine.n_states} states"
    figure = Figure(title, max(7.5, inch * (right - left)), inch * (bottom - top) + 1.6)
    ax = figure.add_subplot()
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    ax.axis("off")
    for ends, symbols in arcs.items():
        _draw_arc(ax, place[ends[0]], curves.get(ends), symbols, language, font)
    for state, (x, y) in enumerate(place):
        predicted = machine.predicts[state]
        style = {"facecolor": LIGHT if state == 0 else "white", "edgecolor": "black", "zorder": 3}
        ax.add_patch(Circle((x, y), RADIUS, lw=1 if predicted else 2, **style))
        text = f"{state}\n{'/'.join(predicted) or 'end'}"
        ax.text(x, y, text, ha="center", va="center", fontsize=font, zorder=4)
    arrow = {"arrowstyle": "->", "shrinkB": RADIUS * inch * 72}
    centred = {"va": "center", "ha": "center", "fontsize": font}
    ax.annotate("start", place[0], start, arrowprops=arrow, **centred)
    _key(figure, machine, language)
    return figure


def _key(figure, machine, language, *more):
    seen = sorted({s for ways in machine.transitions for s in ways}, key=language.symbols.index)
    shades = {symbol: colour(language.symbols.index(symbol)) for symbol in seen}
    handles = [Line2D([], [], color=c, marker=">", label=f"reading {s}") for s, c in shades.items()]
    figure.legend_below([*handles, *more])


def _by_distance(machine):
    """Places (states, 2) whose distances are near those in the graph: stress majorisation (Gansner,
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
    return (points - points.min(0)) * 1.25 / max(nearest, 0.5)


def _in_columns(machine, symbols):
    """Places (states, 2): the column is the number of symbols read on the shortest way to a state,
    the row follows the last of these symbols, then the state's number."""
    column, last, queue = {0: 0}, {0: 0}, [0]
    for state in queue:
        for symbol, to in machine.transitions[state].items():
            if to not in column:
                column[to], last[to] = column[state] + 1, symbols.index(symbol)
                queue.append(to)
    place, top = np.zeros((machine.n_states, 2)), 0
    for k in range(len(symbols)):
        filled = Counter()  # column: states in it
        for state in range(machine.n_states):
            if last[state] == k:
                place[state] = 1.3 * column[state], 1.15 * (top + filled[column[state]])
                filled[column[state]] += 1
        top += max(filled.values(), default=0)
    return place


def _curve(place, origin, to):
    """The arrow's way from one state to another, (41, 2) points of a parabola between the rims:
    bent so that the way back does not lie on it, and further where it would cross a circle."""
    start, end = place[origin], place[to]
    others = np.delete(place, [origin, to], 0).reshape(-1, 2)
    length = np.linalg.norm(end - start)
    along = (end - start) / length
    # the y axis points down: a bend, to the right on screen, is to the left in coordinates
    aside = np.array([-along[1], along[0]])
    share = np.linspace(0, 1, 41)[:, None]
    best, least = None, math.inf
    for bend in (0.12 * length, 0.5, -0.5, 0.9, -0.9, 1.4, -1.4, 2, -2, 2.8, -2.8, 4, -4):
        corner = (start + end) / 2 + 2 * bend * aside
        curve = (1 - share) ** 2 * start + 2 * share * (1 - share) * corner + share**2 * end
        near = np.linalg.norm(curve[:, None] - others, axis=-1).min(0, initial=9)
        cost = (near < 1.25 * RADIUS).sum() + abs(bend) / 10
        if cost < least:
            best, least = curve, cost
    outside = np.linalg.norm(best[:, None] - [start, end], axis=-1).min(1) > RADIUS
    return best[outside]


def _start_label(place, curves):
    """Where the arrow to the start state begins: to its left, or where most room is around it."""
    taken = np.concatenate([place[1:], [place[0] - (0, 2.1 * RADIUS)], *curves])
    angles = math.pi + np.array([0, 0.25, -0.25, 0.5, -0.5, 0.75, -0.75, 1]) * math.pi
    ways = np.stack([np.cos(angles), np.sin(angles)], -1)  # (8, 2)
    near = [np.linalg.norm(taken - (place[0] + way), axis=-1).min() for way in ways]
    return place[0] + ways[0 if near[0] > 2 * RADIUS else np.argmax(near)]


def _draw_arc(ax, origin, curve, label, language, font):
    """An arrow along a curve (N, 2), or from a state to itself; its label on it."""
    shade = colour(language.symbols.index(label[0]))
    style = {"arrowstyle": "-|>", "mutation_scale": 9, "color": shade, "lw": 1.1, "zorder": 2}
    if curve is None:
        rim = origin - (0.75 * RADIUS, 0.65 * RADIUS), origin + (0.75 * RADIUS, -0.65 * RADIUS)
        ax.add_patch(FancyArrowPatch(*rim, connectionstyle="arc3,rad=-1.6", **style))
        at = origin - (0, 2.1 * RADIUS)
    else:
        ax.add_patch(FancyArrowPatch(path=Path(curve), **style))
        at = curve[len(curve) * 2 // 5]
    centred = {"ha": "center", "va": "center", "bbox": {**PAPER, "pad": 0.5}}
    ax.text(*at, label, fontsize=font, color=shade, zorder=2.5, **centred)


@defaults()
def draw_over_hidden(machine, language, title):
    """The machine over the hidden space it was found in: the states visited, each joined to the
    centre of the state of the machine that it is, whose number stands there; an arrow per
    transition."""
    plane = plane_of(torch.cat(machine.hidden))
    if machine.n_states > MAX_STATES:
        title += f"\nthe first {MAX_STATES} of {machine.n_states} states"
    figure = plane.figure(title, 8.2, 6.8)
    ax = figure.add_subplot()
    flat = [plane.flat(part).numpy() for part in machine.hidden[:MAX_STATES]]
    centres = {state: points.mean(0) for state, points in enumerate(flat) if len(points)}
    for state, centre in centres.items():
        lines = [(centre, point) for point in flat[state]]
        ax.add_collection(LineCollection(lines, colors="0.75", linewidths=0.6, zorder=1))
        ax.plot(*flat[state].T, ".", color="0.45", ms=3, zorder=2)
    ways, loops = [], {}  # points along the arrows; what is read where a state leads to itself
    for (origin, to), symbols in machine.arcs().items():
        if origin == to:
            loops[origin] = f" \N{CLOCKWISE OPEN CIRCLE ARROW}{symbols.replace(', ', '')}"
        elif origin in centres and to in centres:
            style = {"arrowstyle": "-|>", "mutation_scale": 8, "lw": 0.9, "alpha": 0.8, "zorder": 3}
            style |= {"connectionstyle": "arc3,rad=0.12", "shrinkA": 3, "shrinkB": 3}
            style["color"] = colour(language.symbols.index(symbols[0]))
            ax.add_patch(FancyArrowPatch(centres[origin], centres[to], **style))
            ways.append(np.linspace(centres[origin], centres[to], 12))
    ax.plot(*flat[0][0], "*", mfc="white", mec="black", ms=14, zorder=4)
    plane.frame(ax)
    (left, right), (low, high) = plane.limits
    wide, tall = 0.05 * (right - left), 0.07 * (high - low)
    ax.set(xlim=(left - wide, right + wide), ylim=(low - tall, high + tall))
    star = Line2D([], [], ls="", marker="*", mfc="white", mec="black", ms=12, label="start state")
    _key(figure, machine, language, star)
    figure.draw_without_rendering()
    labels = [(f"{state}{loops.get(state, '')}", centre) for state, centre in centres.items()]
    box = {**PAPER, "edgecolor": "0.5", "lw": 0.4, "pad": 1}
    font = FONT if machine.n_states <= MAX_FREE else SMALL
    place_labels(ax, labels, np.concatenate([*flat, *ways]), fontsize=font, bbox=box)
    return figure
