"""Results beyond the references: how far LSTMs count that were trained on small n alone.

Not part of the whole report's half hour: python scripts/report.py --only beyond
"""

from reporting.anbn import counts, training
from reporting.measured import table

TASKS = {  # options, what is trained, n tried up to by the far recipe
    "anbn": ("--lang anbn --length 10", "a^n b^n, n up to 10", 10_000),
    "anbncn": ("--lang anbncn --length 10", "a^n b^n c^n, n up to 10", 3_000),
    "anbncndn": ("--lang anbncndn --length 10", "a^n b^n c^n d^n, n up to 10", 3_000),
    "anb3n": ("--lang anb3n --length 4", "a^n b^3n, n up to 4", 3_000),
    "anb2nc3n": ("--lang anb2nc3n --length 4", "a^n b^2n c^3n, n up to 4", 3_000),
}
SRNS = {  # options, how they were trained
    "srn_usual": ("", "the usual recipe"),
    "srn_short": (" --optim adam --epoch 4", "the usual, plain Adam, 4,000 sequences"),
    "srn_far": (" --recipe far", "far"),
}
USUAL = ("anbn", "anbncn", "anb2nc3n")  # trained by the usual recipe as well
COST = "{excess_cross_entropy[50%]:.4f} | {memoryless_excess:.4f} | {training_seconds:.0f} s"
RUNS = {f"{name}_far": (name, "far") for name in TASKS}
RUNS |= {f"{name}_usual": (name, "usual") for name in USUAL}


def measure(measured):
    experiments = []
    for run, (name, recipe) in RUNS.items():
        options, _, n_most = TASKS[name]
        command = training(measured, f"{options} --model lstm --recipe {recipe}")
        command += f" --n_most {n_most}" if recipe == "far" else ""
        experiments.append((run, command, ("reach.png",)))
    for name, (options, _) in SRNS.items():
        experiments.append((name, training(measured, f"--lang anbn --length 10 --rates{options}")))
    measured.run_all(experiments)


def text(measured):
    return measured.write(
        where=measured.where(*RUNS, *SRNS),
        results=results(measured),
        commands=measured.commands(RUNS),
        counts=counts({TASKS[name][1]: measured[f"{name}_far"] for name in TASKS}),
        srns=srns(measured),
    )


def results(measured):
    rows = []
    for run, (name, recipe) in RUNS.items():
        found = measured[run]
        low, high = found["success_rate_95"]
        solved = f"{found['solved']} of {found['networks']} ({low:.0%} to {high:.0%})"
        tried, levels = (found["first_failing_n"][key] for key in ("tried_up_to", "quantiles"))
        reach = [f"> {tried:,}" if n > tried else f"{n:,}" for n in levels.values()]
        rows.append([TASKS[name][1], recipe, solved, *reach, COST.format(**found)])
    return table(
        "trained on | recipe | solved | 10 % | 25 % | 50 % | 75 % | 90 % | "
        "excess, nats/symbol (median) | least without counting A | training",
        rows,
    )


def srns(measured):
    rows = []
    for name, (_, how) in SRNS.items():
        for which, found in measured[name]["rates"].items():
            if found["networks"]:
                low, middle, high = found["first_failing_n"].values()
                row = [f"{how}: {which.replace('_', ' ')}", found["networks"]]
                products = map(spread, (found["measured_product"], found["eigenvalue_product"]))
                rows.append([*row, f"{middle} ({low} to {high})", *products, found["with_both"]])
    return table(
        "SRN-2 | networks | first failing n: median (10 % to 90 %) | measured product | "
        "eigenvalue product | networks with both points",
        rows,
    )


def spread(levels):
    if levels is None:
        return "-"
    low, middle, high = levels.values()
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"
