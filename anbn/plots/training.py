"""Pictures of many networks: their loss during training, and how far they count."""

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from anbn.plots.style import COLOURS, FONT, Figure, defaults

SOLVED, UNSOLVED = COLOURS[:2]


@defaults()
def learning(sequences, loss, solved, true_loss, title):
    """The coursework loss of every network during training. sequences (R,) reporting steps,
    loss (R, S), solved (S,) bool, true_loss: that of a predictor of the true probabilities, which
    are not the coursework's target, so that a network can come to lie below it."""
    sequences, loss, solved = np.asarray(sequences) / 1000, np.asarray(loss), np.asarray(solved)
    figure = Figure(title, 7.5, 4.2)
    ax = figure.add_subplot()
    thin = {"alpha": max(0.25, min(0.9, 8 / len(solved))), "lw": 1.2}
    groups = ("not solved", UNSOLVED, "--", ~solved), ("solved", SOLVED, "-", solved)
    for name, colour, style, which in groups:
        if which.any():
            ax.plot(sequences, loss[:, which], style, color=colour, **thin)
            count = "1 network" if which.sum() == 1 else f"{which.sum()} networks"
            ax.plot([], [], style, color=colour, label=f"{name}: {count}")
    if true_loss > 0:
        label = f"a predictor of the true probabilities: {true_loss:.4f}"
        ax.axhline(true_loss, color="black", lw=1, ls=":", label=label)
    ax.set(xlabel="training sequences per network, in thousands", yscale="log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel("loss (mean squared difference)")
    ax.grid(alpha=0.3, which="both")
    ax.legend(fontsize=FONT, loc="upper right")
    return figure


@defaults()
def reach(first_failing_n, n_most, trained_to, title):
    """What fraction of the networks counts how far: first_failing_n (S,), trained on n up to
    trained_to, tried up to n_most."""
    figure = Figure(title, 7.5, 4.2)
    ax = figure.add_subplot()
    ordered = np.sort(np.asarray(first_failing_n))
    failing = ordered[ordered <= n_most]
    counted = np.concatenate([[1], failing, [n_most + 1]])
    left = len(ordered) - np.minimum(np.arange(len(counted)), len(failing))
    ax.step(counted, 100 * left / len(ordered), where="post", color=SOLVED, lw=1.8)
    ax.axvline(trained_to, color="black", ls=":", label=f"largest n in training: {trained_to}")
    farthest = min(n_most + 1, max(4 * trained_to, 2 * int(ordered[-1])))
    ax.set(xscale="log", xlim=(1, farthest), ylim=(0, 103))
    ticks = [t for p in range(5) for t in (10**p, 2 * 10**p, 5 * 10**p) if t <= farthest]
    ax.set_xticks(ticks, [f"{t:,}" for t in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(f"n, tried up to {n_most:,}")
    ax.set_ylabel("networks right at every string up to n, %")
    ax.grid(alpha=0.3, which="both")
    ax.legend(fontsize=FONT, loc="lower left")
    return figure


@defaults()
def pair_map(right, networks, best):
    """Which pairs of numbers networks are right on: right (S, N, N) bool, a cell per pair, the
    share of the networks, and the best one alone."""
    language, n_most = networks.language, right.shape[-1]
    figure = Figure(networks.title, 9.5, 4.9)
    panels = figure.grid_of(2, 2)
    shares = right.double().mean(0).mul(100), right[best].double().mul(100)
    titles = f"{len(right)} networks: right, %", f"the best one, network {best + 1}: right or wrong"
    for ax, share, title in zip(panels, shares, titles, strict=True):
        look = {"vmin": 0, "vmax": 100, "cmap": "viridis", "origin": "lower"}
        image = ax.imshow(share.T.numpy(), extent=(0.5, n_most + 0.5) * 2, **look)
        ax.set(xlabel=language.axes[0], ylabel=language.axes[1])
        ax.set_title(title, fontsize=FONT)
        if not language.judges_choices:
            edge = language.length + 0.5
            ax.plot([0.5, edge, edge], [edge, edge, 0.5], color="white", ls="--", lw=1.2)
    figure.colorbar(image, ax=panels, shrink=0.8)
    if not language.judges_choices:
        figure.supxlabel("dashed: the largest in training", fontsize=FONT)
    return figure


@defaults()
def stack(right, networks):
    """How deep a stack of brackets each network holds: right (S, heights), the share of steps right
    where so many brackets have lain on the one that is now on top."""
    figure = Figure(networks.title, 7.5, 4.2)
    ax = figure.add_subplot()
    wrong = 100 - 100 * right.numpy()
    thin = {"color": SOLVED, "alpha": max(0.25, min(0.9, 8 / len(right))), "lw": 1}
    ax.plot(wrong.T, **thin)
    ax.plot(wrong.mean(0), "o-", color="black", label="mean over the networks")
    ax.set(ylabel="steps wrong, %", ylim=(0, 60))
    ax.set_xlabel("brackets that have lain on the last one open")
    ax.axhline(50, color="0.5", ls=":", label="guessing which kind closes")
    ax.grid(alpha=0.3)
    ax.legend(fontsize=FONT, loc="upper left")
    return figure


def figures(networks, evaluation, true_loss):
    """{file name: Figure} of a run: how the networks learned, and how far they count.

    networks: anbn.networks.Networks. true_loss: as in `learning`.
    """
    made, failing = {}, evaluation.first_failing_n
    if networks.history:
        sequences, loss, *_ = zip(*networks.history, strict=True)
        curves = sequences, loss, evaluation.solved
        made["learning.png"] = learning(*curves, true_loss, networks.title)
    if evaluation.buried_accuracy is not None:
        made["stack.png"] = stack(evaluation.buried_accuracy, networks)
    if evaluation.grid_right is not None:
        made["map.png"] = pair_map(evaluation.grid_right, networks, evaluation.best)
    elif failing is not None and networks.model.n_networks > 1:
        length = networks.language.length
        made["reach.png"] = reach(failing, evaluation.n_most, length, networks.title)
    return made
