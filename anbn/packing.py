"""The dict that a checkpoint holds of networks: tensors, numbers and text.

    torch.save(pack(networks), "model.pt")
    networks = unpack(torch.load("model.pt", weights_only=True))

`unpack` checks whatever it is given; from what it returns training goes on as if it had not
stopped.
"""

from dataclasses import fields

import torch

from anbn.catalogue import named
from anbn.models import MODELS
from anbn.networks import CheckpointError, Networks, Report
from anbn.optim import OPTIMIZERS
from anbn.recipes import Recipe


def pack(networks):
    """Networks as tensors (copies on the CPU), numbers and text."""
    language, model = networks.language, networks.model
    history = {"sequences": [report.sequences for report in networks.history]}
    for name in Report._fields[1:]:
        values = [getattr(report, name) for report in networks.history]
        values = torch.tensor(values, dtype=torch.float64).reshape(-1, model.n_networks)
        history[name] = values.T.contiguous()  # (S, reports)
    return {
        "kind": model.kind,
        "language": {"name": language.name, "embed": language.embed, "length": language.length},
        "parameters": _copied({name: getattr(model, name) for name in model.names}),
        "best": networks.best,
        "seeds": list(networks.seeds),
        "sequences": networks.sequences,
        "recipe": networks.recipe,
        "optimizer": _copied(networks.optimizer),
        "hand_set": networks.hand_set,
        "history": history,
    }


def _copied(state):
    if isinstance(state, dict):
        return {name: _copied(value) for name, value in state.items()}
    return state.detach().cpu().clone() if isinstance(state, torch.Tensor) else state


def merged(contents):
    """Packed networks of one recipe, trained equally long, as one dict of that kind."""
    sizes = [len(content["seeds"]) for content in contents]

    def joined(values):
        """Tensors (S, ...) one after another, dicts entry by entry, the rest as it is."""
        if isinstance(values[0], dict):
            return {name: joined([value[name] for value in values]) for name in values[0]}
        tensors = all(isinstance(value, torch.Tensor) and value.dim() for value in values)
        if tensors and [len(value) for value in values] == sizes:
            return torch.cat(values)
        return values[0]

    seeds = [seed for content in contents for seed in content["seeds"]]
    return {**joined(contents), "seeds": seeds, "best": None}


def unpack(content, language=None):
    """The Networks in a dict that `pack` has made; `language` takes the place of the one that it
    names. Raises CheckpointError, ModelError, LanguageError or RecipeError where it has been
    changed since."""
    notes = []
    where = _entry(content, "language", dict)
    kind = _entry(content, "kind", str)
    if kind not in MODELS:
        raise CheckpointError(f"networks of an unknown kind, {kind}")
    parameters = plain_parameters(_entry(content, "parameters", dict), notes)
    model = MODELS[kind].from_parameters(parameters)
    seeds, best = _entry(content, "seeds", list), content.get("best")
    if len(seeds) != model.n_networks or not all(type(seed) is int for seed in seeds):
        raise CheckpointError(f"its seeds are not {model.n_networks} whole numbers")
    if best is not None and (type(best) is not int or not 0 <= best < model.n_networks):
        raise CheckpointError(f"its best network is {best!r}, of {model.n_networks}")
    about = [_entry(where, *entry) for entry in (("name", str), ("embed", bool), ("length", int))]
    networks = Networks(
        model,
        named(*about) if language is None else language,
        best,
        seeds,
        sequences=_entry(content, "sequences", int),
        hand_set=_entry(content, "hand_set", bool),
        history=_history(content.get("history"), model.n_networks),
        notes=notes,
    )
    if content.get("recipe") is not None:
        _unpack_training(_entry(content, "recipe", dict), content.get("optimizer"), networks)
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


def _entry(content, name, kind):
    """content[name], which must be of type `kind`, and not below 0."""
    value = content.get(name)
    if type(value) is not kind or (kind is int and value < 0):
        raise CheckpointError(f"its {name} is not of the kind these scripts write")
    return value


def _unpack_training(stored, state, networks):
    """Add the recipe and the optimizer's state, or a note that they are another version's."""
    if stored.keys() != {setting.name for setting in fields(Recipe)}:
        networks.notes.append(
            "trained by another version of these scripts, whose recipes had other settings: it "
            "cannot be trained further"
        )
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
        raise CheckpointError(
            f"its optimizer is not {recipe.optimizer} of these networks: {error}"
        ) from None
    networks.optimizer = state


def _history(stored, n_networks):
    """The history as it is kept while training; empty where none is stored."""
    if stored is None:
        return []
    names = Report._fields
    wrong = CheckpointError(f"its history is not that of {n_networks} networks")
    if not isinstance(stored, dict) or stored.keys() != set(names):
        raise wrong
    sequences, *columns = (stored[name] for name in names)
    if not isinstance(sequences, list) or not all(type(n) is int for n in sequences):
        raise wrong
    for column in columns:
        if not isinstance(column, torch.Tensor) or not column.isfinite().all():
            raise wrong
        if column.shape != (n_networks, len(sequences)) or sequences != sorted(set(sequences)):
            raise wrong
    columns = [column.T.tolist() for column in columns]
    return [Report(*values) for values in zip(sequences, *columns, strict=True)]
