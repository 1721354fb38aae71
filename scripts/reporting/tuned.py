"""The three classifiers of Part 1, trained as well as their form allows, on real characters.

Not part of the whole report's half hour: python scripts/report.py --only tuned --data_dir DIR
"""

import shlex
from pathlib import Path

from common.options import BadInput
from reporting.measured import spread, table

NETS = ("lin", "full", "conv")
ELSEWHERE = {  # on 60,000 training images: coursework, and the source report
    "lin": "69.6 to 70; source 69.75 %",
    "full": "83.6 to 85.1; source 83.94 %",
    "conv": "92.9 to 94.0; source 93.43 %",
}
SEEDS = 5
PICTURES = ("confusion.png", "learning_curves.png")


def measure(measured, data_dir):
    if not Path(data_dir).is_dir():
        raise BadInput(f"no folder {data_dir}: say with --data_dir where KMNIST's files lie")
    for recipe in ("classic", "tuned"):
        for net in NETS:
            command = f"kuzu_main.py --net {net} --recipe {recipe}"
            command += " --epochs 2" if measured.quick else f" --seeds {SEEDS}"
            if data_dir != "data":
                command += f" --data_dir {shlex.quote(str(data_dir))}"
            name = net if recipe == "tuned" else f"classic_{net}"
            measured.run(name, command, PICTURES if recipe == "tuned" else ())


def text(measured):
    return f"""## The three classifiers, trained as well as they can be

Data: {measured["conv"]["data"]}. The last epoch counts; the recipes (`kuzu/recipes.py`) were chosen
on parts of the training images. The same commands train on all of KMNIST where all of it lies in
the data folder.

{results(measured)}
{commands(measured)}
{classic(measured)}{equal_time(measured)}
{measured.figure("conv", "confusion.png", "What the tuned NetConv reads each character as.")}
{measured.notes()}"""


def readme(measured):
    return (
        f"Trained longer and better on real characters, {measured['conv']['data']}:\n\n"
        + results(measured)
    )


def results(measured):
    rows = []
    for net in NETS:
        found = measured[net]
        networks = found["networks"]
        seconds = sum(network["training_seconds"] for network in networks) / len(networks)
        accuracy = spread(found["mean_accuracy"], found["std_accuracy"])
        epochs = networks[0]["epochs"]
        row = [f"Net{net.capitalize()}", len(networks), epochs, accuracy, f"{seconds:.0f} s"]
        rows.append([*row, ELSEWHERE[net]])
    header = ["network", "trained", "epochs", "test accuracy", "training, each"]
    return table([*header, "elsewhere, 60,000 images"], rows)


def commands(measured):
    return "".join(f"    {measured[net]['run']['command']}\n" for net in NETS)


def classic(measured):
    """The coursework's recipe on the same images."""
    rows = []
    for net in NETS:
        if measured.has(f"classic_{net}"):
            found = measured[f"classic_{net}"]
            accuracy = spread(found["mean_accuracy"], found["std_accuracy"])
            rows.append([f"Net{net.capitalize()}", len(found["networks"]), accuracy])
    if not rows:
        return ""
    return "The classic recipe (10 epochs) on the same images:\n\n" + table(
        ["network", "trained", "test accuracy"], rows
    )


def equal_time(measured):
    """Both recipes from the first network's start, stopped by the clock."""
    rows = []
    for net in NETS:
        equal = measured[net].get("equal_time")
        if equal:
            cells = (
                f"{equal[name]['accuracy']:.2%} ({equal[name]['seconds']:.1f} s, "
                f"{equal[name]['epochs']} epochs)"
                for name in ("classic", "tuned")
            )
            rows.append([f"Net{net.capitalize()}", *cells])
    if not rows:
        return ""
    return "\nThe first network of each, trained for the same time:\n\n" + table(
        ["network", "classic", "tuned, its whole cycle"], rows
    )
