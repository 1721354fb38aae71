"""Figures of Part 1, each function returns one; kana, where there is a font, and romaji label the
classes."""

import contextlib
import functools
import itertools
from importlib.util import find_spec
from pathlib import Path

import matplotlib.style
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator

from .confusion import most_confused
from .kana import KANA, ROMAJI

# A decorator: whatever the user's settings are; a folder's name may hold a $.
own_style = matplotlib.style.context(["default", {"text.parse_math": False}])


@functools.cache
def kana_font():
    """The Japanese font of the package matplotlib-fontja, None if it is not installed. Its file is
    found without importing the package, which would change matplotlib's settings."""
    found = None
    with contextlib.suppress(ImportError):  # whatever hides it
        found = find_spec("matplotlib_fontja")
    files = sorted(Path(found.origin).parent.glob("fonts/*.ttf")) if found and found.origin else ()
    return FontProperties(fname=str(files[0])) if files else None


def class_names():
    """What each class is called: kana, where there is a font for them, and romaji."""
    return [f"{k} {r}" for k, r in zip(KANA, ROMAJI, strict=True)] if kana_font() else [*ROMAJI]


def one_panel(figsize, title, **title_options):
    """A figure and its only axes."""
    figure = Figure(figsize=figsize, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10, **title_options)
    return figure, axes


def training_title(networks):
    """What was trained, how long (not equally long where several were interrupted), on what."""
    first, counts = networks[0], [network.epoch for network in networks]
    least, most = min(counts), max(counts)
    epochs = f"{least} to {most} epochs" if least < most else f"{most} epoch{'s' * (most > 1)}"
    which = f"{len(networks)} networks" if len(networks) > 1 else f"seed {first.seed}"
    name = f"Net{first.net.capitalize()}, {first.recipe.name} recipe"
    return f"{name}, {epochs}, {which}\n{first.data}"


def figures(networks, data):
    """(file name, figure) for checkpoint.Networks of one kind with their `test`. What shows a
    single network shows the first."""
    first = networks[0]
    one, every = training_title([first]), training_title(networks)
    tested = every if data.title == first.data else f"{every}\ntested on: {data.title}"
    confusion = sum(network.test.confusion for network in networks)
    yield "confusion.png", confusion_heatmap(confusion, tested)
    if any(network.history for network in networks):
        yield "learning_curves.png", learning_curves([n.history for n in networks], every)
    pairs = most_confused(confusion)
    if pairs:
        predictions = torch.stack([network.test.predictions for network in networks])  # (S, N)
        images, labels = data.test_images.cpu(), data.test_labels.cpu()
        yield "confused_pairs.png", confused_gallery(pairs, images, labels, predictions, tested)
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
    figure, axes = one_panel((7.2, 6.6), title)
    colours = matplotlib.colormaps["viridis"].with_extremes(bad="0.88")
    image = axes.imshow(errors.numpy(), cmap=colours, vmin=0, vmax=top)
    for row, column in itertools.product(range(10), repeat=2):
        dark = errors[row, column] < 0.6 * top  # never on the diagonal, which is NaN
        style = {"color": "white" if dark else "black", "ha": "center", "va": "center"}
        style["fontweight"] = "bold" if row == column else "normal"
        axes.text(column, row, int(confusion[row, column]), fontsize=9, **style)
    axes.set_xticks(range(10), class_names(), font=kana_font(), fontsize=11, rotation=45)
    axes.set_yticks(range(10), class_names(), font=kana_font(), fontsize=11)
    axes.set(xlabel="predicted", ylabel="target")
    label = "errors: share of the target's images (grey: read right)"
    figure.colorbar(image, shrink=0.85).set_label(label)
    return figure


