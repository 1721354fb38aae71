"""Figures of a perceptron: what each unit does over the input square, its diagram, its training.

Every function takes a network with a leading axis S = 1 or plain arrays and returns a Figure, drawn
in matplotlib's default style whatever the user's settings are; save it under `own_style` as well.
"""

import matplotlib.style
import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter

from xor.results import quantiles

MARGIN = 0.5  # how far a picture reaches beyond the points
RESOLUTION = 241  # samples per side
ACTIVATION_MAP = "cividis"
POSITIVE, NEGATIVE = "#d95f02", "#5e3c99"  # orange and purple, told apart by everyone
MAX_UNITS = 24  # hidden units in one figure
CHUNK_SIZE = 10_000_000  # activations computed at once
POINTS = {  # by target
    0: dict(marker="s", ms=8, mfc="black", mec="white", mew=1.2),
    1: dict(marker="o", ms=9, mfc="white", mec="black", mew=1.2),
}
own_style = matplotlib.style.context("default")  # a decorator


def figure_of(width, height, title):
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=11)
    return figure


@torch.no_grad()
def over_square(network, size):
    """Axis values (R,), activations (H, R, R) of MAX_UNITS hidden units at most, outputs (R, R);
    rows by y."""
    axis = torch.linspace(-MARGIN, size - 1 + MARGIN, RESOLUTION)
    points = torch.cartesian_prod(axis, axis).flip(1).to(network.out_bias)  # (R * R, 2)
    output, hidden = [], []
    for some in points.split(max(1, CHUNK_SIZE // network.n_hidden)):
        output.append(network(some)[0])
        hidden.append(network.hidden[0, :, :MAX_UNITS].T)
    hidden = torch.cat(hidden, dim=1).reshape(-1, RESOLUTION, RESOLUTION)
    output = torch.cat(output).view(RESOLUTION, RESOLUTION)
    return axis.numpy(), hidden.cpu().numpy(), output.cpu().numpy()


def units_shown(network, title):
    """How many hidden units a figure shows, and its title, which says if that is not all."""
    shown = min(network.n_hidden, MAX_UNITS)
    if shown < network.n_hidden:
        title += f" (units 1 to {shown} of {network.n_hidden})"
    return shown, title


@own_style
def hidden_units(network, inputs, targets, title):
    """One panel per hidden unit: activation over the input square, dividing line, the points."""
    axis, hidden, _ = over_square(network, int(inputs.max()) + 1)
    shown, title = units_shown(network, title)
    columns = min(shown, 4 if shown in (4, 7, 8) or shown > 9 else 3)
    rows = -(-shown // columns)
    figure = figure_of(2.4 * columns + 1, 2.5 * rows + 1, title)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for k, panel in enumerate(panels[:shown]):
        draw_square(panel, axis, hidden[k], network, [k], lw=2)
        draw_points(panel, inputs, targets)
        panel.set_title(f"h{k + 1}", fontsize=10)
    for panel in panels[shown:]:
        panel.set_axis_off()
    add_key(figure, panels, "activation")
    return figure


@own_style
def output_region(network, inputs, targets, title):
    """The output over the input square, where it changes sides, and the hidden units' lines."""
    axis, hidden, output = over_square(network, int(inputs.max()) + 1)
    figure, sigmoid = figure_of(5.4, 5.4, title), network.act == "sig"
    panel = figure.subplots()
    draw_square(panel, axis, output, network, range(len(hidden)), lw=1.2, ls="--")
    if output.min() < 0.5 <= output.max() and sigmoid:
        panel.contour(axis, axis, output, levels=[0.5], colors="red", linewidths=1.8)
    draw_points(panel, inputs, targets)
    add_key(figure, [panel], "output", edge=sigmoid)
    return figure


def draw_square(panel, axis, values, network, units, alpha=1.0, color="white", **style):
    """Values (R, R) over the square, in colour, and the dividing lines of some hidden units."""
    first, last = axis[0], axis[-1]
    ticks = np.arange(0, last, 1 + last // 8)
    square = {"origin": "lower", "extent": (first, last, first, last), "alpha": alpha}
    panel.imshow(values, cmap=ACTIVATION_MAP, vmin=0, vmax=1, **square)
    for k in units:
        (a, b), c = network.hid_weight[0, k].tolist(), network.hid_bias[0, k].item()
        if abs(b) >= max(abs(a), 1e-12):
            panel.plot(axis, -(a * axis + c) / b, color=color, **style)
        elif abs(a) >= 1e-12:
            panel.plot(-(b * axis + c) / a, axis, color=color, **style)
    panel.set(xticks=ticks, yticks=ticks, xlabel="x", ylabel="y")
    panel.set(xlim=(first, last), ylim=(first, last))


def draw_points(panel, inputs, targets):
    for value, style in POINTS.items():
        x, y = inputs[targets == value].cpu().T.numpy()
        scale = min(1, 8 / (1 + y.max()))  # many points must not hide what lies below
        panel.plot(x, y, ls="", **style | {key: scale * style[key] for key in ("ms", "mew")})


def add_key(figure, panels, label, edge=False):
    """The colour bar, and below the panels what points and lines mean."""
    bar = ScalarMappable(cmap=ACTIVATION_MAP)
    bar.set_clim(0, 1)
    figure.colorbar(bar, ax=list(panels), label=label, shrink=0.8)
    handles = [Line2D([], [], ls="", label=f"target {t}", **POINTS[t]) for t in POINTS]
    handles.append(Line2D([], [], color="0.75", lw=2, label="dividing line"))
    if edge:
        handles.append(Line2D([], [], color="red", lw=2, label="output 1/2"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=9, frameon=False)


@own_style
def diagram(network, title):
    """The network drawn, every weight and bias on its edge or node, width and colour by value.

    All labels between inputs and hidden units stand in one column: with the inputs at heights
    +-a, edges cross it in steps of half the units' distance if a is chosen so.
    """
    n, title = units_shown(network, title)
    weight, bias = network.hid_weight[0, :n].tolist(), network.hid_bias[0, :n].tolist()
    out_weight, out_bias = network.out_weight[0, :n].tolist(), network.out_bias.item()
    layers = [[*sum(weight, []), *bias], [*out_weight, out_bias]]
    largest = [max(1e-6, *map(abs, layer)) for layer in layers]
    figure = figure_of(8, max(3.2, 1.05 * n + 1), title)
    panel = figure.subplots()
    panel.set_axis_off()
    column = 0.66  # where the labels stand along an edge
    a = (max(0, round((n - 1) / 2 - 0.5)) + 0.5) / 2 * column / (1 - column)
    a = min(a, max((n - 1) / 2, 0.6)) if n < 3 else a

    def colour(value, layer):
        strength = 0.25 + 0.75 * abs(value) / largest[layer] if value else 0.0
        ink = to_rgb(POSITIVE if value > 0 else NEGATIVE)
        return tuple(1 - strength * (1 - part) for part in ink)

    def label(x, y, value, **style):
        box = dict(boxstyle="round,pad=0.15", fc="white", ec="none", alpha=0.9)
        text = f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
        panel.text(x, y, text, ha="center", va="center", fontsize=9, bbox=box, zorder=3, **style)

    def edge(start, end, value, along, layer):
        width = 0.6 + 4.4 * abs(value) / largest[layer]
        ink = colour(value, layer)
        panel.plot(*zip(start, end, strict=True), color=ink, lw=width, zorder=1)
        x, y = (s + along * (e - s) for s, e in zip(start, end, strict=True))
        label(x, y, value)

    def node(x, y, name, value=None, layer=0):
        face = "white" if value is None else colour(value, layer)
        panel.plot(x, y, "o", ms=26, mfc=face, mec="black", mew=1.2, zorder=2)
        ink = "white" if value is not None and abs(value) > 0.6 * largest[layer] else "black"
        panel.text(x, y, name, ha="center", va="center", fontsize=10, color=ink, zorder=4)
        if value is not None:
            label(x, y - 0.36, value, style="italic")

    for k in range(n):
        height = (n - 1) / 2 - k
        for side, value in zip((a, -a), weight[k], strict=True):
            edge((0, side), (2, height), value, column, 0)
        edge((2, height), (3.6, 0), out_weight[k], 0.4, 1)
        node(2, height, f"h{k + 1}", bias[k])
    node(0, a, "x")
    node(0, -a, "y")
    node(3.6, 0, "out", out_bias, 1)
    top = max((n - 1) / 2, a) + 0.45
    panel.set(xlim=(-0.3, 3.9), ylim=(-top - 0.15, top))
    handles = [
        Line2D([], [], color=POSITIVE, lw=3, label="positive"),
        Line2D([], [], color=NEGATIVE, lw=3, label="negative"),
        Line2D([], [], ls="", label="width and depth: size within the layer; italics: biases"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure


@own_style
def learning(loss, accuracy, shown, first_right, stays_right_from, title):
    """Loss and accuracy at every epoch: network `shown` thick, the others thin.

    loss and accuracy (E, C), of epochs 1..E. first_right, stays_right_from: the epochs from which
    network `shown` is right for the first time and for good, None where it is not.
    """
    figure = figure_of(7, 5, title)
    upper, lower = figure.subplots(2, 1, sharex=True)
    n_epochs, n_networks = loss.shape
    epochs = np.arange(1, n_epochs + 1)
    others = [s for s in range(n_networks) if s != shown]
    every = 1 + len(others) * n_epochs // 1_000_000  # so that drawing the others takes seconds
    marks = ((first_right, ":", "first right"), (stays_right_from, "--", "right for good"))
    for panel, values in ((upper, loss), (lower, accuracy)):
        if others:
            panel.plot(epochs[::every], values[::every, others], color="0.7", lw=0.6, alpha=0.6)
            panel.plot([], [], color="0.7", lw=1, label=f"{len(others)} others")
        if shown < n_networks:
            style = {"color": "tab:blue", "lw": 1.6, "marker": "o" * (n_epochs == 1)}
            panel.plot(epochs, values[:, shown], label="network shown", **style)
        for epoch, style, words in marks:
            if epoch is not None:
                words += f": epoch {epoch}"
                panel.axvline(epoch, color="black", ls=style, lw=1.2, label=words)
        panel.grid(alpha=0.3)
    upper.set(yscale="log" if (loss > 0).any() else "linear", ylabel="cross-entropy (nats)")
    upper.legend(fontsize=9)
    lower.set(ylabel="accuracy (%)", xlabel="epoch", ylim=(min(45, accuracy.min() - 3), 103))
    return figure


@own_style
def epochs_to_solve(first_right, stays_right_from, n_networks, title):
    """When the networks that solved it had every point right: for the first time, and for good.

    first_right, stays_right_from: epochs of the solved networks (solved,); n_networks: of how many.
    """
    first, since = np.asarray(first_right), np.asarray(stays_right_from)
    lost = (since > first).sum()
    title += f"\n{len(first)} of {n_networks} solved it; {lost} of these lost it in between"
    figure = figure_of(7, 5.2, title)
    upper, lower = figure.subplots(2, 1, sharex=True, sharey=True)
    bins = np.geomspace(max(1, first.min() * 0.9), since.max() * 1.1, 41)
    for panel, values, words in (
        (upper, first, "first epoch with every point right"),
        (lower, since, "every point right from this epoch on"),
    ):
        panel.hist(values, bins, color="tab:blue", alpha=0.85)
        for (level, epoch), style in zip(quantiles(values).items(), (":", "-", "--"), strict=True):
            panel.axvline(epoch, color="black", ls=style, label=f"{level}: {epoch}")
        panel.set(xscale="log", xlabel=words, ylabel="networks")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter(LogFormatter())  # within a decade
        panel.tick_params(which="both", labelbottom=True)
        panel.legend(fontsize=9, loc="upper left")
        panel.grid(alpha=0.3)
    return figure
