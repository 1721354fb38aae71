"""Phase portraits of an SRN: what each symbol does to the hidden units."""

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.lines import Line2D

from anbn.analysis.dynamics import all_fixed_points, srn_maps, visited_states
from anbn.models import ModelError
from anbn.plots.style import ARROW, Figure, along, colour, defaults, draw_regions, place_labels

MAX_ROWS = 40  # strings drawn of a language whose strings are not numbered
POINT_LOOKS = {  # kind of fixed point: marker, fill
    "stable": ("o", "black"),
    "saddle": ("X", "#d62728"),
    "unstable": ("o", "white"),
    "neutral": ("s", "0.6"),
}


@dataclass
class Plane:
    """The plane of hidden space that is drawn: two units (one: along a line), or the two leading
    principal directions of the states visited."""

    origin: torch.Tensor  # (H,)
    axes: torch.Tensor  # (H, 2), orthonormal
    share: float  # of the visited states' variance that lies in it
    limits: tuple  # (low, high) of both coordinates, two pairs
    names: tuple  # of the two axes

    def flat(self, hidden):
        """(..., H) -> (..., 2)."""
        return (hidden - self.origin) @ self.axes

    def lift(self, points):
        """(..., 2) -> (..., H), the point of the plane itself."""
        return points @ self.axes.T + self.origin

    def frame(self, ax):
        """Limits and labels of the plane's axes."""
        ax.set(xlim=self.limits[0], ylim=self.limits[1])
        ax.set(xlabel=self.names[0], ylabel=self.names[1])

    def figure(self, title, width, height):
        """A Figure; under its title stands what the plane is, unless it is all there is."""
        if len(self.origin) > 2:
            title += (
                f"\nshown in the plane of the two leading principal directions of the visited "
                f"states ({self.share:.0%} of their variance)"
            )
        return Figure(title, width, height)


def plane_of(hidden, points=()):
    """The Plane to draw hidden states (N, H) in, with room for `points`, a list of (H,)."""
    size = hidden.shape[-1]
    if size <= 2:
        names, limits = ("hidden unit 1", "hidden unit 2"), ((-1.08, 1.08),) * 2
        return Plane(hidden.new_zeros(size), torch.eye(size, 2).to(hidden), 1.0, limits, names)
    origin = hidden.mean(0)
    _, scale, directions = torch.linalg.svd(hidden - origin, full_matrices=False)
    axes = directions[:2].T
    # a direction and its opposite are alike: the largest part shall be positive
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    axes = axes * torch.where(largest < 0, -1, 1)
    flat = (torch.cat([hidden, *(point[None] for point in points)]) - origin) @ axes
    low, high = flat.amin(0), flat.amax(0)
    margin = 0.12 * (high - low).clamp(min=0.2)
    limits = tuple(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))
    share = float(scale[:2].square().sum() / scale.square().sum().clamp(min=1e-30))
    return Plane(origin, axes, share, limits, ("principal direction 1", "principal direction 2"))


