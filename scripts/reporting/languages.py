"""Languages beyond the source's: several counters, and brackets.

Not part of the whole report's half hour: python scripts/report.py --only languages
"""

from reporting.anbn import EXCESS_AND_TIME, cell_changes, hand_set, quoted, summaries, training
from reporting.measured import success, table

NESTED, CROSSED, SUM = "a^n b^m c^m d^n", "a^n b^m c^n d^m", "a^n b^m c^(n+m)"
FAR = "--model lstm --hid 4 --recipe far --n_most 60"
TASKS = {  # options, what is trained
    "nested_lstm2": ("--lang anbmcmdn --model lstm --hid 2", f"{NESTED}, LSTM-2"),
    "nested_lstm3": ("--lang anbmcmdn --model lstm", f"{NESTED}, LSTM-3"),
    "crossed_lstm2": ("--lang anbmcndm --model lstm --hid 2", f"{CROSSED}, LSTM-2"),
    "crossed_lstm3": ("--lang anbmcndm --model lstm", f"{CROSSED}, LSTM-3"),
    "sum_lstm2": ("--lang anbmcn+m --model lstm --hid 2", f"{SUM}, LSTM-2"),
    "sum_lstm3": ("--lang anbmcn+m --model lstm", f"{SUM}, LSTM-3"),
    "nested_srn4": ("--lang anbmcmdn --hid 4", f"{NESTED}, SRN-4"),
    "nested_srn6": ("--lang anbmcmdn", f"{NESTED}, SRN-6"),
    "crossed_srn4": ("--lang anbmcndm --hid 4", f"{CROSSED}, SRN-4"),
    "crossed_srn6": ("--lang anbmcndm", f"{CROSSED}, SRN-6"),
    "sum_srn3": ("--lang anbmcn+m --hid 3", f"{SUM}, SRN-3"),
    "sum_srn5": ("--lang anbmcn+m", f"{SUM}, SRN-5"),
    "dyck1_lstm1": ("--lang dyck1 --model lstm --hid 1", "dyck1, LSTM-1"),
    "dyck1_lstm2": ("--lang dyck1 --model lstm", "dyck1, LSTM-2"),
    "dyck1_srn1": ("--lang dyck1 --hid 1", "dyck1, SRN-1"),
    "dyck1_srn2": ("--lang dyck1", "dyck1, SRN-2"),
    "dyck2_lstm2": ("--lang dyck2 --model lstm --hid 2", "dyck2, LSTM-2"),
    "dyck2_lstm4": ("--lang dyck2 --model lstm --hid 4", "dyck2, LSTM-4"),
    "dyck2_lstm6": ("--lang dyck2 --model lstm --hid 6", "dyck2, LSTM-6"),
    "dyck2_lstm12": ("--lang dyck2 --model lstm", "dyck2, LSTM-12"),
    "dyck2_srn12": ("--lang dyck2", "dyck2, SRN-12"),
    "nested_far": (f"--lang anbmcmdn {FAR}", f"{NESTED}, LSTM-4, far"),
    "crossed_far": (f"--lang anbmcndm {FAR}", f"{CROSSED}, LSTM-4, far"),
    "sum_far": (f"--lang anbmcn+m {FAR}", f"{SUM}, LSTM-4, far"),
}
SHOWN = {
    "nested_lstm3": ("map.png", "machine.png", "over_time.png"),
    "nested_far": ("map.png",),
    "dyck2_lstm4": ("stack.png",),
    "dyck2_lstm12": ("stack.png",),
}
IN_QUICK = ("nested_lstm3", "dyck2_lstm4")
EXACT = ("anbmcmdn", "anbmcndm", "anbmcn+m", "dyck1")
N_HEIGHTS = 7  # of a stack, in the table


def measure(measured):
    experiments = hand_set(measured, EXACT)
    for name in IN_QUICK if measured.quick else TASKS:
        then = ["seq_plot.py --quiet"] if name == "nested_lstm3" else ()
        command = training(measured, TASKS[name][0])
        experiments.append((name, command, SHOWN.get(name, ()), then))
    measured.run_all(experiments)


def text(measured):
    found = summaries(measured, TASKS)
    nested = measured["nested_lstm3"]["seq_plot"]
    return measured.write(
        where=measured.where(*TASKS),
        rates=rates(found),
        commands=measured.commands(TASKS),
        explanation=quoted(nested["explanation"]),
        cells=cell_changes(nested),
        heights=heights(found),
        exact=exact(measured),
    )


def rates(found):
    rows = []
    for what, summary in found.items():
        tried, levels = (summary["first_failing_n"][key] for key in ("tried_up_to", "quantiles"))
        reach = [f"> {tried}" if n > tried else n for n in [*levels.values()][::2]]
        rows.append([what, success(summary), *reach, EXCESS_AND_TIME.format(**summary)])
    return table(
        "network | solved | 95 % interval | first failing pair: 10 % | 50 % | 90 % | "
        "excess, nats (median) | training, all",
        rows,
    )


def heights(found):
    rows = []
    for what, summary in found.items():
        if "dyck2" in what:
            shares = [f"{share:.1%}" for share in summary["right_by_height"]]
            rows.append([what, *(shares + ["-"] * N_HEIGHTS)[:N_HEIGHTS]])
    return table(" | ".join(("steps right", *map(str, range(N_HEIGHTS)))), rows)


def exact(measured):
    rows = []
    for name, found in measured.those_of(f"exact_{language}" for language in EXACT).items():
        n, excess = found["first_failing_n"], found["excess_cross_entropy"]["50%"]
        right = f"{'all' if n['never_failed'] else 'not all'} up to {n['tried_up_to']}"
        rows.append([name.removeprefix("exact_"), found["hidden"], right, f"{excess:.4f}"])
    return table("hand-set | units | pairs right | excess, nats", rows)
