"""Contraction and expansion of networks whose factors are known otherwise."""

import math

import pytest
import torch

from anbn.analysis.dynamics import srn_maps
from anbn.analysis.rates import counting_rates
from anbn.counting import CountingLanguage
from anbn.models import SRN


def separate_srn(u, w_a, w_b):
    """An SRN whose two units do not see each other: h_i = tanh(u_i h_i + w_i)."""
    zero = torch.zeros(1, 2)
    return SRN.from_parameters(
        {
            "H0": zero,
            "W": torch.tensor([[w_a, w_b]]),
            "U": torch.diag(torch.tensor(u))[None],
            "hid_bias": zero,
            "V": torch.tensor([[[1.0, -1.0], [0.0, 0.0]]]),
            "out_bias": zero,
        }
    )


def attracting_value(u, w):
    h = 0.5
    for _ in range(100_000):
        h = math.tanh(u * h + w)
    return h, u * (1 - h * h)


def test_rates_of_units_that_do_not_see_each_other():
    # unit 1 falls slowly to its fixed point under A, and leaves 0 by a factor of 1.25 under B
    language = CountingLanguage.named("anb2n")
    model = separate_srn((1.25, 0.1), (0.4, 0.0), (0.0, 0.0))
    rates = counting_rates(model, language)
    value, factor = attracting_value(1.25, 0.4)
    assert rates.period == 1 and rates.attractor.position[0] == pytest.approx(value)
    assert rates.contraction == pytest.approx(factor)
    assert rates.repeller.kind == "saddle"
    assert rates.repeller.position.abs().max() < 1e-9
    assert rates.expansion == pytest.approx(1.25)
    assert rates.product == pytest.approx(factor * 1.25**2)


def test_rates_on_a_cycle_of_two():
    # tanh(-3 h) jumps between +-0.995; the factor per step is 3 (1 - h^2) at its ends
    model = separate_srn((-3.0, 0.01), (0.0, 0.0), (0.0, 0.0))
    model = SRN.from_parameters(
        {**dict(model.named_parameters()), "H0": torch.tensor([[0.5, 0.0]])}
    )
    rates = counting_rates(model, CountingLanguage.named("anbn"))
    end, _ = attracting_value(3.0, 0.0)  # the size of both points
    assert rates.period == 2
    assert rates.attractor.position[0].abs() == pytest.approx(end)
    assert rates.contraction == pytest.approx(3 * (1 - end * end))


def test_measured_rates_against_a_plain_loop():
    language = CountingLanguage.named("anb2n", 5)
    model = SRN(2, 2, seeds=[4], init=0.5)
    rates = counting_rates(model, language)
    read_a, read_b = srn_maps(model)
    after_a, ends = [], []
    h = model.H0[0].detach().double().tanh()
    for _ in range(5):
        h = read_a(h)
        after_a.append(h)
    logs, steps = 0.0, 0
    for n in range(1, 5):
        short, long = after_a[n - 1], after_a[n]
        before = (long - short).norm()
        for _ in range(2 * n):
            short, long = read_b(short), read_b(long)
        logs += math.log((long - short).norm() / before)
        steps += 2 * n
        ends.append(before)
    contraction = (ends[-1] / ends[0]) ** (1 / 3)
    assert rates.measured_contraction == pytest.approx(float(contraction), rel=1e-4)
    assert rates.measured_expansion == pytest.approx(math.exp(logs / steps), rel=1e-4)
    product = rates.measured_contraction * rates.measured_expansion**2
    assert rates.measured_product == pytest.approx(product)


def test_a_saturated_network_has_no_measured_rates():
    """Its counts fall together, so that distances between them are rounding."""
    model = separate_srn((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))
    rates = counting_rates(model, CountingLanguage.named("anbn"))
    assert rates.measured_contraction is None and rates.measured_product is None


def test_slow_approach_to_a_fixed_point_from_both_sides_is_no_cycle():
    model = separate_srn((-0.95, 0.01), (0.3, 0.0), (0.0, 0.0))
    rates = counting_rates(model, CountingLanguage.named("anbn"))
    assert rates.period == 1 and 0.8 < rates.contraction < 0.95
