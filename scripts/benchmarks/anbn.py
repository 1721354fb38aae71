"""The plain loop that anbn.train is measured against: one network, one sequence per update, a
Python step per symbol, autograd and torch.optim.Adam, as a textbook writes it.

Both train on the same kind of streams, five strings each, with the same loss.
"""

from dataclasses import replace

import torch
from torch import nn

from anbn import compiled, models
from anbn.counting import CountingLanguage
from anbn.recipes import default_recipe
from anbn.train import build, train

MEASURED = (("anb2n", "srn", 2), ("anbncn", "lstm", 3))
N_NETWORKS = 64
PLAIN_SEQUENCES = 100  # per measurement, one network
OUR_UPDATES = 32  # per measurement, all networks


class PlainSRN(nn.Module):
    """Elman's network, one symbol at a time."""

    def __init__(self, n_symbols, n_hidden):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(1, n_hidden))
        self.read = nn.Linear(n_symbols + n_hidden, n_hidden)
        self.read_out = nn.Linear(n_hidden, n_symbols)

    def forward(self, one_hot):
        """one_hot (T, K) -> logits (T, K)."""
        hidden, logits = self.start.tanh(), []
        for symbol in one_hot:
            hidden = torch.tanh(self.read(torch.cat([symbol[None], hidden], 1)))
            logits.append(self.read_out(hidden))
        return torch.cat(logits)


class PlainLSTM(nn.Module):
    """Hochreiter and Schmidhuber's network with forget gates, one symbol at a time."""

    def __init__(self, n_symbols, n_hidden):
        super().__init__()
        self.gates = nn.Linear(n_symbols + n_hidden, 4 * n_hidden)
        self.read_out = nn.Linear(n_hidden, n_symbols)

    def forward(self, one_hot):
        """one_hot (T, K) -> logits (T, K)."""
        hidden = cell = one_hot.new_zeros(1, self.read_out.in_features)
        logits = []
        for symbol in one_hot:
            i, f, g, o = self.gates(torch.cat([symbol[None], hidden], 1)).chunk(4, 1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            logits.append(self.read_out(hidden))
        return torch.cat(logits)


def plain_loop(language, kind, n_hidden):
    """A function that trains one network on PLAIN_SEQUENCES sequences and returns their number."""
    network = {"srn": PlainSRN, "lstm": PlainLSTM}[kind](language.n_symbols, n_hidden)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    generator = torch.Generator().manual_seed(0)

    def work():
        for _ in range(PLAIN_SEQUENCES):
            stream = language.streams(language.draw((), generator))
            one_hot = nn.functional.one_hot(stream.inputs, language.n_symbols).float()
            loss = nn.functional.cross_entropy(network(one_hot), stream.targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return PLAIN_SEQUENCES

    return work


def our_loop(language, kind, n_hidden):
    """A function that trains N_NETWORKS side by side with the default recipe for OUR_UPDATES
    updates and returns the number of sequences, summed over the networks. The networks are not
    judged: evaluation is not training."""
    recipe = replace(default_recipe(language, kind, n_hidden), n_sequences=10**8)  # never ends
    model = build(language, kind, n_hidden, range(N_NETWORKS), recipe)
    per_report = OUR_UPDATES * recipe.batch_size
    options = {"report_every": per_report, "judge": False}
    records = train(model, language, recipe, range(N_NETWORKS), **options)

    def work():
        next(records)
        return N_NETWORKS * per_report

    return work


def comparisons():
    """(name, plain loop, ours) of each network measured."""
    for name, kind, n_hidden in MEASURED:
        language = CountingLanguage.named(name)
        title = f"{name} {kind.upper()}-{n_hidden}, {N_NETWORKS} networks against one"
        yield title, plain_loop(language, kind, n_hidden), our_loop(language, kind, n_hidden)


def comparisons_of_loops():
    """(name, ours with torch's operations, ours with compiled loops), if there is a compiler."""
    if compiled.load() is None:
        return
    for name, kind, n_hidden in MEASURED:
        language = CountingLanguage.named(name)
        slow, fast = (our_loop(language, kind, n_hidden) for _ in range(2))
        title = f"{name} {kind.upper()}-{n_hidden}, compiled loops against torch's"
        yield title, lambda work=slow: not_compiled(work), fast


def not_compiled(work):
    """work(), without the compiled loops."""
    serves, models.library_for = models.library_for, lambda *_: None
    try:
        return work()
    finally:
        models.library_for = serves
