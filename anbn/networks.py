"""Networks and how they were trained: what a run is about, and what a checkpoint holds.

    for networks in trained(untrained(language, "srn", 2, seeds=range(8), recipe)):
        print(networks.sequences, networks.history[-1].loss)
    torch.save(pack(networks), "model.pt")
    networks = unpack(torch.load("model.pt", weights_only=True))

From what `unpack` returns training goes on as if it had not stopped.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import NamedTuple

import torch

from anbn.catalogue import is_file, named
from anbn.models import MODELS
from anbn.optim import OPTIMIZERS, join_networks, select_state
from anbn.recipes import Recipe
from anbn.train import build, train


class CheckpointError(ValueError):
    """What is stored makes no networks, or others than asked for."""


class Report(NamedTuple):
    """What was measured at a report while S networks were trained; a list of S numbers each."""

    sequences: int  # training sequences per network so far
    loss: list  # the coursework's, on held-out streams
    streams_right: list  # the share of held-out streams with every step right
    cross_entropy: list  # nats per symbol in training, mean since the last report


@dataclass
class Networks:
    """S networks of one language, and how they were trained."""

    model: object  # anbn.models.SRN or LSTM
    language: object  # anbn.languages.Language
    best: int | None = None  # index of the best network; None: not evaluated yet
    seeds: list = field(default_factory=list)  # one per network
    sequences: int = 0  # training sequences per network
    recipe: dict | None = None  # the fields of a Recipe; None: not known, as of a bare state dict
    optimizer: dict | None = None  # its state, tensors (S, ...)
    hand_set: bool = False
    history: list = field(default_factory=list)  # a Report after every 1000 sequences or so
    notes: list = field(default_factory=list)  # what `checkpoint.load` has to say: lines of text

    @property
    def title(self):
        """For figures and reports: anbn, SRN with 2 hidden units, 8 networks."""
        model = self.model
        units = f"{model.n_hidden} hidden unit{'s' * (model.n_hidden > 1)}"
        count = f", {model.n_networks} networks" if model.n_networks > 1 else ""
        return f"{self.language.title}, {model.kind.upper()} with {units}{count}"

    def title_of(self, s):
        """The title of network s alone, with its number."""
        count = self.model.n_networks
        return self.title.replace(f", {count} networks", f", network {s + 1} of {count}")

    @property
    def folder_name(self):
        """For run folders: anbn_srn2, reber_embedded_lstm4."""
        by_hand = "_handset" * self.hand_set
        return f"{self.language.file_name}_{self.model.kind}{self.model.n_hidden}{by_hand}"

    def file_name(self, sequences):
        """For the checkpoint after so many sequences: anbn_srn2_10.pth."""
        model = self.model
        return f"{self.language.name}_{model.kind}{model.n_hidden}_{sequences / 1000:g}.pth"

    def select(self, which):
        """The networks in a slice, as copies."""
        return replace(
            self,
            model=self.model.select(which),
            best=None,
            seeds=self.seeds[which],
            optimizer=self.optimizer and select_state(self.optimizer, which),
            history=[Report(n, *(values[which] for values in rest)) for n, *rest in self.history],
        )

    def require_more(self, n_sequences=None):
        """Set the length of training, if it is given. Raises CheckpointError if it is not longer
        than what is done, or if nobody knows how these networks were trained."""
        if self.recipe is None:
            raise CheckpointError("; ".join(self.notes) or "it does not say how it was trained")
        if n_sequences is not None:
            self.recipe = {**self.recipe, "n_sequences": n_sequences}
        if self.recipe["n_sequences"] - self.sequences < self.recipe["batch_size"]:
            raise CheckpointError(
                f"it has already been trained on {self.sequences:,} sequences per network; give a "
                "longer --epoch (in thousands)"
            )

    def metrics(self):
        """The history as a table: a dict per report and network."""
        return [
            {"sequences": report.sequences, "network": s + 1, "seed": seed}
            | {name: getattr(report, name)[s] for name in Report._fields[1:]}
            for report in self.history
            for s, seed in enumerate(self.seeds)
        ]


def untrained(language, kind, n_hidden, seeds, recipe):
    """New Networks, one for each of the seeds."""
    model = build(language, kind, n_hidden, seeds, recipe)
    return Networks(model, language, seeds=list(seeds), recipe=asdict(recipe))


def trained(networks, report_every=1000):
    """Train to the end of the recipe; yields the Networks about every `report_every` sequences, as
    copies."""
    options = {"optimizer_state": networks.optimizer, "report_every": report_every}
    recipe, seeds = Recipe(**networks.recipe), networks.seeds
    for record in train(networks.model, networks.language, recipe, seeds, **options):
        measured = (record.loss, record.streams_right, record.cross_entropy)
        networks.history.append(Report(record.sequences, *(part.tolist() for part in measured)))
        networks.sequences, networks.optimizer = record.sequences, record.optimizer_state
        yield networks.select(slice(None))


# ---- as the dict that a checkpoint holds: tensors on the CPU, numbers and text


def pack(networks):
    """The content of a checkpoint, as copies."""
    language, model = networks.language, networks.model
    sequences, *columns = zip(*networks.history, strict=True) if networks.history else [()] * 4
    columns = [torch.tensor(rows, dtype=torch.float64) for rows in columns]  # (reports, S)
    columns = [rows.reshape(-1, model.n_networks).T.contiguous() for rows in columns]
    state = networks.optimizer
    return {
        "kind": model.kind,
        "language": {"name": language.spelling, "embed": language.embed, "length": language.length},
        "parameters": {name: value.cpu().clone() for name, value in model.state_dict().items()},
        "best": networks.best,
        "seeds": list(networks.seeds),
        "sequences": networks.sequences,
        "recipe": networks.recipe,
        "optimizer": state and {name: value.cpu().clone() for name, value in state.items()},
        "hand_set": networks.hand_set,
        "history": dict(zip(Report._fields, [list(sequences), *columns], strict=True)),
        "language_sha256": language.sha256,
    }


def merged(contents):
    """Packed networks of one recipe, trained equally long, as one dict of that kind."""
    seeds = [seed for content in contents for seed in content["seeds"]]
    return {**join_networks(contents), "seeds": seeds, "best": None}


def unpack(content, language=None):
    """The Networks in a dict that `pack` has made; `language` takes the place of the one named.
    Raises CheckpointError, ModelError, LanguageError or RecipeError where it has been changed."""
    _check(content, kind=str, language=dict, parameters=dict, seeds=list)
    _check(content, sequences=int, hand_set=bool)
    _check(content["language"], name=str, embed=bool, length=int)
    if content["kind"] not in MODELS:
        raise CheckpointError(f"networks of an unknown kind, {content['kind']}")
    notes = []
    parameters = plain_parameters(content["parameters"], notes)
    model = MODELS[content["kind"]].from_parameters(parameters)
    seeds, best = content["seeds"], content.get("best")
    good = all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds)
    if len(seeds) != model.n_networks or not good:
        raise CheckpointError(f"its seeds are not {model.n_networks} whole numbers from 0")
    if best is not None and (type(best) is not int or not 0 <= best < model.n_networks):
        raise CheckpointError(f"its best network is {best!r}, of {model.n_networks}")
    about = {name: content[name] for name in ("sequences", "hand_set")}
    about |= {"history": _history(content.get("history"), model.n_networks), "notes": notes}
    if language is None:
        if (name := content["language"]["name"]).endswith(".py"):
            raise CheckpointError(f"its language is code, in {name}: run it by --lang {name}")
        if is_file(name) and not Path(name).is_file():
            raise CheckpointError(f"its language {name} is not there: say by --lang where it is")
        language = named(**content["language"])
    if language.sha256 and content.get("language_sha256") not in (None, language.sha256):
        notes.append(f"{language.file} has changed since these networks were trained on it")
    networks = Networks(model, language, best, seeds, **about)
    if content.get("recipe") is not None:
        _check(content, recipe=dict)
        _unpack_training(content["recipe"], content.get("optimizer"), networks)
    return networks


def plain_parameters(content, notes):
    """Named tensors in float32; other real numbers are converted, with a note."""
    for name, value in content.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise CheckpointError(f"no recurrent network: {name} is no plain tensor")
        if value.is_complex() or value.is_quantized or value.is_meta:
            raise CheckpointError(f"no recurrent network: {name} holds no real numbers")
    others = sorted({str(value.dtype) for value in content.values()} - {"torch.float32"})
    if others:
        notes.append(f"stored in {' and '.join(others)}, read in float32")
    return {str(name): value.float() for name, value in content.items()}


def _check(content, **kinds):
    """Entries of these types must be in the dict; whole numbers not below 0."""
    for name, kind in kinds.items():
        value = content.get(name)
        if type(value) is not kind or (kind is int and value < 0):
            raise CheckpointError(f"its {name} is not of the kind these scripts write")


def _unpack_training(stored, state, networks):
    """Add the recipe and the optimizer's state, or a note that they are another version's."""
    if stored.keys() != {setting.name for setting in fields(Recipe)}:
        note = "trained by another version of these scripts, whose recipes had other settings"
        networks.notes.append(f"{note}: it cannot be trained further")
        return
    recipe, networks.recipe = Recipe(**stored), stored
    if state is None and not networks.sequences:
        return
    kind, weights = OPTIMIZERS[recipe.optimizer], networks.model.flat()
    try:
        kind(weights, recipe.momentum, recipe.second_moment).load(state)
        if int(state["step"]) * recipe.batch_size != networks.sequences:
            raise ValueError(f"it is not that after {networks.sequences} sequences")
    except (ValueError, TypeError, AttributeError) as error:
        what = f"{recipe.optimizer} of these networks"
        raise CheckpointError(f"its optimizer is not {what}: {error}") from None
    networks.optimizer = state


def _history(stored, n_networks):
    """The history as it is kept while training; empty where none is stored."""
    if stored is None:
        return []
    try:
        sequences, *columns = (stored[name] for name in Report._fields)
        columns = torch.stack(columns)  # (3, S, reports)
        right = columns.shape[1:] == (n_networks, len(sequences)) and columns.isfinite().all()
        right = right and sequences == sorted(set(sequences))
        right = right and all(type(n) is int for n in sequences)
    except (KeyError, TypeError, IndexError, RuntimeError):
        right = False
    if not right:
        raise CheckpointError(f"its history is not that of {n_networks} networks")
    rows = (column.T.tolist() for column in columns)
    return [Report(*values) for values in zip(sequences, *rows, strict=True)]
