"""Training sequences of recurrent networks against a plain loop: one network, one sequence per
update, a step per symbol (our own models, which without scan.c are the textbook's), autograd and
torch.optim.Adam; then the compiled code against the plain one. On one thread, as in seq_train.py.
"""

from dataclasses import replace
from unittest import mock

import torch
from torch.nn.functional import cross_entropy

from anbn import compiled
from anbn.counting import CountingLanguage
from anbn.models import MODELS
from anbn.recipes import default_recipe
from anbn.train import build, train
from benchmarks.timing import compare

MEASURED = (("anb2n", "srn", 2), ("anbncn", "lstm", 3))
MANY = 64  # networks side by side
FEW = 8  # as many as seq_train.py trains by default
PLAIN_SEQUENCES = 100  # per measurement, one network
OUR_UPDATES = 32  # per measurement, all networks


def rows(rounds):
    """A row for each network and number of networks, and for the compiled code."""
    for name, kind, n_hidden in MEASURED:
        which = CountingLanguage.named(name), kind, n_hidden
        title = f"{name} {kind.upper()}-{n_hidden}"
        for count in (MANY, FEW):
            loops = plain_loop(*which), our_loop(*which, count)
            yield compare(f"{title}, {count} networks against one", *loops, "sequences", rounds)
        if compiled.load() is not None:
            loops = without_compiler(our_loop(*which, MANY)), our_loop(*which, MANY)
            yield compare(f"{title}, scan.c against torch", *loops, "sequences", rounds)


def plain_loop(language, kind, n_hidden):
    """A function that trains one network on PLAIN_SEQUENCES sequences and returns their number."""
    model = MODELS[kind](language.n_symbols, n_hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    generator = torch.Generator().manual_seed(0)

    def work():
        for _ in range(PLAIN_SEQUENCES):
            stream = language.streams(language.draw((1,), generator))
            logits = model(stream.inputs).logits  # (1, 1, T, K)
            optimizer.zero_grad()
            cross_entropy(logits[0, 0], stream.targets[0]).backward()
            optimizer.step()
        return PLAIN_SEQUENCES

    return work


def our_loop(language, kind, n_hidden, n_networks):
    """A function that trains networks side by side with the default recipe for OUR_UPDATES updates
    and returns the number of sequences, summed over the networks. They are not evaluated."""
    recipe = replace(default_recipe(language, kind, n_hidden), n_sequences=10**8)  # never ends
    model = build(language, kind, n_hidden, range(n_networks), recipe)
    seeds, each = range(n_networks), OUR_UPDATES * recipe.batch_size
    records = train(model, language, recipe, seeds, report_every=each, evaluate=False)

    def work():
        next(records)
        return n_networks * each

    return work


def without_compiler(work):
    """`work` as it is where there is no compiler."""
    return mock.patch.object(compiled, "load", lambda: None)(work)
