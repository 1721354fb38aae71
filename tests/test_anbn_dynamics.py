"""Fixed points of networks whose answer is known otherwise, and phase portraits."""

import pytest
import torch

from anbn.analysis.dynamics import fixed_points, srn_maps
from anbn.counting import CountingLanguage
from anbn.models import LSTM, SRN, ModelError
from anbn.plots.dynamics import phase_portraits, plane_of
from anbn.reber import ReberLanguage


class Linear:
    """h -> (h - centre) M + centre."""

    def __init__(self, matrix, centre):
        self.matrix, self.centre, self.n_hidden = matrix, centre, len(matrix)

    def __call__(self, h):
        return (h - self.centre) @ self.matrix + self.centre

    def jacobian(self, h):
        return self.matrix.T.expand(*h.shape, self.n_hidden)


def linear_map(eigenvalues, seed=0):
    """A centre, and the map whose matrix has the given eigenvalues in a random basis."""
    generator = torch.Generator().manual_seed(seed)
    n = len(eigenvalues)
    basis = torch.randn(n, n, generator=generator, dtype=torch.float64)
    blocks = torch.zeros(n, n, dtype=torch.float64)
    for k, value in enumerate(eigenvalues):
        blocks[k, k] = value.real
        if value.imag:  # a conjugate pair makes a block [[a, b], [-b, a]]
            blocks[k, k ^ 1] = value.imag
    matrix = torch.linalg.solve(basis, blocks @ basis)
    centre = 0.6 * torch.rand(n, generator=generator, dtype=torch.float64) - 0.3
    return centre, Linear(matrix, centre)


@pytest.mark.parametrize(
    "kind, eigenvalues",
    [
        ("stable", (0.9 + 0j, -0.5 + 0j)),
        ("saddle", (1.5 + 0j, 0.2 + 0j)),
        ("saddle", (-1.25 + 0j, 0.8 + 0j, 0.1 + 0j)),
        ("unstable", (2 + 0j, -3 + 0j)),
        ("stable", (0.6 + 0.3j, 0.6 - 0.3j)),
        ("unstable", (0.8 + 0.9j, 0.8 - 0.9j)),
        ("neutral", (-1 + 0j, 0.5 + 0j)),
    ],
)
def test_linear_map_with_chosen_eigenvalues(kind, eigenvalues):
    centre, map = linear_map(eigenvalues)
    (point,) = fixed_points(map)
    torch.testing.assert_close(point.position, centre, atol=1e-8, rtol=0)
    assert point.kind == kind
    expected = sorted(eigenvalues, key=lambda v: (-abs(v), v.imag))
    found = sorted(point.eigenvalues.tolist(), key=lambda v: (-round(abs(v), 9), v.imag))
    assert found == pytest.approx(expected, abs=1e-8)
    assert point.leading == pytest.approx(max(abs(value) for value in eigenvalues))


def random_srn(seed, n_hidden=2, scale=2.0, keep=0.0):
    """Recurrent weights of the given spread, `keep` added to a unit's own, small input weights."""
    parameters = dict(SRN(2, n_hidden, seeds=[seed], init=0.3).named_parameters())
    U = parameters["U"] * scale / 0.3 + keep * torch.eye(n_hidden)
    return SRN.from_parameters({**parameters, "U": U})


def all_fixed_points_enclosed(U, w, width=1e-3):
    """Boxes that enclose every h = tanh(h U + w), and no others but for their size: the cube
    [-1, 1]^H is cut again and again; a box that its own image does not meet holds none. tanh and
    the sums are monotone in each coordinate, so the image's bounds are exact to rounding."""
    up, down = U.clamp(min=0), U.clamp(max=0)
    low, high = -torch.ones(1, len(w), dtype=U.dtype), torch.ones(1, len(w), dtype=U.dtype)
    slack = 1e-12
    while len(low) and (high - low).max() > width:
        for _ in range(4):
            image_low = (low @ up + high @ down + w).tanh() - slack
            image_high = (high @ up + low @ down + w).tanh() + slack
            low, high = torch.maximum(low, image_low), torch.minimum(high, image_high)
            meet = (low <= high).all(-1)
            low, high = low[meet], high[meet]
        size = high - low
        longest = torch.nn.functional.one_hot(size.argmax(-1), len(w)).bool()
        cut = (size.amax(-1) > width)[:, None] & longest
        middle = (low + high) / 2
        upper = cut.any(-1)
        low, high = (
            torch.cat([low, torch.where(cut, middle, low)[upper]]),
            torch.cat([torch.where(cut, middle, high), high[upper]]),
        )
        assert len(low) < 100_000
    return low, high


