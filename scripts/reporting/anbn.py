"""Part 3 of the report: how many recurrent networks learn to count, and how they do it."""

from reporting.measured import FIRST_SEED, success, table

NETWORKS = 100
TASKS = {  # options, what is trained
    "anbn_srn2": ("--lang anbn --save_every 1", "a^n b^n, SRN-2, n up to 8"),
    "anb2n_srn2": ("--lang anb2n", "a^n b^2n, SRN-2, n up to 4"),
    "anbncn_srn3": ("--lang anbncn", "a^n b^n c^n, SRN-3, n up to 8"),
    "anb2nc3n_srn4": ("--lang anb2nc3n", "a^n b^2n c^3n, SRN-4, n up to 4"),
    "anbncn_lstm3": ("--lang anbncn --model lstm", "a^n b^n c^n, LSTM-3, n up to 8"),
    "anb2nc3n_lstm3": ("--lang anb2nc3n --model lstm", "a^n b^2n c^3n, LSTM-3, n up to 4"),
    "reber_srn2": ("--lang reber", "Reber grammar, SRN-2"),
    "ereber_lstm4": ("--lang reber --embed --model lstm", "embedded Reber, LSTM-4"),
}
SHOWN = {"srn": "anbn_srn2", "srn3": "anbncn_srn3", "lstm": "anb2nc3n_lstm3", "reber": "reber_srn2"}
EXACT = ("anbn", "anb2n", "anbncn", "anb2nc3n", "anb3n", "anbncndn")
PICTURES = (
    "hidden_pairs.png machine_hidden.png machine.png phase_portraits.png over_time.png "
    "cell_changes.png reach.png first_failure.png learned_count.png animation.gif training.gif"
).split()
MOVING = ("anbn_srn2", "anb2nc3n_lstm3")
EXCESS_AND_TIME = "{excess_cross_entropy[50%]:.4f} | {training_seconds:.0f} s"


def measure(measured):
    experiments = hand_set(measured, EXACT, (), ["seq_plot.py --quiet"])
    for name in SHOWN.values() if measured.quick else TASKS:
        plot = "seq_plot.py --quiet" + " --animate" * (name in MOVING)
        experiments.append((name, training(measured, TASKS[name][0]), PICTURES, [plot]))
    measured.run_all(experiments)


def training(measured, options):
    """The command that trains the networks of an experiment."""
    n_networks = 8 if measured.quick else NETWORKS
    return f"seq_train.py {options} --seed {FIRST_SEED} --seeds {n_networks}"


def hand_set(measured, languages, *more):
    """The experiments with weights set by hand."""
    command = "seq_train.py --lang {} --model lstm --set_weights"
    languages = languages[:1] if measured.quick else languages
    return [(f"exact_{language}", command.format(language), *more) for language in languages]


def text(measured):
    found = summaries(measured, TASKS)
    shown = {key: measured[name] for key, name in SHOWN.items()}
    plots = {key: summary["seq_plot"] for key, summary in shown.items()}
    srn, lstm = plots["srn"], plots["lstm"]
    return measured.write(
        **plots,
        **{f"{key}_networks": summary["networks"] for key, summary in shown.items()},
        **{f"{key}_explanation": quoted(plot["explanation"]) for key, plot in plots.items()},
        where=measured.where("anbn_srn2"),
        rates=rates(found),
        commands=measured.commands(TASKS),
        reach=reach(found),
        counts=counts(found),
        criterion=criterion(found),
        srn_machines=machines(srn),
        srn3_machines=machines(plots["srn3"]),
        rate={key: "-" if v is None else f"{v:.3f}" for key, v in srn["rates"].items()},
        srn_fixed_points=fixed_points(srn),
        lstm_trace="\n".join(lstm["trace"]),
        cell_changes=cell_changes(lstm),
        gates=gates(lstm),
        exact=exact(measured),
    )


def readme(measured):
    picture = "results/reference/anbn/anbn_srn2/machine_hidden.png"
    return (
        f"{rates(summaries(measured, TASKS))}\nTrained {measured.where(*TASKS)}.\n\n"
        f"![The states of an SRN that counts]({picture})\n"
    )


