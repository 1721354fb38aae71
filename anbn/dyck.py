"""Dyck languages: brackets of one kind or two; what was opened last is closed first.

    dyck1:  ( ( ) ( ) ) (        after ( ( ) either bracket may follow, after the sixth ( alone
    dyck2:  ( [ ] [ ( ) ] )      after ( [ no round bracket closes: the last one opened is square

One counter is enough for one kind: ) is legal while something is open. For two kinds the order of
all brackets that are open must be kept, which is a stack and not a number. A stream is a random
walk of `length` symbols from depth 0: a bracket is opened or closed with probability 1/2, every
kind alike; with nothing open one is opened. What is open at the end stays open.
"""

import math

import torch
from torch.nn.functional import one_hot, pad

from anbn.languages import LanguageError, Stream, WalkLanguage

MAX_LENGTH = 1000


class DyckLanguage(WalkLanguage):
    """Random walks over brackets of `kinds` kinds, 1 or 2.

    length: the symbols read of each walk. Raises LanguageError for other kinds or a length outside
    1..1000.
    """

    state_meaning = "brackets open"
    axes = ("depth", "times")
    n_most = 12

    def __init__(self, kinds=1, length=50):
        if kinds not in (1, 2):
            raise LanguageError(f"there is no Dyck language of {kinds} kinds of brackets here")
        if not 1 <= length <= MAX_LENGTH:
            raise LanguageError(f"walks of {length} symbols: choose 1 to {MAX_LENGTH}")
        self.kinds, self.length, self.longest = kinds, length, length + 1
        self.name, self.symbols = f"dyck{kinds}", "()[]"[: 2 * kinds]

    def default_hidden(self, kind):
        return 2 if self.kinds == 1 else 12

    @property
    def entropy_rate(self):
        """Nats per predicted symbol: log 2 + log(kinds) / 2 where something is open, else
        log(kinds); the chance of depth 0 after each symbol follows from that before it."""
        at_depth = torch.zeros(self.length + 2, dtype=torch.float64)  # the chance of each depth
        at_depth[0], nothing_open = 1, 0.0
        for _ in range(self.length):
            one_up = at_depth[:-1] / 2
            one_up[0] *= 2
            at_depth = pad(at_depth[1:] / 2, (0, 1)) + pad(one_up, (1, 0))
            nothing_open += float(at_depth[0])
        share = nothing_open / self.length
        kind = math.log(self.kinds)
        return share * kind + (1 - share) * (math.log(2) + kind / 2)

    def streams(self, draws):
        """Walks decided by `draws` (..., T + 1) in [0, 1): the lower half opens a bracket, and each
        half is shared by the kinds. Returns a Stream (...)."""
        return self._stream(*self._decided(draws))

    def training_symbols(self, draws):
        symbols, depth, _ = self._walk(*self._decided(draws))
        certain = (depth[..., :-1] == 0) & (self.kinds == 1)
        return symbols, torch.ones_like(certain), certain

    def _decided(self, draws):
        return draws < 0.5, (draws * 2 * self.kinds).long() % self.kinds

    def _walk(self, opens, kind):
        """Symbols, depth after each and the kind of the bracket that is then on top, (..., T + 1)
        each. opens, kind: at which steps a walk would open a bracket, and of which kind. With
        nothing open one is opened, and what is closed is what was opened last."""
        depth = top = torch.zeros_like(kind[..., 0])
        stack = torch.zeros_like(kind)  # kind of the bracket open at each depth
        steps = []
        for up, new in zip(opens.unbind(-1), kind.unbind(-1), strict=True):
            up = up | (depth == 0)
            symbol = torch.where(up, 2 * new, 2 * top + 1)
            place = torch.where(up, depth, depth - 1)  # in the stack, of this symbol's bracket
            stack.scatter_(-1, place[..., None], symbol[..., None] // 2)
            depth = place + up
            top = stack.gather(-1, (depth - 1).clamp(min=0)[..., None])[..., 0]
            steps.append((symbol, depth, top))
        return tuple(torch.stack(part, -1) for part in zip(*steps, strict=True))

    def _stream(self, opens, kind):
        symbols, depth, top = self._walk(opens, kind)
        depth, top = depth[..., :-1], top[..., :-1]
        is_open = (depth > 0)[..., None]
        share = torch.where(is_open, 0.5, 1.0) / self.kinds  # of each bracket that opens
        closing = one_hot(2 * top + 1, 2 * self.kinds)
        opening = torch.arange(2 * self.kinds, device=top.device) % 2 == 0
        probability = opening * share + closing * is_open * 0.5
        legal = probability > 0
        return Stream(
            symbols=symbols,
            valid=torch.ones_like(depth, dtype=torch.bool),
            legal=legal,
            probability=probability.float(),
            deterministic=legal.sum(-1) == 1,
            state=depth,
            buried=_buried(depth),
        )

    # ---- its strings, for traces, machines and analysis

    machine_length = property(lambda self: 6 if self.kinds == 1 else 4)

    def texts(self, longest):
        """All walks of `longest` symbols, and the opening bracket that always may follow."""
        walks = [("", "")]  # what was read, and the brackets that would close what is open
        for _ in range(longest):
            opened = [
                (text + self.symbols[k], self.symbols[k + 1] + stack)
                for text, stack in walks
                for k in range(0, 2 * self.kinds, 2)
            ]
            walks = opened + [(text + stack[0], stack[1:]) for text, stack in walks if stack]
        return sorted(text + "(" for text, _ in walks)

    def single_texts(self, n_states):
        """Brackets opened and closed again, one, two, ... of them, more than there are states."""
        return ["(" * n + ")" * n + "(" for n in range(1, n_states + 2)]

    def legal_next(self, text):
        stack, legal = "", []
        for symbol in text[:-1]:
            k = self.symbols.index(symbol)
            stack = stack[1:] if k % 2 else self.symbols[k + 1] + stack
            legal.append("".join(sorted(self.symbols[::2] + stack[:1])))
        return legal

    def state_label(self, state):
        return f"depth {state}"

    def grid(self, n_most):
        """The string that opens `depth` brackets and closes them, all that `times` times one after
        another; with two kinds, these alternate, the first one too from one time to the next."""
        step, every = torch.arange(2 * n_most**2 + 1), torch.arange(1, n_most + 1)
        depth, times = torch.cartesian_prod(every, every).T[..., None]  # (n_most**2, 1) each
        place = step % (2 * depth)
        stream = self._stream(place < depth, (place + step // (2 * depth)) % self.kinds)
        stream.valid = step[:-1] < 2 * depth * times
        return stream


def _buried(depth):
    """By how much the stack has risen above the bracket now on top, at most, since that was opened:
    depth (..., T) -> (..., T). In ( [ ] ( [ ] ), read so far, the last one is 2: the first bracket
    is on top, and two at a time have lain on it."""
    peak, found = depth.new_zeros(*depth.shape[:-1], depth.shape[-1] + 2), []
    for here in depth.unbind(-1):  # peak: of the stack since the bracket at each depth was opened
        peak = torch.maximum(peak, here[..., None])
        above = torch.arange(peak.shape[-1], device=depth.device) > here[..., None]
        peak = torch.where(above, 0, peak)  # they are closed
        found.append(peak.gather(-1, here[..., None])[..., 0] - here)
    return torch.stack(found, -1)
