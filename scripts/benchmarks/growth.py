"""How the cost of training grows: with the number of networks, the longest n, the hidden units.

Seconds for 1,000 training sequences per network of a^n b^n, all networks together, eight sequences
per update, by the default recipe's optimizer, on one thread.
"""

import io
import time
from statistics import median

import matplotlib.style
from matplotlib.figure import Figure

from anbn.counting import CountingLanguage
from anbn.recipes import default_recipe, with_options
from anbn.train import build, train

NETWORKS, LENGTH, HIDDEN = 64, 8, 3  # what the other two are while one grows
SWEEPS = {
    "networks": (1, 4, 16, 64, 256, 1024, 4096, 16_384),
    "longest n": (4, 8, 16, 32, 64, 256, 1000),
    "hidden units": (1, 2, 4, 8, 16),
}
BATCH = 8  # sequences per update
UPDATES = 32  # of a measurement: as many as are drawn together


def rows(rounds):
    """A row for each network and size: what grows, its value, the seconds."""
    for kind in ("srn", "lstm"):
        for what, values in SWEEPS.items():
            for value in values:
                size = {"networks": NETWORKS, "longest n": LENGTH, "hidden units": HIDDEN}
                seconds = measure(kind, *(size | {what: value}).values(), rounds)
                row = {"name": f"{kind.upper()}, {what} {value:,}", "network": kind}
                yield row | {"grows": what, "value": value, "seconds": seconds}


def measure(kind, networks, length, hidden, rounds):
    """Median seconds for 1,000 sequences per network."""
    language, seeds = CountingLanguage.named("anbn", length), range(networks)
    recipe = default_recipe(language, kind, hidden)

    def seconds(n_updates):
        short = with_options(recipe, n_sequences=n_updates * BATCH, batch_size=BATCH)
        model = build(language, kind, hidden, seeds, short)
        start = time.perf_counter()
        for _ in train(model, language, short, seeds, report_every=10**9, evaluate=False):
            pass
        return (time.perf_counter() - start) / n_updates

    seconds(2)  # warm-up
    return median(seconds(UPDATES) for _ in range(rounds)) * 1000 / BATCH


@matplotlib.style.context("default")
def draw(rows, hardware):
    """PNG: one panel per growing size, logarithmic on both axes."""
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    for panel, what in zip(figure.subplots(1, len(SWEEPS), sharey=True), SWEEPS, strict=True):
        for kind, marker in (("srn", "o"), ("lstm", "s")):
            chosen = [row for row in rows if (row["network"], row["grows"]) == (kind, what)]
            x, y = [row["value"] for row in chosen], [row["seconds"] for row in chosen]
            panel.loglog(x, y, marker=marker, label=kind.upper())
        panel.set_xlabel(what)
        panel.set_xticks(SWEEPS[what], [f"{value:,}" for value in SWEEPS[what]])
        panel.minorticks_off()
        panel.tick_params(axis="x", labelrotation=45)
        panel.grid(alpha=0.3)
    figure.axes[0].set_ylabel("seconds per 1,000 sequences\nof every network")
    figure.axes[0].legend()
    sizes = f"{NETWORKS} networks, n up to {LENGTH}, {HIDDEN} hidden units where they do not grow"
    figure.suptitle(f"a^n b^n, {sizes}\n{hardware}", fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    return content.getvalue()
