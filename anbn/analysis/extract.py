"""The finite-state machine that a network implements, and how far it agrees with the network and
with the language.

    machine = extract(model, language)            # on strings up to the training length
    for study in studies(model, language): ...    # there, and at twice that

Every legal string is read; what the network predicts after each prefix is the prefix's label, and
prefixes that no continuation tells apart are one state (anbn/automaton.py). Counting takes a state
per count: for a counting language the number of states grows with n, and no finite machine goes
on for ever.
"""

from dataclasses import dataclass

import torch

from anbn.analysis.automaton import Machine, PrefixTree
from anbn.analysis.dynamics import one_network
from anbn.counting import CountingLanguage

CHOICE = (
    0.25  # at a choice of the Reber grammar (two arcs, 1/2 each) a symbol above this is predicted
)
AT_ONCE = 256  # texts read at once
MOST_TEXTS = 5000  # Reber strings a machine is made from; they double every two symbols
MOST_SYMBOLS = 600  # of the counting strings n = 1, 2, ... that are studied by default, together
MOST_PAIRED = 16  # strings each counting string is followed by


def default_longest(language):
    """The training length, the largest n (no larger than can be studied in seconds). Reber strings
    have no largest length: the number of symbols that nine in ten do not exceed."""
    if not isinstance(language, CountingLanguage):
        return max(language.length + 4, 15 if language.embed else 11)
    longest = 1
    while sum(language.multiples) * (longest + 1) * (longest + 2) // 2 <= MOST_SYMBOLS:
        longest += 1
    return min(language.length, longest)


def extract(model, language, longest=None):
    """The Machine of a network (S = 1) on the strings of `language` up to `longest`.

    Counting languages: pairs of strings with n <= `longest` (default the training length), one
    after the other, as in a stream. Reber: all strings of at most `longest` symbols, or of as many
    as give MOST_TEXTS strings; the machine tells how many.
    Raises ModelError if the model holds several networks.
    """
    longest = longest or default_longest(language)
    texts = legal_texts(language, longest)
    if not isinstance(language, CountingLanguage):
        longest = min(longest, len(texts[-1]))
    told, hidden = ask(model, language, texts)
    start = model.start(1).hidden[0, 0].detach().cpu().double()
    tree = PrefixTree(texts[0][0], start)  # before a string its first symbol is certain
    for text, labels, states in zip(texts, told, hidden, strict=True):
        if isinstance(language, CountingLanguage):
            tree.insert(text[:-1], labels, states)
        else:
            tree.insert(text, [*labels, ""], states)
    return tree.machine(longest)


@dataclass(frozen=True)
class Study:
    """A network's machine and the shares of steps on which it agrees, on fresh streams with n up to
    machine.longest; with the shortest string that it gets wrong."""

    machine: Machine
    with_network: float  # predicts what the network predicts
    with_language: float  # predicts the certain symbol; at a choice, legal symbols alone
    network_with_language: float  # the same of the network itself
    differs: str | None  # shortest string of the language on which the machine is wrong
    differs_at: int | None  # after how many symbols of it


def studies(model, language, longest=None, n_streams=200):
    """Two Studies of a network (S = 1): at the training length and at twice that.

    longest: instead of the training length (default_longest). Streams are drawn with a fixed seed.
    """
    longest = longest or default_longest(language)
    return [_study(model, language, reach, n_streams) for reach in (longest, 2 * longest)]


def _study(model, language, longest, n_streams):
    machine = extract(model, language, longest)
    texts = _fresh(language, longest, n_streams)
    told, _ = ask(model, language, texts)
    same = right = network_right = steps = 0
    for text, labels in zip(texts, told, strict=True):
        guesses = machine.predictions(text[:-1])
        for guess, label, legal in zip(guesses, labels, legal_next(language, text), strict=True):
            same += guess == label
            right += is_right(guess, legal)
            network_right += is_right(label, legal)
            steps += 1
    text, step = first_difference(machine, language)
    return Study(machine, same / steps, right / steps, network_right / steps, text, step)


def is_right(guess, legal):
    """Whether all symbols predicted (a text; None for no prediction) are legal."""
    return bool(guess) and set(guess) <= set(legal)


