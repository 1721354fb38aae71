"""Timing two pieces of work in turn, and the fastest this processor multiplies matrices."""

import time
import timeit
from statistics import median

import torch

SIZE = 1536  # rows of the matrices of `peak`


def compare(name, baseline, ours, unit, rounds):
    """Time two callables in turn, so that a machine whose speed drifts slows both.

    Each returns how many `unit` it did; a first, uncounted round warms both up. Returns a row with
    the median rates and the median of the per-round ratios.
    """

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
    }


def peak():
    """Floating-point operations per second of a large float32 matrix product, with the threads that
    torch uses now: the best of five."""
    a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    return 2 * SIZE**3 / min(timeit.repeat(lambda: a @ b, number=1, repeat=5))
