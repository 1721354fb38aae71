"""Recording and replaying: the logic on the CPU, the graphs themselves where there is a GPU."""

import pytest
import torch

import anbn.train
import kuzu.optimizers
import kuzu.train
from anbn.counting import CountingLanguage
from anbn.recipes import default_recipe, with_options
from anbn.replay import Replayed, replayed
from anbn.train import build, train
from kuzu import models
from kuzu.data import load_kana
from kuzu.recipes import CLASSIC
from kuzu.train import seeded

CPU = torch.device("cpu")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


class Tape:
    """Stands in for a CUDA graph: replaying computes from the places of the arguments and writes
    to the places of the results."""

    def __init__(self):
        self.recordings = 0

    def __call__(self, work, places):
        self.recordings += 1
        results = [torch.full_like(result, torch.nan) for result in work(*places)]

        def replay():
            for place, result in zip(results, work(*places), strict=True):
                place.copy_(result)

        return replay, results


def trained_counters(device=CPU):
    language = CountingLanguage.named("anb2n")
    recipe = with_options(default_recipe(language, "lstm", 3), n_sequences=40 * 8)
    model = build(language, "lstm", 3, [0, 1, 2], recipe, device)
    list(train(model, language, recipe, [0, 1, 2]))
    return [parameter.detach().cpu() for parameter in model.parameters()]


def trained_classifier(device=CPU):
    data = load_kana(200, 20, seed=1).to(device)
    model = models.build("conv", generator=seeded(0)).to(device)
    lines = []
    epochs = kuzu.train.train(model, data, CLASSIC, report=lambda *line: lines.append(line))
    lines += [next(epochs).train_loss, next(epochs).train_loss]
    return [parameter.detach().cpu() for parameter in model.parameters()], lines


def test_recorded_once_per_shape_and_reads_what_changes():
    tape, weight = Tape(), torch.ones(3)
    work = Replayed(lambda x: (x * weight,), capture=tape)
    assert work(torch.arange(3.0))[0].tolist() == [0, 1, 2]
    weight *= 10
    assert work(torch.ones(3))[0].tolist() == [10, 10, 10]
    assert work(torch.ones(2, 3))[0].shape == (2, 3)
    assert tape.recordings == 2


def test_replayed_training_is_training(monkeypatch):
    counters, (classifier, lines) = trained_counters(), trained_classifier()
    tapes = []

    def recorded(work, device, changes=()):
        tapes.append(Tape())
        return Replayed(work, changes, tapes[-1])

    monkeypatch.setattr(anbn.train, "replayed", recorded)
    monkeypatch.setattr(kuzu.optimizers, "replayed", recorded)
    for ours, plain in zip(trained_counters(), counters, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-5)
    again, more_lines = trained_classifier()
    assert all(map(torch.equal, again, classifier)) and lines == more_lines
    collecting, applying, classifying = (tape.recordings for tape in tapes)
    assert collecting <= 3  # 40 updates of lengths up to 60, rounded up to 32 and 64
    assert applying == 1
    assert classifying == 2  # whole batches, and the last one


def test_recording_leaves_no_trace_in_what_work_changes():
    """Warm-up and recording run the work, as a CUDA graph's do."""
    moment = torch.zeros(2)

    def work(x):
        moment.add_(x)
        return (moment.clone(),)

    def capture(work, places):
        for _ in range(3):
            work(*places)
        return Tape()(work, places)

    step = Replayed(work, [moment], capture)
    assert step(torch.ones(2))[0].tolist() == [1, 1]
    assert step(torch.ones(2))[0].tolist() == [2, 2]


def test_on_the_cpu_nothing_is_recorded():
    assert replayed(len, CPU) is len


@GPU
def test_graphs_on_a_gpu_train_as_the_cpu_does():
    """A few updates: rounding differs, and training amplifies it."""
    cuda = torch.device("cuda")
    for ours, plain in zip(trained_counters(cuda), trained_counters(), strict=True):
        torch.testing.assert_close(ours, plain, atol=5e-3, rtol=5e-3)
    for ours, plain in zip(trained_classifier(cuda)[0], trained_classifier()[0], strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-3, rtol=1e-2)
