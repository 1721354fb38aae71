"""The strings of a counting language side by side: which of them does a network get wrong?

    anb2n      n=1  A B B          the letters A have been read once for all n, and every n
               n=2  A A B B B B    branches off after its n-th A
               n=3  A A A B B B B B B

In ascending order the strings that still read a letter are the last ones of the batch, so a step
works on a slice. Most of the time of reach.first_failing_n is spent here.
"""

import functools

import torch

from anbn.models import State


@torch.no_grad()
def fails(model, language, first, state):
    """Whether each string n = first, first + 1, ... has a wrong step: (S, N) bool on the CPU.

    state: hidden and, for an LSTM, cell (S, H, N) after the letters A; overwritten. A string that,
    a group of letters later, is where the one before it was, goes on as that one does and is read
    no further. (If that one fails, this one may be reported right; it is not the first that fails.)
    """
    n_strings = state[0].shape[2]
    wrong = torch.zeros(state[0].shape[::2], dtype=torch.bool, device=state[0].device)
    V, bias = model.V.mT.contiguous(), model.out_bias[:, :, None]
    for letter, multiple in list(enumerate(language.multiples))[1:]:
        following = (letter + 1) % language.n_symbols
        read, kept = _reader(model, letter), _kept_cells(model, letter)
        read_on, t = n_strings, 0  # strings that are read, letters that they have read
        while t < multiple * (first + read_on - 1):
            t += 1
            # strings with fewer than t of this letter are done with it
            done = max(0, -(-t // multiple) - first)
            here = [part[:, :, done:read_on] for part in state]
            read(here)
            logits = torch.baddbmm(bias, V, here[0])  # (S, K, still reading)
            here_wrong = wrong[:, done:read_on]
            if t == multiple * (first + done):  # the first of them has read its last one
                here_wrong[:, :1] |= ~_predicts(logits[:, :, :1], following)
                here_wrong, logits = here_wrong[:, 1:], logits[:, :, 1:]
            here_wrong |= ~_predicts(logits, letter)
            if t == multiple:
                earlier = [part[:, :, :-1].clone() for part in state]
            elif t == 2 * multiple:
                alone = ~_goes_on_alike([part[:, :, 1:] for part in state], earlier, kept)
                read_on = 1 + int(alone.nonzero().max() + 1 if alone.any() else 0)
                if read_on == 1 and t < multiple * first:
                    wrong[:, :1] |= _lone_fails(model, letter, multiple * first - t, state)
                    break
        for part, own in zip(state, (None, kept), strict=False):  # those not read to the end
            last, rest = part[:, :, read_on - 1 : read_on], part[:, :, read_on:]
            rest.copy_(last if own is None else torch.where(own, rest, last))
    return wrong.cpu()


def _lone_fails(model, letter, n_letters, state):
    """The first string alone reads the rest of its letters, at once: whether it has a wrong step,
    (S, 1) bool. Its state is overwritten."""
    letters = torch.full((1, n_letters), letter, device=model.U.device)
    activity = model(letters, State(*(part[:, :, :1].mT for part in state)))
    right = _predicts(activity.logits[:, 0].mT, letter)  # (S, T)
    turns = _predicts(activity.logits[:, 0, -1:].mT, (letter + 1) % model.n_symbols)
    for part, new in zip(state, activity[:2], strict=False):
        part[:, :, 0] = new[:, 0, -1]
    return ~right[:, :-1].all(-1, keepdim=True) | ~turns


def _goes_on_alike(state, earlier, kept):
    """Where two states (S, H, N) do the same from here on as long as they read the same letter:
    (N,) bool. kept (S, H): cells that this letter leaves as they are."""
    alike = state[0] == earlier[0]
    if kept is not None:
        shown = (state[1] == earlier[1]) | kept & (state[1].tanh() == earlier[1].tanh())
        alike = alike & shown
    return alike.all(1).all(0)


def _kept_cells(model, letter):
    """The cells of an LSTM that a letter leaves as they are, whatever the state, for hidden units
    lie within +-1: (S, H, 1) bool; None for an SRN."""
    if model.kind == "srn":
        return None
    drive, spread = model.W[:, letter] + model.hid_bias, model.U.abs().sum(1)  # (S, 4H)
    opened = torch.sigmoid(drive + spread).chunk(4, -1)[0] == 0  # the input gate, never
    closed = torch.sigmoid(drive - spread).chunk(4, -1)[1] == 1  # the forget gate, never
    return (opened & closed)[:, :, None]


def _predicts(logits, letter):
    """Whether `letter` is the arg max, the first of equal values, of logits (S, K, N): (S, N).
    torch.argmax takes a hundred times as long over an axis that is not the last."""
    own, others = logits[:, letter], enumerate(logits.unbind(1))
    larger = [own > x if k < letter else own >= x for k, x in others if k != letter]
    return functools.reduce(torch.logical_and, larger)


def _reader(model, letter):
    """A function that lets every sequence read `letter`: it overwrites hidden and cell (S, H, N).
    The model's own step, which keeps the gates and makes new tensors, takes three times as long."""
    recurrent = model.U.mT.contiguous()  # (S, G, H)
    constant = (model.W[:, letter] + model.hid_bias)[:, :, None]  # (S, G, 1)

    def read_srn(state):
        (hidden,) = state
        torch.tanh(torch.baddbmm(constant, recurrent, hidden), out=hidden)

    def read_lstm(state):
        hidden, cell = state
        rows = torch.baddbmm(constant, recurrent, hidden)
        i, f, g, o = rows.chunk(4, 1)
        rows[:, : 2 * model.n_hidden].sigmoid_()
        cell.mul_(f).addcmul_(i, g.tanh_())
        torch.mul(o.sigmoid_(), cell.tanh(), out=hidden)

    return read_lstm if model.kind == "lstm" else read_srn
