"""Counting languages a^n b^(jn) c^(kn)...: streams of strings, and what is certain at each step.

    anb2n, n=2:  A A B B B B, then A
    read A, A:             the next symbol is not certain (another A, or the first B)
    read B, B, B, and B:   certain: B, B, B, and then the next string's A

Everything is computed for whole batches at once.
"""

import math
import re

import torch

from anbn.languages import Language, LanguageError, Stream


class CountingLanguage(Language):
    """a^n b^(jn) c^(kn)... with n uniform on 1..length.

    multiples: how often each letter is repeated per n; the first is 1. anb2nc3n is (1, 2, 3).
    Raises LanguageError for fewer than two letters, or a length or multiple below 1.
    """

    state_meaning = "letters A read; then letters of the same kind still to come"

    def __init__(self, multiples, length):
        super().__init__(length)
        multiples = tuple(multiples)
        if not 2 <= len(multiples) <= 26 or multiples[0] != 1 or min(multiples) < 1:
            raise LanguageError(
                f"multiples {multiples} make no counting language: two to 26 letters, "
                "the first repeated n times, none less than n times"
            )
        self.multiples = multiples
        self.symbols = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(multiples)]
        self.name = "".join(
            f"{letter}{'' if times == 1 else times}n"
            for letter, times in zip(self.symbols.lower(), multiples, strict=True)
        )

    @classmethod
    def named(cls, name, length=None):
        """The language spelled `name`, such as anbncn or anb2nc3n; `length` defaults to 8 where
        all multiples are 1, else to 4. Raises LanguageError for any other name."""
        parts = re.findall(r"([a-z])([1-9][0-9]?)?n", name)
        multiples = [int(times or 1) for _, times in parts]
        letters = "".join(letter for letter, _ in parts)
        spelled = "".join(f"{letter}{times}n" for letter, times in parts)
        in_order = letters == "abcdefghijklmnopqrstuvwxyz"[: len(letters)]
        if name != spelled or not in_order or len(parts) < 2 or multiples[0] != 1:
            raise LanguageError(
                f"unknown language {name!r}: choose reber, or a counting language spelled like "
                "anbn, anb2n, anbncn, anb2nc3n"
            )
        return cls(multiples, length or (8 if max(multiples) == 1 else 4))

    def default_hidden(self, kind):
        return 4 if kind == "srn" and self.multiples == (1, 2, 3) else super().default_hidden(kind)

    def word(self, n):
        pairs = zip(self.symbols, self.multiples, strict=True)
        return "".join(letter * (n * times) for letter, times in pairs)

    @property
    def entropy_rate(self):
        """Nats per symbol: log(length), the surprise of one n, over the mean string length."""
        return math.log(self.length) / (sum(self.multiples) * (self.length + 1) / 2)

    @property
    def stochastic_mean(self):
        """(K,) the distribution of the next symbol over all steps that are not certain: one letter
        A in mean n is the last."""
        stop = 2 / (self.length + 1)
        probability = torch.zeros(self.n_symbols)
        probability[:2] = torch.tensor([1 - stop, stop])
        return probability

    @property
    def memoryless_excess(self):
        """The excess cross-entropy, in nats per symbol, of a predictor that is right wherever the
        next symbol is certain and predicts stochastic_mean where it is not: the least there is
        without counting the letters A."""
        entropy = torch.special.entr(self.stochastic_mean.double()).sum().item()
        return entropy / sum(self.multiples) - self.entropy_rate  # one step in so many follows an A

    def training_symbols(self, n):
        """What training needs of streams(n): symbols (..., T + 1), valid and deterministic
        (..., T)."""
        ends = self._blocks(n).cumsum(-1)
        last = ends[..., -1:]
        n_steps = int(last.max())
        change = torch.ones(self.n_symbols, dtype=torch.uint8, device=n.device)
        change[-1] += 256 - self.n_symbols  # from the last letter back to A, modulo 256
        changes = torch.zeros(*n.shape[:-1], n_steps + 1, dtype=torch.uint8, device=n.device)
        # no block is empty, so no two end at the same place
        changes.scatter_(-1, ends, change.repeat(n.shape[-1]).expand(ends.shape))
        symbols = changes.cumsum(-1, dtype=torch.uint8)
        valid = torch.arange(n_steps + 1, dtype=torch.int32, device=n.device) < last.int()
        certain = valid & (symbols != 0)
        return symbols, valid[..., :-1], certain[..., :-1]

    def _blocks(self, n):
        """Sizes of a stream's blocks A^n, B^jn, ... of string 1, of string 2, ... (..., M*K)."""
        return (n[..., None] * torch.tensor(self.multiples, device=n.device)).flatten(-2)

    def streams(self, n):
        """Streams of the strings with the given n: n (..., M) int64 >= 1 -> Stream (...), T steps,
        T the symbols of the longest stream (its final A is predicted, not read)."""
        symbols, valid, deterministic = self.training_symbols(n)
        blocks = self._blocks(n)
        symbols = symbols.long()
        read, next_read = symbols[..., :-1], symbols[..., 1:]
        # the block of every symbol; padding counts to the last
        block = (read[..., 1:] != read[..., :-1]).long().cumsum(-1)
        block = torch.nn.functional.pad(block, (1, 0)).clamp(max=blocks.shape[-1] - 1)
        step = torch.arange(block.shape[-1], device=n.device)
        left = (blocks.cumsum(-1).gather(-1, block) - step - 1).clamp(min=0)  # of this letter
        after_a = read == 0
        seen = blocks.gather(-1, block) - left  # of this letter, this one included
        probability = torch.nn.functional.one_hot(next_read, self.n_symbols).float()
        # n is uniform on 1..length: after k letters A, n = k has probability 1 / (length - k + 1)
        stop = 1 / (self.length - seen + 1).clamp(min=1)
        probability[..., 0] = torch.where(after_a, 1 - stop, probability[..., 0])
        probability[..., 1] = torch.where(after_a, stop, probability[..., 1])
        legal = probability > 0
        # that no training string is longer than `length` is not knowledge
        legal[..., :2] |= after_a[..., None]
        state = torch.where(after_a, seen, left)
        return Stream(symbols, valid, legal, probability, deterministic, state)

    def coursework_target(self, stream):
        """The target the coursework measures its loss against: (0.8, 0.2, 0...) after an A, else
        the certain symbol. Returns (..., T, K)."""
        target = torch.nn.functional.one_hot(stream.targets, self.n_symbols).float()
        guess = target.new_zeros(self.n_symbols)
        guess[:2] = target.new_tensor([0.8, 0.2])
        return torch.where((stream.inputs == 0)[..., None], guess, target)

    def legal_next(self, text):
        return ["AB" if read == "A" else follows for read, follows in zip(text, text[1:])]  # noqa: B905

    def stages(self, stream):
        """Reading A, first B, counting B, switching to C, counting C, ..., end (the first A of the
        next string, where the counts must start anew)."""
        first, *rest = self.symbols
        names = [f"reading {first}", f"first {rest[0]}", f"counting {rest[0]}"]
        for letter in rest[1:]:
            names += [f"switching to {letter}", f"counting {letter}"]
        names.append("end")
        read = stream.inputs
        before = torch.cat([torch.zeros_like(read[..., :1]), read[..., :-1]], -1)
        changed = read != before
        label = torch.where(changed, 2 * read - 1, 2 * read)
        return torch.where(changed & (read == 0), len(names) - 1, label), tuple(names)
