"""Part 1 of the report: the three classifiers on the characters found, and what they mix up."""

import shlex

from reporting.measured import spread, table

NETS = (  # name, its figures in the source: loss, correct of 10,000, largest confusions
    ("lin", 1.0097, 6975, "ma as su 148, ha as su 125, ki as su 109"),
    ("full", 0.5233, 8394, "ki as ma 74, ha as su 66"),
    ("conv", 0.2508, 9343, "su as tsu 45, ha as su 43"),
)
SOURCE_DIAGONALS = {  # of 1,000 images of each character
    "lin": (773, 669, 698, 757, 626, 727, 724, 624, 701, 676),
    "full": (843, 805, 840, 924, 802, 826, 885, 818, 816, 835),
    "conv": (956, 938, 878, 962, 927, 875, 959, 952, 935, 961),
}
SEEDS = 3
FIRST_SEED = 20_000  # no recipe, and not the difficulty of the images, was chosen on these
PICTURES = ("confusion.png", "learning_curves.png")
SHOWING_IMAGES = ("confused_pairs.png", "weights.png", "filters.png")  # only ours are published
BUILT_IN = "built-in kana set"


def measure(measured, data_dir):
    for net, *_ in NETS:
        seeds = 1 if measured.quick else SEEDS
        command = f"kuzu_main.py --net {net} --seed {FIRST_SEED} --seeds {seeds}"
        if measured.quick and net == "conv":
            command += " --epochs 2"
        if data_dir != "data":
            command += f" --data_dir {shlex.quote(data_dir)}"
        measured.run(net, command, PICTURES + SHOWING_IMAGES)
        if BUILT_IN not in measured[net]["data"]:
            for file in SHOWING_IMAGES:
                (measured.folder / net / file).unlink(missing_ok=True)


def text(measured):
    found = {net: measured[net] for net, *_ in NETS}
    data = found["lin"]["data"]
    return f"""## Part 1: Kuzushiji characters

Data: {data}. The source trained on the 60,000 images of KMNIST and tested on its 10,000: on other
images its figures are a neighbour to look at, not a target.

### Accuracy and parameters of the three networks

{accuracies(measured)}
{len(found["lin"]["networks"])} networks each, {measured.where("conv")}:

{commands(measured)}
{comparison(found)}

The parameters, layer by layer:

{parameters(found)}
Slips of the source put right: NetLin has 7,850 parameters, 7,840 leaves out its ten biases; the sum
written for NetConv leaves out the first layer's 32 biases, though its total is right.

### Accuracy per character

{per_class(found)}
### Confusion matrices

Rows are targets, columns predictions, summed over the networks trained.

{pictures(measured, "confusion.png", "What {name} reads each character as.")}
### Which characters are mixed up most

{confusions(found)}
(Slip of the source put right: what it says of ha and ya does not match its own matrices, whose
largest entries are those in the last column.)

{gallery(measured)}
### How they learn

{pictures(measured, "learning_curves.png", "Loss and accuracy of {name} by epoch.")}"""


def readme(measured):
    data = measured["lin"]["data"]
    return (
        f"On the {data}, {len(measured['lin']['networks'])} networks each, 10 epochs:\n\n"
        + accuracies(measured)
        + "\n![What NetConv reads each character as](results/reference/kuzu/conv/confusion.png)\n"
    )


def accuracies(measured):
    rows = []
    for net, loss, correct, _ in NETS:
        found = measured[net]
        networks = found["networks"]
        seconds = sum(network["training_seconds"] for network in networks) / len(networks)
        rows.append(
            [
                f"Net{net.capitalize()}",
                f"{found['parameters']:,}",
                spread(found["mean_accuracy"], found["std_accuracy"]),
                f"{found['mean_loss']:.4f}",
                f"{seconds:.0f} s",
                f"{correct / 100:.2f} %, {loss:.4f}",
            ]
        )
    header = ["network", "parameters", "test accuracy", "test loss", "training, each"]
    return table([*header, "source: KMNIST"], rows)


def commands(measured):
    return "".join(f"    {measured[net]['run']['command']}\n" for net, *_ in NETS)


def comparison(found):
    errors = {net: 1 - summary["mean_accuracy"] for net, summary in found.items()}
    return (
        f"A hidden layer leaves {errors['full'] / errors['lin']:.0%} of NetLin's errors, "
        f"convolutions {errors['conv'] / errors['lin']:.0%}: a linear classifier compares each "
        "image with one template per character, which a shifted, slanted or differently written "
        "character no longer fits."
    )


def parameters(found):
    rows = [
        [
            f"Net{net.capitalize()}",
            " + ".join(
                f"{count:,} ({layer})" for layer, count in summary["parameters_by_layer"].items()
            ),
            f"{summary['parameters']:,}",
        ]
        for net, summary in found.items()
    ]
    return table(["network", "layers, weights and biases", "total"], rows)


def per_class(found):
    characters = list(found["lin"]["accuracy_by_class"])
    rows = []
    for k, romaji in enumerate(characters):
        ours = [f"{found[net]['accuracy_by_class'][romaji]:.1%}" for net in found]
        source = [f"{SOURCE_DIAGONALS[net][k] / 1000:.1%}" for net in found]
        rows.append([romaji, *ours, *source])
    names = [f"Net{net.capitalize()}" for net in found]
    return table(["character", *names, *(f"source: {name}" for name in names)], rows)


def confusions(found):
    rows = []
    for net, _, _, source in NETS:
        pairs = found[net]["most_confused"][:5]
        ours = ", ".join(f"{p['target']} as {p['predicted']} {p['share']:.1%}" for p in pairs)
        rows.append([f"Net{net.capitalize()}", ours, f"{source} of 1,000 each"])
    return table(["network", "most often, share of the target's images", "source"], rows)


def pictures(measured, file, caption):
    shown = (
        measured.figure(net, file, caption.format(name=f"Net{net.capitalize()}"))
        for net, *_ in NETS
    )
    return "\n".join(shown)


def gallery(measured):
    """What they look like; empty where the images are not ours to show."""
    return "\n".join(
        [
            measured.figure("conv", "confused_pairs.png", "Characters NetConv took for others."),
            measured.figure("lin", "weights.png", "NetLin's ten templates."),
            measured.figure("conv", "filters.png", "NetConv's first-layer filters."),
        ]
    )
