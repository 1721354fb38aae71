"""SRN and LSTM with a linear read-out, S networks at once: every parameter has a leading axis S.

    model = SRN(n_symbols=2, n_hidden=2, seeds=[0, 1, 2])
    activity = model(inputs)                 # inputs (B, T) or (S, B, T) int64
    activity.logits                          # (S, B, T, K), of the symbol after each step

    SRN    hidden = tanh(W[symbol] + hidden U + hid_bias), start tanh(H0)       (Elman 1990)
    LSTM   gates i, f, g, o, start zero    (Hochreiter & Schmidhuber 1997, Gers et al. 2000)
    both   logits = hidden V + out_bias

Network s of a model is network s alone: nothing is shared between networks.
"""

import math
from typing import NamedTuple

import torch
from torch import nn

from anbn.compiled import CompiledLSTM, CompiledSRN, library_for
from anbn.scan import LSTMScan, SRNScan


class ModelError(ValueError):
    """The sizes or the stored parameters make no network."""


class State(NamedTuple):
    """What a network carries from step to step; cell is None for an SRN."""

    hidden: torch.Tensor  # (S, B, H)
    cell: torch.Tensor | None = None  # (S, B, H)


class Activity(NamedTuple):
    """Everything a network does on a batch; the cell and the gates are None for an SRN."""

    hidden: torch.Tensor  # (S, B, T, H)
    logits: torch.Tensor  # (S, B, T, K)
    cell: torch.Tensor | None = None  # (S, B, T, H)
    input_gate: torch.Tensor | None = None  # (S, B, T, H)
    forget_gate: torch.Tensor | None = None  # (S, B, T, H)
    candidate: torch.Tensor | None = None  # (S, B, T, H), g
    output_gate: torch.Tensor | None = None  # (S, B, T, H)

    @property
    def probability(self):
        """(S, B, T, K) the distribution over the next symbol."""
        return self.logits.softmax(-1)


