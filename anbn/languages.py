"""What a language is: strings over a few symbols, and what is certain at each of their steps.

A network reads streams of strings and predicts the next symbol. Training, evaluation, traces,
machines and figures need of a language what `Language` lists, and ask for nothing else. A new
language gives its symbols, its length and `word`; the rest then follows:

    class Separated(Language):
        name, symbols = "ansbn", "ABS"  # n=2: A A S B B, then A

        def word(self, n):
            return "A" * n + "S" + "B" * n

anbn/counting.py has a^n b^n and its family, anbn/reber.py the Reber grammars, which replace the
general methods by faster or other ones.
"""

import functools
from dataclasses import dataclass

import torch

from anbn.tables import what_follows

STRINGS_PER_STREAM = 5
MAX_MACHINE_SYMBOLS = 600  # of the strings n = 1, 2, ... that a machine is made from, together
MAX_PAIRED = 16  # strings that each string of a machine's texts is followed by


class LanguageError(ValueError):
    """The name or the parameters describe no language."""


@dataclass
class Stream:
    """Sequences padded to a common number of steps T. Leading axes (...) are the caller's.

    At step t the network reads symbols[..., t] and predicts symbols[..., t + 1].
    """

    symbols: torch.Tensor  # (..., T + 1) int64
    valid: torch.Tensor  # (..., T) bool: False on padding
    legal: torch.Tensor  # (..., T, K) bool: symbols the language allows next
    probability: torch.Tensor  # (..., T, K) the true distribution of the next symbol
    deterministic: torch.Tensor  # (..., T) bool: the language makes the next symbol certain
    state: torch.Tensor  # (..., T) int64: the source's state after reading, for colouring
    buried: torch.Tensor | None = None  # (..., T) int64: how high on what must be recalled (Dyck)
    recall: torch.Tensor | None = None  # (..., T) bool: must recall the outer T or P (embedded)

    @property
    def inputs(self):
        """(..., T) the symbols read."""
        return self.symbols[..., :-1]

    @property
    def targets(self):
        """(..., T) the symbols that follow."""
        return self.symbols[..., 1:]

    def wrong(self, predicted):
        """Where a symbol predicted (..., T) is not the one that is certain: (..., T) bool."""
        return (predicted != self.targets) & self.deterministic & self.valid

    def __getitem__(self, index):
        """The sequences at `index` of the leading axes, still padded to T."""
        return Stream(**{k: None if v is None else v[index] for k, v in vars(self).items()})

    def to(self, device):
        """The same stream on another device."""
        return Stream(**{k: None if v is None else v.to(device) for k, v in vars(self).items()})

    def text(self, symbols, b):
        """Sequence b of a stream (B, T) as letters, its last, predicted symbol included."""
        steps = int(self.valid[b].sum())
        return "".join(symbols[k] for k in self.symbols[b, : steps + 1].tolist())


