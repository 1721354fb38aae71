"""How the cost of training grows: with the number of networks, the longest n, the hidden units.

    python scripts/bench.py growth                       # table; about two minutes
    python scripts/bench.py growth --json growth.json --figure growth.png

Seconds for 1,000 training sequences per network of a^n b^n, all networks together, eight sequences
per update, by the default recipe's optimizer; medians of several rounds, warm-up excluded.
"""

import time
from statistics import median

from common.options import Parser, number, run

NETWORKS, LENGTH, HIDDEN = 64, 8, 3  # what the other two are while one grows
SWEEPS = {
    "networks": (1, 4, 16, 64, 256, 1024, 4096),
    "longest n": (4, 8, 16, 32, 64),
    "hidden units": (1, 2, 4, 8, 16),
}
BATCH = 8  # sequences per update
LARGEST = 2.0  # seconds of one measurement: the larger it comes, the fewer updates it is given


def measure(kind, networks, length, hidden, device, rounds):
    """Median seconds for 1,000 sequences per network."""
    import torch

    from anbn.counting import CountingLanguage
    from anbn.recipes import default_recipe, with_options
    from anbn.train import build, train

    language = CountingLanguage.named("anbn", length)
    recipe = default_recipe(language, kind, hidden)
    seeds = range(networks)

    def seconds(n_updates):
        short = with_options(recipe, n_sequences=n_updates * BATCH, batch_size=BATCH)
        model = build(language, kind, hidden, seeds, short, device)
        start = time.perf_counter()
        for _ in train(model, language, short, seeds, report_every=10**9, evaluate=False):
            pass
        if device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / n_updates

    n_updates = max(1, min(32, int(LARGEST / seconds(2))))
    each = median(seconds(n_updates) for _ in range(rounds))
    return each * 1000 / BATCH


def sweep(device, rounds):
    """Yields rows: kind, what grows, its value, the seconds."""
    for kind in ("srn", "lstm"):
        for what, values in SWEEPS.items():
            for value in values:
                size = {"networks": NETWORKS, "longest n": LENGTH, "hidden units": HIDDEN}
                size[what] = value
                seconds = measure(kind, *size.values(), device, rounds)
                yield {"network": kind, "grows": what, "value": value, "seconds": seconds}


def draw(rows, hardware):
    """One panel per growing size, logarithmic on both axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    for panel, what in zip(figure.subplots(1, len(SWEEPS), sharey=True), SWEEPS, strict=True):
        for kind, marker in (("srn", "o"), ("lstm", "s")):
            chosen = [row for row in rows if (row["network"], row["grows"]) == (kind, what)]
            x, y = [row["value"] for row in chosen], [row["seconds"] for row in chosen]
            panel.loglog(x, y, marker=marker, label=kind.upper())
        panel.set_xlabel(what)
        panel.set_xticks(SWEEPS[what], [f"{value:,}" for value in SWEEPS[what]], minor=False)
        panel.minorticks_off()
        panel.tick_params(axis="x", labelrotation=45)
        panel.grid(alpha=0.3)
    figure.axes[0].set_ylabel("seconds per 1,000 sequences\nof every network")
    figure.axes[0].legend()
    sizes = f"{NETWORKS} networks, n up to {LENGTH}, {HIDDEN} hidden units where they do not grow"
    figure.suptitle(f"a^n b^n, {sizes}\n{hardware}", fontsize=10)
    return figure


def main(argv=None):
    parser = Parser(description=__doc__)
    parser.add_argument("--rounds", type=number(int, 1), default=3, help="rounds per figure")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--figure", metavar="FILE", help="also draw them, as PNG")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--no_cuda", action="store_true", help="the same as --device cpu")
    args = parser.parse_args(argv)

    import json

    import torch

    from common.run_folder import choose_device, describe, write_whole

    torch.set_num_threads(1)
    device = choose_device(args)
    hardware = describe(device)
    print(f"{hardware}; seconds per 1,000 sequences of every network, medians of {args.rounds}")
    rows = []
    for row in sweep(device, args.rounds):
        rows.append(row)
        value = f"{row['grows']} {row['value']:,}"
        print(f"{row['network']:5s} {value:20s} {row['seconds']:10.3f} s", flush=True)
    if args.json:
        write_whole(args.json, json.dumps({"hardware": hardware, "rows": rows}, indent=1) + "\n")
    if args.figure:
        draw(rows, hardware).savefig(args.figure, format="png", dpi=120)


if __name__ == "__main__":
    run(main)
