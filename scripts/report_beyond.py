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
)
NETWORKS = 100
RECIPES = ("far", "usual")


def measure(measured, data_dir):
    experiments = []
    for name, options, _, n_most, _ in TASKS:
        for recipe in RECIPES:
            seeds = 8 if measured.quick else NETWORKS
            command = f"seq_train.py {options} --model lstm --recipe {recipe} --seeds {seeds}"
            more = f" --n_most {n_most}" if recipe == "far" else ""
            experiments.append((f"{name}_{recipe}", command + more, ("reach.png",)))
    measured.run_all(experiments)


def text(measured):
    return f"""## Beyond the references: counting far

LSTMs with three hidden units, trained on small n by plain gradient descent, the network unchanged;
the last network counts, none is chosen. The far recipe (`anbn/train.py`) lets the slope of all
gates grow to 20 once the count is found, and gives no weight to steps that are not certain. First
failing n over the networks, every n tried:

{results(measured)}
The excess cross-entropy tells what the far recipe gives up: what its networks predict after an A
means nothing. Tried, and of no help: training the read-out alone on those steps, from the start or
late in the training (some networks unlearned the language); a weight for them early and none later
(the lesson that n ends stays); Adam in the eigenbasis of the gradients instead of plain Adam.

{measured.figure("anbn_far", "reach.png", "How far the networks count, a^n b^n, far recipe.")}"""


def readme(measured):
    return results(measured)


def results(measured):
    rows = []
    for name, _, what, _, published in TASKS:
        for recipe in RECIPES:
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
