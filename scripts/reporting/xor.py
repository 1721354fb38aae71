"""Part 2 of the report: the perceptron, trained, set by hand, and counted over many starts."""

from reporting.measured import FIRST_SEED, success, table

RATES = {  # options, what is trained, networks
    "check4": ("--task check --hid 4", "check, 4 sigmoid units", 1000),
    "check5": ("--task check --hid 5", "check, 5 sigmoid units", 1000),
    "check6": ("--task check --hid 6", "check, 6 sigmoid units", 1000),
    "xor2": ("--task xor --hid 2", "xor, 2 sigmoid units", 1000),
    "xor3": ("--task xor --hid 3", "xor, 3 sigmoid units", 1000),
    "board5": ("--size 5 --hid 8", "check, 5 x 5 points, 8 units", 200),
    "board7": ("--size 7 --hid 12", "check, 7 x 7 points, 12 units", 200),
}
RESTARTS = 5
SINGLE = {  # experiment: options of one network that is shown
    "trained": "--act sig --hid 5 --animate",
    "step": "--act step --hid 4",
    "scaled": "--act sig --hid 4 --set_weights",
    "scaled_on": "--act sig --hid 4 --set_weights --epoch 4100",
}


def measure(measured):
    pictures = ("hidden.png", "output.png", "network.png", "learning.png", "animation.gif")
    experiments = [(name, f"xor_main.py {line}", pictures) for name, line in SINGLE.items()]
    for name in list(RATES)[:1] if measured.quick else RATES:
        options, _, n = RATES[name]
        n = 200 if measured.quick else n
        command = f"xor_main.py {options} --seed {FIRST_SEED} --seeds {n}"
        experiments.append((name, command, ("epochs_to_solve.png",)))
        experiments.append((f"{name}_restarts", f"{command} --restarts {RESTARTS}"))
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
        f"{rates(measured)}\nTrained once; the last column draws stuck networks anew, at most "
        f"{RESTARTS} times. Epochs: 10/50/90 % quantiles. Trained\n{measured.where(*RATES)}.\n\n"
        "![The hand-set network](results/reference/xor/step/network.png)\n"
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
    for name, (_, what, _) in RATES.items():
        if measured.has(name):  # not in a quick report
            once, again = (measured[f"{name}{which}"] for which in ("", "_restarts"))
            row = [what, success(once, "solved_interval_95"), quantiles(once["epochs_first_right"])]
            if more:
                row += [quantiles(once["epochs_stays_right"]), once["lost_in_between"]]
            rows.append([*row, f"{once['run']['seconds']:.0f} s", again["solved"]])
    added = " for good from | lost it in between |" if more else ""
    header = f"task | solved | 95 % interval | epochs to first right |{added} time | with restarts"
    return table(header, rows)


def quantiles(levels):
    return " / ".join(f"{n:,}" for n in levels.values())
