"""Contraction and expansion along the counting direction of an SRN.

After the theory of Rodriguez, Wiles & Elman (1999): reading A, the state falls towards an
attractor of F_A by a factor lambda per A; reading B, it leaves a repelling point of F_B by a factor
mu per B. It reaches the output's boundary after m letters B for each A if |lambda mu^m| = 1, and
the counts of all n stay apart alike.

A trained network need not count near its fixed points, so the same factors are measured as well on
the distance between neighbouring counts, n and n + 1: after the A, and after the B of the shorter.
"""

import math
from dataclasses import dataclass

import torch

from anbn.analysis.dynamics import FixedPoint, eigenvalues, fixed_points, srn_maps, visited_states
from anbn.evaluate import quantiles

LEVELS = (0.1, 0.5, 0.9)
MAX_PERIOD = 4  # longest cycle that is looked for where reading A ends
LOST = 1e-12  # a smaller distance between two states is rounding


@dataclass(frozen=True)
class Rates:
    """Factors per letter. What was not found is None."""

    multiple: int  # letters B per A
    attractor: FixedPoint | None  # where reading A leads: of F_A, or of F_A applied `period` times
    period: int  # 1 for a fixed point, 2 where it jumps to and fro between two points
    attractor_distance: float | None  # from the state after the most A in training
    repeller: FixedPoint | None  # the repelling fixed point of F_B that the states come nearest to
    repeller_distance: float | None  # from the nearest of them
    contraction: float | None  # |lambda| per A, at the attractor
    expansion: float | None  # |mu| per B, at the repelling point
    measured_contraction: float | None  # of the distance between neighbouring counts, per A
    measured_expansion: float | None  # per B

    @property
    def product(self):
        """|lambda mu^m|: 1 keeps the counts of all n apart alike."""
        if self.contraction is None or self.expansion is None:
            return None
        return self.contraction * self.expansion**self.multiple

    @property
    def measured_product(self):
        """The same of the measured factors."""
        if self.measured_contraction is None:
            return None
        return self.measured_contraction * self.measured_expansion**self.multiple


def counting_rates(model, language):
    """The Rates of an SRN (S = 1) on a counting language, for n up to the training length.

    Raises ModelError for another kind of model.
    """
    read_a, read_b = srn_maps(model)[:2]
    exact = model.select(0).cpu().double()  # distances far below the states themselves matter
    hidden = visited_states(exact, language)[1].hidden[0]  # (N, T, H)
    last_a, times = hidden[-1, language.length - 1], language.multiples[1]
    attractor, period, end = _attractor(read_a, last_a)
    near = torch.cat([row[n : n + times * n] for n, row in enumerate(hidden, start=1)])
    path = [read_b(end)]  # of a string with very many A
    for _ in range(200):
        path.append(read_b(path[-1]))
    repellers = [
        (float((near - point.position).norm(dim=-1).min()), point)
        for point in fixed_points(read_b, torch.cat([near, torch.stack(path)]))
        if point.leading > 1
    ]
    distance, repeller = min(repellers, key=lambda pair: pair[0], default=(None, None))
    return Rates(
        times,
        attractor,
        period,
        None if attractor is None else float((last_a - attractor.position).norm()),
        repeller,
        distance,
        None if attractor is None else attractor.leading ** (1 / period),
        None if repeller is None else repeller.leading,
        *_measured(hidden, times),
    )


def _attractor(map, start):
    """Where a map leads from `start` (H,): a FixedPoint of the map applied `period` times, the
    period, and the point reached. None and 1 if no cycle of at most MAX_PERIOD is reached."""
    end = start
    for _ in range(25):
        for _ in range(200):
            end = map(end)
        path, slopes = [end], [torch.eye(map.n_hidden, dtype=end.dtype)]
        for _ in range(MAX_PERIOD):  # the derivative of several steps by the chain rule
            slopes.append(map.jacobian(path[-1]) @ slopes[-1])
            path.append(map(path[-1]))
        distances = [float((again - end).abs().max()) for again in path]
        if min(distances[1:]) < 1e-9:  # one step may be off by more where the approach is slow
            period = next(p for p in range(1, MAX_PERIOD + 1) if distances[p] < 1e-6)
            return FixedPoint(end, eigenvalues(slopes[period])), period, end
    return None, 1, end


def _measured(hidden, multiple):
    """Factors per A and per B of the distance between neighbouring counts, geometric means over
    n = 1..N: hidden (N, T, H), row n - 1 the string a^n b^(mn). None and None for fewer than three
    n, or where a distance is below LOST."""
    longest = len(hidden)
    n = torch.arange(1, longest)
    after_a = hidden[-1, :longest].diff(dim=0).norm(dim=-1)  # (N-1,)
    after_b = (hidden[n, n + multiple * n] - hidden[n - 1, n - 1 + multiple * n]).norm(dim=-1)
    if longest < 3 or min(after_a.min(), after_b.min()) < LOST:
        return None, None
    grown = float((after_b.log() - after_a.log()).sum())
    steps = multiple * longest * (longest - 1) / 2
    return float((after_a[-1] / after_a[0]) ** (1 / (longest - 2))), math.exp(grown / steps)


def rates_by_success(networks, evaluation):
    """Of the SRNs that solved the language and of the rest, {"solved": {...}, "not_solved": {...}}:
    quantiles of the first failing n, of |lambda mu^m| where a network has both fixed points
    (`with_both`), and of the same product measured on its states."""
    groups = {"solved": [], "not_solved": []}
    for s, solved in enumerate(evaluation.solved.tolist()):
        rates = counting_rates(networks.model.select(s), networks.language)
        row = int(evaluation.first_failing_n[s]), rates.product, rates.measured_product
        groups["solved" if solved else "not_solved"].append(row)
    content = {}
    for name, rows in groups.items():
        failing, products, measured = (
            [row[k] for row in rows if row[k] is not None] for k in range(3)
        )
        content[name] = {
            "networks": len(rows),
            "first_failing_n": quantiles(failing, LEVELS) if failing else None,
            "with_both": len(products),
            "eigenvalue_product": quantiles(products, LEVELS) if products else None,
            "measured_product": quantiles(measured, LEVELS) if measured else None,
        }
    return content


def rates_lines(content, multiple):
    """What `rates_by_success` found, as lines of text."""
    power = "" if multiple == 1 else f"^{multiple}"
    title = "Contraction under A times expansion under B, 10 %, 50 % and 90 % of the networks:"

    def shown(levels):
        return ", ".join(f"{value:.2f}" for value in levels.values()) if levels else "none"

    lines = [
        f"    {name.replace('_', ' ')}, {group['networks']} networks: measured on the states "
        f"{shown(group['measured_product'])}; |lambda mu{power}| at the fixed points "
        f"{shown(group['eigenvalue_product'])} ({group['with_both']} have both)"
        for name, group in content.items()
        if group["networks"]
    ]
    return ["", title, *lines]
