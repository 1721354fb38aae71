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


def measure(measured, data_dir):
    if not data_dir or not Path(data_dir).is_dir():
        raise BadInput(f"no folder {data_dir}: say with --data_dir where KMNIST's files lie")
    where = f"--data_dir {shlex.quote(str(data_dir))}"
    many = "--epochs 2" if measured.quick else f"--seeds {SEEDS}"
    one = "--epochs 2" if measured.quick else f"--seed {FIRST_SEED}"
    for net in NETS:
        for name, options in {
            f"classic_{net}": f"--recipe classic {many}",
            f"{net}_equal": f"--recipe tuned {one}",  # and the classic recipe for as long
            net: f"--recipe tuned {many}",
        }.items():
            command = f"kuzu_main.py --net {net} {options}"
            measured.run(name, command, ("confusion.png", "learning_curves.png"), unshown=where)


def text(measured):
    return measured.write(
        data=measured["conv"]["data"],
        results=results(measured),
        commands=measured.commands([*NETS, *(f"{net}_equal" for net in NETS)]),
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
    found = {net: measured[f"classic_{net}"] for net in NETS if measured.has(f"classic_{net}")}
    rows = [[NETS[net], len(f["networks"]), accuracy(f)] for net, f in found.items()]
    text = "The classic recipe (10 epochs) on the same images:\n\n"
    return text + table("network | trained | test accuracy", rows) if rows else ""


def equal_time(measured):
    """Both recipes from one network's start, stopped by the clock."""
    rows = []
    for net, name in NETS.items():
        if measured.has(f"{net}_equal"):
            equal = measured[f"{net}_equal"]["equal_time"]
            cell = "{accuracy:.2%} ({seconds:.1f} s, {epochs} epochs)"
            rows.append([name, *(cell.format(**equal[recipe]) for recipe in ("classic", "tuned"))])
    text = "One network of each, trained for the same time by the clock:\n\n"
    return text + table("network | classic | tuned, its whole cycle", rows) if rows else ""
