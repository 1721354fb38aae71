"""How much faster than a plain loop? Each part is measured in turn with its plain baseline.

    python scripts/bench.py            # all parts
    python scripts/bench.py xor --json bench.json

Every figure is a median over several rounds in which baseline and ours alternate, so that a
machine whose speed drifts slows both; warm-up is excluded. Ratios first, absolute figures second.
"""

import time
from statistics import median

from options import Parser, number, run

PARTS = {}


def part(function):
    """Register a benchmark: `function(rounds)` returns a list of rows (see `compare`)."""
    PARTS[function.__name__] = function
    return function


def compare(name, baseline, ours, unit, rounds):
    """Time two callables in turn. Each returns how many `unit` it did; a first, uncounted round
    warms both up. Returns a row with the median rates and the median of the per-round ratios."""

    def rate(work):
        start = time.perf_counter()
        done = work()
        return done / (time.perf_counter() - start)

    pairs = [(rate(baseline), rate(ours)) for _ in range(rounds + 1)][1:]
    return {
        "name": name,
        "ratio": median(b / a for a, b in pairs),
        "baseline_per_s": median(a for a, _ in pairs),
        "ours_per_s": median(b for _, b in pairs),
        "unit": unit,
        "rounds": rounds,
    }


def main(argv=None):
    parser = Parser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], default=list(PARTS), metavar="PART"
    )
    parser.add_argument(
        "--rounds", type=number(int, 1), default=3, help="counted rounds per figure"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    args = parser.parse_args(argv)

    import torch
    from runs import describe, write_whole

    hardware = describe(torch.device("cpu"))
    print(
        f"{hardware}; torch {torch.__version__}; medians of {args.rounds} rounds, warm-up excluded"
    )
    results = {"hardware": hardware, "torch": torch.__version__}
    for name in args.parts:
        results[name] = []
        for row in PARTS[name](args.rounds):
            results[name].append(row)
            print(
                f"{row['name']:44s} {row['ratio']:9.2f} x   "
                f"({row['ours_per_s']:.4g} against {row['baseline_per_s']:.4g} {row['unit']}/s)"
            )
    if args.json:
        import json

        write_whole(args.json, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
