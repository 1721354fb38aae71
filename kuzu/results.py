"""What a training run found: a summary as a dict, and the text lines that show it."""

from dataclasses import asdict

import numpy as np

from .confusion import class_accuracy, most_confused
from .kana import KANA, ROMAJI


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
    line = f"Test set: Average loss: {test.loss:.4f}, Accuracy: {test.correct}/{test.total} "
    line += f"({100 * test.accuracy:.0f}%)"
    return [*matrix_lines(test.confusion.tolist()), "", line, ""]


def matrix_lines(confusion):
    """A matrix of counts, a list of lists, as numpy prints one of floats: `[[773.   5. ...`."""
    matrix = np.array(confusion, float)
    return np.array2string(matrix, max_line_width=200, suppress_small=True).splitlines()


def summary(networks, data, interrupted=False, equal_time=None):
    """Every figure that is printed at the end.

    networks: checkpoint.Networks with their `test`, all of one kind. equal_time: as at_equal_time
    returns it, or None.
    """
    layers = dict(networks[0].model.named_children())
    parameters = {n: layer.weight.numel() + layer.bias.numel() for n, layer in layers.items()}
    confusion = sum(network.test.confusion for network in networks)
    content = {
        "data": data.title,
        "train_images": len(data.train_labels),
        "test_images": len(data.test_labels),
        "net": networks[0].net,
        "recipe": asdict(networks[0].recipe),
        "interrupted": interrupted,
        "equal_time": equal_time,
        "parameters": sum(parameters.values()),
        "parameters_by_layer": parameters,
        "weights_by_layer": {name: list(layer.weight.shape) for name, layer in layers.items()},
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
    }
    for name in ("accuracy", "loss"):
        values = [network[name] for network in content["networks"]]
        content[f"mean_{name}"] = float(np.mean(values))
        content[f"std_{name}"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return content | {
        "confusion": confusion.tolist(),
        "accuracy_by_class": dict(zip(ROMAJI, class_accuracy(confusion), strict=True)),
        "most_confused": [
            pair._asdict() | {"target": ROMAJI[pair.target], "predicted": ROMAJI[pair.predicted]}
            for pair in most_confused(confusion)
        ],
    }


def result_lines(summary):
    """The lines at the end of a run: accuracies, parameters, characters, most-confused pairs."""
    kana = dict(zip(ROMAJI, KANA, strict=True))
    networks = summary["networks"]
    lines = [f"Results on the {summary['data']}"]
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
    lines.append(f"Parameters of Net{summary['net'].capitalize()}:")
    for layer, shape in summary["weights_by_layer"].items():
        weights, count = " x ".join(map(str, shape)), summary["parameters_by_layer"][layer]
        lines.append(f"    {layer:8s}{weights:>15s} weights + {shape[0]:3d} biases{count:10,}")
    lines += [f"    {'total':51s}{summary['parameters']:>6,}", "Accuracy per character:"]
    for romaji, share in summary["accuracy_by_class"].items():
        shown = "no image" if share is None else f"{share:.2%}"
        lines.append(f"    {kana[romaji]} {romaji:4s}{shown:>8s}")
    lines.append("Most-confused pairs (target read as predicted; share of the target's images):")
    lines += [] if summary["most_confused"] else ["    none"]
    for pair in summary["most_confused"]:
        target, predicted = pair["target"], pair["predicted"]
        names = f"{kana[target]} {target:>3s} -> {kana[predicted]} {predicted:3s}"
        lines.append(f"    {names}{pair['count']:6d}{pair['share']:8.2%}")
    return lines
