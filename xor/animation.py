"""A moving picture, as a GIF file: how a network finds its dividing lines in training.

The frames are drawn by matplotlib and written by its PillowWriter.
"""

import tempfile
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

from matplotlib.animation import PillowWriter
from matplotlib.lines import Line2D

from xor.explain import score
from xor.model import random_networks
from xor.plots import POINTS, draw_square, figure_of, over_square, own_style, units_shown
from xor.tasks import grid
from xor.train import train

DPI = 76
N_FRAMES = 60  # before those of the same epoch are left out
FRAMES_PER_SECOND = 5
LEVELS = 6  # shades of the output; more make the file larger
WRONG = "#d7301f"


def train_again(seed, n_hidden, size, recipe, n_epochs):
    """The training of one network, done once more by itself, which rounding may let end differently
    from one beside others. Returns a dict from epochs, evenly spaced in their logarithm from 1 to
    n_epochs or where it stops before, to the network (S = 1) as it was then."""
    wanted = {round(n_epochs ** (k / (N_FRAMES - 1))) for k in range(N_FRAMES)}
    model, networks = random_networks([seed], n_hidden, size, recipe.init), {}
    records = train(model, *grid(size), replace(recipe, restarts=0), store_every=1)
    for record in islice(records, n_epochs):
        if record.epoch in wanted:
            networks[record.epoch] = model.network(0)
    return networks | {record.epoch: model.network(0)}


@own_style
def learning(networks, size, title):
    """A frame per entry of `networks` (epoch: network): the output over the square, the hidden
    units' dividing lines, the points by target, right or wrong. Returns the bytes of a GIF."""
    inputs, targets = grid(size)
    frames = [*networks.items()]
    shown, title = units_shown(frames[0][1], title)
    figure, writer = figure_of(5.2, 5.8, title), PillowWriter(fps=FRAMES_PER_SECOND)
    panel, heading = figure.subplots(), figure.suptitle("", fontsize=11)
    points = {t: style | {"mfc": "white", "mec": "black"} for t, style in POINTS.items()}
    handles = [Line2D([], [], ls="", label=f"target {t}", **points[t]) for t in points]
    handles.append(Line2D([], [], ls="", label="wrong", **points[0] | {"mfc": WRONG}))
    handles.append(Line2D([], [], color="black", ls="--", label="dividing line"))
    handles.append(Line2D([], [], color="black", lw=2.5, label="output 1/2 (yellow: above)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=9, frameon=False)

    def draw(epoch, network):
        axis, _, output = over_square(network, size)
        loss, accuracy, wrong = score(network, inputs, targets)
        panel.clear()
        style = {"alpha": 0.6, "color": "black", "lw": 1.3, "ls": "--"}
        shades = (output * LEVELS).clip(0, LEVELS - 1) // 1 / (LEVELS - 1)
        draw_square(panel, axis, shades, network, range(shown), **style)
        if output.min() < 0.5 <= output.max():
            panel.contour(axis, axis, output, levels=[0.5], colors="black", linewidths=2.5)
        for target, is_wrong in product(points, (False, True)):
            chosen = (targets == target) & (wrong[0] == is_wrong)
            style = points[target] | ({"mfc": WRONG} if is_wrong else {})
            panel.plot(*inputs[chosen].T.numpy(), ls="", **style)
        words = f"epoch {epoch:,}: loss {loss.item():.4f}, accuracy {accuracy.item():.1f} %"
        heading.set_text(f"{title}\n{words}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "animation.gif"
        draw(*frames[-1])
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # nothing moves that should stand still
        with writer.saving(figure, path, DPI):
            for frame in frames + FRAMES_PER_SECOND * frames[-1:]:  # the last one stays
                draw(*frame)
                writer.grab_frame()
        return path.read_bytes()