class Recurrent(nn.Module):
    """What SRN and LSTM share: sizes, parameters with a leading axis S, the read-out."""

    kind: str  # "srn" or "lstm"
    names: tuple  # parameter names, as stored
    gate_rows: int  # rows of W, U and hid_bias per hidden unit
    scan: type  # the recurrence in torch's operations
    compiled: type  # and from scan.c

    def __init__(self, n_symbols, n_hidden, seeds=(0,), init=None):
        """init: standard deviation of normal initial parameters; None for the kind's own start.
        seeds: one whole number per network. Raises ModelError for impossible sizes."""
        super().__init__()
        if n_symbols < 2 or n_hidden < 1 or len(seeds) < 1:
            raise ModelError(
                f"{n_symbols} symbols, {n_hidden} hidden units and {len(seeds)} networks make no "
                "model: at least 2, 1 and 1 are needed"
            )
        for name, shape in self.shapes(n_symbols, n_hidden).items():
            self.register_parameter(name, nn.Parameter(torch.empty(len(seeds), *shape)))
        with torch.no_grad():
            for s, seed in enumerate(seeds):
                generator = torch.Generator().manual_seed(int(seed))
                self._draw(s, generator, init)

    @classmethod
    def shapes(cls, n_symbols, n_hidden):
        """Parameter shapes of one network, without the axis S."""
        rows = cls.gate_rows * n_hidden
        shapes = {
            "H0": (n_hidden,),
            "W": (n_symbols, rows),
            "U": (n_hidden, rows),
            "hid_bias": (rows,),
            "V": (n_hidden, n_symbols),
            "out_bias": (n_symbols,),
        }
        return {name: shapes[name] for name in cls.names}

    def _draw(self, s, generator, init):
        """Initial parameters of network s. The default is uniform in +-1/sqrt(H), as in nn.RNN."""
        bound = 1 / math.sqrt(self.n_hidden)
        for parameter in self.parameters():
            if init is None:
                parameter[s].uniform_(-bound, bound, generator=generator)
            else:
                parameter[s].normal_(0, init, generator=generator)

    @property
    def n_networks(self):
        return self.U.shape[0]

    @property
    def n_hidden(self):
        return self.U.shape[1]

    @property
    def n_symbols(self):
        return self.W.shape[1]

    def select(self, index):
        """A model of the networks at `index` (a whole number, a slice or a list), as a copy."""
        index = [index] if isinstance(index, int) else index
        parameters = {name: getattr(self, name).detach()[index] for name in self.names}
        return type(self).from_parameters(parameters)

    def network_state(self, s):
        """The state dict of network s, without the axis S, as coursework checkpoints have it."""
        return {name: getattr(self, name).detach()[s].clone() for name in self.names}

    @classmethod
    def from_parameters(cls, parameters):
        """A model that holds copies of the given parameters, each (S, ...).

        Raises ModelError if one is missing, has another shape, or is not finite.
        """
        missing = [name for name in cls.names if name not in parameters]
        if missing:
            raise ModelError(f"no {cls.kind} network: {', '.join(missing)} missing")
        U, W = parameters["U"], parameters["W"]
        if U.dim() != 3 or W.dim() != 3 or 0 in (*U.shape, *W.shape):
            raise ModelError(f"no {cls.kind} network: U and W must be matrices")
        for name, shape in cls.shapes(W.shape[1], U.shape[1]).items():
            have = tuple(parameters[name].shape)
            if have != (U.shape[0], *shape):
                raise ModelError(f"no {cls.kind} network: {name} has shape {have[1:]}, not {shape}")
            if not parameters[name].isfinite().all():
                raise ModelError(f"{name} holds a value that is not finite")
        model = cls(W.shape[1], U.shape[1], seeds=[0] * U.shape[0])
        model.to(dtype=U.dtype, device=U.device)
        with torch.no_grad():
            for name in cls.names:
                getattr(model, name).copy_(parameters[name])
        return model

    def forward(self, inputs, start=None, slope=None):
        """Read sequences: inputs (B, T) int64, the same for all networks, or (S, B, T).

        start: the State before the first symbol; the network's own start state by default.
        slope: a factor of all pre-activations of the hidden units and gates, or one of each row
        (G,), in the order of U's columns.
        Returns an Activity. Gradients flow through its logits alone.
        """
        if inputs.dim() == 2:
            inputs = inputs.expand(self.n_networks, *inputs.shape)
        start = self.start(inputs.shape[1]) if start is None else start
        biased = self.W + repeated(self.hid_bias, self.n_symbols)
        across = torch.cat([biased, self.U], 1)
        parts = across if slope is None else slope * across, self.V, self.out_bias
        starts = [part.mT.contiguous() for part in start if part is not None]  # (S, H, B)
        if library := library_for(across, self.n_hidden):
            symbols = inputs.mT.contiguous()  # (S, T, B)
            outputs = self.compiled.apply(library, *parts, symbols, *starts)
        else:
            symbols = inputs.permute(2, 0, 1).contiguous()  # (T, S, B)
            outputs = (part.transpose(0, 1) for part in self.scan.apply(*parts, symbols, *starts))
        logits, hidden, *rest = (part.permute(0, 3, 1, 2) for part in outputs)
        if not rest:
            return Activity(hidden, logits)
        cell, gates = rest
        i, f, g, o = gates.chunk(4, -1)
        return Activity(hidden, logits, cell, i, f, g, o)

    @torch.no_grad()
    def fold(self, slope):
        """Multiply all pre-activations of the hidden units and gates by `slope`, for good; or each
        row of them by its own (G,)."""
        for name in ("W", "U", "hid_bias"):
            getattr(self, name).mul_(slope)

    def read_out(self, hidden):
        """hidden (S, ..., H) -> logits (S, ..., K)."""
        logits = hidden.flatten(1, -2) @ self.V + self.out_bias[:, None]
        return logits.unflatten(1, hidden.shape[1:-1])

    def step(self, symbols, state):
        """Read one symbol per sequence: symbols (B,) or (S, B) int64 -> the State after it."""
        if symbols.dim() == 1:
            symbols = symbols.expand(self.n_networks, -1)
        activity = self(symbols[..., None], state)
        cell = None if activity.cell is None else activity.cell[:, :, 0]
        return State(activity.hidden[:, :, 0], cell)


class SRN(Recurrent):
    """Simple recurrent network (Elman 1990) with a learnable start state tanh(H0)."""

    kind = "srn"
    names = ("H0", "W", "U", "hid_bias", "V", "out_bias")
    gate_rows = 1
    scan, compiled = SRNScan, CompiledSRN

    def start(self, n_batch):
        """The start State for n_batch sequences: hidden (S, B, H)."""
        return State(repeated(self.H0.tanh(), n_batch))


class LSTM(Recurrent):
    """LSTM with gates in the order i, f, g, o and start state zero."""

    kind = "lstm"
    names = ("W", "U", "hid_bias", "V", "out_bias")
    gate_rows = 4
    scan, compiled = LSTMScan, CompiledLSTM

    def start(self, n_batch):
        """The start State for n_batch sequences: hidden and cell (S, B, H), zero."""
        zero = self.U.new_zeros(self.n_networks, n_batch, self.n_hidden)
        return State(zero, zero)


def repeated(vectors, n):
    """(S, X) -> (S, n, X). As a product, so that the gradient is summed over n in one order,
    whatever S is: the sums of a broadcast are not."""
    return vectors.new_ones(len(vectors), n, 1) @ vectors[:, None]


MODELS = {"srn": SRN, "lstm": LSTM}
