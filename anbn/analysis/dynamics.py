"""How a network keeps count: the map that each symbol applies to the hidden units.

    F_A(h) = tanh(W[A] + h U + hid_bias)      one map per symbol, H dimensions

How an SRN counts between the fixed points of such maps is in anbn/analysis/rates.py. An LSTM counts
in its cells: anbn/analysis/cells.py.
"""

from dataclasses import dataclass

import torch

from anbn.models import ModelError, State

NEWTON_STEPS = 60
MAX_STARTS = 300  # of Newton's method drawn at random, and of visited states
RESIDUAL = 1e-10  # |F(x) - x| of a point that counts as fixed
SAME_POINT = 1e-5  # fixed points closer than this are one
NEUTRAL = 1e-6  # an eigenvalue this close to the unit circle neither contracts nor expands


class SymbolMap:
    """What reading symbol k does to the hidden units of an SRN (S = 1), in float64."""

    def __init__(self, model, k):
        self.model, self.k, self.n_hidden = model.select(0).cpu().double(), k, model.n_hidden

    @torch.no_grad()
    def __call__(self, hidden):
        """(..., H) -> (..., H)"""
        rows = hidden.reshape(1, -1, self.n_hidden)
        read = torch.full(rows.shape[:2], self.k)
        return self.model.step(read, State(rows)).hidden.view_as(hidden)

    def jacobian(self, hidden):
        """(..., H) -> (..., H, H), [..., i, j] the derivative of unit i by unit j. In one product;
        autograd would take a backward pass for each unit."""
        return (1 - self(hidden).square())[..., :, None] * self.model.U[0].detach().T


@dataclass(frozen=True)
class FixedPoint:
    """A point x = F(x). Eigenvalues of the Jacobian there, largest magnitude first."""

    position: torch.Tensor  # (H,) float64
    eigenvalues: torch.Tensor  # (H,) complex128

    @property
    def kind(self):
        """stable: attracts from all directions; unstable: repels in all; saddle: some of each;
        neutral: an eigenvalue on the unit circle leaves it open."""
        size = self.eigenvalues.abs()
        if ((size - 1).abs() < NEUTRAL).any():
            return "neutral"
        return "stable" if size.max() < 1 else "unstable" if size.min() > 1 else "saddle"

    @property
    def leading(self):
        """The largest magnitude of an eigenvalue."""
        return float(self.eigenvalues[0].abs())


def one_network(model):
    """Raise ModelError unless the model holds a single network."""
    if model.n_networks != 1:
        raise ModelError(
            f"the analysis is of one network, the model holds {model.n_networks}: select one"
        )


def srn_maps(model):
    """The SymbolMap of each symbol of an SRN with one network (S = 1).

    Raises ModelError for an LSTM, whose state is not its hidden units alone, or for S > 1.
    """
    one_network(model)
    if model.kind != "srn":
        raise ModelError("fixed points are those of an SRN; an LSTM has cell_changes")
    return [SymbolMap(model, k) for k in range(model.n_symbols)]


def fixed_points(map, visited=None):
    """The isolated fixed points in [-1, 1]^H, in the order of coordinates: in up to four
    dimensions all of them, in more those that are found. A list of FixedPoint.

    Newton's method from a grid (more than four dimensions: MAX_STARTS random points), from where
    the map leads from there, and from up to MAX_STARTS of the `visited` states (N, H).
    """
    size = map.n_hidden
    if size <= 4:
        axis = torch.linspace(-1, 1, (201, 41, 15, 7)[size - 1], dtype=torch.float64)
        grid = torch.cartesian_prod(*[axis] * size).reshape(-1, size)
    else:
        generator = torch.Generator().manual_seed(0)
        grid = 2 * torch.rand(MAX_STARTS, size, generator=generator, dtype=torch.float64) - 1
    followed = grid
    for _ in range(300):
        followed = map(followed)
    starts = [grid, followed]
    if visited is not None:
        starts.append(visited[:: -(-len(visited) // MAX_STARTS)].cpu().double())
    points = _newton(map, torch.cat(starts).round(decimals=6).unique(dim=0))
    residual = (map(points) - points).abs().amax(-1)
    keep = (residual < RESIDUAL) & (points.abs().amax(-1) <= 1)
    points, residual, found = points[keep], residual[keep], []
    while len(points):
        best = residual.argmin()
        slope = map.jacobian(points[best])
        found.append(FixedPoint(points[best], eigenvalues(slope)))
        other = (points - points[best]).abs().amax(-1) > SAME_POINT
        points, residual = points[other], residual[other]
    return sorted(found, key=lambda point: point.position.tolist())


def eigenvalues(matrix):
    """(H, H) -> (H,) complex, the largest magnitude first."""
    values = torch.linalg.eigvals(matrix)
    return values[values.abs().argsort(descending=True)]


def _newton(map, x):
    """Newton's method for F(x) = x from each x (N, H), the step halved as long as it does not
    lower the residual. Starts that do not converge stay where they are."""
    identity = torch.eye(map.n_hidden, dtype=x.dtype)
    fractions = 0.5 ** torch.arange(8, dtype=x.dtype)[:, None, None]
    moving = torch.arange(len(x))
    for _ in range(NEWTON_STEPS):
        here = x[moving]
        residual = map(here) - here
        step, _ = torch.linalg.solve_ex(identity - map.jacobian(here), residual[..., None])
        tried = here + fractions * step.squeeze(-1).nan_to_num(0, 0, 0)  # (8, N, H)
        size, which = (map(tried) - tried).norm(dim=-1).min(0)
        better = size < residual.norm(dim=-1)
        moving = moving[better]
        if not len(moving):
            break
        x[moving] = tried[which[better], better.nonzero()[:, 0]]
    return x


def visited_states(model, language):
    """What a network does on the language's `probe` strings: (Stream (B, T), State with S = 1)."""
    stream = language.probe().to(model.U.device)
    with torch.no_grad():
        return stream, model(stream.inputs)


def all_fixed_points(model, language):
    """The fixed points of each symbol's map: a list of lists of FixedPoint, in symbol order."""
    stream, activity = visited_states(model, language)
    visited = activity.hidden[0][stream.valid]
    return [fixed_points(map, visited) for map in srn_maps(model)]
