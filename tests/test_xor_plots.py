"""Figures: what they show of the data, and that they look the same whatever style is inherited."""

import io
import warnings

import matplotlib
import numpy as np
import pytest

from xor import plots
from xor.model import hand_set, random_networks
from xor.tasks import grid


@plots.own_style
def saved(figure):
    """The PNG of a figure; a warning is an error."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions warn of each other
        figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def test_the_inherited_style_does_not_matter():
    network, points = hand_set(3), grid(3)
    plain = saved(plots.diagram(network, "title"))
    odd = {"text.usetex": True, "font.size": 30.0, "lines.linestyle": ":", "savefig.dpi": 7}
    with matplotlib.rc_context(odd):
        assert saved(plots.diagram(network, "title")) == plain
        saved(plots.hidden_units(network, *points, "title"))
        saved(plots.output_region(network, *points, "title"))


def test_regions_are_the_network():
    network = random_networks([1], 3, 3)
    axis, hidden, output = plots.over_square(network, 3)
    at = [int(np.abs(axis - v).argmin()) for v in (1, 2)]  # x = 1, y = 2
    inputs, _ = grid(3)
    exact = network(inputs)[0][5].item()
    assert output[at[1], at[0]] == pytest.approx(exact, abs=0.02)
    assert hidden[:, at[1], at[0]] == pytest.approx(network.hidden[0, 5].tolist(), abs=0.02)


def test_large_networks_fit_on_a_page(monkeypatch):
    network = random_networks([1], 60, 3)
    whole = plots.over_square(network, 3)
    monkeypatch.setattr(plots, "CHUNK_SIZE", 100_000)
    for a, b in zip(whole, plots.over_square(network, 3), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for figure in (plots.hidden_units(network, *grid(3), "t"), plots.diagram(network, "t")):
        assert "units 1 to 24 of 60" in figure.get_suptitle()
        saved(figure)


def test_many_points_stay_apart():
    """Neither their markers nor the numbers along the axes overlap."""
    figure = plots.hidden_units(hand_set(20), *grid(20), "title")
    saved(figure)
    panel = figure.axes[0]
    distance = panel.get_window_extent().width / 20 * 72 / figure.dpi  # in points
    assert max(line.get_markersize() for line in panel.lines[1:]) < distance
    boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
    assert len(boxes) > 3 and not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))


def test_learning_shows_every_epoch():
    """A network that is right at 3, wrong at 5 and right again from 6 on."""
    accuracy = np.array([[50, 75, 100, 100, 75, 100, 100]], dtype=float).T.repeat(2, 1)
    accuracy[:, 1] = 50
    figure = plots.learning(accuracy / 100, accuracy, 0, 3, 6, "title")
    upper, lower = figure.axes
    thick = next(line for line in lower.lines if line.get_label() == "network shown")
    assert thick.get_xdata().tolist() == list(range(1, 8))
    assert thick.get_ydata().tolist() == accuracy[:, 0].tolist()
    labels = [text.get_text() for text in upper.get_legend().get_texts()]
    wanted = ["1 others", "network shown", "first right: epoch 3", "right for good: epoch 6"]
    assert labels == wanted
    saved(figure)
    saved(plots.learning(np.zeros((3, 1)), 100 * np.ones((3, 1)), 0, None, None, "no loss at all"))
    single = plots.learning(np.ones((1, 1)), np.ones((1, 1)), 0, None, None, "one epoch, no line")
    assert single.axes[0].lines[0].get_marker() == "o"


def test_epochs_to_solve_shows_both_epochs():
    figure = plots.epochs_to_solve([10, 20, 30], [10, 20, 900], 5, "title")
    assert "3 of 5 solved it; 1 of these lost it in between" in figure.get_suptitle()
    for panel, values in zip(figure.axes, ([10, 20, 30], [10, 20, 900]), strict=True):
        assert sum(patch.get_height() for patch in panel.patches) == 3
        labels = [text.get_text() for text in panel.get_legend().get_texts()]
        assert labels == [f"{k}%: {v}" for k, v in zip((10, 50, 90), values, strict=True)]
    saved(figure)


def test_epochs_within_a_decade_are_numbered():
    figure = plots.epochs_to_solve([110, 180, 350], [110, 180, 360], 3, "title")
    saved(figure)
    for panel in figure.axes:
        labels = panel.get_xticklabels(which="both")
        texts = [label.get_text() for label in labels if label.get_visible()]
        assert {"100", "200", "300"} <= {*texts}
