"""Pictures of one network's trace: its path through hidden space for each pair of units and for
three of them, and its units, gates and predictions over time."""

import itertools

import numpy as np
import torch
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from anbn.plots.style import ARROW, COUNTS, FONT, Figure, along, colour, defaults, draw_regions

LETTER_MARKERS = "o^sDvPX*<>ph"
LINE_STYLES = ("-", "--", "-.", ":")
MAX_UNITS = 4  # drawn in pairs; of more, those that move most
MAX_LINES = 8  # units drawn over time; of more, those that move most
MAX_STEPS = 50  # of one sequence drawn over time


@defaults()
def hidden_pairs(trace, title, model):
    """Hidden trajectories for each pair of units, coloured by the state of the language, with an
    arrow per step and the start state marked; with two hidden units the regions where the network
    (S = 1) predicts each symbol are outlined and named."""
    units = most_moving(trace.hidden[trace.stream.valid], MAX_UNITS)
    pairs = list(itertools.combinations(units, 2)) or [(0, 0)]
    if len(units) < trace.n_hidden:
        title += f"\nthe {MAX_UNITS} of {trace.n_hidden} hidden units that move most"
    across = min(len(pairs), 3)
    size = (7.6, 5.6) if len(pairs) == 1 else (8.6, 2.7 * -(-len(pairs) // across) + 1.2)
    figure = Figure(title, *size)
    axes = figure.grid_of(len(pairs), across)
    for ax, (x, y) in zip(axes, pairs, strict=True):
        if x == y:  # one unit: its value against the one before
            paths = [np.stack([path[:-1, 0], path[1:, 0]], -1) for path in _paths(trace)]
            points = np.concatenate(paths)
        else:
            paths = [path[:, [x, y]] for path in _paths(trace)]
            points = np.concatenate([path[1:] for path in paths])
        for path in paths:
            _draw_arrows(ax, path, faint=len(pairs) > 1)
        counts = _draw_states(ax, trace, points)
        ax.scatter(*paths[0][0], marker="*", s=150, color="white", edgecolor="black", zorder=5)
        shown = np.concatenate([points, paths[0][:1]])
        low, high = shown.min(0), shown.max(0)
        margin = 0.08 * np.maximum(high - low, 0.2)
        xlim, ylim = zip(low - margin, high + margin, strict=True)
        ax.set(xlim=xlim, ylim=ylim, ylabel=f"hidden unit {y + 1}")
        ax.set_xlabel(f"hidden unit {x + 1}" + (", a step before" if x == y else ""))
        ax.locator_params(nbins=5)
    if trace.n_hidden == 2:
        exact = model.select(0).cpu().double()
        steps = np.concatenate([np.stack([path[:-1], path[1:]], 1) for path in paths])

        def most_probable(points):
            return exact.read_out(torch.from_numpy(points)[None])[0].argmax(-1).numpy()

        draw_regions(axes[0], most_probable, trace.language.symbols, along(steps), FONT + 1)
    _key(figure, axes, trace, counts)
    return figure


@defaults()
def hidden_3d(trace, title):
    """The trajectories of a network with three hidden units, in space."""
    figure = Figure(title, 7.6, 5.8)
    ax = figure.add_subplot(projection="3d")
    paths = _paths(trace)
    for path in paths:
        ax.plot(*path.T, color="0.6", lw=0.8)
    points = np.concatenate([path[1:] for path in paths])
    counts = _draw_states(ax, trace, points, depthshade=False)
    ax.scatter(*paths[0][0], marker="*", s=190, color="white", edgecolor="black")
    ax.set(xlabel="hidden unit 1", ylabel="hidden unit 2", zlabel="hidden unit 3")
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.view_init(elev=22, azim=-60)
    _key(figure, [ax], trace, counts)
    return figure


def most_moving(values, most):
    """Indices, in order, of the at most so many columns of values (steps, H) that vary most."""
    order = torch.argsort(values.var(0, correction=0), descending=True, stable=True)[:most]
    return sorted(order.tolist())


def _paths(trace):
    """Per sequence the hidden states from the start state on: arrays (steps + 1, H)."""
    start = trace.start_hidden[None]
    return [
        torch.cat([start, hidden[: trace.n_steps(b)]]).numpy()
        for b, hidden in enumerate(trace.hidden)
    ]


def _looks(trace):
    """How states are drawn: a list of (name, colour or None, marker), and the index in it of every
    step (steps,): the language's state, if states have names, else the symbol read. A colour of
    None means the state's number, on a colour scale."""
    language, stream = trace.language, trace.stream
    if not language.state_names:
        markers = itertools.cycle(LETTER_MARKERS)
        looks = [(f"{symbol} read", None, next(markers)) for symbol in language.symbols]
        return looks, stream.inputs[stream.valid]
    # the copies of a node for the outer letters T and P share a colour and differ in the marker
    looks, numbers = [], {"start": 0, "end": 0}  # neither is ever drawn
    for name in language.state_names:
        copy = language.embed and name[-1] in "TP"
        node = name[:-1] if copy else name
        number = numbers.setdefault(node, len(numbers) - 2)
        looks.append((f"node {node}", colour(number), "^" if copy and name[-1] == "P" else "o"))
    return looks, stream.state[stream.valid]


def _draw_arrows(ax, path, faint):
    """A line along path (steps + 1, 2) with an arrow head in the middle of each step, where the
    marks of the states do not hide it."""
    ax.plot(*path.T, color="0.75", lw=0.5 if faint else 0.8, zorder=2)
    half = 0.55 * np.diff(path, axis=0)
    head = {"headwidth": 6, "headlength": 7, "minlength": 4}
    style = {**ARROW, **head, "units": "inches", "width": 0.008 if faint else 0.012}
    ax.quiver(*path[:-1].T, *half.T, color="0.6", zorder=3, **style)


def _draw_states(ax, trace, points, **style):
    """A mark at each visited point (steps, 2 or 3), in the order of _paths. Returns the mappable of
    the colour scale; None if there is none."""
    state, counts = trace.stream.state[trace.stream.valid].numpy(), None
    style |= {"s": 28, "edgecolor": "black", "linewidth": 0.4, "zorder": 4}
    scale = {"vmin": 0, "vmax": state.max(), "cmap": COUNTS}
    looks, which = _looks(trace)
    for index in which.unique().tolist():
        here, (_, shade, marker) = which.numpy() == index, looks[index]
        look = {"c": state[here], **scale} if shade is None else {"color": shade}
        marks = ax.scatter(*points[here].T, marker=marker, **look, **style)
        counts = marks if shade is None else None
    return counts


def _key(figure, axes, trace, counts):
    """The legend of the states, and the scale of the counts, a mappable or None."""
    looks, which = _looks(trace)
    style = {"linestyle": "", "markersize": 7, "markeredgecolor": "black", "markeredgewidth": 0.5}
    star = {**style, "markersize": 12, "marker": "*", "color": "white", "label": "start state"}
    shown = {}
    for name, shade, marker in (looks[index] for index in which.unique().tolist()):
        shown.setdefault(name, {"label": name, "color": shade or "0.85", "marker": marker})
    if trace.language.embed:
        shown["T"] = {"label": "outer T (or none)", "color": "white", "marker": "o"}
        shown["P"] = {"label": "outer P", "color": "white", "marker": "^"}
    marks = [Line2D([], [], **look, **style) for look in shown.values()]
    figure.legend_below([Line2D([], [], **star), *marks])
    if counts is not None:
        space = 0.12 if axes[0].name == "3d" else 0.02
        bar = figure.colorbar(counts, ax=list(axes), shrink=0.9, pad=space)
        bar.set_label(trace.language.state_meaning.replace("; ", ";\n"), fontsize=FONT)
        bar.locator = MaxNLocator(integer=True)
        bar.update_ticks()


@defaults()
def over_time(trace, title, b=0):
    """Hidden units, cells, gates and the predicted distribution of sequence b, symbol by symbol.
    A tick is the symbol read; the distribution is of the one after it, a ring marks what came."""
    total = trace.n_steps(b)
    steps = min(total, MAX_STEPS)
    units = most_moving(trace.hidden[b, :steps], MAX_LINES)
    panels = [("hidden", trace.hidden), ("cell", trace.cell), ("forget gate", trace.forget_gate)]
    panels += [("input gate", trace.input_gate), ("output gate", trace.output_gate)]
    panels = [(name, part[b, :steps, units]) for name, part in panels if part is not None]
    if len(units) < trace.n_hidden:
        title += f"\nthe {MAX_LINES} of {trace.n_hidden} units that move most"
    width = min(9.0, max(7.5, 2.2 + 0.15 * steps))
    figure = Figure(title, width, 2.65 + 1.25 * len(panels))
    *axes, last = figure.subplots(len(panels) + 1, 1, sharex=True)
    for ax, (name, values) in zip(axes, panels, strict=True):
        draw_lines(ax, values.numpy(), [f"unit {u + 1}" for u in units])
        ax.set_ylabel(name, fontsize=FONT)
        if "gate" in name:
            ax.set_ylim(-0.06, 1.06)
    probability = trace.probability[b, :steps]
    draw_lines(last, probability.numpy(), trace.language.symbols)
    mark_what_came(last, probability, trace.stream.targets[b, :steps])
    for ax in (axes[0], last):
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.06), fontsize=FONT)
    cut = "" if steps == total else f" (the first {steps} of {total})"
    last.set_ylabel("probability\nof next symbol", fontsize=FONT)
    last.set_xticks(range(steps), trace.text(b)[:steps], fontsize=FONT)
    last.set(xlabel=f"symbol read{cut}", xlim=(-0.8, steps - 0.2), ylim=(-0.06, 1.06))
    return figure


