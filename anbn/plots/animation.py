"""Moving pictures, as GIF files: a network that reads a string, and how its hidden-unit plot forms
during training."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from matplotlib.animation import PillowWriter

from anbn.plots.dynamics import plane_of
from anbn.plots.style import COLOURS, FONT, LIGHT, Figure, colour, defaults

DPI = 80
MAX_FRAMES = 60  # symbols of a string that are shown


def as_gif(figure, frames, update, frames_per_second):
    """The bytes of a GIF: `update(frame)` changes the figure for each of the frames."""
    writer = PillowWriter(fps=frames_per_second)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "animation.gif"
        update(frames[0])
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # nothing moves that should stand still
        with writer.saving(figure, path, DPI):
            for frame in frames:
                update(frame)
                writer.grab_frame()
        return path.read_bytes()


@defaults()
def reading(trace, machine, title, b=0):
    """One network reads sequence b of a trace, a frame per symbol: where its state moves over the
    hidden-unit plot, among the states of its machine; its units, or cells and gates; and what it
    predicts. Returns the bytes of a GIF.

    machine: the network's, from analysis.extract. Of a long string the first MAX_FRAMES symbols.
    """
    language, text = trace.language, trace.text(b)
    n_frames = min(trace.n_steps(b), MAX_FRAMES)
    figure = Figure(title, 9.0, 5.2)
    grid = figure.add_gridspec(3, 2, width_ratios=(3, 2), height_ratios=(1, 5, 4))
    strip, plot = figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1:, 0])
    units, output = figure.add_subplot(grid[1, 1]), figure.add_subplot(grid[2, 1])
    letters = _draw_text(strip, text[: n_frames + 1])
    places = _draw_states(plot, trace, machine, b)
    way = plot.plot([], [], "-", color="0.35", lw=0.8, zorder=5)[0]
    here = plot.plot([], [], "o", mec="black", ms=12, zorder=6)[0]
    bars, values = _draw_units(units, trace, b)
    shares = output.bar(range(language.n_symbols), 0.0, color="0.8")
    output.set(ylim=(0, 1.02), ylabel="next symbol")
    output.set_xticks(range(language.n_symbols), list(language.symbols), fontsize=FONT)
    legal, states = trace.stream.legal[b], [0]
    for symbol in text[:n_frames]:
        known = states[-1] is not None
        states.append(machine.transitions[states[-1]].get(symbol) if known else None)

    def update(t):
        state = "none of its states" if states[t + 1] is None else f"state {states[t + 1]}"
        plot.set_title(f"hidden units; the machine, outlined, is in {state}", fontsize=FONT)
        for k, letter in enumerate(letters):
            is_read = k == t
            letter.set_bbox({"facecolor": LIGHT if is_read else "none", "edgecolor": "none"})
            letter.set_color("black" if k <= t else "0.65")
            letter.set_fontweight("bold" if is_read else "normal")
        way.set_data(*places[max(0, t - 3) : t + 2].T)
        here.set_data(*places[t + 1][:, None])
        here.set_color(colour(language.symbols.index(text[t])))
        for bar, value in zip(bars, values[t], strict=True):
            bar.set_height(value)
        for k, (bar, share) in enumerate(zip(shares, trace.probability[b, t], strict=True)):
            bar.set_height(float(share))
            bar.set_color(COLOURS[2] if legal[t, k] else "0.8")
        certain = "certain" if trace.stream.deterministic[b, t] else "not certain"
        output.set_title(f"after {text[t]}: {certain}; green: legal", fontsize=FONT)

    return as_gif(figure, range(n_frames), update, frames_per_second=2)


def _draw_text(ax, text):
    """The string, a text object per symbol."""
    ax.axis("off")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    step = min(0.03, 0.98 / len(text))
    style = {"ha": "center", "va": "center", "family": "monospace"}
    size = min(14, 560 * step)
    return [
        ax.text(0.01 + step * (k + 0.5), 0.5, letter, fontsize=size, **style)
        for k, letter in enumerate(text)
    ]


def _draw_states(ax, trace, machine, b):
    """The states of the machine, as regions of the plane around the hidden states that were found
    to be in them. Returns the places (T + 1, 2) of the start and of every step of sequence b."""
    visits = [part.float() for part in machine.hidden]
    path = torch.cat([trace.start_hidden[None], trace.hidden[b, : trace.n_steps(b)]])
    plane = plane_of(torch.cat([*visits, path]))
    seen = [k for k, part in enumerate(visits) if len(part)]
    points = torch.cat([plane.flat(visits[k]) for k in seen]).double()
    number = np.repeat(np.arange(len(seen)), [len(visits[k]) for k in seen])
    plane.frame(ax)
    (left, right), (low, high) = plane.limits
    x, y = (np.linspace(*limits, 200) for limits in plane.limits)
    grid = torch.from_numpy(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2))
    nearest = [torch.cdist(part, points).argmin(-1) for part in grid.split(1000)]
    nearest = number[torch.cat(nearest).numpy()].reshape(200, 200)
    named = []  # places of the states that bear their number
    for k, state in enumerate(seen):
        ax.contour(x, y, nearest == k, levels=[0.5], colors="0.7", linewidths=0.8)
        centre = (points[number == k].mean(0).numpy() - (left, low)) / (right - left, high - low)
        if all(abs(centre - other).max() > 0.05 for other in named):
            named.append(centre)
            place = {"xy": centre, "xycoords": "axes fraction", "textcoords": "offset points"}
            offset = (4, -11) if centre[1] > 0.9 else (4, 4)
            ax.annotate(str(state), xytext=offset, color="0.4", fontsize=FONT, zorder=4, **place)
    ax.plot(*points.numpy().T, ".", color="0.55", ms=3, zorder=3)
    return plane.flat(path).numpy()


def _draw_units(ax, trace, b):
    """Bars of the units of an SRN, or of an LSTM's cells (squashed by tanh, as the units see them)
    and gates. Returns the bars and their heights at every step (T, bars)."""
    if trace.cell is None:
        parts = {"hidden": trace.hidden[b]}
    else:
        parts = {"tanh cell": trace.cell[b].tanh(), "forget": trace.forget_gate[b]}
        parts |= {"input": trace.input_gate[b], "output": trace.output_gate[b]}
    first = np.arange(len(parts)) * (trace.n_hidden + 1)  # bar of each part
    places = (first[:, None] + np.arange(trace.n_hidden)).ravel()
    shades = [colour(u) for u in range(trace.n_hidden)] * len(parts)
    bars = ax.bar(places, 0.0, color=shades)
    ax.set_xticks(first + (trace.n_hidden - 1) / 2, list(parts), fontsize=FONT)
    ax.set_ylim(-1.05, 1.05)
    ax.axhline(0, color="black", lw=0.6)
    ax.set_title("units, one colour each", fontsize=FONT)
    return bars, torch.cat(list(parts.values()), -1).tolist()


@defaults()
def training(traces, sequences, title):
    """How the hidden-unit plot of a network forms: a frame per trace, of the same strings after so
    many training sequences, every step a point in the colour of the symbol read. Returns the bytes
    of a GIF."""
    language = traces[0].language
    valid = traces[0].stream.valid
    symbols = traces[0].stream.inputs[valid].numpy()  # (steps,)
    visited = [trace.hidden[valid] for trace in traces]
    plane = plane_of(visited[-1])  # that of the trained network, for all frames
    figure = Figure(title, 6.4, 5.4)
    ax = figure.add_subplot()
    plane.frame(ax)
    dots = [
        ax.plot([], [], ".", ms=6, color=colour(k), label=f"after reading {letter}")[0]
        for k, letter in enumerate(language.symbols)
    ]
    figure.legend_below(most=4)

    def update(frame):
        flat = plane.flat(visited[frame]).numpy()
        for k, dot in enumerate(dots):
            dot.set_data(*flat[symbols == k].T)
        ax.set_title(f"after {sequences[frame]:,} sequences", fontsize=FONT)

    frames = [*range(len(traces)), len(traces) - 1, len(traces) - 1]  # the last one stays
    return as_gif(figure, frames, update, frames_per_second=3)
