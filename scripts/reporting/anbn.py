"""Part 3 of the report: how many recurrent networks learn to count, and how they do it."""

from reporting.measured import table
from reporting.networks import EXACT, exact, grammar, lstm, srn, srn_of_three

NETWORKS = 100
FIRST_SEED = 20_000  # no recipe was chosen on these
TASKS = (  # name, options, what is trained
    ("anbn_srn2", "--lang anbn", "a^n b^n, SRN-2, n up to 8"),
    ("anb2n_srn2", "--lang anb2n", "a^n b^2n, SRN-2, n up to 4"),
    ("anbncn_srn3", "--lang anbncn", "a^n b^n c^n, SRN-3, n up to 8"),
    ("anb2nc3n_srn4", "--lang anb2nc3n", "a^n b^2n c^3n, SRN-4, n up to 4"),
    ("anbncn_lstm3", "--lang anbncn --model lstm", "a^n b^n c^n, LSTM-3, n up to 8"),
    ("anb2nc3n_lstm3", "--lang anb2nc3n --model lstm", "a^n b^2n c^3n, LSTM-3, n up to 4"),
    ("reber_srn2", "--lang reber", "Reber grammar, SRN-2"),
    ("ereber_lstm4", "--lang reber --embed --model lstm", "embedded Reber, LSTM-4"),
)
IN_QUICK = ("anbn_srn2", "anb2nc3n_lstm3", "reber_srn2")
PICTURES = (
    "hidden_pairs.png",
    "machine_hidden.png",
    "machine.png",
    "phase_portraits.png",
    "over_time.png",
    "cell_changes.png",
    "reach.png",
    "first_failure.png",
    "learned_count.png",
)


def measure(measured, data_dir):
    experiments = []
    for name, options, _ in TASKS:
        if not measured.quick or name in IN_QUICK:
            seeds = 8 if measured.quick else NETWORKS
            command = f"seq_train.py {options} --seed {FIRST_SEED} --seeds {seeds}"
            experiments.append((name, command, PICTURES, ["seq_plot.py --quiet"]))
    for language in EXACT[:1] if measured.quick else EXACT:
        command = f"seq_train.py --lang {language} --model lstm --set_weights"
        pictures = ("machine_hidden.png", "cell_changes.png") if language == "anbn" else ()
        experiments.append((f"exact_{language}", command, pictures, ["seq_plot.py --quiet"]))
    measured.run_all(experiments)


def text(measured):
    return "\n".join(
        [
            "## Part 3: recurrent networks that count\n",
            "### How many networks learn\n",
            RULES,
            rates(measured),
            reach(measured),
            to_criterion(measured),
            srn(measured),
            srn_of_three(measured),
            lstm(measured),
            grammar(measured),
            exact(measured),
            measured.notes(),
        ]
    )


RULES = """Solved: at least 99 % of 300 fresh streams have every certain symbol predicted right; for
the Reber grammars, every legal symbol more probable than every illegal one at each choice as well.
First failing n: the smallest n whose single string has a wrong certain symbol. Recurrent weights of
the counting SRNs start near the identity, forget gates start open, and every network is trained by
Adam in the eigenbasis of its own gradients (`anbn/optim.py`).
"""


def rates(measured):
    rows = []
    for name, _, what in TASKS:
        if not measured.has(name):
            continue
        found = measured[name]
        low, high = found["success_rate_95"]
        rows.append(
            [
                what,
                f"{found['solved']} of {found['networks']}",
                f"{100 * low:.1f} to {100 * high:.1f} %",
                f"{found['sequences'] / 1000:g}k",
                f"{found['excess_cross_entropy']['50%']:.4f}",
                f"{found['training_seconds']:.0f} s",
            ]
        )
    header = ["network", "solved", "95 % interval", "sequences"]
    return table([*header, "excess, nats (median)", "training, all"], rows)


def reach(measured):
    rows = []
    for name, _, what in TASKS:
        if measured.has(name) and "first_failing_n" in measured[name]:
            found = measured[name]["first_failing_n"]
            rows.append([what, *found["quantiles"].values(), found["largest"]])
    header = [
        "first failing n over the networks",
        "10 %",
        "25 %",
        "50 %",
        "75 %",
        "90 %",
        "largest",
    ]
    return table(header, rows)


def to_criterion(measured):
    """After how many sequences the networks first solve their task."""
    rows = []
    for name, _, what in TASKS:
        if not measured.has(name):
            continue
        found = measured[name]["to_criterion"]
        never = f"> {measured[name]['sequences']:,}"
        places = [never if n is None else f"{n:,}" for n in found["quantiles"].values()]
        reached = f"{found['reached']} of {measured[name]['networks']}"
        rows.append([what, reached, *places])
    header = ["sequences until first solved", "networks", "10 %", "25 %", "50 %", "75 %", "90 %"]
    return f"""### Sequences to criterion

Training sequences after which a network first gets 99 % of 300 held-out streams right, tested about
every 1,000; a network may lose the language again. A stream is five strings one after another.

{table(header, rows)}"""


def readme(measured):
    picture = "results/reference/anbn/anbn_srn2/machine_hidden.png"
    return f"{rates(measured)}\n![The states of an SRN that counts]({picture})\n"
