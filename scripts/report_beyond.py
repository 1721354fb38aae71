"""Results beyond the references: how far LSTMs count that were trained on small n alone.

Not part of the whole report's half hour: python scripts/report.py --only beyond
"""

from report import table

TASKS = (  # name, options, trained on, n tried up to, published first failing n (REFERENCES)
    (
        "anbn",
        "--lang anbn --length 10",
        "a^n b^n, n up to 10",
        10_000,
        "medians 33 to 118 (Lan et al. 2024; Gers & Schmidhuber 2001, a mean)",
    ),
    (
        "anbncn",
        "--lang anbncn --length 10",
        "a^n b^n c^n, n up to 10",
        3_000,
        "medians 24 to 28 (a peephole re-implementation; Gers & Schmidhuber 2001, a mean)",
    ),
    ("anb2nc3n", "--lang anb2nc3n --length 4", "a^n b^2n c^3n, n up to 4", 1_000, "none"),
)
NETWORKS = 100
RECIPES = ("far", "calibrated", "usual")
SRNS = (  # name, options, how they were trained
    ("srn_usual", "", "the usual recipe"),
    ("srn_short", " --optim adam --epoch 4", "plain Adam, 4,000 sequences"),
)


def measure(measured, data_dir):
    seeds = 8 if measured.quick else NETWORKS
    experiments = []
    for name, options, _, n_most, _ in TASKS:
        for recipe in RECIPES:
            command = f"seq_train.py {options} --model lstm --recipe {recipe} --seeds {seeds}"
            more = "" if recipe == "usual" else f" --n_most {n_most}"
            experiments.append((f"{name}_{recipe}", command + more, ("reach.png",)))
    for name, options, _ in SRNS:
        command = f"seq_train.py --lang anbn --length 10 --rates --seeds {seeds}{options}"
        experiments.append((name, command, ()))
    measured.run_all(experiments)


def text(measured):
    return f"""## Beyond the references: counting far

LSTMs with three hidden units, trained on small n by plain gradient descent, the network unchanged;
the last network counts, none is chosen. Recipes in `anbn/train.py`. far: the slope of all gates
grows to 20 once the count is found, and steps that are not certain have no weight, so that what a
network predicts there means nothing (the excess). calibrated: then the read-out alone learns those
steps too. First failing n over the networks, every n tried:

{results(measured)}
Not solved are networks that get the certain symbols of 1 % of the streams wrong; some of them count
a single string far all the same. Tried, and of no help: a small weight for the uncertain steps all
the time, or full weight early and none later (the lesson that n ends stays); Adam in the eigenbasis
of the gradients; a slope that grows to 50, or that is drawn anew at every update. What did help: a
learning rate three times as large (0.03 for 0.01).

{measured.figure("anbn_far", "reach.png", "How far the networks count, a^n b^n, far recipe.")}
### SRNs on a^n b^n beyond their training

SRNs with two hidden units, n up to 10 in training. A network treats all n alike if the contraction
under A times the expansion under B is 1 (Rodriguez, Wiles & Elman 1999). The product is measured on
the distances of the states of neighbouring n, and taken from the eigenvalues where a network has
both an attractor under A and a repelling fixed point under B, the place the theory speaks of.

{srns(measured)}"""


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


def readme(measured):
    return results(measured)


def results(measured):
    rows = []
    for name, _, what, _, published in TASKS:
        for recipe in RECIPES:
            if not measured.has(f"{name}_{recipe}"):
                continue
            found = measured[f"{name}_{recipe}"]
            tried = found["first_failing_n"]["tried_up_to"]
            quantiles = [
                f"> {tried:,}" if n > tried else f"{n:,}"
                for n in found["first_failing_n"]["quantiles"].values()
            ]
            rows.append(
                [
                    what,
                    recipe,
                    f"{found['solved']} of {found['networks']}",
                    *quantiles,
                    f"{found['excess_cross_entropy']['50%']:.4f}",
                    f"{found['training_seconds']:.0f} s",
                    published if recipe == "far" else "",
                ]
            )
    header = ["trained on", "recipe", "solved", "10 %", "25 %", "50 %", "75 %", "90 %"]
    return table([*header, "excess, nats/symbol (median)", "training", "published"], rows)
