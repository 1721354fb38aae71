"""How far does a network count? The first failing n, for many networks and every n at once.

    anb2n      n=1  A B B          the letters A are shared: a^n_most is read once, and every n
               n=2  A A B B B B    branches off after its n-th A
               n=3  A A A B B B B B B

All strings then read their letters B side by side. In ascending order the strings that still read
B are the last ones of the batch, so a step works on a slice and one letter is the same for all:
nothing is looked up, and a step costs one batched product and the squashing functions.
"""

import torch

from anbn.models import LSTM

CACHED_VALUES = 1 << 18  # networks are taken in groups whose step has so many values
SHARED_VALUES = 1 << 24  # numbers kept of the letters A


@torch.no_grad()
def first_failing_n(model, language, n_most=1000):
    """The smallest n >= 1 whose single string a^n b^jn c^kn..., read from the start state, has a
    wrong deterministic step, for every network of `model`.

    Deterministic are the steps after each letter but A; the last one predicts the next string's A.
    The n are tried in doubling ranges 1-32, 33-64, 65-128, ... without the networks that have
    failed before. Returns (S,) int64 on the CPU; n_most + 1 if there is none up to n_most.
    """
    result = torch.full((model.n_networks,), n_most + 1)
    per_network = n_most * (model.n_symbols * 4 + model.n_hidden * (model.gate_rows + 4))
    size = max(1, SHARED_VALUES // per_network)
    for group in torch.arange(model.n_networks).split(size):
        some = model.select(group.to(model.U.device))
        letters = torch.zeros(1, n_most, dtype=torch.long, device=model.U.device)
        activity = some(letters)
        parts = [part for part in (activity.hidden, activity.cell) if part is not None]
        states = [part[:, 0].mT for part in parts]  # (S, H, n_most), after n letters A
        first, last = 1, min(32, n_most)
        alive = torch.arange(len(group))
        while first <= n_most and len(alive):
            width = (last - first + 1) * some.n_hidden * some.gate_rows
            for few in alive.split(max(1, CACHED_VALUES // width)):
                index = few.to(some.U.device)
                branch = [state[index, :, first - 1 : last].contiguous() for state in states]
                failed = _fails(some.select(index), language, first, branch)  # (few, N)
                n = torch.where(failed, torch.arange(first, last + 1), n_most + 1).amin(-1)
                result[group[few]] = n
            alive = (result[group] > n_most).nonzero()[:, 0]
            first, last = last + 1, min(2 * last, n_most)
    return result


def _fails(model, language, first, state):
    """Whether each string n = first, first + 1, ... has a wrong step: (S, N) bool on the CPU.

    state: hidden and, for an LSTM, cell (S, H, N) after the letters A; overwritten.
    """
    wrong = torch.zeros(state[0].shape[::2], dtype=torch.bool, device=state[0].device)
    V, bias = model.V.mT.contiguous(), model.out_bias[:, :, None]
    last = first + wrong.shape[1] - 1
    for letter, multiple in list(enumerate(language.multiples))[1:]:
        following = (letter + 1) % language.n_symbols
        read = _reader(model, letter)
        for t in range(1, multiple * last + 1):
            # strings with fewer than t of this letter are done with it
            done = max(0, -(-t // multiple) - first)
            here = [part[:, :, done:] for part in state]
            read(here)
            logits = torch.baddbmm(bias, V, here[0])  # (S, K, still reading)
            here_wrong = wrong[:, done:]
            if t == multiple * (first + done):  # the first of them has read its last one
                here_wrong[:, :1] |= ~_predicts(logits[:, :, :1], following)
                here_wrong, logits = here_wrong[:, 1:], logits[:, :, 1:]
            here_wrong |= ~_predicts(logits, letter)
    return wrong.cpu()


def _predicts(logits, letter):
    """Whether `letter` is the arg max of logits (S, K, N): (S, N) bool. The first of equal
    values is the arg max, as in torch.argmax."""
    right = None
    for other in range(logits.shape[1]):
        if other != letter:
            than = torch.gt if other < letter else torch.ge
            larger = than(logits[:, letter], logits[:, other])
            right = larger if right is None else right.logical_and_(larger)
    return right


def _reader(model, letter):
    """A function that lets every sequence read `letter`: it overwrites hidden, and cell, which are
    (S, H, N), with those after the step."""
    across = model.U.mT.contiguous()  # (S, rows, H)
    constant = (model.W[:, letter] + model.hid_bias)[:, :, None]  # (S, rows, 1)
    n_hidden = model.n_hidden

    def read_srn(state):
        (hidden,) = state
        torch.tanh(torch.baddbmm(constant, across, hidden), out=hidden)

    def read_lstm(state):
        hidden, cell = state
        rows = torch.baddbmm(constant, across, hidden)
        i, f, g, o = rows.split(n_hidden, 1)
        rows[:, : 2 * n_hidden].sigmoid_()
        cell.mul_(f).addcmul_(i, g.tanh_())
        torch.mul(o.sigmoid_(), cell.tanh(), out=hidden)

    return read_lstm if isinstance(model, LSTM) else read_srn