@defaults()
def phase_portraits(model, language, title, points=None):
    """A panel per symbol for an SRN (S = 1) with two or more hidden units: where the symbol's map
    leads (arrows), its fixed points with their eigenvalues, the steps of strings with several n,
    and the output's boundaries. points: all_fixed_points, where they are there already. Raises
    ModelError for one hidden unit, an LSTM, or S > 1."""
    if model.n_hidden < 2:
        raise ModelError("a phase portrait needs a plane: the network has one hidden unit")
    maps = srn_maps(model)
    stream, activity = visited_states(model, language)
    stream, hidden = stream.to("cpu"), activity.hidden[0].cpu().double()  # (B, T, H)
    start = model.start(1).hidden[0].detach().cpu().double()  # (1, H)
    path = torch.cat([start.expand(len(hidden), 1, -1), hidden], 1)  # (B, T + 1, H)
    shown = stream.valid
    if language.numbered:  # the string and the first symbol of the next one
        last = torch.tensor([len(language.word(n)) for n in range(1, len(hidden) + 1)])
        shown = torch.arange(hidden.shape[1]) <= last[:, None]
    points = all_fixed_points(model, language) if points is None else points
    positions = [point.position for some in points for point in some]
    plane = plane_of(torch.cat([start, hidden[stream.valid]]), positions)
    ends = plane.flat(torch.stack([path[:, :-1], path[:, 1:]], 2)).numpy()  # (B, T, 2, 2)
    across = 2 if len(maps) in (2, 4) else 3
    height = (8.6 / across + 0.1) * -(-len(maps) // across) + 1.4
    figure = plane.figure(title, 8.6, height)
    axes = figure.grid_of(len(maps), across)
    if language.numbered:  # several n
        count = len(hidden)
        chosen = sorted({1, count // 3, 2 * count // 3, count} - {0})
        rows = [(colour(k), n - 1) for k, n in zip((0, 2, 4, 3), chosen, strict=False)]
    else:
        rows = [(colour(0), b) for b in range(min(len(hidden), MAX_ROWS))]
    steps = []
    for k, (ax, map) in enumerate(zip(axes, maps, strict=True)):
        _draw_field(ax, map, plane)
        reading = (shown & (stream.inputs == k)).numpy()  # (B, T)
        steps.append(along(np.concatenate([ends[b, reading[b]] for _, b in rows])))
        for shade, b in rows:
            if reading[b].any():
                before, after = ends[b, reading[b]].swapaxes(0, 1)  # (steps, 2) each
                style = {**ARROW, "width": 0.006, "alpha": 0.9, "color": shade, "zorder": 3}
                ax.quiver(*before.T, *(after - before).T, **style)
                ax.plot(*after.T, ".", color=shade, ms=5, zorder=3)
        for point in points[k]:
            marker, fill = POINT_LOOKS[point.kind]
            look = {"mfc": fill, "mec": "black", "ms": 8, "mew": 1.2, "zorder": 5}
            ax.plot(*plane.flat(point.position), marker, clip_on=False, **look)
        plane.frame(ax)
        ax.set_title(f"reading {language.symbols[k]}")
        ax.locator_params(nbins=5)
        ax.label_outer()
    _key(figure, {point.kind for some in points for point in some}, rows, language)
    figure.draw_without_rendering()  # the layout is final from here on
    exact = model.select(0).cpu().double()

    def most_probable(flat):
        return exact.read_out(plane.lift(torch.from_numpy(flat))[None])[0].argmax(-1).numpy()

    for ax, some, path in zip(axes, points, steps, strict=True):
        places = [plane.flat(point.position).tolist() for point in some]
        taken = draw_regions(ax, most_probable, language.symbols, [*path, *places])
        texts = [", ".join(number_text(v) for v in point.eigenvalues[:2]) for point in some]
        place_labels(ax, list(zip(texts, places, strict=True)), [*path, *taken])
    return figure


def _draw_field(ax, map, plane):
    """Arrows from points of the plane towards where the map leads."""
    x, y = (torch.linspace(*limits, 19) for limits in plane.limits)
    points = torch.cartesian_prod(x[1:-1], y[1:-1]).double()
    change = plane.flat(map(plane.lift(points))) - points
    length = change.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    # the square root keeps short steps visible beside long ones; none longer than a grid step
    arrow = change / length * (length / length.max()).sqrt() * (x[1] - x[0])
    ax.quiver(*points.numpy().T, *arrow.numpy().T, **ARROW, zorder=1, width=0.003, color="0.72")


def number_text(value):
    """An eigenvalue with two decimals: real, or with its imaginary part."""
    value = complex(value)
    # adding 0 turns the -0.0 of a small negative number into 0.0
    real, imaginary = round(value.real, 2) + 0.0, round(value.imag, 2) + 0.0
    return f"{real:.2f}{imaginary:+.2f}i" if imaginary else f"{real:.2f}"


def _key(figure, kinds, rows, language):
    handles = [
        Line2D([], [], ls="", marker=marker, mfc=fill, mec="black", ms=8, label=f"{kind} point")
        for kind, (marker, fill) in POINT_LOOKS.items()
        if kind in kinds
    ]
    if language.numbered:
        handles += [Line2D([], [], color=c, marker=".", label=f"n = {b + 1}") for c, b in rows]
    handles.append(Line2D([], [], color="black", lw=1, label="output boundary"))
    figure.legend_below(handles, 6)
