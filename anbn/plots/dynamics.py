"""Phase portraits of an SRN: what each symbol does to the hidden units. Every function that draws
a whole picture returns a Figure."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib.lines import Line2D

from anbn.analysis.dynamics import all_fixed_points, srn_maps, visited_states
from anbn.models import ModelError
from anbn.plots.style import COLOURS, FONT, PAPER, Figure, along, draw_regions, drawn, place_labels

MAX_ROWS = 40  # strings drawn of a language whose strings are not numbered
BOXED = {**PAPER, "edgecolor": "0.6", "lw": 0.5}
POINT_LOOKS = {  # kind of fixed point: marker, fill
    "stable": ("o", "black"),
    "saddle": ("X", "#d62728"),
    "unstable": ("o", "white"),
    "neutral": ("s", "0.6"),
}


@dataclass
class Plane:
    """The plane of hidden space that is drawn: two units, or the two leading principal directions
    of the states visited."""

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

    @property
    def note(self):
        """What must be said on the figure: empty where the plane is all there is."""
        if len(self.origin) == 2:
            return ""
        return (
            f"shown in the plane of the two leading principal directions of the visited states "
            f"({self.share:.0%} of their variance)"
        )


def plane_of(hidden):
    """The Plane to draw hidden states (N, H) in, H >= 2."""
    n_hidden = hidden.shape[-1]
    if n_hidden == 2:
        low_high = (-1.08, 1.08)
        names = ("hidden unit 1", "hidden unit 2")
        return Plane(hidden.new_zeros(2), torch.eye(2).to(hidden), 1.0, (low_high,) * 2, names)
    origin = hidden.mean(0)
    _, size, directions = torch.linalg.svd(hidden - origin, full_matrices=False)
    axes = directions[:2].T
    # a direction and its opposite are alike: the largest part shall be positive
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    axes = axes * torch.where(largest < 0, -1, 1)
    limits = _around((hidden - origin) @ axes)
    share = float(size[:2].square().sum() / size.square().sum().clamp(min=1e-30))
    return Plane(origin, axes, share, limits, ("principal direction 1", "principal direction 2"))


def _around(flat):
    """Limits around points (N, 2) of the plane."""
    low, high = flat.amin(0), flat.amax(0)
    margin = 0.12 * (high - low).clamp(min=0.2)
    return tuple(zip((low - margin).tolist(), (high + margin).tolist(), strict=True))


def _showing(plane, hidden, points):
    """The Plane widened so that the fixed points can be seen besides the hidden states."""
    if len(plane.origin) == 2 or not points:
        return plane
    positions = torch.stack([point.position for point in points])
    return replace(plane, limits=_around(plane.flat(torch.cat([hidden, positions]))))


@drawn
def phase_portraits(model, language, title, points=None):
    """A panel per symbol for an SRN (S = 1) with two or more hidden units: where the symbol's map
    leads (arrows), its fixed points with their eigenvalues, the steps of strings with several n,
    and the output's boundaries. points: all_fixed_points, where they are there already. Raises
    ModelError for one hidden unit, an LSTM, or S > 1."""
    if model.n_hidden < 2:
        raise ModelError("a phase portrait needs a plane: the network has one hidden unit")
    maps = srn_maps(model, language.symbols)
    stream, activity = visited_states(model, language)
    hidden = activity.hidden[0].detach().cpu().double()  # (B, T, H)
    start = model.start(1).hidden[0].detach().cpu().double()  # (1, H)
    before = torch.cat([start[None].expand(len(hidden), -1, -1), hidden[:, :-1]], 1)
    valid, inputs = stream.valid.cpu(), stream.inputs.cpu()
    shown = valid
    if language.numbered:  # the string and the first symbol of the next one
        last = torch.tensor([len(language.word(n)) for n in range(1, len(hidden) + 1)])
        shown = torch.arange(valid.shape[1]) <= last[:, None]
    points = all_fixed_points(model, language) if points is None else points
    states = torch.cat([start, hidden[valid]])
    plane = _showing(plane_of(states), states, sum(points, []))
    across = 2 if len(maps) in (2, 4) else 3
    down = -(-len(maps) // across)
    side = 8.6 / across
    title = "\n".join(filter(None, [title, plane.note]))
    figure = Figure(title, 8.6, (side + 0.1) * down + 1.4)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    rows = _several(language, len(hidden))
    steps = []
    for k, (ax, map) in enumerate(zip(axes, maps, strict=False)):
        _draw_field(ax, map, plane)
        steps.append([])
        for shade, b in rows:
            here = shown[b] & (inputs[b] == k)
            ends = plane.flat(torch.stack([before[b][here], hidden[b][here]], 1)).numpy()
            _draw_steps(ax, ends, shade)
            steps[-1].append(along(ends))
        for point in points[k]:
            marker, fill = POINT_LOOKS[point.kind]
            look = {"mfc": fill, "mec": "black", "ms": 8, "mew": 1.2, "zorder": 5}
            ax.plot(*plane.flat(point.position), marker, clip_on=False, **look)
        ax.set(title=f"reading {map.name}", xlabel=plane.names[0], ylabel=plane.names[1])
        ax.set(xlim=plane.limits[0], ylim=plane.limits[1])
        ax.locator_params(nbins=5)
        ax.label_outer()
    for ax in axes[len(maps) :]:
        ax.remove()
    kinds = {point.kind for some in points for point in some}
    _key(figure, kinds, rows, language)
    figure.draw_without_rendering()
    region = _most_probable(model, plane)
    for ax, some, paths in zip(axes, points, steps, strict=False):
        path = np.concatenate(paths)
        places = [plane.flat(point.position).tolist() for point in some]
        names = [f"next: {symbol}" for symbol in language.symbols]
        taken = draw_regions(ax, region, names, [*path.tolist(), *places], fontsize=FONT)
        texts = [", ".join(number_text(v) for v in point.eigenvalues[:2]) for point in some]
        labels = list(zip(texts, places, strict=True))
        place_labels(ax, labels, [*path.tolist(), *taken], fontsize=FONT, bbox=BOXED)
    return figure


def _several(language, n_rows):
    """(colour, row) of the strings to draw: several n, or MAX_ROWS strings that have none."""
    if not language.numbered:
        return [(COLOURS[0], b) for b in range(min(n_rows, MAX_ROWS))]
    chosen = sorted({1, max(1, n_rows // 3), max(1, 2 * n_rows // 3), n_rows})
    return [(COLOURS[k], n - 1) for k, n in zip((0, 2, 4, 3), chosen, strict=False)]


def _draw_field(ax, map, plane):
    """Arrows from points of the plane towards where the map leads."""
    (x_low, x_high), (y_low, y_high) = plane.limits
    x, y = torch.linspace(x_low, x_high, 19), torch.linspace(y_low, y_high, 19)
    points = torch.cartesian_prod(x[1:-1], y[1:-1]).double()
    change = plane.flat(map(plane.lift(points))) - points
    length = change.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    # the square root keeps short steps visible beside long ones; none longer than a grid step
    arrow = change / length * (length / length.max()).sqrt() * (x_high - x_low) / 18
    style = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.003, "color": "0.72"}
    ax.quiver(*points.numpy().T, *arrow.numpy().T, zorder=1, **style)


def _most_probable(model, plane):
    """A function of points (..., 2) of the plane: the most probable next symbol there (...)."""
    V, bias = model.V[0].detach().cpu().double(), model.out_bias[0].detach().cpu().double()
    return lambda points: (plane.lift(torch.from_numpy(points)) @ V + bias).argmax(-1).numpy()


def _draw_steps(ax, ends, shade):
    """Each step of one string, from state to state: ends (steps, 2, 2)."""
    if len(ends):
        ax.quiver(
            *ends[:, 0].T,
            *(ends[:, 1] - ends[:, 0]).T,
            **{"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006, "alpha": 0.9},
            color=shade,
            zorder=3,
        )
        ax.plot(*ends[:, 1].T, ".", color=shade, ms=5, zorder=3)


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
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 6), fontsize=FONT
    )