@pytest.mark.parametrize("seed", range(10))
def test_no_fixed_point_of_a_random_srn_is_missed(seed):
    model = random_srn(seed, scale=1.5, keep=2.0)
    U = model.U[0].detach().double()
    for k, map in enumerate(srn_maps(model)):
        w = (model.W[0, k] + model.hid_bias[0]).detach().double()
        found = fixed_points(map)
        positions = torch.stack([point.position for point in found])
        low, high = all_fixed_points_enclosed(U, w)
        # each found point is one, and lies in a box; each box has a found point close by
        assert ((positions @ U + w).tanh() - positions).abs().max() < 1e-6
        inside = (positions[:, None] >= low - 1e-6) & (positions[:, None] <= high + 1e-6)
        assert inside.all(-1).any(1).all()
        middle = (low + high) / 2
        assert torch.cdist(middle, positions).amin(1).max() < 0.02
        # and on a dense grid the residual is small near found points alone
        axis = torch.linspace(-1, 1, 801, dtype=torch.float64)
        grid = torch.cartesian_prod(axis, axis)
        residual = ((grid @ U + w).tanh() - grid).abs().amax(-1)
        least = torch.nn.functional.max_pool2d(-residual.view(1, 1, 801, 801), 5, 1, 2)
        valley = (residual == -least.flatten()) & (residual < 2e-4)
        if valley.any():
            assert torch.cdist(grid[valley], positions).amin(1).max() < 0.05


def test_several_fixed_points_occur_among_the_random_srns():
    counts = [
        len(fixed_points(m))
        for s in range(10)
        for m in srn_maps(random_srn(s, scale=1.5, keep=2.0))
    ]
    assert max(counts) == 7 and min(counts) == 1


@pytest.mark.parametrize("seed", range(3))
def test_three_units_none_is_missed(seed):
    model = random_srn(seed, n_hidden=3, scale=2.0)
    map = srn_maps(model)[0]
    U = model.U[0].detach().double()
    w = (model.W[0, 0] + model.hid_bias[0]).detach().double()
    positions = torch.stack([point.position for point in fixed_points(map)])
    low, high = all_fixed_points_enclosed(U, w, width=4e-3)
    assert torch.cdist((low + high) / 2, positions).amin(1).max() < 0.05


def test_map_and_jacobian_are_those_of_the_network():
    model = random_srn(3, n_hidden=4, scale=1.0)
    hidden = torch.rand(5, 4, dtype=torch.float64) * 2 - 1
    for k, map in enumerate(srn_maps(model)):
        state = type(model.start(5))(hidden.float()[None])
        after = model.step(torch.full((5,), k), state).hidden[0]
        torch.testing.assert_close(map(hidden).float(), after, atol=1e-6, rtol=0)
        step = 1e-6 * torch.eye(4, dtype=torch.float64)
        for h in hidden:  # central differences, [j, i] = d step_i / d h_j
            expected = (map(h + step) - map(h - step)) / 2e-6
            torch.testing.assert_close(map.jacobian(h[None])[0], expected.T, atol=1e-8, rtol=0)


def test_refuses_what_has_no_fixed_points():
    with pytest.raises(ModelError, match="SRN"):
        srn_maps(LSTM(2, 2))
    with pytest.raises(ModelError, match="select one"):
        srn_maps(SRN(2, 2, seeds=[0, 1]))


def test_portraits_have_a_panel_per_symbol_and_name_their_plane():
    two = phase_portraits(SRN(2, 2), CountingLanguage.named("anbn"), "two units")
    assert [ax.get_title() for ax in two.axes] == ["reading A", "reading B"]
    assert "principal" not in two.get_suptitle()
    three = phase_portraits(SRN(3, 3), CountingLanguage.named("anbncn"), "three units")
    assert len(three.axes) == 3 and "principal directions" in three.get_suptitle()
    assert len(phase_portraits(SRN(7, 2), ReberLanguage(), "Reber").axes) == 7
    with pytest.raises(ModelError, match="one hidden unit"):
        phase_portraits(SRN(2, 1), CountingLanguage.named("anbn"), "one unit")


def test_plane_of_points_that_lie_in_one():
    generator = torch.Generator().manual_seed(0)
    inside = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    span = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    points = inside @ span + 0.3
    plane = plane_of(points)
    assert plane.share == pytest.approx(1)
    torch.testing.assert_close(plane.lift(plane.flat(points)), points)
