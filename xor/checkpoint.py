"""Saved networks: what model.pt holds, and how it is read back.

saved = load("results/xor/check_sig5__s0__.../model.pt")
print("\\n".join(result_lines(summary(saved.network, *grid(saved.size)))))
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from xor.model import MLP, PARAMETERS
from xor.results import History
from xor.tasks import XorError, grid


@dataclass(frozen=True)
class Saved:
    """The networks of a file, their seeds, and which of them its run has shown."""

    model: MLP
    size: int
    seeds: list
    shown: int

    @property
    def network(self):
        """The network shown, by itself (S = 1)."""
        return self.model.network(self.shown)

    @property
    def history(self):
        """The network shown as `results.summary` takes it."""
        return History(self.network, *grid(self.size), [self.seeds[self.shown]])


def content(model, size, seeds, shown):
    """What `torch.save` is to write."""
    state = {name: getattr(model, name).detach().cpu() for name in PARAMETERS}
    return {"act": model.act, "size": size, "seeds": list(seeds), "shown": shown, "model": state}


def load(path):
    """The Saved networks of a file, on the CPU. Raises XorError naming the file and what is wrong
    with it."""
    path = Path(path)
    if not path.is_file():
        raise XorError(f"there is no file {path}: give the model.pt of a run folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:
        raise XorError(f"{path} is no checkpoint, or only a part of one") from None
    try:
        fault = _fault(found)
    except RuntimeError:  # a tensor of another kind than numbers in a row, or larger than memory
        fault = "its tensors cannot be read"
    if fault:
        raise XorError(f"{path} holds no perceptrons: {fault}")
    parts = [found["model"][name] for name in PARAMETERS]
    return Saved(MLP(*parts, act=found["act"]), found["size"], found["seeds"], found["shown"])


def _fault(found):
    """What is wrong with the content of a file, None if nothing is."""
    names = ("act", "size", "seeds", "shown", "model")
    if not isinstance(found, dict) or not isinstance(found.get("model"), dict):
        return "it has no weights under 'model'"
    if missing := [name for name in names if name not in found]:
        return f"{missing[0]!r} is missing"
    weights = [found["model"].get(name) for name in PARAMETERS]
    for name, value in zip(PARAMETERS, weights, strict=True):
        if not isinstance(value, torch.Tensor) or value.dtype not in (torch.float32, torch.float64):
            return f"{name} is no tensor of float32 or float64"
        if not bool(value.isfinite().all()):
            return f"{name} has values that are not finite"
    shape = weights[0].shape  # (S, H, 2)
    if len(shape) != 3 or shape[2] != 2 or 0 in shape:
        return f"hid_weight has the shape {tuple(shape)}, not (networks, hidden units, 2)"
    shapes = {"hid_bias": shape[:2], "out_weight": shape[:2], "out_bias": shape[:1]}
    for name, wanted in shapes.items():
        if (got := found["model"][name].shape) != wanted:
            return f"{name} has the shape {tuple(got)}, not {tuple(wanted)}"
    if len({value.dtype for value in weights}) > 1:
        return "its weights are of several types"
    if found["act"] not in ("sig", "step"):
        return "its activation is neither sig nor step"
    if type(found["size"]) is not int or not 2 <= found["size"] <= 1000:
        return "its size is that of no grid"
    seeds, shown = found["seeds"], found["shown"]
    if not isinstance(seeds, list) or any(type(seed) is not int for seed in seeds):
        return "its seeds are no list of whole numbers"
    if len(seeds) != shape[0] or type(shown) is not int or not 0 <= shown < shape[0]:
        return f"its seeds or the network shown do not fit {shape[0]} networks"
    return None