@own_style
def learning_curves(histories, title):
    """Loss and accuracy by epoch, train and test; one line per network. histories: those of
    checkpoint.Networks."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    figure.suptitle(title, fontsize=10)
    left, right = figure.subplots(1, 2)
    style = {"markersize": 3.5, "alpha": max(0.3, 1 / len(histories) ** 0.5)}
    for axes, what, factor in ((left, "loss", 1), (right, "accuracy", 100)):
        for rows in histories:
            epochs, marker = [row["epoch"] for row in rows], "o" if len(rows) <= 15 else ""
            for part, line, colour in (("train", "--", "tab:blue"), ("test", "-", "tab:orange")):
                values = [factor * row[f"{part}_{what}"] for row in rows]
                axes.plot(epochs, values, marker + line, color=colour, **style)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.legend(axes.lines[:2], ["train, during the epoch", "test, after it"])
        axes.grid(alpha=0.3)
    left.set(xlabel="epoch", ylabel="mean loss (nats)")
    right.set(xlabel="epoch", ylabel="accuracy (%)")
    return figure


@own_style
def confused_gallery(pairs, images, labels, predictions, title, n_misread=6):
    """One row per pair: an image of the target and one of the predicted class that every network
    reads right, and those of the target that most networks take for the predicted class.

    pairs: as most_confused gives them. images (N, 28, 28), labels (N,), predictions (S, N).
    """
    blank, shown = torch.full((28, 28), float("nan")), []
    right = (predictions == labels).all(0)  # (N,)
    for pair in pairs:
        target = images[right & (labels == pair.target)][:1]
        other = images[right & (labels == pair.predicted)][:1]
        votes = ((predictions == pair.predicted) & (labels == pair.target)).sum(0)  # (N,)
        order = votes.argsort(descending=True, stable=True)[:n_misread]
        misread = images[order[votes[order] > 0]]
        for part, places in ((target, 1), (other, 1), (misread, n_misread)):
            shown += [*part.float(), *[blank] * (places - len(part))]
    figure, axes = one_panel((8.5, 0.9 * len(pairs) + 1.2), title)
    axes.imshow(mosaic(torch.stack(shown), 2 + n_misread).numpy(), cmap="gray", vmin=0, vmax=255)
    names, ticks = class_names(), []
    for pair in pairs:
        which = f"{names[pair.target]} \u2192 {names[pair.predicted]}"
        ticks.append(f"{which}\n{pair.count} ({pair.share:.1%})")
    places = range(14, 30 * len(pairs), 30)
    axes.set_yticks(places, ticks, font=kana_font(), fontsize=11)
    headings = ["target,\nread right", "predicted,\nread right", "target read\nas predicted"]
    axes.set_xticks([14, 44, 74 + 15 * (n_misread - 1)], headings, fontsize=10)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def mosaic(tiles, columns, gap=2):
    """Tiles (N, height, width) as one picture, `columns` in each row; the gaps are NaN (white)."""
    rows = F.pad(tiles, (0, gap, 0, gap), value=float("nan")).unflatten(0, (-1, columns))
    return rows.transpose(1, 2).flatten(2).flatten(0, 1)[:-gap, :-gap]


@own_style
def signed_tiles(tiles, columns, title, names, label, gap, figsize):
    """Tiles (N, height, width) of weights, red above zero and blue below, each with its name."""
    figure, axes = one_panel(figsize, title, pad=24)
    top = float(tiles.abs().max())
    image = axes.imshow(mosaic(tiles, columns, gap).numpy(), cmap="RdBu_r", vmin=-top, vmax=top)
    _, height, width = tiles.shape
    for index, name in enumerate(names):
        y, x = index // columns * (height + gap), index % columns * (width + gap)
        place = x + (width - 1) / 2, y - 0.5 - 0.12 * gap
        axes.text(*place, name, font=kana_font(), fontsize=12, ha="center", va="bottom")
    axes.set_axis_off()
    figure.colorbar(image, shrink=0.8).set_label(label)
    return figure


def weight_images(model, title):
    """NetLin's weights (10, 784) as ten pictures: what speaks for a class, and what against it."""
    weights = model.output.weight.detach().cpu().view(10, 28, 28)
    label = "weight (red: ink here speaks for the class)"
    return signed_tiles(weights, 5, title, class_names(), label, gap=8, figsize=(9, 4.4))


def first_filters(model, title):
    """NetConv's first-layer filters (32, 1, 5, 5)."""
    filters = model.conv1.weight.detach().cpu()[:, 0]
    return signed_tiles(filters, 8, title, range(1, 33), "weight", gap=2, figsize=(8.5, 4.8))
