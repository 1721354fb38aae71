"""Part 2 of the report: the perceptron, trained, set by hand, and counted over many starts."""

from reporting.measured import table

RATES = (("check", 4), ("check", 5), ("check", 6), ("xor", 2), ("xor", 3))  # task, hidden units
RESTARTS = 5
FIRST_SEED = 20_000  # the recipe was not chosen on these


def measure(measured, data_dir):
    pictures = ("hidden.png", "output.png", "network.png", "learning.png")
    experiments = [
        ("trained", "xor_main.py --act sig --hid 5", pictures),
        ("step", "xor_main.py --act step --hid 4", pictures),
        ("scaled", "xor_main.py --act sig --hid 4 --set_weights", pictures),
        ("scaled_on", "xor_main.py --act sig --hid 4 --set_weights --epoch 4100", pictures),
    ]
    n = 200 if measured.quick else 1000
    for task, hidden in RATES[:1] if measured.quick else RATES:
        command = f"xor_main.py --task {task} --hid {hidden} --seed {FIRST_SEED} --seeds {n}"
        experiments.append((f"{task}{hidden}", command, ("epochs_to_solve.png",)))
        again = f"{command} --restarts {RESTARTS}"
        experiments.append((f"{task}{hidden}_restarts", again))
    measured.run_all(experiments)


def text(measured):
    trained, step, scaled = (measured[name] for name in ("trained", "step", "scaled"))
    return f"""## Part 2: the two-input perceptron

### Final weights and hidden units of a trained network (5 sigmoid units)

The source stopped at epoch 10,700, at 100 % by epoch 10,300. Ours, `{trained["run"]["command"]}`:
accuracy {trained["accuracy"]:.0f} %, every point right for the first time at epoch
{trained["first_right"]}, and for good from epoch {trained["stays_right_from"]}
({trained["run"]["seconds"]:.0f} s with all pictures). The weights, as each hidden unit's dividing
line and the output's condition:

{equations(trained)}
(Slip of the source put right: the five-unit weights it prints get 3 of the 9 points wrong; with
+4.9081 for the first of them all 9 are right, loss 0.1547.)

{measured.figure("trained", "hidden.png", "Each hidden unit's activation over the input square.")}
{measured.figure("trained", "output.png", "The output: the nine points lie on the right sides.")}
{measured.figure("trained", "learning.png", "Loss and accuracy at every epoch.")}
### The hand-set network (4 step units): diagram, dividing lines, all activations

`{step["run"]["command"]}`, accuracy {step["accuracy"]:.0f} %. The target depends on x + y alone;
hidden unit k fires from the k-th gap between two diagonals on, and the output adds and subtracts
them in turn. (Slip of the source put right: the output weights alternate + - + -.)

{measured.figure("step", "network.png", "The network with every weight and bias.")}
{equations(step)}
{activation_rows(step)}
{measured.figure("step", "hidden.png", "The four dividing lines.")}
### The same weights scaled by 10, for sigmoid units

`{scaled["run"]["command"]}`: accuracy {scaled["accuracy"]:.0f} % without training, mean
cross-entropy {scaled["loss"]:.4f} nats.

{activation_rows(scaled)}
{trained_on(measured)}### How many random starts solve it

Full-batch Adam, cosine schedule, weight decay on the hidden units, dividing lines drawn through
random points of the square and nearly parallel. Each start trained once, then with `--restarts
{RESTARTS}` (a network stuck after its epochs is drawn anew, all epochs counted);
{measured.where("check4")}. Epochs: 10/50/90 % quantiles over the networks that solve it.

{rates(measured, more=True)}
{measured.figure("check4", "epochs_to_solve.png", "Epochs until all nine points are right.")}
{measured.notes()}"""


def trained_on(measured):
    """The network that the source trained on from its scaled weights."""
    found = measured["scaled_on"]
    return f"""Trained on from there, as the source did to epoch 4,100: `{found["run"]["command"]}`,
accuracy {found["accuracy"]:.0f} %, mean cross-entropy {found["loss"]:.4f} nats after
{found["epochs"]:,} epochs. Its lines and output have become:

{equations(found)}
{measured.figure("scaled_on", "learning.png", "Loss and accuracy from the scaled weights on.")}
"""


def readme(measured):
    n = measured["check4"]["networks"]
    return (
        rates(measured)
        + f"\n{n:,} networks each, trained once; the last column draws stuck networks anew, at "
        + f"most {RESTARTS} times. Epochs: 10/50/90 % quantiles.\n\n"
        + "![The hand-set network](results/reference/xor/step/network.png)\n"
    )


def equations(summary):
    lines = [f"h{k + 1}: {c}" for k, c in enumerate(summary["hidden_conditions"])]
    lines.append(f"output: {summary['output_condition']}")
    return "```\n" + "\n".join(lines) + "\n```\n"


def activation_rows(summary):
    rows = summary["activations"]
    digits = 0 if summary["activation"] == "step" else 3

    def cell(name, value):
        return f"{value:.0f}" if name in "XYT" else f"{value:.{digits}f}"

    return table(list(rows[0]), [[cell(*item) for item in row.items()] for row in rows])


def rates(measured, more=False):
    """One row per task; `more` adds from which epoch on networks stay right."""
    rows = []
    for task, hidden in RATES:
        if not measured.has(f"{task}{hidden}"):
            continue  # in a quick report
        once = measured[f"{task}{hidden}"]
        again = measured[f"{task}{hidden}_restarts"]
        low, high = once["solved_interval_95"]
        row = [
            f"{task}, {hidden} sigmoid units",
            f"{once['solved']} of {once['networks']}",
            f"{100 * low:.1f} to {100 * high:.1f} %",
            quantiles(once["epochs_first_right"]),
        ]
        if more:
            row += [quantiles(once["epochs_stays_right"]), once["lost_in_between"]]
        rows.append([*row, f"{once['run']['seconds']:.0f} s", again["solved"]])
    header = ["task", "solved", "95 % interval", "epochs to first right"]
    header += ["epochs to right for good", "lost it in between"] if more else []
    return table([*header, "time", "with restarts"], rows)


def quantiles(levels):
    return " / ".join(f"{n:,}" for n in levels.values())
