"""How often the coursework's own recipes succeed: trials of ours with its settings, trained by the
loops of xor and anbn. Perceptrons solve check if they ever reach 100 %; recurrent networks solve a
language as everywhere in this project (anbn/evaluate.py)."""

import signal
import time
from itertools import islice
from multiprocessing import get_context

import torch

from anbn.counting import CountingLanguage
from anbn.evaluate import evaluate, wilson
from anbn.recipes import Recipe
from anbn.train import build, train
from common.processes import usable_cores
from xor import train as perceptrons
from xor.model import MLP
from xor.recipes import Recipe as PerceptronRecipe
from xor.results import quantiles
from xor.tasks import grid

HIDDEN, N_PERCEPTRONS, N_EPOCHS = (4, 5, 6), 100, 20_000
N_NETWORKS, N_STREAMS, RATES = 25, 50_000, (0.001, 0.005)
NETWORKS = (  # language, longest n, kind, hidden units
    ("anbn", 8, "srn", 2),
    ("anb2n", 4, "srn", 2),
    ("anbncn", 8, "srn", 3),
    ("anbncn", 8, "lstm", 3),
    ("anb2nc3n", 4, "srn", 4),
    ("anb2nc3n", 4, "lstm", 3),
)
SETTINGS = (
    "Trials of ours with the coursework's recipe. Perceptrons: full-batch Adam, learning rate "
    f"0.01, weights and biases from N(0, 1), {N_EPOCHS:,} epochs. Recurrent networks: Adam, one "
    "stream per update, the learning rate (lr) that is named, weights uniform within "
    f"1/sqrt(hidden units), {N_STREAMS:,} streams. Adam has torch's constants; nothing decays or "
    "is clipped."
)


class ConstantRate(Recipe):
    """A recipe whose learning rate neither warms up nor falls."""

    def rate(self, update):
        return self.learning_rate


def rows(rounds):
    """A row for each task, trained once whatever `rounds` says, as many at a time as there are
    cores: how many networks solve it and, of perceptrons, after how many epochs."""
    with get_context("spawn").Pool(usable_cores(), _start) as pool:
        yield from pool.imap(check, HIDDEN)
        yield from pool.imap(recurrent, [(*net, rate) for net in NETWORKS for rate in RATES])


def _start():
    """Of a process of the pool: Ctrl-C is for the first process, which then ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)


def check(hidden):
    """The row of perceptrons with so many hidden units on the nine points of check."""
    start, generator = time.perf_counter(), torch.Generator().manual_seed(0)
    shapes = [(N_PERCEPTRONS, *rest) for rest in ((hidden, 2), (hidden,), (hidden,), ())]
    model = MLP(*(torch.randn(shape, generator=generator) for shape in shapes))
    # Left long before its end, the cosine of the learning rate is 1.
    recipe = PerceptronRecipe(epochs=10**9, hold=0, learning_rate=0.01, decay=0.0)
    for record in islice(perceptrons.train(model, *grid(3), recipe), N_EPOCHS):
        first = record.first_right  # (S,) -1: not yet
    after = quantiles(first[first >= 0])
    row = _row(f"check, {hidden} sigmoid units", first >= 0, start)
    return row | {"epochs": after and [*after.values()]}


def recurrent(task):
    """The row of SRNs or LSTMs on one language; task: an entry of NETWORKS, the learning rate."""
    name, length, kind, hidden, rate = task
    start, seeds = time.perf_counter(), range(N_NETWORKS)
    language = CountingLanguage.named(name, length)
    settings = {"batch_size": 1, "optimizer": "adam", "second_moment": 0.999, "clip": 1e6}
    recipe = ConstantRate(N_STREAMS, learning_rate=rate, **settings)
    model = build(language, kind, hidden, seeds, recipe)
    for _ in train(model, language, recipe, seeds, report_every=10**9, evaluate=False):
        pass
    solved = evaluate(model, language, torch.Generator().manual_seed(N_NETWORKS), n_most=0).solved
    title = f"{language.title}, {kind.upper()}-{hidden}, n up to {length}, lr {rate}"
    return _row(title, solved, start)


def _row(name, solved, start):
    count, total = int(solved.sum()), len(solved)
    row = {"name": name, "solved": count, "networks": total, "solved_95": wilson(count, total)}
    return row | {"seconds": time.perf_counter() - start}
