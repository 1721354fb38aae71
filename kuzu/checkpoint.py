"""A trained network with what is needed to go on: saved, and loaded again.

network = load("results/kuzu/RUN/model.pt")
evaluate(network.model, data.test_images, data.test_labels).accuracy
"""

import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from torch import nn

from .models import NETS, build
from .recipes import Recipe
from .train import Evaluation, prepare, seeded, training_state

TYPES = {"net": str, "n_hidden": int, "seed": int, "epoch": int, "data": str}
TYPES |= {"recipe": dict, "model": dict, "optimizer": dict, "history": list}
ROW = ("epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")


class CheckpointError(ValueError):
    """A file is no checkpoint of a classifier; the message names it and what is wrong."""


@dataclass
class Network:
    """A classifier and how it was trained. data: the title of its Data; sha256: its checksum, None
    in older files. weights and state: its parameters and what training needs to go on (see
    train.Epoch) at the last record, on the CPU. history: a row per record, with the columns ROW.
    test: its latest Evaluation, not saved."""

    net: str
    n_hidden: int
    seed: int
    data: str
    recipe: Recipe
    model: nn.Module
    weights: dict | None = None
    state: dict | None = None
    history: list = field(default_factory=list)
    test: Evaluation | None = None
    sha256: str | None = None

    @property
    def epoch(self):
        return self.history[-1]["epoch"] if self.history else 0

    def record(self, epoch):
        """Keep an Epoch as it is now."""
        self.weights, self.state = (
            {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
            for tensors in (self.model.state_dict(), epoch.state)
        )
        self.test = epoch.test
        values = (epoch.number, epoch.train_loss, epoch.train_accuracy)
        values += (epoch.test.loss, epoch.test.accuracy, round(epoch.seconds, 4))
        self.history.append(dict(zip(ROW, values, strict=True)))

    def rewind(self):
        """Bring the model back to the last record, on the CPU: training may have been interrupted
        in the epoch that followed."""
        self.model.cpu()
        if self.weights is not None:
            self.model.load_state_dict(self.weights)

    def content(self):
        """What a checkpoint holds; torch.load reads it with weights_only=True."""
        return {
            **{name: getattr(self, name) for name in ("net", "n_hidden", "seed", "epoch", "data")},
            "recipe": asdict(self.recipe),
            "model": self.weights,
            "optimizer": self.state,
            "history": self.history,
            "sha256": self.sha256,
        }


def new(net, n_hidden, seed, data, recipe):
    """A Network that is to be trained on a Data, its weights drawn from its seed."""
    model = build(net, n_hidden, seeded(seed))
    return Network(net, n_hidden, seed, data.title, recipe, model, sha256=data.sha256)


def load(path):
    """The Network in a file, on the CPU. Raises CheckpointError if it is not one, or not whole."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}: give the model.pt of a run folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            saved = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception:  # as many kinds as there are ways to damage a file
        raise CheckpointError(
            f"{path} is not a checkpoint (truncated, or another kind of file): give the model.pt "
            "of a run folder"
        ) from None
    try:
        return network_from(saved)
    except ValueError as error:
        raise CheckpointError(f"{path} is not a checkpoint of kuzu_main.py: {error}") from None


def check_options(network, options, resume):
    """Raise CheckpointError if options say otherwise than what a network was trained with; None is
    not given. To `resume` takes over the number of epochs."""
    epochs = options.pop("epochs") if resume else None
    has = {**asdict(network.recipe), "recipe": network.recipe.name}
    n_hidden = network.n_hidden if network.net == "full" else "none"
    has |= {"net": network.net, "n_hidden": n_hidden, "seed": network.seed}
    for name, value in options.items():
        if value not in (None, has[name]):
            raise CheckpointError(
                f"the checkpoint's {name} is {has[name]}, not {value}: leave the option out"
            )
    if resume:
        network.recipe = replace(network.recipe, epochs=epochs or network.recipe.epochs)
        if network.epoch >= network.recipe.epochs:
            raise CheckpointError(
                f"the checkpoint has been trained for {network.epoch} epochs already: resume with "
                f"--epochs above {network.epoch}"
            )


def other_data(network, data):
    """In words, what a network was trained on, if it was other images than these; else None."""
    if network.data != data.title:
        return f"was trained on the {network.data}, not on the {data.title}"
    if network.sha256 not in (None, data.sha256):
        return f"was trained on other images of the same title, {data.title}"
    return None


def network_from(saved):
    """The Network of a checkpoint's content; raises ValueError saying what does not fit."""
    require(isinstance(saved, dict), "it holds no network")
    for name, kind in TYPES.items():
        good = isinstance(saved.get(name), kind) and not isinstance(saved[name], bool)
        require(good, f"{name} is missing, or not of type {kind.__name__}")
    net, n_hidden, weights = saved["net"], saved["n_hidden"], saved["model"]
    require(net in NETS, f"there is no network {net!r}")
    require(0 <= saved["seed"] < 2**63, f"the seed is {saved['seed']}")
    recipe = recipe_from(saved["recipe"])
    if net == "full":  # before any is made
        require(n_hidden > 0, "its network has no hidden units")
        check_tensor("model hidden.bias", weights.get("hidden.bias"), (n_hidden,))
    model = build(net, n_hidden)
    trained, optimizer = prepare(model, recipe)
    wanted = {"model": model.state_dict()}
    wanted["optimizer"] = training_state(model, trained, optimizer)
    for part, tensors in wanted.items():
        for name in [*tensors, *sorted(saved[part].keys() - tensors.keys(), key=str)]:
            shape = tuple(tensors[name].shape) if name in tensors else None
            check_tensor(f"{part} {name}", saved[part].get(name), shape)
    model.load_state_dict(weights)
    check_history(saved["history"], saved["epoch"])
    about = net, n_hidden, saved["seed"], saved["data"], recipe, model
    sha256 = saved.get("sha256")
    require(sha256 is None or isinstance(sha256, str), "its checksum of the data is no text")
    return Network(*about, weights, saved["optimizer"], saved["history"], sha256=sha256)


def require(condition, fault):
    if not condition:
        raise ValueError(fault)


def recipe_from(saved):
    """The Recipe that asdict has made `saved` of."""
    require(saved.keys() == asdict(Recipe()).keys(), "its recipe is of another kind")
    try:
        return Recipe(**saved)
    except TypeError as error:
        raise ValueError(f"its augmentation is of another kind ({error})") from None


def check_tensor(name, value, shape):
    """Raise ValueError unless `value` is a plain float32 tensor of this shape, its numbers finite;
    shape None: there is no such tensor."""
    good = (
        isinstance(value, torch.Tensor)
        and (value.layout, value.dtype, value.device.type) == (torch.strided, torch.float32, "cpu")
        and tuple(value.shape) == shape
        and value.untyped_storage().nbytes() >= 4 * value.numel()  # not one number many times
        and value.isfinite().all()
    )
    require(good, f"{name} is missing, of another kind or shape, or not finite")


def check_history(history, epoch):
    """Raise ValueError unless these are rows of numbers that end with `epoch`."""
    for row in history:
        require(isinstance(row, dict) and tuple(row) == ROW, "its history is of another kind")
        finite = all(type(v) in (int, float) and abs(v) < 1e300 for v in row.values())
        require(finite, "its history holds something else than finite numbers")
    epochs = [0, *(row["epoch"] for row in history)]
    require(epochs == sorted(set(epochs)), "the epochs of its history are not in order")
    require(epochs[-1] == epoch >= 1, f"its history does not lead to epoch {epoch}")
