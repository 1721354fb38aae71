"""Whole trainings on a GPU, in seconds: what bench.py gpu prints. Recorded steps leave nothing to
compare them with, so these are absolute figures."""

import time

NETS = {"lin": 1, "full": 1, "conv": 2}  # seconds we want an epoch's ten to stay below
COUNTERS = 20  # and the counters' training


def timings(device, n_images=60_000, epochs=10, n_networks=256, n_sequences=100_000):
    """Rows of name, seconds and the most we want: the three classifiers of Part 1, batches of 64,
    on n_images images, evaluation and the first epoch, with its recording, left out; and n_networks
    LSTM-3 on a^n b^n, n_sequences each, recording included, by both recipes."""
    from dataclasses import replace

    from kuzu.data import load_kana
    from kuzu.models import build
    from kuzu.recipes import CLASSIC
    from kuzu.train import seeded, train

    data = load_kana(n_images // 10, 100)
    images, labels = data.train_images.repeat(10, 1, 1), data.train_labels.repeat(10)
    data = replace(data, train_images=images, train_labels=labels).to(device)
    for net, most in NETS.items():
        model = build(net, generator=seeded(0)).to(device)
        records = train(model, data, replace(CLASSIC, epochs=epochs + 1))
        seconds = sum(record.seconds for record in records if record.number > 1)
        yield f"Net{net.capitalize()}, {epochs} epochs of {n_images:,} images", seconds, most
    for name in ("usual", "far"):
        seconds = counting_seconds(name, n_networks, n_sequences, device)
        yield f"{n_networks} LSTM-3, {n_sequences:,} sequences, {name}", seconds, COUNTERS


def counting_seconds(name, n_networks, n_sequences, device):
    from anbn.languages import CountingLanguage
    from anbn.recipes import RECIPES, with_options
    from anbn.train import build, train

    language = CountingLanguage.named("anbn")
    recipe = with_options(RECIPES[name](language, "lstm", 3), n_sequences=n_sequences)
    model = build(language, "lstm", 3, range(n_networks), recipe, device)
    start = time.perf_counter()
    for _ in train(model, language, recipe, range(n_networks), judge=False):
        pass
    return time.perf_counter() - start
