"""Figures of Part 1, each function returns one; kana, where there is a font, and romaji label the
classes."""

import contextlib
import functools
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import torch
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .confusion import most_confused
from .kana import KANA, ROMAJI

TRAIN_COLOUR, TEST_COLOUR = "tab:blue", "tab:orange"
STYLE = {**matplotlib.rcParamsDefault, "text.parse_math": False}  # a folder's name may hold a $
del STYLE["backend"]  # each figure has its own


def own_style(function):
    """Draw a figure in a style of our own, whatever the user's settings are."""

    @functools.wraps(function)
    def draw(*args, **options):
        with matplotlib.rc_context(STYLE):
            figure = function(*args, **options)
            FigureCanvasAgg(figure)
            return figure

    return draw


@functools.cache
def kana_font():
    """The Japanese font of the package matplotlib-fontja, None if it is not installed. Its file is
    found without importing the package, which would change matplotlib's settings."""
    found = None
    with contextlib.suppress(ImportError):  # whatever hides it
        found = find_spec("matplotlib_fontja")
    folder = Path(found.origin).parent if found and found.origin else Path()
    files = sorted(folder.glob("fonts/*.ttf")) if found else []
    return font_manager.FontProperties(fname=str(files[0])) if files else None


def class_name(index):
    return f"{KANA[index]} {ROMAJI[index]}" if kana_font() else ROMAJI[index]


def figures(networks, data):
    """(file name, figure) for checkpoint.Networks of one kind with their `test`. What shows a
    single network shows the first."""
    first = networks[0]
    epochs = "1 epoch" if first.epoch == 1 else f"{first.epoch} epochs"
    name = f"Net{first.net.capitalize()}, {first.recipe.name} recipe, {epochs}"
    one = f"{name}, seed {first.seed}\n{data.title}"
    every = one if len(networks) == 1 else f"{name}, {len(networks)} networks\n{data.title}"
    confusion = sum(network.test.confusion for network in networks)
    yield "confusion.png", confusion_heatmap(confusion, every)
    if any(network.history for network in networks):
        yield "learning_curves.png", learning_curves([n.history for n in networks], every)
    pairs = most_confused(confusion)
    if pairs:
        predictions = torch.stack([network.test.predictions for network in networks])  # (S, N)
        images, labels = data.test_images.cpu(), data.test_labels.cpu()
        yield "confused_pairs.png", confused_gallery(pairs, images, labels, predictions, every)
    if first.net == "lin":
        yield "weights.png", weight_images(first.model, one)
    if first.net == "conv":
        yield "filters.png", first_filters(first.model, one)


@own_style
def confusion_heatmap(confusion, title):
    """The confusion matrix (10, 10): errors coloured by their share of the target's images, what is
    read right, far beyond that scale, in grey."""
    shares = confusion / confusion.sum(1, keepdim=True).clamp(min=1)
    errors = shares.double().fill_diagonal_(float("nan"))
    top = max(float(errors.nan_to_num().max()), 1e-3)
    figure = Figure(figsize=(7.2, 6.6), layout="constrained")
    axes = figure.subplots()
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="0.88")
    image = axes.imshow(errors.numpy(), cmap=colours, vmin=0, vmax=top)
    for row in range(10):
        for column in range(10):
            dark = row != column and errors[row, column] < 0.6 * top
            axes.text(
                column,
                row,
                int(confusion[row, column]),
                ha="center",
                va="center",
                color="white" if dark else "black",
                fontsize=9,
                fontweight="bold" if row == column else "normal",
            )
    names = [class_name(index) for index in range(10)]
    axes.set_xticks(range(10), names, font=kana_font(), fontsize=11, rotation=45)
    axes.set_yticks(range(10), names, font=kana_font(), fontsize=11)
    axes.set_xlabel("predicted")
    axes.set_ylabel("target")
    axes.set_title(title, fontsize=10)
    bar = figure.colorbar(image, shrink=0.85)
    bar.set_label("errors: share of the target's images (grey: read right)")
    return figure


