"""Part 3 of the report, continued: how single networks do it, and the exact counters."""

from reporting.measured import table

EXACT = ("anbn", "anb2n", "anbncn", "anb2nc3n", "anb3n", "anbncndn")


def srn(measured):
    name = "anbn_srn2"
    plot = measured[name]["seq_plot"]
    rate = {key: "-" if v is None else f"{v:.3f}" for key, v in plot["rates"].items()}
    return f"""### a^n b^n, SRN with two hidden units: the hidden-unit plot and its states

{plot["what"]}, the best of {measured[name]["networks"]}: first failing n
{plot["first_failing_n"]}, trained up to 8.

{measured.figure(name, "hidden_pairs.png", "Every step of ten strings, coloured by state.")}
{measured.figure(name, "machine_hidden.png", "The machine's states where they lie.")}
### The equivalent finite-state machine

The number of states grows with n: the machine of the strings up to n is a part of a counter that
has no end, and the network agrees with it as far as its count is exact.

{machines(plot)}
{measured.figure(name, "machine.png", "The finite-state machine the network implements.")}
### How the network keeps count

{account(plot)}

From one symbol to the next the distance between neighbouring counts changes by a factor of
{rate["measured_contraction"]} per A and {rate["measured_expansion"]} per B, together
{rate["measured_product"]} (1 treats all n alike). At the fixed points the factor is
{rate["contraction"]} for A and {rate["expansion"]} for B, together {rate["product"]} (- where there
is none of the kind that counting needs). Fixed points of each symbol's map:

{fixed_points(plot)}
{measured.figure(name, "phase_portraits.png", "Where each symbol moves the state.")}
{measured.figure(name, "first_failure.png", "Why it fails: the first failing n beside n - 1.")}
{measured.figure(name, "learned_count.png", "Letters given against n: the learned count.")}"""


def srn_of_three(measured):
    name = "anbncn_srn3"
    if not measured.has(name):
        return ""
    plot = measured[name]["seq_plot"]
    return f"""### a^n b^n c^n, SRN with three hidden units

{plot["what"]}, the best of {measured[name]["networks"]}: first failing n
{plot["first_failing_n"]}, trained up to 8.

{measured.figure(name, "hidden_pairs.png", "Every step of ten strings, each pair of units.")}
{account(plot)}

{machines(plot)}
{measured.figure(name, "machine_hidden.png", "The machine's states where they lie.")}"""


def machines(plot):
    rows = [
        [
            m["longest"],
            m["states"],
            f"{m['agrees_with_network']:.1%}",
            f"{m['agrees_with_language']:.1%}",
        ]
        for m in plot["machine"]
    ]
    return table(["n up to", "states", "agrees with the network", "with the language"], rows)


def fixed_points(plot):
    rows = [
        [p["symbol"], position(p["position"]), eigenvalues(p["eigenvalues"]), p["kind"]]
        for p in plot["fixed_points"]
    ]
    return table(["symbol", "fixed point", "eigenvalues", "kind"], rows)


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
    trace = "\n".join(plot["trace"])
    return f"""### a^n b^2n c^3n, LSTM with three hidden units: hidden units, cells, gates

{plot["what"]}, the best of {measured[name]["networks"]}: first failing n
{plot["first_failing_n"]}, trained up to 4. Its trace in the source's format; in front of each row
stands the symbol read:

```
{trace}
```

(Slips of the source put right: two rows of its trace do not sum to 1, its `symbol=` line is no
string of the language, and that cell values decrease while C is read holds for its cell 3 alone.)

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


def eigenvalues(values):
    return ", ".join(map(shortened, values))


def shortened(eigenvalue):
    value = complex(eigenvalue)
    if value.imag:
        return f"{value.real:.3f} {'+' if value.imag > 0 else '-'} {abs(value.imag):.3f}i"
    return f"{value.real:.3f}"