def draw_lines(ax, values, labels):
    """A line for each column of values (steps, lines)."""
    for k, (line, label) in enumerate(zip(values.T, labels, strict=True)):
        style = LINE_STYLES[(k // 2 if len(labels) > 4 else k) % 4]
        ax.plot(line, style, color=colour(k), label=label, marker=".", ms=4, lw=1.3)
    ax.tick_params(labelsize=FONT)
    ax.grid(alpha=0.3)


def mark_what_came(ax, probability, came):
    """A ring at the probability (steps, K) of each symbol that came (steps,)."""
    heights = probability.gather(-1, came[:, None])[:, 0]
    ring = {"facecolors": "none", "edgecolors": "black", "s": 42, "lw": 0.8, "zorder": 5}
    ax.scatter(range(len(came)), heights, label="what came", **ring)


def figures(trace, title, model):
    """{file name: Figure} of a trace of `model`, which holds that network alone: what seq_train.py
    and seq_plot.py draw of it."""
    longest = max(range(len(trace.hidden)), key=trace.n_steps)
    made = {"hidden_pairs.png": hidden_pairs(trace, title, model)}
    if model.n_hidden == 3:
        made["hidden_3d.png"] = hidden_3d(trace, title)
    return made | {"over_time.png": over_time(trace, title, longest)}
