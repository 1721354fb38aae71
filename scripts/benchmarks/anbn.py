"""The plain loop that anbn.train is measured against: one network, one sequence per update, the
plain recurrence of anbn.models, autograd and torch.optim.Adam, as a textbook writes it.

Both train on the same kind of streams, five strings each, with the same loss.
"""

from dataclasses import replace

import torch
from torch.nn.functional import cross_entropy

from anbn import compiled
from anbn.counting import CountingLanguage
from anbn.models import MODELS
from anbn.recipes import default_recipe
from anbn.train import build, train

MEASURED = (("anb2n", "srn", 2), ("anbncn", "lstm", 3))
N_NETWORKS = 64
PLAIN_SEQUENCES = 100  # per measurement, one network
OUR_UPDATES = 32  # per measurement, all networks


def plain_loop(language, kind, n_hidden):
    """A function that trains one network on PLAIN_SEQUENCES sequences and returns their number."""
    network = MODELS[kind](language.n_symbols, n_hidden)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    generator = torch.Generator().manual_seed(0)

    def work():
        for _ in range(PLAIN_SEQUENCES):
            stream = language.streams(language.draw((1,), generator))
            loss = cross_entropy(network(stream.inputs).logits[0, 0], stream.targets[0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return PLAIN_SEQUENCES

    return work


def our_loop(language, kind, n_hidden):
    """A function that trains N_NETWORKS side by side with the default recipe for OUR_UPDATES
    updates and returns the number of sequences, summed over the networks. The networks are not
    evaluated: that is not training."""
    recipe = replace(default_recipe(language, kind, n_hidden), n_sequences=10**8)  # never ends
    model = build(language, kind, n_hidden, range(N_NETWORKS), recipe)
    per_report = OUR_UPDATES * recipe.batch_size
    options = {"report_every": per_report, "evaluate": False}
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
    """(name, ours with torch's operations, ours with scan.c), if there is a compiler."""
    if compiled.load() is None:
        return
    for name, kind, n_hidden in MEASURED:
        language = CountingLanguage.named(name)
        slow, fast = (our_loop(language, kind, n_hidden) for _ in range(2))
        title = f"{name} {kind.upper()}-{n_hidden}, scan.c against torch's operations"
        yield title, lambda work=slow: not_compiled(work), fast


def not_compiled(work):
    """work(), without scan.c."""
    load, compiled.load = compiled.load, lambda: None
    try:
        return work()
    finally:
        compiled.load = load
