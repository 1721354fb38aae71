"""Pictures of one network's trace: its path through hidden space for each pair of units and for
three of them, and its units, gates and predictions over time. Every function returns a Figure."""

from itertools import combinations

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from anbn.counting import CountingLanguage

COLOURS = (  # tab10
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
LETTER_MARKERS = "o^sDvPX*<>ph"
LINE_STYLES = ("-", "--", "-.", ":")
MOST_UNITS = 4  # drawn in pairs; of more, those that move most
LONGEST_SHOWN = 50  # steps of one sequence drawn over time


def hidden_pairs(trace, title, read_out=None):
    """Hidden trajectories for each pair of units, coloured by the state of the language, with an
    arrow per step and the start state marked.

    read_out: (V (H, K), out_bias (K,)) of the network; with two hidden units the regions where it
    predicts each symbol are outlined and named.
    """
    units = _units_that_move_most(trace)
    pairs = list(combinations(units, 2)) or [(0, 0)]
    across = min(len(pairs), 3)
    down = -(-len(pairs) // across)
    size = (7.6, 5.4) if len(pairs) == 1 else (10.2, 3.1 * down + 0.9)
    figure = Figure(figsize=size)
    figure.set_layout_engine("constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for ax, (x, y) in zip(axes, pairs, strict=True):
        if x == y:  # one unit: its value against the one before
            paths = [np.stack([path[:-1, 0], path[1:, 0]], -1) for path in _paths(trace)]
            points = np.concatenate(paths)
        else:
            paths = [path[:, [x, y]] for path in _paths(trace)]
            points = np.concatenate([path[1:] for path in paths])
        for path in paths:
            _draw_arrows(ax, path)
        _draw_states(ax, trace, points)
        ax.scatter(*paths[0][0], marker="*", s=190, color="white", edgecolor="black", zorder=5)
        _leave_margin(ax, np.concatenate([points, paths[0][:1]]))
        if trace.n_hidden == 2 and read_out is not None:
            _outline_predictions(ax, trace.language.symbols, *read_out)
        ax.set_xlabel(f"hidden unit {x + 1}" + (", a step before" if x == y else ""))
        ax.set_ylabel(f"hidden unit {y + 1}")
    _key(figure, axes, trace)
    kept = "" if len(units) == trace.n_hidden else f"\nthe {MOST_UNITS} units that move most"
    figure.suptitle(title + kept, fontsize=11)
    return figure


def hidden_3d(trace, title):
    """The trajectories of a network with three hidden units, in space."""
    figure = Figure(figsize=(7.6, 5.6))
    figure.set_layout_engine("constrained")
    ax = figure.add_subplot(projection="3d")
    paths = _paths(trace)
    for path in paths:
        ax.plot(*path.T, color="0.6", lw=0.8)
    _draw_states(ax, trace, np.concatenate([path[1:] for path in paths]), depthshade=False)
    ax.scatter(*paths[0][0], marker="*", s=190, color="white", edgecolor="black")
    ax.set(xlabel="hidden unit 1", ylabel="hidden unit 2", zlabel="hidden unit 3")
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.view_init(elev=22, azim=-60)
    _key(figure, [ax], trace)
    figure.suptitle(title, fontsize=11)
    return figure


def _units_that_move_most(trace):
    """Indices of at most MOST_UNITS hidden units, in order."""
    spread = trace.hidden[trace.stream.valid].std(0)
    order = torch.argsort(spread, descending=True)[:MOST_UNITS]
    return sorted(order.tolist())


def _paths(trace):
    """Per sequence the hidden states from the start state on: arrays (steps + 1, H)."""
    start = trace.start_hidden[None]
    return [
        torch.cat([start, hidden[: trace.n_steps(b)]]).numpy()
        for b, hidden in enumerate(trace.hidden)
    ]


def _looks(language):
    """How states are drawn: a list of (name, colour or None, marker) and, for the states and
    symbols read (steps,), the function that gives each step's index into the list. A colour of
    None means the count, on a colour scale."""
    if isinstance(language, CountingLanguage):
        kinds = [
            (f"{letter} read", None, LETTER_MARKERS[k % len(LETTER_MARKERS)])
            for k, letter in enumerate(language.symbols)
        ]
        return kinds, lambda state, read: read
    # nodes of the graph: colour by node, marker by the outer letter that is to be recalled
    kinds, numbers = [], {"start": 0, "end": 0}  # neither is ever drawn
    for name in language.state_names:
        copy = language.embed and name[-1] in "TP"
        number = numbers.setdefault(name[:-1] if copy else name, len(numbers) - 2)
        marker = "^" if copy and name[-1] == "P" else "o"
        kinds.append((f"node {name}", COLOURS[number % len(COLOURS)], marker))
    return kinds, lambda state, read: state


def _draw_arrows(ax, path):
    """A line along path (steps + 1, 2) with an arrow head in the middle of each step, where the
    marks of the states do not hide it."""
    ax.plot(*path.T, color="0.65", lw=0.8, zorder=2)
    half = 0.55 * np.diff(path, axis=0)
    ax.quiver(
        *path[:-1].T,
        *half.T,
        angles="xy",
        scale_units="xy",
        scale=1,
        units="inches",
        width=0.012,
        headwidth=6,
        headlength=7,
        minlength=4,
        color="0.55",
        zorder=3,
    )


def _draw_states(ax, trace, points, **style):
    """A mark at each visited point (steps, 2 or 3), in the order of _paths; sets ax.counts to the
    mappable of the colour scale, if there is one."""
    valid = trace.stream.valid
    state, read = trace.stream.state[valid], trace.stream.inputs[valid]
    kinds, which = _looks(trace.language)
    which = which(state, read).numpy()
    ax.counts = None
    for index, (_, colour, marker) in enumerate(kinds):
        here = which == index
        if not here.any():
            continue
        counts = {"c": state.numpy()[here], "vmin": 0, "vmax": int(state.max()), "cmap": "viridis"}
        look = counts if colour is None else {"color": colour}
        drawn = ax.scatter(
            *points[here].T,
            marker=marker,
            s=34,
            edgecolor="black",
            linewidth=0.4,
            zorder=4,
            **look,
            **style,
        )
        ax.counts = drawn if colour is None else None


def _leave_margin(ax, points):
    """Limits that show every point and little more of the plane than that."""
    low, high = points.min(0), points.max(0)
    margin = 0.08 * np.maximum(high - low, 0.2)
    ax.set(xlim=(low[0] - margin[0], high[0] + margin[0]))
    ax.set(ylim=(low[1] - margin[1], high[1] + margin[1]))


def _outline_predictions(ax, symbols, V, bias):
    """Outline where in the shown plane of two hidden units each symbol is the most probable one."""
    x, y = np.linspace(*ax.get_xlim(), 500), np.linspace(*ax.get_ylim(), 500)
    h = np.stack(np.meshgrid(x, y), -1)  # (y, x, 2)
    best = (h @ V.cpu().numpy() + bias.cpu().numpy()).argmax(-1)
    for k in np.unique(best):
        here = best == k
        ax.contour(x, y, here, levels=[0.5], colors="black", linewidths=0.8)
        # the region is convex: its centre lies in it
        centre = h[here].mean(0)
        if here.mean() > 0.01:
            paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 2}
            label = f"next: {symbols[k]}"
            ax.text(*centre, label, color="0.3", fontsize=11, ha="center", bbox=paper, zorder=3.5)


def _key(figure, axes, trace):
    """The legend of the states, and the scale of the counts."""
    kinds, which = _looks(trace.language)
    valid = trace.stream.valid
    seen = set(which(trace.stream.state[valid], trace.stream.inputs[valid]).tolist())
    style = {"linestyle": "", "markersize": 7, "markeredgecolor": "black", "markeredgewidth": 0.5}
    star = {**style, "markersize": 12, "marker": "*", "color": "white", "label": "start state"}
    handles = [Line2D([], [], **star)]
    handles += [
        Line2D([], [], marker=marker, color=colour or "0.85", label=name, **style)
        for index, (name, colour, marker) in enumerate(kinds)
        if index in seen
    ]
    if axes[0].counts is None:
        figure.legend(handles=handles, loc="outside right upper", fontsize=9)
        return
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9)
    space = 0.12 if axes[0].name == "3d" else 0.02
    bar = figure.colorbar(axes[0].counts, ax=list(axes), shrink=0.85, pad=space)
    bar.set_label("after A: how many read\nelse: how many of the letter are to come", fontsize=9)
    bar.locator = MaxNLocator(integer=True)
    bar.update_ticks()


def over_time(trace, title, b=0):
    """Hidden units, cells, gates and the predicted distribution of sequence b, symbol by symbol.
    A tick is the symbol read; the distribution is of the one after it, a ring marks what came."""
    steps = min(trace.n_steps(b), LONGEST_SHOWN)
    panels = [("hidden", trace.hidden), ("cell", trace.cell), ("forget gate", trace.forget_gate)]
    panels += [("input gate", trace.input_gate), ("output gate", trace.output_gate)]
    panels = [(name, part[b, :steps]) for name, part in panels if part is not None]
    panels.append(("probability\nof next symbol", trace.probability[b, :steps]))
    width = min(9.5, max(7.5, 2.2 + 0.15 * steps))
    figure = Figure(figsize=(width, 1.2 + 1.25 * len(panels)))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(panels), 1, sharex=True)
    step = np.arange(steps)
    for ax, (name, values) in zip(axes, panels, strict=True):
        last = ax is axes[-1]
        for k, line in enumerate(values.numpy().T):
            style = LINE_STYLES[(k // 2) % 4] if len(values.T) > 4 else LINE_STYLES[k % 4]
            label = trace.language.symbols[k] if last else f"unit {k + 1}"
            colour = COLOURS[k % len(COLOURS)]
            ax.plot(step, line, style, color=colour, label=label, marker=".", ms=4, lw=1.3)
        ax.set_ylabel(name, fontsize=9)
        ax.tick_params(labelsize=9)
        ax.grid(alpha=0.3)
        if "gate" in name or last:
            ax.set_ylim(-0.06, 1.06)
    came = trace.stream.targets[b, :steps]
    heights = trace.probability[b, :steps].gather(-1, came[:, None])[:, 0]
    ring = {"facecolors": "none", "edgecolors": "black", "s": 42, "lw": 0.8}
    axes[-1].scatter(step, heights, **ring, zorder=5, label="what came")
    axes[0].legend(loc="upper left", bbox_to_anchor=(1.0, 1.06), fontsize=9)
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.06), fontsize=9)
    text = trace.text(b)
    axes[-1].set_xticks(step, text[:steps], fontsize=9)
    cut = "" if steps == trace.n_steps(b) else f" (the first {steps} of {trace.n_steps(b)})"
    axes[-1].set_xlabel(f"symbol read{cut}", fontsize=10)
    axes[-1].set_xlim(-0.8, steps - 0.2)
    figure.suptitle(title, fontsize=11)
    return figure


def figures(trace, title, model):
    """{file name: Figure} of a trace of `model`, which holds that network alone."""
    read_out = (model.V[0].detach().cpu(), model.out_bias[0].detach().cpu())
    longest = max(range(len(trace.hidden)), key=trace.n_steps)
    made = {"hidden_pairs.png": hidden_pairs(trace, title, read_out)}
    if model.n_hidden == 3:
        made["hidden_3d.png"] = hidden_3d(trace, title)
    return made | {"over_time.png": over_time(trace, title, longest)}
