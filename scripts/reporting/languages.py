"""Languages beyond the source's: several counters, and brackets."""

from reporting.anbn import NETWORKS, cell_changes, quoted
from reporting.measured import FIRST_SEED, interval, table

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
HEIGHTS = (0, 1, 2, 3, 4, 5, 6)  # of a stack, in the table


def measure(measured, data_dir):
    experiments, seeds = [], 8 if measured.quick else NETWORKS
    for name in IN_QUICK if measured.quick else TASKS:
        command = f"seq_train.py {TASKS[name][0]} --seed {FIRST_SEED} --seeds {seeds}"
        then = ["seq_plot.py --quiet"] if name == "nested_lstm3" else ()
        experiments.append((name, command, SHOWN.get(name, ()), then))
    for language in EXACT[:1] if measured.quick else EXACT:
        command = f"seq_train.py --lang {language} --model lstm --set_weights"
        experiments.append((f"exact_{language}", command))
    measured.run_all(experiments)


def text(measured):
    found = {what: measured[name] for name, (_, what) in TASKS.items() if measured.has(name)}
    return measured.write(
        where=measured.where(*TASKS),
        rates=rates(found),
        commands=measured.commands(TASKS),
        explanation=quoted(measured["nested_lstm3"]["seq_plot"]["explanation"]),
        cells=cell_changes(measured["nested_lstm3"]["seq_plot"]),
        heights=heights(found),
        exact=exact(measured),
    )


def rates(found):
    rows = []
    for what, summary in found.items():
        reach = summary["first_failing_n"]
        tried, levels = reach["tried_up_to"], list(reach["quantiles"].values())
        rows.append(
            [
                what,
                f"{summary['solved']} of {summary['networks']}",
                interval(summary["success_rate_95"]),
                *(f"> {tried}" if n > tried else n for n in levels[::2]),
                f"{summary['excess_cross_entropy']['50%']:.4f}",
                f"{summary['training_seconds']:.0f} s",
            ]
        )
    return table(
        "network | solved | 95 % interval | first failing pair: 10 % | 50 % | 90 % | "
        "excess, nats (median) | training, all",
        rows,
    )


def heights(found):
    rows = []
    for what, summary in found.items():
        if "dyck2" in what:
            right = summary["right_by_height"]
            rows.append([what, *(f"{right[k]:.1%}" if k < len(right) else "-" for k in HEIGHTS)])
    return table(" | ".join(("steps right", *map(str, HEIGHTS))), rows)


def exact(measured):
    rows = []
    for language in EXACT:
        if measured.has(name := f"exact_{language}"):
            summary = measured[name]
            tried = summary["first_failing_n"]["tried_up_to"]
            right = "all" if summary["first_failing_n"]["never_failed"] else "not all"
            excess = f"{summary['excess_cross_entropy']['50%']:.4f}"
            rows.append([language, summary["hidden"], f"{right} up to {tried}", excess])
    return table("hand-set | units | pairs right | excess, nats", rows)