def first_difference(machine, language):
    """The shortest string of the language on which the machine is wrong, and the number of symbols
    read when it is; (None, None) if there is none among the Reber strings of at most 16 symbols.

    Each counting string is read from the start, with the next A to be predicted.
    """
    if isinstance(language, CountingLanguage):
        # a machine of so many states cannot be right on more letters A
        texts = (counting_text(language, n) + "A" for n in range(1, machine.n_states + 2))
    else:
        texts = reber_texts(language, 16 + 4 * language.embed)
    for text in texts:
        guesses = machine.predictions(text[:-1])
        for step, (guess, legal) in enumerate(
            zip(guesses, legal_next(language, text), strict=True)
        ):
            if not is_right(guess, legal):
                return text[:-1] if isinstance(language, CountingLanguage) else text, step + 1
    return None, None


def _fresh(language, longest, n_streams):
    """Random streams of five strings with n up to `longest`, or random Reber strings, as text."""
    draws = language.draw((n_streams,), torch.Generator().manual_seed(1), length=longest)
    stream = language.streams(draws)
    lengths = stream.valid.sum(-1).tolist()
    return [
        "".join(language.symbols[k] for k in row[: length + 1])
        for row, length in zip(stream.symbols.tolist(), lengths, strict=True)
    ]


def legal_texts(language, longest):
    """Strings of the language in the order of n (Reber: length), as text. Counting strings come in
    pairs and end with the next string's A, which is predicted but not read: each n is followed by
    every n, or by MOST_PAIRED of them evenly spread."""
    if not isinstance(language, CountingLanguage):
        return reber_texts(language, longest)
    singles = [counting_text(language, n) for n in range(1, longest + 1)]
    step = -(-longest // MOST_PAIRED)
    return [one + two + "A" for one in singles for two in singles[::-step][::-1]]


def counting_text(language, n):
    """a^n b^(jn)... as text."""
    return "".join(
        letter * (n * times)
        for letter, times in zip(language.symbols, language.multiples, strict=True)
    )


def reber_texts(language, longest):
    """All Reber strings of at most `longest` symbols, shortest first; fewer symbols if there would
    be more than MOST_TEXTS strings."""
    complete, front = [], [("", 0)]
    for _ in range(longest):
        front = [
            (text + language.symbols[symbol], to)
            for text, node in front
            for symbol, to in language.arcs[node]
        ]
        ended = [text for text, node in front if not language.arcs[node]]
        if len(complete) + len(ended) > MOST_TEXTS:
            break
        complete += ended
    return complete


def legal_next(language, text):
    """The legal symbols after each prefix of a legal text, its last symbol excepted: a list."""
    if isinstance(language, CountingLanguage):
        return ["AB" if read == "A" else follows for read, follows in zip(text, text[1:])]  # noqa: B905
    node, legal = 0, []
    for symbol in text[:-1]:
        node = dict(language.arcs[node])[language.symbols.index(symbol)]
        legal.append("".join(sorted(language.symbols[k] for k, _ in language.arcs[node])))
    return legal


@torch.no_grad()
def ask(model, language, texts):
    """What a network (S = 1) predicts after each symbol it reads of each text (the last one is not
    read): labels, a list of lists of text, and hidden states, a list of (steps, H) float64.

    Where one symbol is certain: the most probable one. After an A of a counting language: AB if A
    or B is the most probable (their shares say how long strings are, not what is counted). At a
    choice of the Reber grammar: all symbols with probability above CHOICE.
    """
    one_network(model)
    numbers = {symbol: k for k, symbol in enumerate(language.symbols)}
    steps = max(map(len, texts)) - 1
    inputs = torch.tensor(
        [
            [numbers[symbol] for symbol in text[:-1]] + [0] * (steps + 1 - len(text))
            for text in texts
        ],
        device=model.U.device,
    )
    labels, hidden = [], []
    for part, some in zip(inputs.split(AT_ONCE), _chunks(texts, AT_ONCE), strict=True):
        activity = model(part)
        probability = activity.probability[0].cpu()
        favourite = probability.argmax(-1).tolist()
        above = (probability > CHOICE).tolist()
        states = activity.hidden[0].cpu().double()
        for b, text in enumerate(some):
            told = []
            for t, legal in enumerate(legal_next(language, text)):
                best = language.symbols[favourite[b][t]]
                if len(legal) == 1:
                    told.append(best)
                elif isinstance(language, CountingLanguage):
                    told.append(legal if best in legal else best)
                else:
                    likely = [
                        s for s, yes in zip(language.symbols, above[b][t], strict=True) if yes
                    ]
                    told.append("".join(sorted(likely)))
            labels.append(told)
            hidden.append(states[b, : len(text) - 1])
    return labels, hidden


def _chunks(items, size):
    return [items[k : k + size] for k in range(0, len(items), size)]
