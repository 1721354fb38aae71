"""Results beyond the references: how far LSTMs count that were trained on small n alone.

Not part of the whole report's half hour: python scripts/report.py --only beyond
"""

from reporting.measured import table

TASKS = (  # name, options, trained on, n tried up to
    ("anbn", "--lang anbn --length 10", "a^n b^n, n up to 10", 10_000),
    ("anbncn", "--lang anbncn --length 10", "a^n b^n c^n, n up to 10", 3_000),
    ("anb2nc3n", "--lang anb2nc3n --length 4", "a^n b^2n c^3n, n up to 4", 1_000),
)
FIRST_SEED = 20_000  # no recipe was chosen on these
NETWORKS = 100
RECIPES = ("far", "usual")
SRNS = (  # name, options, how they were trained
    ("srn_usual", "", "the usual recipe"),
    ("srn_short", " --optim adam --epoch 4", "plain Adam, 4,000 sequences"),
)


def measure(measured, data_dir):
    seeds = 8 if measured.quick else NETWORKS
    which = f"--seed {FIRST_SEED} --seeds {seeds}"
    experiments = []
    for name, options, _, n_most in TASKS:
        for recipe in RECIPES:
            command = f"seq_train.py {options} --model lstm --recipe {recipe} {which}"
            more = "" if recipe == "usual" else f" --n_most {n_most}"
            experiments.append((f"{name}_{recipe}", command + more, ("reach.png",)))
    for name, options, _ in SRNS:
        command = f"seq_train.py --lang anbn --length 10 --rates {which}{options}"
        experiments.append((name, command, ()))
    measured.run_all(experiments)


def text(measured):
    return f"""## Beyond the references: counting far

LSTMs with three hidden units, trained on small n by plain gradient descent, the network unchanged;
the last network counts, none is chosen ({measured.where("anbn_far")}).
Recipes in `anbn/recipes.py`. far: once the count is found the gain of forget and output gates grows
to 200, of input gates and candidates to 30 (where one letter stands for several, not at all), and
steps that are not certain learn how often each letter comes there on average, so that no unit has a
reason to know how large n may be. What that gives up is the excess, down to which a predictor gets
that does not count the letters A. First failing n over the networks, every n tried:

{results(measured)}
Solved: with its 95 % interval. Times: of 100 networks on one thread, with one or two such trainings
beside it on two cores. Not solved are networks that get the certain symbols of 1 % of the
streams wrong; some of them count a single string far all the same.

{commands(measured)}

{measured.notes()}
{measured.figure("anbn_far", "reach.png", "How far the networks count, a^n b^n, far recipe.")}
### SRNs on a^n b^n beyond their training

SRNs with two hidden units, n up to 10 in training. A network treats all n alike if the contraction
under A times the expansion under B is 1 (Rodriguez, Wiles & Elman 1999). The product is measured on
the distances of the states of neighbouring n, and taken from the eigenvalues where a network has
both an attractor under A and a repelling fixed point under B, the place the theory speaks of.

{srns(measured)}"""


def commands(measured):
    """The command of every line of the table."""
    names = [f"{name}_{recipe}" for name, *_ in TASKS for recipe in RECIPES]
    lines = [f"    {measured[name]['run']['command']}" for name in names if measured.has(name)]
    return "\n".join(lines) + "\n"


def srns(measured):
    rows = []
    for name, _, how in SRNS:
        for which, found in measured[name]["rates"].items():
            if found["networks"]:
                low, middle, high = found["first_failing_n"].values()
                rows.append(
                    [
                        f"{how}: {which.replace('_', ' ')}",
                        found["networks"],
                        f"{middle} ({low} to {high})",
                        spread(found["measured_product"]),
                        spread(found["eigenvalue_product"]),
                        found["with_both"],
                    ]
                )
    header = ["SRN-2", "networks", "first failing n: median (10 % to 90 %)", "measured product"]
    return table([*header, "eigenvalue product", "networks with both points"], rows)


def spread(levels):
    if levels is None:
        return "-"
    low, middle, high = levels.values()
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def results(measured):
    rows = []
    for name, _, what, _ in TASKS:
        for recipe in RECIPES:
            if not measured.has(f"{name}_{recipe}"):
                continue
            found = measured[f"{name}_{recipe}"]
            tried = found["first_failing_n"]["tried_up_to"]
            low, high = found["success_rate_95"]
            quantiles = [
                f"> {tried:,}" if n > tried else f"{n:,}"
                for n in found["first_failing_n"]["quantiles"].values()
            ]
            rows.append(
                [
                    what,
                    recipe,
                    f"{found['solved']} of {found['networks']} ({low:.0%} to {high:.0%})",
                    *quantiles,
                    f"{found['excess_cross_entropy']['50%']:.4f}",
                    f"{found['memoryless_excess']:.4f}",
                    f"{found['training_seconds']:.0f} s",
                ]
            )
    header = ["trained on", "recipe", "solved", "10 %", "25 %", "50 %", "75 %", "90 %"]
    more = ["excess, nats/symbol (median)", "least without counting A", "training"]
    return table([*header, *more], rows)
