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
RENAMED = {"variation": "augmentation", "normalize": "batch_norm"}  # in files of earlier versions


class CheckpointError(ValueError):
    """A file is no checkpoint of a classifier; the message names it and what is wrong."""


@dataclass
class Network:
    """A classifier and how it was trained. data: the title of its Data. weights and state: its
    parameters and what training needs to go on (see train.Epoch), as they were at the last record,
    on the CPU. history: a row per record, with the columns ROW. test: its latest Evaluation, which
    is not saved."""

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

    @property
    def epoch(self):
        return self.history[-1]["epoch"] if self.history else 0

    def record(self, epoch):
        """Keep an Epoch as it is now; returns its row."""
        values = (epoch.number, epoch.train_loss, epoch.train_accuracy)
        values += (epoch.test.loss, epoch.test.accuracy, round(epoch.seconds, 4))
        self.weights, self.state = (
            {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
            for tensors in (self.model.state_dict(), epoch.state)
        )
        self.history.append(dict(zip(ROW, values, strict=True)))
        self.test = epoch.test
        return self.history[-1]

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
        }


def new(net, n_hidden, seed, data, recipe):
    """A Network that is not yet trained, its weights drawn from its seed."""
    return Network(net, n_hidden, seed, data, recipe, build(net, n_hidden, seeded(seed)))


def load(path):
    """The Network in a file, on the CPU. Raises CheckpointError if it is not one, or not whole."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}: give the model.pt of a run folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            saved = torch.load(path, map_location="cpu", weights_only=True)
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
    epochs = options.pop("epochs")
    has = {**asdict(network.recipe), "recipe": network.recipe.name, "seed": network.seed}
    has |= {"net": network.net}
    has["n_hidden"] = network.n_hidden if network.net == "full" else options["n_hidden"]
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


def network_from(saved):
    """The Network of a checkpoint's content; raises ValueError saying what does not fit."""
    if not isinstance(saved, dict):
        raise ValueError("it holds no network")
    for name, kind in TYPES.items():
        if not isinstance(saved.get(name), kind) or isinstance(saved[name], bool):
            raise ValueError(f"{name} is missing, or not of type {kind.__name__}")
    if saved["net"] not in NETS:
        raise ValueError(f"there is no network {saved['net']!r}")
    if not 0 <= saved["seed"] < 2**63:
        raise ValueError(f"the seed is {saved['seed']}")
    fields_saved = {RENAMED.get(name, name): value for name, value in saved["recipe"].items()}
    if fields_saved.keys() != asdict(Recipe()).keys():
        raise ValueError("its recipe is of another kind")
    try:
        recipe = Recipe(**fields_saved)
    except TypeError as error:
        raise ValueError(f"its augmentation is of another kind ({error})") from None
    for name in ("model", "optimizer"):
        for key, value in saved[name].items():
            check_tensor(f"{name} {key}", value)
    n_hidden = saved["n_hidden"]
    bias = saved["model"].get("hidden.bias", torch.empty(0))
    if saved["net"] == "full" and (n_hidden < 1 or bias.shape != (n_hidden,)):  # before any is made
        raise ValueError(f"its network has not {n_hidden} hidden units")
    model = build(saved["net"], n_hidden)
    check_shapes("model", model.state_dict(), saved["model"])
    check_shapes("optimizer", training_state(model, *prepare(model, recipe)), saved["optimizer"])
    model.load_state_dict(saved["model"])
    check_history(saved["history"], saved["epoch"])
    return Network(
        *(saved[name] for name in ("net", "n_hidden", "seed", "data")),
        *(recipe, model, saved["model"], saved["optimizer"], saved["history"]),
    )


def check_tensor(name, value):
    """Raise ValueError unless `value` is a plain float32 tensor of finite numbers."""
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        raise ValueError(f"{name} is not a tensor")
    if value.dtype != torch.float32 or value.device.type != "cpu":
        raise ValueError(f"{name} is of type {value.dtype} on {value.device}, not float32")
    if value.untyped_storage().nbytes() < 4 * value.numel():
        raise ValueError(f"{name} repeats its numbers")
    if not value.isfinite().all():
        raise ValueError(f"{name} holds numbers that are not finite")


def check_shapes(name, wanted, found):
    """Raise ValueError unless two dicts of tensors agree in names and shapes."""
    wanted, found = ({key: tuple(t.shape) for key, t in each.items()} for each in (wanted, found))
    for key in wanted.keys() | found.keys():
        if wanted.get(key) != found.get(key):
            raise ValueError(
                f"{name} {key} has the shape {found.get(key)} instead of {wanted.get(key)}"
            )


def check_history(history, epoch):
    """Raise ValueError unless these are rows of numbers that end with `epoch`."""
    before = 0
    for row in history:
        if not isinstance(row, dict) or tuple(row) != ROW:
            raise ValueError("its history is of another kind")
        if not all(type(value) in (int, float) and abs(value) < 1e300 for value in row.values()):
            raise ValueError("its history holds something else than finite numbers")
        if not before < row["epoch"] <= epoch:
            raise ValueError("the epochs of its history are not in order")
        before = row["epoch"]
    if before != epoch or epoch < 1:
        raise ValueError(f"its history does not lead to epoch {epoch}")
