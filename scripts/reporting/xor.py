"""Part 2 of the report: the perceptron, trained, set by hand, and counted over many starts."""

from reporting.measured import FIRST_SEED, interval, table

RATES = (("check", 4), ("check", 5), ("check", 6), ("xor", 2), ("xor", 3))  # task, hidden units
RESTARTS = 5
SINGLE = {  # experiment: options of one network that is shown
    "trained": "--act sig --hid 5",
    "step": "--act step --hid 4",
    "scaled": "--act sig --hid 4 --set_weights",
    "scaled_on": "--act sig --hid 4 --set_weights --epoch 4100",
}


def measure(measured, data_dir):
    pictures = ("hidden.png", "output.png", "network.png", "learning.png")
    experiments = [(name, f"xor_main.py {line}", pictures) for name, line in SINGLE.items()]
    n = 200 if measured.quick else 1000
    for task, hidden in RATES[:1] if measured.quick else RATES:
        command = f"xor_main.py --task {task} --hid {hidden} --seed {FIRST_SEED} --seeds {n}"
        experiments.append((f"{task}{hidden}", command, ("epochs_to_solve.png",)))
        experiments.append((f"{task}{hidden}_restarts", f"{command} --restarts {RESTARTS}"))
    measured.run_all(experiments)


def text(measured):
    found = {name: measured[name] for name in SINGLE}
    return measured.write(
        **found,
        **{f"{name}_equations": equations(summary) for name, summary in found.items()},
        **{f"{name}_activations": activations(summary) for name, summary in found.items()},
        restarts=RESTARTS,
        where=measured.where("check4"),
        rates=rates(measured, more=True),
    )


def readme(measured):
    return (
        f"{rates(measured)}\n{measured['check4']['networks']:,} networks each, trained once; the "
        f"last column draws stuck networks anew, at most {RESTARTS} times. Epochs: 10/50/90 % "
        "quantiles.\n\n![The hand-set network](results/reference/xor/step/network.png)\n"
    )


def equations(summary):
    lines = [f"h{k + 1}: {c}" for k, c in enumerate(summary["hidden_conditions"])]
    return "\n".join(["```", *lines, f"output: {summary['output_condition']}", "```\n"])


def activations(summary):
    digits = 0 if summary["activation"] == "step" else 3
    rows = summary["activations"]
    cells = [[f"{v:.{0 if k in 'XYT' else digits}f}" for k, v in row.items()] for row in rows]
    return table("|".join(rows[0]), cells)


def rates(measured, more=False):
    """One row per task; `more` adds from which epoch on networks stay right."""
    rows = []
    for task, hidden in RATES:
        if measured.has(f"{task}{hidden}"):  # not in a quick report
            once, again = (measured[f"{task}{hidden}{which}"] for which in ("", "_restarts"))
            row = [f"{task}, {hidden} sigmoid units", f"{once['solved']} of {once['networks']}"]
            row += [interval(once["solved_interval_95"]), quantiles(once["epochs_first_right"])]
            if more:
                row += [quantiles(once["epochs_stays_right"]), once["lost_in_between"]]
            rows.append([*row, f"{once['run']['seconds']:.0f} s", again["solved"]])
    added = " for good from | lost it in between |" if more else ""
    header = f"task | solved | 95 % interval | epochs to first right |{added} time | with restarts"
    return table(header, rows)


def quantiles(levels):
    return " / ".join(f"{n:,}" for n in levels.values())
