"""Contraction and expansion of all SRNs of a run: those that solved the language, and the rest."""

LEVELS = (0.1, 0.5, 0.9)


def rates_by_success(networks, found):
    """{"solved": {...}, "not_solved": {...}}, each with quantiles of the first failing n, of the
    product of the eigenvalues |lambda mu^m| where a network has both fixed points (`with_both`),
    and of the same product measured on its states."""
    from anbn.analysis.rates import counting_rates

    every = [
        counting_rates(networks.model.select(s), networks.language)
        for s in range(networks.model.n_networks)
    ]
    firsts, solved_or_not = found.first_failing_n.tolist(), found.solved.tolist()
    rows = list(zip(every, firsts, solved_or_not, strict=True))
    return {
        name: _quantiles_of([(rates, n) for rates, n, s in rows if s == solved])
        for name, solved in (("solved", True), ("not_solved", False))
    }


def _quantiles_of(group):
    products = [rates.product for rates, _ in group if rates.product is not None]
    measured = [rates.measured_product for rates, _ in group if rates.measured_product is not None]
    return {
        "networks": len(group),
        "first_failing_n": _levels([n for _, n in group]),
        "with_both": len(products),
        "eigenvalue_product": _levels(products),
        "measured_product": _levels(measured),
    }


def _levels(values):
    if not values:
        return None
    import torch

    from anbn.evaluate import quantiles

    found = quantiles(torch.tensor(values), LEVELS)
    return {f"{level:.0%}": value for level, value in zip(LEVELS, found, strict=True)}


def rates_lines(content, multiple):
    """What the run says of them."""
    power = "" if multiple == 1 else f"^{multiple}"
    lines = [
        "",
        "Contraction under A times expansion under B, 10 %, 50 % and 90 % of the networks:",
    ]
    for name, group in content.items():
        if not group["networks"]:
            continue
        eigenvalues, measured = (
            "none" if part is None else ", ".join(f"{value:.2f}" for value in part.values())
            for part in (group["eigenvalue_product"], group["measured_product"])
        )
        lines.append(
            f"    {name.replace('_', ' ')}, {group['networks']} networks: measured on the states "
            f"{measured}; |lambda mu{power}| at the fixed points {eigenvalues} "
            f"({group['with_both']} have both)"
        )
    return lines
