"""Counting languages: blocks of letters whose sizes are counts. What is certain at each step.

    anb2n, n=2:          A A B B B B, then A
    read A, A:           the next symbol is not certain (another A, or the first B)
    read B, B, B, and B: certain: B, B, B, and then the next string's A
    anbmcmdn, n=1, m=2:  A B B C C D, then A      nested: the first block and the last count n
    anbmcndm, n=1, m=2:  A B B C D D, then A      crossed; anbmcn+m: A B B C C C, then A

Here the letters B are not certain either: m is not known before it has been read. Everything is
computed for whole batches at once.
"""

import functools
import itertools
import math
import re

import torch

from anbn.languages import Language, LanguageError, Stream

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
COUNTERS = "nmkl"  # in the order in which a name may bring them in
MAX_MACHINE_COUNT = 3  # of each of several counters, in the strings that a machine is made from


class CountingLanguage(Language):
    """Blocks of the letters A, B, C...; block k has as many letters as `blocks[k]` says.

    blocks: for each letter how often each counter enters its size: ((1, 0), (0, 1), (1, 1)) is
    a^n b^m c^(n+m). With one counter a number for each letter is enough: anb2nc3n is (1, 2, 3).
    A counter enters first alone, once: the size of that block is drawn, uniformly from 1..length,
    and the others follow. The numbers n below are (..., M) for M strings with one counter,
    (..., M, V) with V of them.

    Raises LanguageError for fewer than two letters, a block that cannot be, or a length below 1.
    """

    def __init__(self, blocks, length):
        super().__init__(length)
        blocks = tuple((b,) if isinstance(b, int) else tuple(b) for b in blocks)
        if not 2 <= len(blocks) <= 26:
            raise LanguageError(f"{len(blocks)} blocks make no counting language: two to 26 do")
        self.blocks, self.n_counters = blocks, len(blocks[0])
        self.symbols = ALPHABET[: len(blocks)].upper()
        self.counters = COUNTERS[: self.n_counters]
        self.name = "".join(map(self._spelled, range(len(blocks))))
        self.open = _open_blocks(blocks)
        self.numbered = self.n_counters == 1
        self.multiples = tuple(b for (b,) in blocks) if self.numbered else ()
        if not self.numbered:
            self.axes, self.n_most = ("n", "m"), 2 * length
        letters = " or ".join(self.symbols[k] for k in self.open)
        self.state_meaning = f"letters {letters} read; then letters of the same kind still to come"

    def _spelled(self, k):
        terms = zip(self.blocks[k], self.counters, strict=True)
        size = "+".join(f"{'' if times == 1 else times}{name}" for times, name in terms if times)
        return ALPHABET[k] + size

    @classmethod
    def named(cls, name, length=None):
        """The language spelled `name`, such as anbncn, anb2nc3n, anbmcmdn, anbmcn+m; `length`
        defaults to 8 where no letter is repeated, else to 4. Raises LanguageError for any other
        name, saying why."""
        term = f"(?:[1-9][0-9]?)?[{COUNTERS}]"
        parts = re.findall(rf"([a-z])({term}(?:\+{term})*)", name)
        if len(parts) < 2 or name != "".join(map("".join, parts)):
            raise LanguageError(
                f"unknown language {name!r}: choose reber, dyck1, dyck2, a file of your own, or a "
                "counting language spelled like anbn, anb2n, anbncn, anbmcmdn, anbmcn+m"
            )
        letters = "".join(letter for letter, _ in parts)
        if letters != ALPHABET[: len(letters)]:
            raise LanguageError(
                f"the blocks of {name!r} have the letters {letters}: they must be a, b, c... in "
                "order, each once, for a letter that comes twice would leave open which block it is"
            )
        sizes = [{term[-1]: int(term[:-1] or 1) for term in size.split("+")} for _, size in parts]
        used = list(dict.fromkeys(counter for size in sizes for counter in size))
        if used != list(COUNTERS[: len(used)]):
            raise LanguageError(
                f"the counters of {name!r} come in the order {', '.join(used)}: they must be "
                f"{', '.join(COUNTERS[: len(used)])}"
            )
        blocks = [[size.get(counter, 0) for counter in used] for size in sizes]
        simple = max(map(max, blocks)) == 1
        language = cls(blocks, length or (8 if simple else 4))
        if language.name != name:
            raise LanguageError(f"{name!r} is spelled {language.name}")
        return language

    def default_hidden(self, kind):
        if self.n_counters > 1 and kind == "srn":
            return self.n_symbols + self.n_counters
        return 4 if kind == "srn" and self.multiples == (1, 2, 3) else super().default_hidden(kind)

    def word(self, n):
        counts = (n,) if self.numbered else n
        sizes = (sum(map(math.prod, zip(b, counts, strict=True))) for b in self.blocks)
        return "".join(letter * size for letter, size in zip(self.symbols, sizes, strict=True))

    # ---- the source

    @property
    def _symbols_per_count(self):
        return sum(map(sum, self.blocks))

    @property
    def entropy_rate(self):
        """Nats per symbol: log(length), the surprise of one count, for each counter, over the mean
        string length."""
        surprise = self.n_counters * math.log(self.length)
        return surprise / (self._symbols_per_count * (self.length + 1) / 2)

    @property
    def stochastic_mean(self):
        """(K, K) the mean distribution of the next symbol after each symbol whose count is not
        known: one in mean n is the last of its block."""
        stop, mean = 2 / (self.length + 1), torch.zeros(self.n_symbols, self.n_symbols)
        for k in self.open:
            mean[k, k], mean[k, (k + 1) % self.n_symbols] = 1 - stop, stop
        return mean

    @property
    def memoryless_excess(self):
        """As Language.memoryless_excess: the least without counting the letters A."""
        entropy = torch.special.entr(self.stochastic_mean[0].double()).sum().item()
        share = self.n_counters / self._symbols_per_count  # of the steps that are not certain
        return entropy * share - self.entropy_rate

    def draw(self, shape, generator, length=None):
        """Random counts for streams of the given shape: (*shape, 5) int64, with several counters
        (*shape, 5, V), on the generator's device. length: the largest, if not the language's."""
        more = () if self.numbered else (self.n_counters,)
        draws = super().draw((*shape, *more), generator, length)  # five last
        return draws if self.numbered else draws.mT.contiguous()

    def strings(self, n):
        return self.streams(n[..., None] if self.numbered else n[..., None, :])

    def training_symbols(self, n):
        ends = self._sizes(n).cumsum(-1)
        last = ends[..., -1:]
        n_steps = int(last.max())
        change = torch.ones(self.n_symbols, dtype=torch.uint8, device=n.device)
        change[-1] += 256 - self.n_symbols  # from the last letter back to A, modulo 256
        changes = torch.zeros(*ends.shape[:-1], n_steps + 1, dtype=torch.uint8, device=n.device)
        # no block is empty, so no two end at the same place
        repeats = ends.shape[-1] // self.n_symbols
        changes.scatter_(-1, ends, change.repeat(repeats).expand(ends.shape))
        symbols = changes.cumsum(-1, dtype=torch.uint8)
        valid = torch.arange(n_steps + 1, dtype=torch.int32, device=n.device) < last.int()
        certain = valid & ~self._is_open(symbols)
        return symbols, valid[..., :-1], certain[..., :-1]

    def _is_open(self, symbols):
        """Whether the size of a symbol's block is not known while it is read."""
        return functools.reduce(torch.logical_or, (symbols == k for k in self.open))

    def _sizes(self, n):
        """Sizes of a stream's blocks, of string 1, of string 2, ... (..., M*K)."""
        counts = n[..., None] if self.numbered else n  # (..., M, V)
        blocks = torch.tensor(self.blocks, device=n.device)  # (K, V)
        return (counts[..., None, :] * blocks).sum(-1).flatten(-2)

    def streams(self, n):
        """Streams of the strings with the given counts, all at least 1 -> Stream (...), T steps,
        T the symbols of the longest stream (its final A is predicted, not read)."""
        symbols, valid, deterministic = self.training_symbols(n)
        sizes = self._sizes(n)
        symbols = symbols.long()
        read, next_read = symbols[..., :-1], symbols[..., 1:]
        # the block of every symbol; padding counts to the last
        block = (read[..., 1:] != read[..., :-1]).long().cumsum(-1)
        block = torch.nn.functional.pad(block, (1, 0)).clamp(max=sizes.shape[-1] - 1)
        step = torch.arange(block.shape[-1], device=n.device)
        left = (sizes.cumsum(-1).gather(-1, block) - step - 1).clamp(min=0)  # of this letter
        opened = self._is_open(read)
        seen = sizes.gather(-1, block) - left  # of this letter, this one included
        # a count is uniform on 1..length: after k letters, k is it with probability 1/(length-k+1)
        stop = 1 / (self.length - seen + 1).clamp(min=1)
        probability, again = self._one_hot(next_read), self._one_hot(read)
        going_on = again * (1 - stop[..., None]) + again.roll(1, -1) * stop[..., None]
        probability = torch.where(opened[..., None], going_on, probability)
        # that no training string is longer than `length` is not knowledge
        legal = (probability > 0) | opened[..., None] & (again + again.roll(1, -1) > 0)
        state = torch.where(opened, seen, left)
        return Stream(symbols, valid, legal, probability, deterministic, state)

    def _one_hot(self, symbols):
        return torch.nn.functional.one_hot(symbols, self.n_symbols).float()

    def coursework_target(self, stream):
        """The target the coursework measures its loss against: after an A, and wherever else the
        next symbol is not certain, 0.8 for the same letter and 0.2 for the next one, else the
        certain symbol. Returns (..., T, K)."""
        again, opened = self._one_hot(stream.inputs), self._is_open(stream.inputs)
        guess = 0.8 * again + 0.2 * again.roll(1, -1)
        return torch.where(opened[..., None], guess, self._one_hot(stream.targets))

    # ---- its strings, for traces, machines and analysis

    def numbers_to(self, longest):
        """The counts up to `longest` of the strings: n, or tuples (n, m, ...)."""
        if self.numbered:
            return super().numbers_to(longest)
        every = itertools.product(range(1, longest + 1), repeat=self.n_counters)
        return sorted(every, key=lambda counts: (max(counts), counts))

    @property
    def max_symbols(self):
        return self._symbols_per_count * self.length

    def label(self, n):
        counts = (n,) if self.numbered else n
        pairs = zip(self.counters, counts, strict=True)
        return ", ".join(f"{name} = {count}" for name, count in pairs)

    @property
    def machine_length(self):
        most = super().machine_length
        return most if self.numbered else min(most, MAX_MACHINE_COUNT)

    def single_texts(self, n_states):
        if self.numbered:
            return super().single_texts(n_states)
        rest = (1,) * (self.n_counters - 1)
        numbers = self.numbers_to(2 * self.machine_length)
        numbers += [(n, *rest) for n in range(1, n_states + 2)]
        return sorted((self.word(n) + "A" for n in numbers), key=len)

    def legal_next(self, text):
        pairs = list(zip(self.symbols, self.symbols[1:] + "A", strict=True))
        opened = {pairs[k][0]: "".join(sorted(pairs[k])) for k in self.open}
        return [opened.get(read, follows) for read, follows in itertools.pairwise(text)]

    def stages(self, stream):
        """Reading A, first B, counting B, switching to C, counting C, ..., end (the first A of the
        next string, where the counts must start anew)."""
        names = [f"reading {self.symbols[0]}"]
        for k, letter in enumerate(self.symbols[1:], 1):
            doing = "reading" if k in self.open else "counting"
            names += [f"{'first' if k == 1 else 'switching to'} {letter}", f"{doing} {letter}"]
        names.append("end")
        read = stream.inputs
        changed = read != torch.nn.functional.pad(read[..., :-1], (1, 0))
        return (2 * read - changed.long()) % len(names), tuple(names)  # -1, A again, is the end

    def grid(self, n_most):
        """The strings of all n and m up to n_most, the other counters 1: a Stream (n_most**2, T),
        in the order of torch.cartesian_prod."""
        every = torch.arange(1, n_most + 1)
        n = torch.cartesian_prod(every, every)
        return self.strings(torch.nn.functional.pad(n, (0, self.n_counters - 2), value=1))


def _open_blocks(blocks):
    """The indices of the blocks that bring in a counter, whose size is not known before. Raises
    LanguageError for a block that cannot be."""
    known, opened = set(), []
    for k, block in enumerate(blocks):
        name = ALPHABET[k]
        if min(block) < 0 or not any(block):
            raise LanguageError(f"the block of {name} has no letters, or less than none")
        new = {v for v, times in enumerate(block) if times} - known
        if new and (sum(block) != 1 or min(new) != len(known)):
            raise LanguageError(
                f"the block of {name} brings in a counter: it must do so alone and once, as in "
                "anbm, for else its letters do not tell the count"
            )
        if new:
            opened.append(k)
            known |= new
    if len(opened) == len(blocks):
        raise LanguageError("no block repeats an earlier count: there is nothing to count")
    return tuple(opened)
