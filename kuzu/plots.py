"""Figures of Part 1, each function returns one; kana and romaji label the classes."""

from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure

from .kana import KANA, ROMAJI, font_path

TRAIN_COLOUR, TEST_COLOUR = "tab:blue", "tab:orange"


@cache
def kana_font():
    """The Japanese font, for single texts: matplotlib's own settings stay as they are."""
    return font_manager.FontProperties(fname=str(font_path()))


def class_name(index):
    return f"{KANA[index]} {ROMAJI[index]}"


def confusion_heatmap(confusion, title):
    """The confusion matrix (10, 10), coloured by the share of each target's images."""
    shares = confusion / confusion.sum(1, keepdim=True).clamp(min=1)
    wrong = shares.clone()
    wrong.fill_diagonal_(0)
    # The diagonal would drown the errors: the colours end at the largest error.
    top = max(float(wrong.max()), 1e-3)
    figure = Figure(figsize=(7.2, 6.6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="viridis", vmin=0, vmax=top)
    for row in range(10):
        for column in range(10):
            bright = shares[row, column] > 0.6 * top
            axes.text(
                column,
                row,
                int(confusion[row, column]),
                ha="center",
                va="center",
                color="black" if bright else "white",
                fontsize=9,
                fontweight="bold" if row == column else "normal",
            )
    names = [class_name(index) for index in range(10)]
    axes.set_xticks(range(10), names, font=kana_font(), fontsize=11, rotation=45)
    axes.set_yticks(range(10), names, font=kana_font(), fontsize=11)
    axes.set_xlabel("predicted")
    axes.set_ylabel("target")
    axes.set_title(title, fontsize=10)
    bar = figure.colorbar(image, extend="max", shrink=0.85)
    bar.set_label("share of the target's images (diagonal: off the scale)")
    return figure


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
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, fontsize=10)
    return figure


def confused_gallery(pairs, images, labels, predictions, title, n_misread=6):
    """One row per pair: a target sample read right, one of the predicted class, misread images.

    pairs: as most_confused gives them. images (N, 28, 28), labels (N,), predictions (N,).
    """
    figure = Figure(figsize=(9, 1.0 * len(pairs) + 1.0), layout="constrained")
    grid = figure.subplots(len(pairs), 2 + n_misread, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    right = labels == predictions
    for row, pair in zip(grid, pairs, strict=True):
        target_read_right = images[right & (labels == pair.target)]
        predicted_read_right = images[right & (labels == pair.predicted)]
        misread = images[(labels == pair.target) & (predictions == pair.predicted)]
        for axes, image in (
            *zip(row[:1], target_read_right, strict=False),
            *zip(row[1:2], predicted_read_right, strict=False),
            *zip(row[2:], misread, strict=False),
        ):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        row[0].text(
            -0.12,
            0.5,
            f"{class_name(pair.target)} → {class_name(pair.predicted)}\n"
            f"{pair.count} ({pair.share:.1%})",
            font=kana_font(),
            fontsize=10,
            ha="right",
            va="center",
            transform=row[0].transAxes,
        )
    for axes, heading in zip(
        grid[0], ("target,\nread right", "predicted class,\nread right", "misread"), strict=False
    ):
        axes.set_title(heading, fontsize=9)
    figure.suptitle(title, fontsize=10)
    return figure


def weight_images(model, title):
    """NetLin's weights (10, 784) as ten pictures: what speaks for a class, and what against it."""
    weights = model.output.weight.detach().cpu().view(10, 28, 28)
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    top = float(weights.abs().max())
    grid = figure.subplots(2, 5)
    for index, axes in enumerate(grid.flat):
        image = axes.imshow(weights[index], cmap="RdBu_r", vmin=-top, vmax=top)
        axes.set_title(class_name(index), font=kana_font(), fontsize=13)
        axes.set_axis_off()
    bar = figure.colorbar(image, ax=grid, shrink=0.8)
    bar.set_label("weight (red: ink here speaks for the class)")
    figure.suptitle(title, fontsize=10)
    return figure


def first_filters(model, title):
    """NetConv's first-layer filters (32, 1, 5, 5)."""
    filters = model.conv1.weight.detach().cpu()[:, 0]
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    top = float(filters.abs().max())
    grid = figure.subplots(4, 8)
    for index, axes in enumerate(grid.flat):
        image = axes.imshow(filters[index], cmap="RdBu_r", vmin=-top, vmax=top)
        axes.set_title(str(index + 1), fontsize=8)
        axes.set_axis_off()
    bar = figure.colorbar(image, ax=grid, shrink=0.8)
    bar.set_label("weight")
    figure.suptitle(title, fontsize=10)
    return figure
