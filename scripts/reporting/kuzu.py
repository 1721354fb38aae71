"""Part 1 of the report: the three classifiers on the characters found, and what they mix up."""

import shlex

from reporting.measured import FIRST_SEED, table

NETS = {"lin": "NetLin", "full": "NetFull", "conv": "NetConv"}
SEEDS = 3
# The source's figures: loss, correct of 10,000, largest confusions, right of 1,000 per character.
SOURCE = {"lin": (1.0097, 6975), "full": (0.5233, 8394), "conv": (0.2508, 9343)}
SOURCE_CONFUSIONS = {
    "lin": "ma as su 148, ha as su 125, ki as su 109",
    "full": "ki as ma 74, ha as su 66",
    "conv": "su as tsu 45, ha as su 43",
}
SOURCE_DIAGONALS = {
    "lin": (773, 669, 698, 757, 626, 727, 724, 624, 701, 676),
    "full": (843, 805, 840, 924, 802, 826, 885, 818, 816, 835),
    "conv": (956, 938, 878, 962, 927, 875, 959, 952, 935, 961),
}
PICTURES = ("confusion.png", "learning_curves.png")
SHOWING_IMAGES = ("confused_pairs.png", "weights.png", "filters.png")  # only ours are published


def measure(measured):
    for net in NETS:
        seeds = 1 if measured.quick else SEEDS
        command = f"kuzu_main.py --net {net} --seed {FIRST_SEED} --seeds {seeds}"
        command += " --epochs 2" if measured.quick and net == "conv" else ""
        command += f" --data_dir {shlex.quote(measured.data_dir)}" if measured.data_dir else ""
        measured.run(net, command, PICTURES + SHOWING_IMAGES)
        if "built-in" not in measured[net]["data"]:
            for file in SHOWING_IMAGES:
                (measured.folder / net / file).unlink(missing_ok=True)


def text(measured):
    found = {net: measured[net] for net in NETS}
    lin, full, conv = (1 - summary["mean_accuracy"] for summary in found.values())  # errors
    return measured.write(
        **found,
        n=len(found["lin"]["networks"]),
        where=measured.where("conv"),
        commands=measured.commands(NETS),
        full_errors=full / lin,
        conv_errors=conv / lin,
        accuracies=accuracies(found),
        parameters=parameters(found),
        per_class=per_class(found),
        confusions=confusions(found),
    )


def readme(measured):
    found = {net: measured[net] for net in NETS}
    n, data = len(found["lin"]["networks"]), found["lin"]["data"]
    return (
        f"On the {data}, {n} networks each, 10 epochs, {measured.where('conv')}:\n\n"
        f"{accuracies(found)}\n"
        "![What NetConv reads each character as](results/reference/kuzu/conv/confusion.png)\n"
    )


def accuracies(found):
    rows = []
    for net, summary in found.items():
        loss, correct = SOURCE[net]
        row = [NETS[net], f"{summary['parameters']:,}", accuracy(summary)]
        row += [f"{summary['mean_loss']:.4f}", training_time(summary)]
        rows.append([*row, f"{correct / 100:.2f} %, {loss:.4f}"])
    return table(
        "network | parameters | test accuracy | test loss | training, each | source: KMNIST", rows
    )


def accuracy(summary):
    """The mean test accuracy and its standard deviation over networks, in percent."""
    mean, deviation = 100 * summary["mean_accuracy"], summary["std_accuracy"]
    return f"{mean:.2f} %" if deviation is None else f"{mean:.2f} +- {100 * deviation:.2f} %"


def training_time(summary):
    """The mean over networks."""
    seconds = [network["training_seconds"] for network in summary["networks"]]
    return f"{sum(seconds) / len(seconds):.0f} s"


def parameters(found):
    rows = []
    for net, summary in found.items():
        layers = summary["parameters_by_layer"].items()
        counts = " + ".join(f"{count:,} ({layer})" for layer, count in layers)
        rows.append([NETS[net], counts, f"{summary['parameters']:,}"])
    return table("network | layers, weights and biases | total", rows)


def per_class(found):
    rows = []
    for k, romaji in enumerate(found["lin"]["accuracy_by_class"]):
        ours = [f"{summary['accuracy_by_class'][romaji]:.1%}" for summary in found.values()]
        rows.append([romaji, *ours, *(f"{SOURCE_DIAGONALS[net][k] / 1000:.1%}" for net in NETS)])
    return table(
        "character | NetLin | NetFull | NetConv | source: NetLin | NetFull | NetConv", rows
    )


def confusions(found):
    rows = []
    for net, summary in found.items():
        pairs = summary["most_confused"][:5]
        ours = ", ".join(f"{p['target']} as {p['predicted']} {p['share']:.1%}" for p in pairs)
        rows.append([NETS[net], ours, f"{SOURCE_CONFUSIONS[net]} of 1,000 each"])
    return table("network | most often, share of the target's images | source", rows)
