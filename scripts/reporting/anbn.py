"""Part 3 of the report: how many recurrent networks learn to count, and how they do it."""

from reporting.measured import table

NETWORKS = 100
TASKS = (  # name, options, what is trained, networks of the coursework's recipe that solved it
    ("anbn_srn2", "--lang anbn", "a^n b^n, SRN-2, n up to 8", "100 of 100"),
    ("anb2n_srn2", "--lang anb2n", "a^n b^2n, SRN-2, n up to 4", "69 of 100"),
    ("anbncn_srn3", "--lang anbncn", "a^n b^n c^n, SRN-3, n up to 8", "45 of 60"),
    ("anb2nc3n_srn4", "--lang anb2nc3n", "a^n b^2n c^3n, SRN-4, n up to 4", "6 of 60"),
    ("anbncn_lstm3", "--lang anbncn --model lstm", "a^n b^n c^n, LSTM-3, n up to 8", "-"),
    (
        "anb2nc3n_lstm3",
        "--lang anb2nc3n --model lstm",
        "a^n b^2n c^3n, LSTM-3, n up to 4",
        "57 of 60",
    ),
    ("reber_srn2", "--lang reber", "Reber grammar, SRN-2", "95 of 100"),
    ("ereber_lstm4", "--lang reber --embed --model lstm", "embedded Reber, LSTM-4", "16 of 60"),
)
IN_QUICK = ("anbn_srn2", "anb2nc3n_lstm3", "reber_srn2")
EXACT = ("anbn", "anb2n", "anbncn", "anb2nc3n", "anb3n", "anbncndn")
PICTURES = (
    "hidden_pairs.png",
    "machine_hidden.png",
    "machine.png",
    "phase_portraits.png",
    "over_time.png",
    "cell_changes.png",
    "reach.png",
)


def measure(measured, data_dir):
    experiments = []
    for name, options, _, _ in TASKS:
        if not measured.quick or name in IN_QUICK:
            command = f"seq_train.py {options} --seeds {8 if measured.quick else NETWORKS}"
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
            lstm(measured),
            grammar(measured),
            exact(measured),
        ]
    )


RULES = """Solved: at least 99 % of 300 fresh streams have every certain symbol predicted right.
First failing n: the smallest n whose single string has a wrong certain symbol. The coursework's
recipe is one sequence per update with plain Adam. Recurrent weights of the counting SRNs start near
the identity, forget gates start open, and every network is trained by Adam in the eigenbasis of its
own gradients (`anbn/rotated.py`).
"""


def rates(measured):
    rows = []
    for name, _, what, coursework in TASKS:
        if not measured.has(name):
            continue
        found = measured[name]
        low, high = found["success_rate_95"]
        rows.append(
            [
                what,
                f"{found['solved']} of {found['networks']}",
                f"{100 * low:.1f} to {100 * high:.1f} %",
                coursework,
                f"{found['sequences'] / 1000:g}k",
                f"{found['excess_cross_entropy']['50%']:.4f}",
                f"{found['training_seconds']:.0f} s",
            ]
        )
    header = ["network", "solved", "95 % interval", "coursework recipe", "sequences"]
    return table([*header, "excess, nats/symbol (median)", "training, all networks"], rows)


def reach(measured):
    rows = []
    for name, _, what, _ in TASKS:
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


PUBLISHED_SEQUENCES = {  # recalled, not read
    "reber_srn2": "about 60,000 (Cleeremans et al. 1989, an SRN with 3 hidden units)",
    "ereber_lstm4": "8,440 in the best setting (Hochreiter & Schmidhuber 1997)",
}


def to_criterion(measured):
    """After how many sequences the networks first solve their task."""
    rows = []
    for name, _, what, _ in TASKS:
        if not measured.has(name):
            continue
        found = measured[name]["to_criterion"]
        never = f"> {measured[name]['sequences']:,}"
        places = [never if n is None else f"{n:,}" for n in found["quantiles"].values()]
        reached = f"{found['reached']} of {measured[name]['networks']}"
        rows.append([what, reached, *places, PUBLISHED_SEQUENCES.get(name, "")])
    header = ["sequences until first solved", "networks", "10 %", "25 %", "50 %", "75 %", "90 %"]
    return f"""### Sequences to criterion

Training sequences after which a network first gets 99 % of 300 held-out streams right, tested about
every 1,000; a network may lose the language again. A stream is five strings one after another.
Published figures, recalled and rough, count single strings and ask for another criterion.

{table([*header, "published"], rows)}"""


def readme(measured):
    picture = "results/reference/anbn/anbn_srn2/machine_hidden.png"
    return f"{rates(measured)}\n![The states of an SRN that counts]({picture})\n"