def summaries(measured, tasks):
    """{what is trained: summary}; the functions below make tables of them."""
    return {tasks[name][1]: summary for name, summary in measured.those_of(tasks).items()}


def rates(found):
    rows = []
    for what, summary in found.items():
        sequences = f"{summary['sequences'] / 1000:g}k"
        rows.append([what, success(summary), sequences, EXCESS_AND_TIME.format(**summary)])
    return table(
        "network | solved | 95 % interval | sequences | excess, nats (median) | training, all", rows
    )


def reach(found):
    rows = []
    for what, summary in found.items():
        if n := summary.get("first_failing_n"):
            rows.append([what, *n["quantiles"].values(), n["largest"]])
    return table(
        "first failing n over the networks | 10 % | 25 % | 50 % | 75 % | 90 % | largest", rows
    )


def counts(found):
    """A row per letter after A."""
    rows = []
    for what, summary in found.items():
        learned = summary.get("learned_counts")
        for letter, line in learned["letters"].items() if learned else ():
            row = [what, f"{letter}: {line['per_n']}", f"{line['turns']} of {summary['networks']}"]
            numbers = (f"{line[key]['50%']:.2f}" for key in ("slope", "offset", "deviation"))
            rows.append([*row, *(numbers if line["turns"] else "---"), learned["constant_error"]])
    return table(
        "network | letter: right slope | turns in | slope | offset | deviation | constant error",
        rows,
    )


def criterion(found):
    """After how many sequences the networks first solve their task."""
    rows = []
    for what, summary in found.items():
        first = summary["to_criterion"]
        never = f"> {summary['sequences']:,}"
        places = [never if n is None else f"{n:,}" for n in first["quantiles"].values()]
        rows.append([what, first["reached"], *places[::2], first["lost"]])
    return table("sequences until first solved | networks | 10 % | 50 % | 90 % | lost it", rows)


def machines(plot):
    cell = "{longest} | {states} | {agrees_with_network:.1%} | {agrees_with_language:.1%}"
    rows = [[cell.format(**machine)] for machine in plot["machine"]]
    return table("n up to | states | agrees with the network | with the language", rows)


def fixed_points(plot):
    rows = []
    for point in plot["fixed_points"]:
        place = ", ".join(f"{x:.3f}" for x in point["position"])
        values = ", ".join(map(shortened, point["eigenvalues"]))
        rows.append([point["symbol"], f"({place})", values, point["kind"]])
    return table("symbol | fixed point | eigenvalues | kind", rows)


def shortened(eigenvalue):
    value = complex(eigenvalue)
    sign = "+" if value.imag > 0 else "-"
    return f"{value.real:.3f}" + f" {sign} {abs(value.imag):.3f}i" * bool(value.imag)


def cell_changes(plot):
    cell = "{stage} | {unit} | {mean:+.3f} | {spread:.3f}"
    rows = [[cell.format(**change)] for change in plot["cell_changes"]]
    return table("stage | cell | change per step | spread", rows)


def gates(plot):
    """One row per stage and gate, one column per unit."""
    rows = {}
    for gate in plot["gates"]:
        key = gate["stage"], gate["gate"].replace("_gate", "")
        rows.setdefault(key, []).append("{mean:.2f} ({spread:.2f}) {state}".format(**gate))
    units = " | ".join(f"unit {k + 1}" for k in range(max(map(len, rows.values()))))
    return table(f"stage | gate | {units}", [[*key, *row] for key, row in rows.items()])


def exact(measured):
    rows = []
    for name, found in measured.those_of(f"exact_{language}" for language in EXACT).items():
        n = found["first_failing_n"]
        first = f"none up to {n['tried_up_to']:,}" if n["never_failed"] else n["largest"]
        states = " / ".join(str(m["states"]) for m in found["seq_plot"]["machine"])
        rows.append([name.removeprefix("exact_"), found["hidden"], first, states])
    return table(
        "language | hidden units | first failing n | states, training length / twice that", rows
    )


def quoted(lines):
    return "\n".join(f"> {line}" for line in lines)
