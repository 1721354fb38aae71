"""Saved networks: what model.pt holds, and how it is read back.

saved = load("results/xor/check_sig5__s0__.../model.pt")
print("\\n".join(result_lines(summary(saved.history))))
"""

import math
import warnings
from dataclasses import dataclass

import torch

from xor.history import History
from xor.model import MLP
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
    about = {"size": size, "seeds": list(history.seeds), "shown": shown}
    return {"model": model.state_dict(), "act": model.act, **about}


def load(path):
    """The Saved networks of a file, on the CPU. Raises XorError naming it if it holds none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(path, map_location="cpu", weights_only=True)
        saved = Saved(MLP(**found.pop("model"), act=found.pop("act")), **found)
        saved.network(torch.zeros(1, 2))  # its weights fit together
    except Exception:  # as many kinds as there are files
        raise XorError(f"{path} is no whole model.pt of a run folder of xor_main.py") from None
    return saved