class Language:
    """Strings numbered n = 1, 2, ..., those up to `length` equally likely in training.

    A stream is 5 strings read one after another without a reset, and the first symbol of the next
    one, which is predicted and not read. At a step the next symbol is certain (deterministic) if no
    other is legal; that no training string is longer than `length` is not knowledge.
    """

    name: str  # as --lang and file names spell it
    symbols: str  # a character for each
    embed = False  # the embedded Reber grammar
    file = None  # path of the file that it was read from
    sha256 = None  # of that file's bytes
    numbered = True  # there is one string for each n, so that there is a first n that fails
    multiples = ()  # a^n b^(jn) c^(kn)... is (1, j, k, ...); empty for strings of another kind, of
    # which no learned counts, no first failure and no single units are shown
    blocks = ()  # for each letter how often each counter enters its block: counting.py
    one_by_one = False  # strings are read one by one from the start state, and end
    judges_choices = False  # at a choice every legal symbol must outweigh every illegal one
    stochastic_weight = 1.0  # of the loss at steps that are not certain, in the default recipe
    length_means = "n"  # what `length` and the size of a machine count
    state_names = ()  # of the values of Stream.state, where they are not numbers
    state_meaning = "symbols of the string read"  # what the numbers are, for a legend
    axes = ()  # names of the two numbers of its strings, where there is no first n; it then has a
    # method grid(n_most): the single strings of every pair up to n_most, a Stream (n_most**2, T)
    n_most = 1000  # the largest n that is tried for the first that fails

    def __init__(self, length=8):
        """length: the largest n in training. Raises LanguageError if it is below 1."""
        if length < 1:
            raise LanguageError(f"the largest n in training is {length}; it must be at least 1")
        self.length = length

    @property
    def n_symbols(self):
        return len(self.symbols)

    @property
    def title(self):
        """The name in words."""
        return f"embedded {self.name}" if self.embed else self.name

    @property
    def spelling(self):
        """What catalogue.named makes this language of again."""
        return self.file or self.name

    @property
    def file_name(self):
        return f"{self.name}_embedded" if self.embed else self.name

    def default_hidden(self, kind):
        """Hidden units of an "srn" or "lstm" where nobody says how many."""
        return 3 if kind == "lstm" else self.n_symbols

    def word(self, n):
        """The string of n, as text."""
        raise LanguageError(f"{self.title} has no method word(n) that gives its strings")

    # ---- the source

    def draw(self, shape, generator, length=None):
        """Random n for streams of the given shape: (*shape, 5) int64, on the generator's device.

        length: the largest n, where it is not the language's own.
        """
        largest, size = length or self.length, (*shape, STRINGS_PER_STREAM)
        return torch.randint(1, largest + 1, size, generator=generator, device=generator.device)

    def streams(self, n):
        """Streams of the strings with the given n: n (..., M) int64 >= 1 -> Stream (...), T the
        steps of the longest stream."""
        tables = self._tables(int(n.max()))
        lengths = tables["length"][n.cpu() - 1]  # (..., M)
        ends = lengths.cumsum(-1)
        step = torch.arange(int(ends.max())).expand(*n.shape[:-1], -1).contiguous()  # (..., T)
        string = torch.searchsorted(ends, step, right=True).clamp(max=n.shape[-1] - 1)
        at = n.cpu().gather(-1, string) - 1, step - (ends - lengths).gather(-1, string)
        valid = step < ends[..., -1:]
        at = tuple(index.where(valid, 0) for index in at)
        first = tables["symbols"][0, 0]
        symbols = tables["symbols"][at].where(valid, first)
        legal = tables["legal"][at]
        return Stream(
            symbols=torch.cat([symbols, first.expand(*n.shape[:-1], 1)], -1),
            valid=valid,
            legal=legal,
            probability=tables["probability"][at],
            deterministic=legal.sum(-1) == 1,
            state=at[1] + 1,
        ).to(n.device)

    def strings(self, n):
        """Single strings from the start state: n (...) int64 -> Stream (...)."""
        return self.streams(n[..., None])

    def training_symbols(self, draws):
        """What training needs of streams(draws): symbols (..., T + 1), valid and deterministic
        (..., T)."""
        stream = self.streams(draws)
        return stream.symbols, stream.valid, stream.deterministic

    @functools.cached_property
    def entropy_rate(self):
        """Nats per predicted symbol: the mean surprise of a string over its mean length."""
        probability = self._training_steps[1].double()
        return float(torch.special.entr(probability).sum() / len(probability))

    @functools.cached_property
    def stochastic_mean(self):
        """(K, K) the mean distribution of the next symbol after each symbol, over the steps that
        are not certain, zero where there are none; None where there are none at all."""
        read, probability, stochastic = self._training_steps
        if not stochastic.any():
            return None
        sums = torch.zeros(self.n_symbols, self.n_symbols)
        sums.index_add_(0, read[stochastic], probability[stochastic])
        return sums / sums.sum(-1, keepdim=True).clamp(min=1e-30)

    @property
    def memoryless_excess(self):
        """The excess cross-entropy, in nats per symbol, of a predictor that is right wherever the
        next symbol is certain and predicts stochastic_mean where it is not: the least for one that
        does not count what is not certain yet. None where there is no such mean."""
        if self.stochastic_mean is None:
            return None
        read, _, stochastic = self._training_steps
        entropy = torch.special.entr(self.stochastic_mean.double()).sum(-1)  # (K,)
        return float(entropy[read[stochastic]].sum()) / len(read) - self.entropy_rate

    @functools.cached_property
    def _training_steps(self):
        """The symbol read (steps,), the probability of the next one (steps, K) and whether it is
        uncertain (steps,), at every step of the strings in training."""
        stream = self.strings(torch.arange(1, self.length + 1))
        uncertain = ~stream.deterministic
        return tuple(part[stream.valid] for part in (stream.inputs, stream.probability, uncertain))

    def coursework_target(self, stream):
        """The target the coursework's loss is measured against: (..., T, K)."""
        return stream.probability

    def numbers(self, text):
        """A text as symbols (len(text),) int64."""
        return torch.tensor([self.symbols.index(letter) for letter in text])

    def _tables(self, largest):
        """What follows in the strings n = 1, 2, ..., up to `largest` or farther."""
        return self._tables_to(1 << max(largest, self.length).bit_length())

    def _tables_to(self, largest):
        if largest not in self._known_tables:
            first = self.word(1)[0]
            texts = [self.numbers(self.word(n) + first) for n in range(1, largest + 1)]
            self._known_tables[largest] = what_follows(texts, self.n_symbols, self.length)
        return self._known_tables[largest]

    @functools.cached_property
    def _known_tables(self):
        return {}

    # ---- its strings, for traces, machines and analysis

    def fresh(self, n_strings, generator):
        """Strings to trace, drawn as in training: a Stream (B, T) of sequences of up to five."""
        n = self.draw((-(-n_strings // STRINGS_PER_STREAM),), generator)  # (B, 5)
        used = n_strings - (len(n) - 1) * STRINGS_PER_STREAM  # in the last sequence
        stream = self.streams(n)
        stream.valid[-1, sum(len(self.word(k)) for k in n[-1, :used].tolist()) :] = False
        longest = int(stream.valid.sum(-1).max())
        parts = {k: v for k, v in vars(stream).items() if v is not None}
        return Stream(**{k: v[:, : longest + (k == "symbols")] for k, v in parts.items()})

    def probe(self, longest=None):
        """The strings an analysis looks at: a Stream (B, T), in each row a string up to `longest`
        (default: the training length), in their order, and the first string after it."""
        n = torch.tensor(self.numbers_to(longest or self.length))
        return self.streams(torch.stack([n, torch.ones_like(n)], 1))

    def numbers_to(self, longest):
        """The numbers of the strings up to `longest`: n = 1, 2, ... A list."""
        return list(range(1, longest + 1))

    @property
    def max_symbols(self):
        """Symbols of the longest string in training."""
        return len(self.word(self.length))

    def label(self, n):
        """The string of n in words."""
        return f"n = {n}"

    @property
    def machine_length(self):
        """The largest n of the strings that a machine is made from by default."""
        for longest in range(1, self.length):
            if sum(len(self.word(n)) for n in self.numbers_to(longest + 1)) > MAX_MACHINE_SYMBOLS:
                return longest
        return self.length

    def texts(self, longest):
        """Texts that a machine is made from, in the order of n: pairs of strings with n up to
        `longest`, and the next string's first symbol, which is predicted and not read. Each n is
        followed by every n, or by MAX_PAIRED of them evenly spread."""
        singles = [self.word(n) for n in self.numbers_to(longest)]
        step = -(-len(singles) // MAX_PAIRED)
        return [one + two + singles[0][0] for one in singles for two in singles[::-step][::-1]]

    def single_texts(self, n_states):
        """Single strings from the start, the shortest first, up to the shortest that no machine of
        n_states states can be right on (it has a state for each n)."""
        return [self.word(n) + self.word(1)[0] for n in range(1, n_states + 2)]

    def legal_next(self, text):
        """The legal symbols after each prefix of a text of `texts`, the whole text excepted: a
        list of text."""
        words = {n: self.word(n) for n in range(1, 1 + max(2 * self.length, len(text)))}
        longest_first = sorted(words, key=lambda n: -len(words[n]))

        def numbers(read):
            """Those of the strings that the text is made of from there on, or None."""
            if read == len(text) - 1:
                return []
            for n in longest_first:  # a shorter one, if what remains is then no text
                if text.startswith(words[n] + words[1][0], read):
                    rest = numbers(read + len(words[n]))
                    if rest is not None:
                        return [n, *rest]

        legal = self.streams(torch.tensor([numbers(0)])).legal[0]  # (T, K)
        return ["".join(sorted(self.symbols[k] for k in row.nonzero()[:, 0])) for row in legal]

    def stages(self, stream):
        """The stage of every step, for tables of gates and cells: labels (B, T) int64 and their
        names, a tuple of str. Here: the symbol read."""
        return stream.inputs, tuple(f"reading {letter}" for letter in self.symbols)

    def cell_stages(self, stream):
        """The stages of the table of what each cell counts."""
        return self.stages(stream)

    def state_label(self, state):
        """A value of Stream.state in words."""
        return f"state {state}"


class WalkLanguage(Language):
    """A language whose strings are random walks: each step is decided by a number of its own, and
    at a choice every legal symbol must outweigh every illegal one. `longest` is the number of draws
    a stream needs."""

    numbered = False
    judges_choices = True
    length_means = "length"
    stochastic_mean = None  # the loss of a choice is never replaced by a mean

    def draw(self, shape, generator, length=None):
        """Uniform numbers that decide the steps of the walks: (*shape, draws) float32. length: the
        draws, if not `longest`."""
        size = (*shape, self.longest if length is None else length + 1)
        return torch.rand(size, generator=generator, device=generator.device)

    @property
    def max_symbols(self):
        return self.longest

    def fresh(self, n_strings, generator):
        """Strings to trace: a Stream (B, T), one string each."""
        return self.streams(self.draw((n_strings,), generator))

    def probe(self, longest=None):
        """200 strings of a fixed seed: a Stream (B, T)."""
        return self.fresh(200, torch.Generator().manual_seed(0))
