"""The loss of S networks on a batch of streams, and its gradients: what an update needs.

    loss, cross_entropy, gradients = loss_and_gradients(model, batch)

The loss of a network is its mean cross-entropy over the steps of its streams, in nats per symbol;
steps whose next symbol is not certain may weigh less, or learn a mean distribution instead of the
symbol that follows. Small networks on a CPU take one call of scan.c (compiled.py) where there is a
compiler; all others the plain recurrence and autograd, which give the same within rounding.
"""

from typing import NamedTuple

import torch
from torch.nn.functional import pad

from anbn import compiled
from anbn.languages import LanguageError


class Batch(NamedTuple):
    """Streams that S networks read, each its own."""

    symbols: torch.Tensor  # (S, B, T + 1) whole numbers: read, and predicted one step earlier
    valid: torch.Tensor  # (S, B, T) bool: False on padding
    deterministic: torch.Tensor  # (S, B, T) bool: the next symbol is certain


class Strings(NamedTuple):
    """Single strings that all networks read."""

    symbols: torch.Tensor  # (N, T) whole numbers; what follows a string's end does not matter
    ends: torch.Tensor  # (N, M) symbols read at its end and, of M - 1 blocks before, at theirs

    @classmethod
    def of(cls, language, n, blocks=False):
        """The strings numbered n (N,). blocks: with the ends of all blocks. Raises
        LanguageError if some have more blocks than others."""
        symbols, valid, _ = language.training_symbols(n[:, None])  # (N, T + 1), (N, T)
        ends = valid.sum(1, keepdim=True)
        if blocks:
            turns = (symbols[:, 1:] != symbols[:, :-1]) & valid
            if len(turns.sum(1).unique()) > 1:
                raise LanguageError(f"strings of {language.name} differ in their number of blocks")
            ends = turns.nonzero()[:, 1].view(len(n), -1).flip(1) + 1
        return cls(symbols[:, :-1], ends)


def loss_and_gradients(model, batch, stochastic_weight=1.0, mean=None, gain=None):
    """The loss (S,), the plain cross-entropy (S,), both float64 and on every valid step, and the
    gradients of each network's loss (S, P), in the order of model.flat().

    stochastic_weight: of steps that are not certain. mean (K, K): the distribution that these learn
    after each symbol; None: the symbol that follows. gain: as in model.step.
    """
    library = compiled.library_for(model)
    call = library.train if library else plain_loss_and_gradients
    return call(model, batch, stochastic_weight, mean, gain)


def smoothing_gradients(model, batch, stochastic_weight=1.0, gain=None):
    """What a uniform target at the turns adds to the gradients of loss_and_gradients, (S, P): at
    the certain steps before the next symbol changes, and those one step earlier.

    With a weight w of it the target there is (one-hot + w uniform) / (1 + w).
    """
    symbols, valid, deterministic = batch
    change = symbols[..., 1:] != symbols[..., :-1]  # (S, B, T)
    turns = (change | pad(change[..., 1:], (0, 1))) & deterministic & valid
    weight = valid * torch.where(deterministic, 1.0, stochastic_weight)
    share = turns.sum((1, 2)) / weight.sum((1, 2))  # (S,)
    uniform = torch.full(2 * (model.n_symbols,), 1 / model.n_symbols).to(model.U)
    at_turns = Batch(symbols, turns, torch.zeros_like(turns))
    return share[:, None] * loss_and_gradients(model, at_turns, 1.0, uniform, gain)[2]


def closure_gradients(model, strings, gain=None, blocks=False):
    """The gradients (S, P) of the variance of the states in which single strings end, their common
    start among them: 0 where a network that has read a string is as before.

    An LSTM's states are its cells. blocks, of an LSTM: what its forget gates shut off at the end of
    an earlier block (1 - f, a constant here) must not depend on the string either, for a count that
    was exact leaves nothing to forget.
    """
    ends = strings.ends if blocks else strings.ends[:, :1]
    library = compiled.library_for(model)
    call = library.closure if library else plain_closure_gradients
    return call(model, strings.symbols, ends, gain)


@torch.enable_grad()
def plain_loss_and_gradients(model, batch, stochastic_weight, mean, gain):
    """loss_and_gradients in torch operations."""
    n_steps = int(batch.valid.flatten(0, 1).any(0).nonzero().max()) + 1  # of the longest stream
    symbols = batch.symbols[..., : n_steps + 1].long()
    valid, deterministic = (part[..., :n_steps] for part in batch[1:])
    log_q = model(symbols[..., :-1], gain=gain).logits.log_softmax(-1)  # (S, B, T, K)
    surprise = -log_q.gather(-1, symbols[..., 1:, None])[..., 0]  # (S, B, T)
    learned = surprise
    if mean is not None:
        learned = torch.where(deterministic, surprise, -(log_q * mean[symbols[..., :-1]]).sum(-1))
    weight = valid * torch.where(deterministic, 1.0, stochastic_weight).to(surprise)
    loss = (learned * weight).sum((1, 2)) / weight.sum((1, 2))
    cross_entropy = (surprise * valid).sum((1, 2)) / valid.sum((1, 2))
    gradients = torch.autograd.grad(loss.sum(), list(model.parameters()))
    flat = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
    return loss.detach().double(), cross_entropy.detach().double(), flat


@torch.enable_grad()
def plain_closure_gradients(model, symbols, ends, gain):
    """closure_gradients in torch operations; ends (N, M)."""
    activity = model(symbols, gain=gain)
    strings, n_strings = torch.arange(len(ends)).to(ends.device), len(ends)
    after = activity.memory[:, strings[:, None], ends - 1]  # (S, N, M, H)
    start = model.start(1).memory  # (S, 1, H)
    variance = torch.cat([after[:, :, 0], start], 1).var(1, correction=0)  # (S, H)
    for k in range(1, ends.shape[1]):
        shut = 1 - activity.forget_gate[:, strings, ends[:, k]].mean(1)  # by the letter after
        share = n_strings / (n_strings + 1)
        variance = variance + share * shut.detach() * after[:, :, k].var(1, correction=0)
    parameters = list(model.parameters())
    parts = torch.autograd.grad(variance.mean(1).sum(), parameters, materialize_grads=True)
    return torch.cat([part.flatten(1) for part in parts], 1)
