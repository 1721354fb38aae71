"""The end of a run as lines of text, from the summary that anbn/results.py makes."""

from anbn.analysis.failures import failure_lines

MAX_LISTED = 20  # networks with a line of their own
MAX_HEIGHTS = 9  # of a stack that are listed
SHOWN = ("10%", "50%", "90%")  # quantiles of the learned counts
FIGURES = {  # of each network: where an Evaluation has them; heading and format in the table
    "seed": (None, "seed", "d"),
    "solved": ("solved", "solved", ""),
    "streams_right": ("stream_accuracy", "streams right", ".1%"),
    "certain_steps_right": ("deterministic_accuracy", None, None),
    "legal_symbols": ("legal_accuracy", "legal symbols", ".1%"),
    "choices_right": ("choice_accuracy", "choices right", ".1%"),
    "recall": ("recall_accuracy", "recall", ".1%"),
    "first_failing_n": ("first_failing_n", "first failing n", "d"),
    "excess_cross_entropy": ("excess_cross_entropy", "excess nats/symbol", ".4f"),
    "loss": (None, "mean square loss", ".4f"),
}
SHARES = {  # figures whose quantiles a run without a count prints
    "legal_symbols": "Legal symbols",
    "choices_right": "Choices right",
    "recall": "Recall of the outer letter",
}


def result_lines(content):
    """The end of a run as lines of text. content: what `summary` returns."""
    total, n_solved = content["networks"], content["solved"]
    how = f"{content['sequences']:,} training sequences per network in "
    how += f"{content['training_seconds']:.1f} s"
    lines = [
        f"{content['what']} ({content['parameters']} parameters each)",
        "weights set by hand, no training" if content["hand_set"] else how,
        *("", *_table(content), ""),
    ]
    if total == 1:
        lines.append(f"Solved: {'yes' if n_solved else 'no'}; {content['solved_means']}")
        lines += failure_lines(content["not_solved"]) + _count_lines(content)
        why = content.get("why", "")
        return lines + ([why[0].upper() + why[1:]] if why else [])
    low, high = content["success_rate_95"]
    lines.append(
        f"Solved: {n_solved} of {total} = {n_solved / total:.0%} (95 % interval {low:.0%} to "
        f"{high:.0%}); {content['solved_means']}"
    )
    lines += failure_lines(content["not_solved"]) + _criterion_lines(content)
    if reach := content.get("first_failing_n"):
        shown = ", ".join(f"{k} {_reach(n, content)}" for k, n in reach["quantiles"].items())
        which = "First failing n"
        if "grid" in content:
            axes = " and ".join(content["grid"]["axes"])
            which = f"The larger of {axes} of the first failing pair"
        lines.append(f"{which} over the networks, quantiles: {shown}")
        if "memoryless_excess" in content:
            shown = _shown(content["excess_cross_entropy"], ".4f")
            least = "for a predictor that knows only the symbol read"
            if "grid" not in content:
                least = "the least there is without counting the letters A"
            lines.append(
                f"Excess nats per symbol, quantiles: {shown}; {least}: "
                f"{content['memoryless_excess']:.4f}"
            )
    lines += _count_lines(content)
    if "why" not in content:
        lines += [
            f"{words}, quantiles over the networks: {_shown(content[name], '.1%')}"
            for name, words in SHARES.items()
            if name in content
        ]
        lines.append(f"Most probable symbol always legal: {content['legal_throughout']} networks")
    if heights := content.get("right_by_height"):
        shown = ", ".join(f"{k}: {share:.1%}" for k, share in enumerate(heights[:MAX_HEIGHTS]))
        lines.append(f"Steps right by how many brackets have lain on the one on top: {shown}")
    why = content.get("why", "nearest to the grammar's probabilities")
    return lines + [f"Best: network {content['best']['network']}, {why}"]


def _criterion_lines(content):
    found, never = content["to_criterion"], f"not by {content['sequences']:,}"
    if not found:
        return []
    first, stays = (
        ", ".join(f"{q} {never if n is None else format(n, ',')}" for q, n in found[name].items())
        for name in ("quantiles", "stays_quantiles")
    )
    return [
        f"Sequences until first solved, tested every {found['tested_every']:,}: {first}",
        f"Sequences from which it stays solved: {stays}; {found['lost']} of "
        f"{content['networks']} had lost it",
    ]


def _count_lines(content):
    """The learned counts and what float64 changes, for a counting language."""
    lines = []
    if counts := content.get("learned_counts"):
        lines += [
            f"Learned counts, n = 1 to {counts['trained_to']}: {counts['exact']} networks count "
            f"exactly, {counts['constant_error']} with a constant error",
            "    letters given = slope n + offset; 10 %, 50 %, 90 % of the networks:",
        ]
        for letter, row in counts["letters"].items():
            shown = ", ".join(
                f"{name} {' '.join(format(row[name][level], form) for level in SHOWN)}"
                for name, form in (("slope", ".3f"), ("offset", "+.2f"), ("deviation", ".2f"))
                if name in row
            )
            lines.append(f"    {letter} (exact: {row['per_n']} n), {row['turns']} turn: {shown}")
    if double := content.get("float64"):
        lines += _float64_lines(double, content["first_failing_n"])
    return lines


def _float64_lines(double, reach):
    """Where float64 differs, and where float32 ends if a network did not fail before."""
    tried, lines = reach["tried_up_to"], []
    for row in double["differ"]:
        first, second = (
            f"at no n up to {tried:,}" if row[kind] > tried else f"at n = {row[kind]:,}"
            for kind in ("float64", "float32")
        )
        which = f"Network {row['network']} fails first"
        lines.append(f"{which} {first} in float64, {second} in float32")
    if reach["never_failed"] and not lines:
        text = "In float64 the best networks fail first where they do in float32, which"
        if reach["never_failed"] >= double["networks"]:  # of them none has failed
            text = "Float32"
        lines.append(f"{text} can count to n = {double['float32_ends']:,}")
    return lines


def _shown(quantiles, form):
    return ", ".join(f"{level} {value:{form}}" for level, value in quantiles.items())


def _table(content):
    """The best networks, a line each."""
    rows = content["networks_best_first"][:MAX_LISTED]
    columns = {k: rest for k, (_, *rest) in FIGURES.items() if rest[0] and k in rows[0]}
    lines = ["network" + "".join(f"  {heading}" for heading, _ in columns.values())]
    for row in rows:
        shown = {name: format(row[name], form) for name, (_, form) in columns.items()}
        shown["solved"] = "yes" if row["solved"] else "no"
        if "first_failing_n" in row:
            shown |= {"first_failing_n": _reach(row["first_failing_n"], content)}
        cells = (f"  {shown[name]:>{len(heading)}}" for name, (heading, _) in columns.items())
        lines.append(f"{row['network']:7d}" + "".join(cells))
    left = content["networks"] - len(rows)
    return lines + ([f"({left} more in summary.json)"] if left else [])


def _reach(n, content):
    tried = content["first_failing_n"]["tried_up_to"]
    return f"> {tried:,}" if n > tried else f"{n:,}"
