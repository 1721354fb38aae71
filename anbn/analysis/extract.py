"""The finite-state machine that a network implements, and how far it agrees with the network and
with the language.

    machine = extract(model, language)            # on strings up to the training length
    for study in studies(model, language): ...    # there, and at twice that

What the network predicts after each prefix of the strings it reads is the prefix's label; from the
labels anbn/analysis/automaton.py makes the states. Counting takes a state per count, so that their
number grows with n.
"""

from dataclasses import dataclass

import torch

from anbn.analysis.automaton import Machine, PrefixTree
from anbn.analysis.dynamics import one_network

CHUNK_SIZE = 256  # texts read at once


def extract(model, language, longest=None):
    """The Machine of a network (S = 1) on `language.texts(longest)`: pairs of strings with n up to
    `longest`, or all strings of at most `longest` symbols, or of as many as there are texts of;
    the machine tells how many. longest: language.machine_length by default.

    Raises ModelError if the model holds several networks.
    """
    longest = longest or language.machine_length
    texts = language.texts(longest)
    start = model.start(1).hidden[0, 0].detach().cpu().double()
    tree = PrefixTree("".join(sorted({text[0] for text in texts})), start)
    for text, labels, states in zip(texts, *predict_labels(model, language, texts), strict=True):
        if language.one_by_one:  # the last symbol is not read, but leads to an end
            tree.insert(text, [*labels, ""], states)
        else:
            tree.insert(text[:-1], labels, states)
    return tree.machine(min(longest, len(texts[-1])) if language.one_by_one else longest)


@dataclass(frozen=True)
class Study:
    """A network's machine and the shares of steps on which it agrees, on fresh streams with n up to
    machine.longest; with the shortest string that it gets wrong."""

    machine: Machine
    with_network: float  # predicts what the network predicts
    with_language: float  # predicts the certain symbol; at a choice, exactly the legal symbols
    network_with_language: float  # the same of the network itself
    differs: str | None  # shortest string of the language on which the machine is wrong
    differs_at: int | None  # after how many symbols of it


def studies(model, language, longest=None, n_streams=200):
    """Two Studies of a network (S = 1): at the length `longest` (default language.machine_length)
    and at twice that. Streams are drawn with a fixed seed."""
    longest = longest or language.machine_length
    return [_study(model, language, length, n_streams) for length in (longest, 2 * longest)]


def _study(model, language, longest, n_streams):
    machine = extract(model, language, longest)
    draws = language.draw((n_streams,), torch.Generator().manual_seed(1), length=longest)
    stream = language.streams(draws)
    texts = [stream.text(language.symbols, b) for b in range(n_streams)]
    agree = []  # per step: machine and network, machine and language, network and language
    for text, labels in zip(texts, predict_labels(model, language, texts)[0], strict=True):
        guesses, legal = machine.predictions(text[:-1]), language.legal_next(text)
        for guess, label, right in zip(guesses, labels, legal, strict=True):
            agree.append((guess == label, guess == right, label == right))
    shares = (sum(column) / len(agree) for column in zip(*agree, strict=True))
    return Study(machine, *shares, *first_difference(machine, language))


def first_difference(machine, language):
    """The shortest string of the language on which the machine is wrong, read from the start, and
    the number of symbols read when it is; (None, None) if there is none in single_texts."""
    for text in language.single_texts(machine.n_states):
        guesses = machine.predictions(text[:-1])
        for step, (guess, legal) in enumerate(zip(guesses, language.legal_next(text), strict=True)):
            if guess != legal:
                return text if language.one_by_one else text[:-1], step + 1
    return None, None


@torch.no_grad()
def predict_labels(model, language, texts):
    """What a network (S = 1) predicts after each symbol it reads of each text (the last one is not
    read): labels, a list of lists of text in the order of the alphabet, and hidden states, a list
    of (steps, H) float64.

    Where one symbol is certain: the most probable one. At a choice that the language judges: as
    many of the most probable symbols as are legal (more, if the last of them share a probability),
    so that the label is the legal set just where every legal symbol outweighs every illegal one,
    as in evaluate's `solved`. At any other choice: all legal symbols if the most probable one is
    legal (their shares say how long strings are, not what is counted), else that one.
    """
    one_network(model)
    labels, hidden = [], []
    for first in range(0, len(texts), CHUNK_SIZE):
        chunk = texts[first : first + CHUNK_SIZE]
        inputs = torch.zeros(len(chunk), max(map(len, chunk)) - 1, dtype=torch.long)  # (B, T)
        for b, text in enumerate(chunk):
            inputs[b, : len(text) - 1] = language.numbers(text[:-1])
        activity = model(inputs.to(model.U.device))
        logits, states = activity.logits[0].cpu(), activity.hidden[0].cpu().double()
        favourites, ranks = logits.argmax(-1).tolist(), None
        if language.judges_choices:  # how many symbols are more probable than each
            ranks = (logits[..., None, :] > logits[..., None]).sum(-1).tolist()  # (B, T, K)
        for b, text in enumerate(chunk):
            row = []
            for t, legal in enumerate(language.legal_next(text)):
                best = language.symbols[favourites[b][t]]
                if len(legal) > 1 and ranks:
                    ranked = zip(language.symbols, ranks[b][t], strict=True)
                    row.append("".join(sorted(s for s, rank in ranked if rank < len(legal))))
                else:
                    row.append(legal if best in legal else best)
            labels.append(row)
            hidden.append(states[b, : len(row)])
    return labels, hidden
