"""What a training run found: a summary as a dict, and the text lines that show it.

Pure functions: nothing is printed or written here.
"""

from dataclasses import asdict

import numpy as np

from .confusion import class_accuracy, most_confused
from .kana import KANA, ROMAJI
from .models import count_parameters


def introduction(net, recipe, data, device):
    """What is about to be trained, and on what; device: in words."""
    lines = [
        f"Data: {data.title}",
        f"Net{net.capitalize()}, {recipe.name} recipe: {recipe.epochs} epochs, lr {recipe.lr:g}, "
        f"momentum {recipe.momentum:g}, batch {recipe.batch_size}; on {device}",
    ]
    if recipe.evaluate_every > 1:
        lines.append(f"Tested every {recipe.evaluate_every} epochs.")
    return lines


def loss_line(epoch, seen, total, loss):
    """The coursework's loss line."""
    return f"Train Epoch: {epoch} [{seen}/{total} ({100 * seen / total:.0f}%)]\tLoss: {loss:.6f}"


def evaluation_lines(test):
    """The coursework's confusion matrix and test line, of an Evaluation."""
    return [
        *matrix_lines(test.confusion.tolist()),
        "",
        f"Test set: Average loss: {test.loss:.4f}, Accuracy: {test.correct}/{test.total} "
        f"({100 * test.accuracy:.0f}%)",
        "",
    ]


def matrix_lines(confusion):
    """A matrix of counts, a list of lists, as numpy prints one of floats: `[[773.   5. ...`."""
    width = max(len(str(count)) for row in confusion for count in row)
    rows = [" ".join(f"{count:{width}d}." for count in row) for row in confusion]
    return [f"{' [' if i else '[['}{row}]" for i, row in enumerate(rows[:-1])] + [f" [{rows[-1]}]]"]


def summary(networks, data, interrupted=False, equal_time=None):
    """Every figure that is printed at the end.

    networks: checkpoint.Networks with their `test`, all of one kind. equal_time: as at_equal_time
    returns it, or None.
    """
    tests = [network.test for network in networks]
    layers, total = count_parameters(networks[0].model)
    confusion = sum(test.confusion for test in tests)

    def mean_and_std(values):
        return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None

    mean_accuracy, std_accuracy = mean_and_std([test.accuracy for test in tests])
    mean_loss, std_loss = mean_and_std([test.loss for test in tests])
    return {
        "data": data.title,
        "train_images": len(data.train_labels),
        "test_images": len(data.test_labels),
        "net": networks[0].net,
        "recipe": asdict(networks[0].recipe),
        "interrupted": interrupted,
        "equal_time": equal_time,
        "parameters": total,
        "parameters_by_layer": {name: count for name, _, count in layers},
        "weights_by_layer": {name: list(shape) for name, shape, _ in layers},
        "networks": [
            {
                "seed": network.seed,
                "epochs": network.epoch,
                "loss": network.test.loss,
                "correct": network.test.correct,
                "accuracy": network.test.accuracy,
                "training_seconds": round(sum(row["seconds"] for row in network.history), 3),
            }
            for network in networks
        ],
        "mean_accuracy": mean_accuracy,
        "std_accuracy": std_accuracy,
        "mean_loss": mean_loss,
        "std_loss": std_loss,
        "confusion": confusion.tolist(),
        "accuracy_by_class": dict(zip(ROMAJI, class_accuracy(confusion), strict=True)),
        "most_confused": [
            {
                "target": ROMAJI[pair.target],
                "predicted": ROMAJI[pair.predicted],
                "count": pair.count,
                "share": pair.share,
            }
            for pair in most_confused(confusion)
        ],
    }


def result_lines(summary):
    """The lines at the end of a run: accuracies, parameters, characters, most-confused pairs."""
    name = f"Net{summary['net'].capitalize()}"
    lines = [f"Results on the {summary['data']}"]
    networks = summary["networks"]
    if len(networks) > 1:
        lines += [
            f"seed {network['seed']}: loss {network['loss']:.4f}, accuracy "
            f"{network['correct']}/{summary['test_images']} ({network['accuracy']:.2%})"
            for network in networks
        ]
        lines += [
            f"{len(networks)} networks: accuracy {summary['mean_accuracy']:.2%} "
            f"+- {summary['std_accuracy']:.2%} (standard deviation), loss "
            f"{summary['mean_loss']:.4f} +- {summary['std_loss']:.4f}",
            "Confusion matrix, summed over the networks:",
            *matrix_lines(summary["confusion"]),
        ]
    if summary["equal_time"]:
        parts = (
            f"{name} {found['accuracy']:.2%} ({found['epochs']} epochs, {found['seconds']:.1f} s)"
            for name, found in summary["equal_time"].items()
        )
        lines.append(f"At equal time, seed {networks[0]['seed']}: {', '.join(parts)}")
    lines.append(f"Parameters of {name}:")
    for layer, shape in summary["weights_by_layer"].items():
        weights = " x ".join(map(str, shape))
        count = summary["parameters_by_layer"][layer]
        lines.append(f"    {layer:8s}{weights:>15s} weights + {shape[0]:3d} biases{count:10,}")
    lines.append(f"    {'total':51s}{summary['parameters']:>6,}")
    lines.append("Accuracy per character:")
    for romaji, share in summary["accuracy_by_class"].items():
        shown = "no image" if share is None else f"{share:.2%}"
        lines.append(f"    {kana(romaji)} {romaji:4s}{shown:>8s}")
    lines.append("Most-confused pairs (target read as predicted; share of the target's images):")
    for pair in summary["most_confused"]:
        target, predicted = pair["target"], pair["predicted"]
        lines.append(
            f"    {kana(target)} {target:>3s} -> {kana(predicted)} {predicted:3s}"
            f"{pair['count']:6d}{pair['share']:8.2%}"
        )
    return lines


def kana(romaji):
    return KANA[ROMAJI.index(romaji)]