def srn(measured):
    name = "anbn_srn2"
    plot = measured[name]["seq_plot"]
    machines = table(
        ["n up to", "states", "agrees with the network", "with the language"],
        [
            [
                m["longest"],
                m["states"],
                f"{m['agrees_with_network']:.1%}",
                f"{m['agrees_with_language']:.1%}",
            ]
            for m in plot["machine"]
        ],
    )
    points = table(
        ["symbol", "fixed point", "eigenvalues", "kind"],
        [
            [
                p["symbol"],
                position(p["position"]),
                ", ".join(map(shortened, p["eigenvalues"])),
                kind,
            ]
            for p in plot["fixed_points"]
            for kind in [p["kind"]]
        ],
    )
    rate = {key: "-" if v is None else f"{v:.3f}" for key, v in plot["rates"].items()}
    return f"""### a^n b^n, SRN with two hidden units: the hidden-unit plot and its states

{plot["what"]}, the best of {measured[name]["networks"]}: first failing n
{plot["first_failing_n"]}, trained up to 8.

{measured.figure(name, "hidden_pairs.png", "Every step of ten strings, coloured by state.")}
{measured.figure(name, "machine_hidden.png", "The machine's states where they lie.")}
### The equivalent finite-state machine

The number of states grows with n: the machine of the strings up to n is a part of a counter that
has no end, and the network agrees with it as far as its count is exact.

{machines}
{measured.figure(name, "machine.png", "The finite-state machine the network implements.")}
### How the network keeps count

{account(plot)}

From one symbol to the next the distance between neighbouring counts changes by a factor of
{rate["measured_contraction"]} per A and {rate["measured_expansion"]} per B, together
{rate["measured_product"]} (1 treats all n alike). At the fixed points the factor is
{rate["contraction"]} for A and {rate["expansion"]} for B, together {rate["product"]} (- where there
is none of the kind that counting needs). Fixed points of each symbol's map:

{points}
{measured.figure(name, "phase_portraits.png", "Where each symbol moves the state.")}"""


def lstm(measured):
    name = "anb2nc3n_lstm3"
    plot = measured[name]["seq_plot"]
    changes = table(
        ["stage", "cell", "change per step", "spread"],
        [
            [c["stage"], c["unit"], f"{c['mean']:+.3f}", f"{c['spread']:.3f}"]
            for c in plot["cell_changes"]
        ],
    )
    return f"""### a^n b^2n c^3n, LSTM with three hidden units: hidden units, cells, gates

{plot["what"]}, the best of {measured[name]["networks"]}: first failing n
{plot["first_failing_n"]}, trained up to 4.

{measured.figure(name, "over_time.png", "Units, cells, gates and predictions over one string.")}
{account(plot)}

What each cell counts:

{changes}
{measured.figure(name, "cell_changes.png", "Change of each cell per step, by stage.")}
### How the gates behave in each stage

Mean (spread) of each gate, in numbers and in words: open above 2/3, closed below 1/3, else partly
open.

{gates(plot)}"""


def gates(plot):
    """One row per stage and gate, one column per unit."""
    rows = {}
    for gate in plot["gates"]:
        text = f"{gate['mean']:.2f} ({gate['spread']:.2f}) {gate['state']}"
        kind = gate["gate"].replace("_gate", "")
        rows.setdefault((gate["stage"], kind), []).append(text)
    units = max(len(row) for row in rows.values())
    header = ["stage", "gate", *(f"unit {k + 1}" for k in range(units))]
    return table(header, [[*key, *row] for key, row in rows.items()])


def grammar(measured):
    name = "reber_srn2"
    found, plot = measured[name], measured[name]["seq_plot"]
    machine = plot["machine"][0]
    return f"""### The Reber grammar

{plot["what"]}, the best of {found["networks"]}: the machine extracted has {machine["states"]}
states and agrees with the network at {machine["agrees_with_network"]:.1%} and with the grammar at
{machine["agrees_with_language"]:.1%} of the steps.

{account(plot)}

{measured.figure(name, "machine.png", "The machine of the trained network: the Reber graph.")}"""


def exact(measured):
    rows = []
    for language in EXACT:
        if not measured.has(f"exact_{language}"):
            continue
        found = measured[f"exact_{language}"]
        n = found["first_failing_n"]
        first = n["quantiles"]["50%"]
        machine = found["seq_plot"]["machine"]
        rows.append(
            [
                language,
                found["hidden"],
                f"none up to {n['tried_up_to']:,}" if n["never_failed"] else f"{first:,}",
                " / ".join(str(m["states"]) for m in machine),
            ]
        )
    header = ["language", "hidden units", "first failing n", "states, training length / twice that"]
    return f"""### Exact counters, set by hand

`seq_train.py --set_weights`: LSTM weights that count exactly, one unit per letter, the oracle for
everything above (tests go to n = 100,000).

{table(header, rows)}"""


def account(plot):
    return "\n".join(f"> {line}" for line in plot["account"])


def position(values):
    return "(" + ", ".join(f"{v:.3f}" for v in values) + ")"


def shortened(eigenvalue):
    value = complex(eigenvalue)
    if value.imag:
        return f"{value.real:.3f} {'+' if value.imag > 0 else '-'} {abs(value.imag):.3f}i"
    return f"{value.real:.3f}"
