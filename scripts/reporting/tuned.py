"""The three classifiers of Part 1, trained as well as their form allows, on real characters.

Not part of the whole report's half hour: python scripts/report.py --only tuned --data_dir DIR
"""

import shlex
from pathlib import Path

from common.options import BadInput
from reporting.kuzu import NETS, accuracy, training_time
from reporting.measured import FIRST_SEED, table

ELSEWHERE = {  # on 60,000 training images: coursework, and the source report
    "lin": "69.6 to 70; source 69.75 %",
    "full": "83.6 to 85.1; source 83.94 %",
    "conv": "92.9 to 94.0; source 93.43 %",
}
SEEDS = 5


def measure(measured):
    folder = measured.data_dir
    if not folder or not Path(folder).is_dir():
        raise BadInput(f"no folder {folder}: say with --data_dir where KMNIST's files lie")
    where = f"--data_dir {shlex.quote(folder)}"
    many = "--epochs 2" if measured.quick else f"--seeds {SEEDS}"
    one = "--epochs 2" if measured.quick else f"--seed {FIRST_SEED}"
    for net in NETS:
        for name, options in {
            f"classic_{net}": f"--recipe classic {many}",
            f"{net}_equal": f"--recipe tuned {one}",  # and the classic recipe for as long
            net: f"--recipe tuned {many}",
        }.items():
            shown = ("confusion.png",) if name == "conv" else ()
            measured.run(name, f"kuzu_main.py --net {net} {options}", shown, unshown=where)


def text(measured):
    equal = [f"{net}_equal" for net in NETS]
    return measured.write(
        data=measured["conv"]["data"],
        where=measured.where(*NETS, *equal, *(f"classic_{net}" for net in NETS)),
        results=results(measured),
        commands=measured.commands([*NETS, *equal]),
        classic=classic(measured),
        equal_time=equal_time(measured),
    )


def results(measured):
    rows = []
    for net, name in NETS.items():
        networks = measured[net]["networks"]
        row = [name, len(networks), networks[0]["epochs"], accuracy(measured[net])]
        rows.append([*row, training_time(measured[net]), ELSEWHERE[net]])
    return table(
        "network | trained | epochs | test accuracy | training, each | elsewhere, 60,000 images",
        rows,
    )


def classic(measured):
    """The coursework's recipe on the same images."""
    found = {name: measured[f"classic_{net}"] for net, name in NETS.items()}
    rows = [[name, len(f["networks"]), accuracy(f)] for name, f in found.items()]
    return table("network | trained | test accuracy", rows)


def equal_time(measured):
    """Both recipes from one network's start, stopped by the clock."""
    rows = []
    for net, name in NETS.items():
        equal = measured[f"{net}_equal"]["equal_time"]
        cell = "{accuracy:.2%} ({seconds:.1f} s, {epochs} epochs)"
        rows.append([name, *(cell.format(**equal[recipe]) for recipe in ("classic", "tuned"))])
    return table("network | classic | tuned, its whole cycle", rows)