@own_style
def learning_curves(histories, title):
    """Loss and accuracy by epoch, train and test; one line per network.

    histories: per network a list of rows with epoch, train_loss, train_accuracy, test_loss and
    test_accuracy.
    """
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, what, factor in zip(
        figure.subplots(1, 2), ("loss", "accuracy"), (1, 100), strict=True
    ):
        for number, rows in enumerate(histories):
            epochs = [row["epoch"] for row in rows]
            marker = "o" if len(rows) <= 15 else None
            for part, colour in (("train", TRAIN_COLOUR), ("test", TEST_COLOUR)):
                label = f"{part}, during the epoch" if part == "train" else "test, after it"
                axes.plot(
                    epochs,
                    [factor * row[f"{part}_{what}"] for row in rows],
                    color=colour,
                    linestyle="--" if part == "train" else "-",
                    marker=marker,
                    markersize=3.5,
                    alpha=max(0.3, 1 / len(histories) ** 0.5),
                    label=label if number == 0 else None,
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel("mean loss (nats)" if what == "loss" else "accuracy (%)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, fontsize=10)
    return figure


@own_style
def confused_gallery(pairs, images, labels, predictions, title, n_misread=6):
    """One row per pair: an image of the target and one of the predicted class that every network
    reads right, and those of the target that most networks take for the predicted class.

    pairs: as most_confused gives them. images (N, 28, 28), labels (N,), predictions (S, N).
    """
    columns = 2 + n_misread
    blank = torch.full((28, 28), float("nan"))
    shown = []
    right = (predictions == labels).all(0)  # (N,)
    for pair in pairs:
        target = images[right & (labels == pair.target)][:1]
        other = images[right & (labels == pair.predicted)][:1]
        votes = ((predictions == pair.predicted) & (labels == pair.target)).sum(0)  # (N,)
        order = votes.argsort(descending=True, stable=True)[:n_misread]
        misread = images[order[votes[order] > 0]]
        for part, places in ((target, 1), (other, 1), (misread, n_misread)):
            shown += [*part.float(), *[blank] * (places - len(part))]
    figure = Figure(figsize=(8.5, 0.9 * len(pairs) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(mosaic(torch.stack(shown), columns).numpy(), cmap="gray", vmin=0, vmax=255)
    axes.set_yticks(
        [30 * row + 14 for row in range(len(pairs))],
        [
            f"{class_name(pair.target)} \u2192 {class_name(pair.predicted)}\n"
            f"{pair.count} ({pair.share:.1%})"
            for pair in pairs
        ],
        font=kana_font(),
        fontsize=11,
    )
    headings = ["target,\nread right", "predicted,\nread right", "target read\nas predicted"]
    axes.set_xticks([14, 44, 74 + 15 * (n_misread - 1)], headings, fontsize=10)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=10)
    return figure


def mosaic(tiles, columns, gap=2):
    """Tiles (N, height, width) as one picture, in rows of `columns`; the gaps are NaN (white)."""
    n, height, width = tiles.shape
    rows = -(-n // columns)
    tiles = torch.cat((tiles, torch.full((rows * columns - n, height, width), float("nan"))))
    padded = torch.nn.functional.pad(tiles, (0, gap, 0, gap), value=float("nan"))
    grid = padded.view(rows, columns, height + gap, width + gap).transpose(1, 2)
    return grid.reshape(rows * (height + gap), columns * (width + gap))[:-gap, :-gap]


@own_style
def signed_tiles(tiles, columns, title, names, label, gap, figsize):
    """Tiles (N, height, width) of weights, red above zero and blue below, each with its name."""
    figure = Figure(figsize=figsize, layout="constrained")
    axes = figure.subplots()
    top = float(tiles.abs().max())
    image = axes.imshow(mosaic(tiles, columns, gap).numpy(), cmap="RdBu_r", vmin=-top, vmax=top)
    height, width = (side + gap for side in tiles.shape[1:])
    for index, name in enumerate(names):
        row, column = divmod(index, columns)
        axes.text(
            column * width + (width - gap - 1) / 2,
            row * height - 0.5 - 0.12 * gap,
            name,
            font=kana_font(),
            fontsize=12,
            ha="center",
            va="bottom",
        )
    axes.set_axis_off()
    figure.colorbar(image, shrink=0.8).set_label(label)
    axes.set_title(title, fontsize=10, pad=24)
    return figure


def weight_images(model, title):
    """NetLin's weights (10, 784) as ten pictures: what speaks for a class, and what against it."""
    weights = model.output.weight.detach().cpu().view(10, 28, 28)
    names = [class_name(index) for index in range(10)]
    label = "weight (red: ink here speaks for the class)"
    return signed_tiles(weights, 5, title, names, label, gap=8, figsize=(9, 4.4))


def first_filters(model, title):
    """NetConv's first-layer filters (32, 1, 5, 5)."""
    filters = model.conv1.weight.detach().cpu()[:, 0]
    names = [str(number) for number in range(1, 33)]
    return signed_tiles(filters, 8, title, names, "weight", gap=2, figsize=(8.5, 4.8))
