"""SRN and LSTM with a linear read-out, S networks at once: every parameter has a leading axis S.

    model = SRN(n_symbols=2, n_hidden=2, seeds=[0, 1, 2])
    activity = model(inputs)                 # inputs (B, T) or (S, B, T) int64 -> State
    activity.logits                          # (S, B, T, K), of the symbol after each step

    SRN    hidden = tanh(W[symbol] + hidden U + hid_bias), start tanh(H0)       (Elman 1990)
    LSTM   gates i, f, g, o, start zero    (Hochreiter & Schmidhuber 1997, Gers et al. 2000)
    both   logits = hidden V + out_bias

`next_state` is the recurrence, differentiated by autograd. Where there is a compiler and no
gradient is asked for, small networks on a CPU are read by scan.c instead (compiled.py), with the
same result. Network s of a model is network s alone within rounding.
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import one_hot

from anbn import compiled


class ModelError(ValueError):
    """The sizes or the stored parameters make no network."""


class State(NamedTuple):
    """What a network does: after one step, (S, B, H) each, or at every step of sequences, then
    (S, B, T, H), with logits. The cell and the gates are None for an SRN."""

    hidden: torch.Tensor
    cell: torch.Tensor | None = None
    input_gate: torch.Tensor | None = None
    forget_gate: torch.Tensor | None = None
    candidate: torch.Tensor | None = None  # g
    output_gate: torch.Tensor | None = None
    logits: torch.Tensor | None = None  # (S, B, T, K)

    @property
    def memory(self):
        """What an LSTM counts in, its cells; of an SRN the hidden units."""
        return self.hidden if self.cell is None else self.cell

    @property
    def probability(self):
        """(S, B, T, K) the distribution over the next symbol."""
        return self.logits.softmax(-1)


class Recurrent(nn.Module):
    """What SRN and LSTM share: all but the start State, start(n_batch), and a step,
    next_state(rows, state), from pre-activations `rows` (S, B, G) of the hidden units, G = H, or of
    the gates, G = 4H."""

    kind: str  # "srn" or "lstm"
    names: tuple  # parameter names, as stored
    gate_rows: int  # columns of W, U and hid_bias per hidden unit

    def __init__(self, n_symbols, n_hidden, seeds=(0,), init=None):
        """init: standard deviation of normal initial parameters; None: uniform in +-1/sqrt(H), as
        in nn.RNN. seeds: one whole number per network. Raises ModelError for impossible sizes."""
        super().__init__()
        if n_symbols < 2 or n_hidden < 1 or len(seeds) < 1:
            sizes = f"{n_symbols} symbols, {n_hidden} hidden units and {len(seeds)} networks"
            raise ModelError(f"{sizes} make no model: at least 2, 1 and 1 are needed")
        for name, shape in self.shapes(n_symbols, n_hidden).items():
            self.register_parameter(name, nn.Parameter(torch.empty(len(seeds), *shape)))
        bound = 1 / math.sqrt(n_hidden)
        for s, seed in enumerate(seeds):
            generator = torch.Generator().manual_seed(int(seed))
            for parameter in self.parameters():
                if init is None:
                    parameter.data[s].uniform_(-bound, bound, generator=generator)
                else:
                    parameter.data[s].normal_(0, init, generator=generator)

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

    n_networks = property(lambda self: self.U.shape[0])
    n_hidden = property(lambda self: self.U.shape[1])
    n_symbols = property(lambda self: self.W.shape[1])

    # ---- the recurrence

    def input_recurrent_weights(self, gain=None):
        """W + hid_bias (S, K, G), as exactly one symbol is on, and U (S, H, G), times `gain`."""
        W, U = self.W + self.hid_bias[:, None], self.U
        return (W, U) if gain is None else (gain * W, gain * U)

    def step(self, symbols, state, gain=None):
        """Read one symbol per sequence: symbols (B,) or (S, B) int64 -> the State after it. gain: a
        factor of all pre-activations, or one of each column of U (G,)."""
        W, U = self.input_recurrent_weights(gain)
        return self.next_state(self.one_hot(symbols) @ W + state.hidden @ U, state)

    def one_hot(self, symbols):
        """symbols (B,), the same for all networks, or (S, B) -> (S, B, K)."""
        symbols = symbols.long().expand(self.n_networks, -1)
        return one_hot(symbols, self.n_symbols).to(self.W.dtype)

    def read_out(self, hidden):
        """hidden (S, ..., H) -> logits (S, ..., K)."""
        logits = hidden.flatten(1, -2) @ self.V + self.out_bias[:, None]
        return logits.unflatten(1, hidden.shape[1:-1])

    def forward(self, inputs, start=None, gain=None):
        """Read sequences: inputs (B, T) int64, the same for all networks, or (S, B, T) -> State.
        start: the State before them, by default the network's own. gain: as in `step`."""
        n_batch, n_steps = inputs.shape[-2:]
        state = self.start(n_batch) if start is None else start
        library = None if torch.is_grad_enabled() else compiled.library_for(self)
        if library:
            return State(*library.read(self, inputs, state, gain))
        W, U = self.input_recurrent_weights(gain)
        read = (self.one_hot(inputs.flatten(-2)) @ W).unflatten(1, (n_batch, n_steps))
        states = []
        for rows in read.unbind(2):  # (S, B, G)
            state = self.next_state(torch.baddbmm(rows, state.hidden, U), state)
            states.append(state)
        parts = zip(*states, strict=True)
        parts = [None if part[0] is None else torch.stack(part, 2) for part in parts]
        return State(*parts[:-1], logits=self.read_out(parts[0]))

    # ---- networks as parameters

    def select(self, index):
        """A model of the networks at `index` (a whole number, a slice or a list), as a copy."""
        index = [index] if isinstance(index, int) else index
        return self.from_parameters({n: p[index] for n, p in self.named_parameters()})

    def network_state(self, s):
        """The state dict of network s, without the axis S, as coursework checkpoints have it."""
        return {name: value[s].clone() for name, value in self.state_dict().items()}

    @classmethod
    def from_parameters(cls, parameters):
        """A model that holds copies of the given parameters, each (S, ...). Raises ModelError if
        one is missing, has another shape, or is not finite."""
        none = f"no {cls.kind} network:"
        if missing := [name for name in cls.names if name not in parameters]:
            raise ModelError(f"{none} {', '.join(missing)} missing")
        kinds = {getattr(parameters[name], "dtype", None) for name in cls.names}
        if kinds not in ({torch.float32}, {torch.float64}):
            raise ModelError(f"{none} its parameters must be float32 or float64")
        U, W = parameters["U"], parameters["W"]
        if U.dim() != 3 or W.dim() != 3 or 0 in (*U.shape, *W.shape):
            raise ModelError(f"{none} U and W must be matrices")
        for name, shape in cls.shapes(W.shape[1], U.shape[1]).items():
            have = tuple(parameters[name].shape)
            if have != (U.shape[0], *shape):
                raise ModelError(f"{none} {name} has shape {have[1:]}, not {shape}")
            if not parameters[name].isfinite().all():
                raise ModelError(f"{name} holds a value that is not finite")
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        for name in cls.names:
            model.register_parameter(name, nn.Parameter(parameters[name].detach().clone()))
        return model

    def flat(self):
        """All parameters of every network, in the order of `names`: a new tensor (S, P)."""
        return torch.cat([parameter.detach().flatten(1) for parameter in self.parameters()], 1)

    def flatten_parameters(self):
        """Make the parameters views of one tensor, and return it: (S, P) as in `flat`."""
        flat = self.flat()
        sizes = [parameter[0].numel() for parameter in self.parameters()]
        for parameter, part in zip(self.parameters(), flat.split(sizes, 1), strict=True):
            parameter.data = part.view(parameter.shape)
        return flat

    @torch.no_grad()
    def scale_weights(self, gain):
        """Multiply all pre-activations by `gain`, for good, or each column by its own (G,)."""
        for parameter in (self.W, self.U, self.hid_bias):
            parameter.mul_(gain)


class SRN(Recurrent):
    """Simple recurrent network (Elman 1990) with a learnable start state tanh(H0)."""

    kind = "srn"
    names = ("H0", "W", "U", "hid_bias", "V", "out_bias")
    gate_rows = 1

    def start(self, n_batch):
        return State(self.H0.tanh()[:, None].expand(-1, n_batch, -1))

    def next_state(self, rows, state):
        return State(rows.tanh())


class LSTM(Recurrent):
    """LSTM with gates in the order i, f, g, o and start state zero."""

    kind = "lstm"
    names = ("W", "U", "hid_bias", "V", "out_bias")
    gate_rows = 4

    def start(self, n_batch):
        zero = self.U.new_zeros(self.n_networks, n_batch, self.n_hidden)
        return State(zero, zero)

    def next_state(self, rows, state):
        i, f, g, o = rows.chunk(4, -1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        cell = f * state.cell + i * g
        return State(o * cell.tanh(), cell, i, f, g, o)


MODELS = {"srn": SRN, "lstm": LSTM}
