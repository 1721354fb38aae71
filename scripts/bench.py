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
