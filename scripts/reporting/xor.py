"""Part 2 of the report: the perceptron, trained, set by hand, and counted over many starts."""

from reporting.measured import table

RATES = (  # task, hidden units, networks of the source's recipe that solved it of 100 (REFERENCES)
    ("check", 4, "46 of 100"),
    ("check", 5, "98 of 100"),
    ("check", 6, "99 of 100"),
    ("xor", 2, "-"),
    ("xor", 3, "-"),
)
RESTARTS = 5


def measure(measured, data_dir):
    pictures = ("hidden.png", "output.png", "network.png", "learning.png")
    experiments = [
        ("trained", "xor_main.py --act sig --hid 5", pictures),
        ("step", "xor_main.py --act step --hid 4", pictures),
        ("scaled", "xor_main.py --act sig --hid 4 --set_weights", pictures),
    ]
    n = 200 if measured.quick else 1000
    for task, hidden, _ in RATES[:1] if measured.quick else RATES:
        command = f"xor_main.py --task {task} --hid {hidden} --seeds {n}"
        experiments.append((f"{task}{hidden}", command, ("epochs_to_solve.png",)))
        again = f"{command} --restarts {RESTARTS}"
        experiments.append((f"{task}{hidden}_restarts", again))
    measured.run_all(experiments)


def text(measured):
    trained, step, scaled = (measured[name] for name in ("trained", "step", "scaled"))
    return f"""## Part 2: the two-input perceptron

### Final weights and hidden units of a trained network (5 sigmoid units)

Source: 100 % after about 10,700 epochs. Ours, `{trained["run"]["command"]}`: accuracy
{trained["accuracy"]:.0f} %, every point right from epoch {trained["solved_at"]} on
({trained["run"]["seconds"]:.0f} s with all pictures). The weights, as each hidden unit's dividing
line and the output's condition:

{equations(trained)}
{measured.figure("trained", "hidden.png", "Each hidden unit's activation over the input square.")}
{measured.figure("trained", "output.png", "The output: the nine points lie on the right sides.")}
{measured.figure("trained", "learning.png", "Loss and accuracy by epoch.")}
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
### How many random starts solve it

Full-batch Adam, cosine schedule, weight decay on the hidden units, dividing lines drawn through
random points of the square and nearly parallel. Each start trained once, then with `--restarts
{RESTARTS}` (a network stuck after its epochs is drawn anew, all epochs counted). Source: the
coursework's recipe, 11,000 to 24,000 epochs.

{rates(measured)}
{measured.figure("check4", "epochs_to_solve.png", "Epochs until all nine points are right.")}"""


def readme(measured):
    return (
        rates(measured)
        + "\nEvery network trained once; the last column draws stuck networks anew, at most "
        + f"{RESTARTS} times. Epochs: 10/50/90 % quantiles.\n\n"
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


def rates(measured):
    rows = []
    for task, hidden, source in RATES:
        if not measured.has(f"{task}{hidden}"):
            continue  # in a quick report
        once = measured[f"{task}{hidden}"]
        again = measured[f"{task}{hidden}_restarts"]
        low, high = once["solved_interval_95"]
        rows.append(
            [
                f"{task}, {hidden} sigmoid units",
                f"{once['solved']} of {once['networks']}",
                f"{100 * low:.1f} to {100 * high:.1f} %",
                " / ".join(str(e) for e in once["epochs_to_solve"].values()),
                f"{once['run']['seconds']:.0f} s",
                source,
                f"{again['solved']} of {again['networks']}",
            ]
        )
    header = ["task", "solved", "95 % interval", "epochs to solve", "time"]
    return table([*header, "coursework recipe", "with restarts"], rows)
