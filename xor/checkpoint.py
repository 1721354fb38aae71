"""Saved networks: what model.pt holds, and how it is read back.

saved = load("results/xor/check_sig5__s0__.../model.pt")
print("\\n".join(result_lines(summary(saved.history))))
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from xor.history import History
from xor.model import MLP, PARAMETERS
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


def content(history, shown):
    """What `torch.save` is to write of a run (`history.History`) that shows one of its networks."""
    model, size = history.model, math.isqrt(len(history.targets))
    state = {name: getattr(model, name).detach().cpu() for name in PARAMETERS}
    seeds = list(history.seeds)
    return {"act": model.act, "size": size, "seeds": seeds, "shown": shown, "model": state}


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
    model = MLP(*(found["model"][name] for name in PARAMETERS), act=found["act"])
    return Saved(model, found["size"], found["seeds"], found["shown"])


def _fault(found):
    """What is wrong with the content of a file, None if nothing is."""
    if not isinstance(found, dict) or not isinstance(found.get("model"), dict):
        return "there are no weights under 'model'"
    weights = [found["model"].get(name) for name in PARAMETERS]
    kinds = {getattr(value, "dtype", None) for value in weights}
    if kinds != {torch.float32}:
        return f"{', '.join(PARAMETERS)} are not all tensors of float32"
    if not all(bool(value.isfinite().all()) for value in weights):
        return "some of its weights are not finite"
    n, n_hidden = (*weights[1].shape, 0, 0)[:2]
    shapes = [tuple(value.shape) for value in weights]
    if shapes != [(n, n_hidden, 2), (n, n_hidden), (n, n_hidden), (n,)] or n * n_hidden == 0:
        return f"its weights have the shapes {shapes}, which do not fit together"
    if found.get("act") not in ("sig", "step"):
        return "its activation is neither sig nor step"
    size, seeds, shown = (found.get(name) for name in ("size", "seeds", "shown"))
    if type(size) is not int or not 2 <= size <= 1000:
        return "its size is that of no grid"
    if type(seeds) is not list or len(seeds) != n or {type(seed) for seed in seeds} != {int}:
        return f"it does not have the seeds of {n} networks"
    if type(shown) is not int or not 0 <= shown < n:
        return "it does not say which network is shown"
