"""The networks' shapes and sizes, the confusion matrix, the train loop's promises."""

import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kuzu.confusion import class_accuracy, confusion_matrix, most_confused
from kuzu.data import load_kana
from kuzu.distort import bicubic
from kuzu.models import build, count_parameters, scaled
from kuzu.normalized import Normalized
from kuzu.recipes import CLASSIC, TUNED
from kuzu.train import TrainingDiverged, evaluate, seeded, train
from kuzu.vary import Variation, around, vary

SHORT = replace(CLASSIC, epochs=3)


@pytest.fixture(scope="module")
def data():
    return load_kana(300, 100)


@pytest.mark.parametrize(("net", "parameters"), [("lin", 7850), ("full", 79510), ("conv", 103856)])
def test_shapes_and_parameter_counts(net, parameters):
    model = build(net)
    rows, total = count_parameters(model)
    assert total == parameters == sum(count for *_, count in rows)
    assert total == sum(p.numel() for p in model.parameters())
    output = model(torch.rand(7, 28, 28))  # (N, 10)
    assert output.shape == (7, 10)
    assert torch.allclose(output.exp().sum(1), torch.ones(7))


def test_hidden_units_of_the_full_network():
    assert count_parameters(build("full", 17))[1] == 785 * 17 + 18 * 10


def test_conv_equals_the_textbook_network():
    """ReLU before pooling, images in rows of channels: as a textbook writes NetConv."""
    model = build("conv", generator=seeded(3))
    textbook = nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 50), nn.ReLU(), nn.Linear(50, 10), nn.LogSoftmax(1)),
    )
    textbook.load_state_dict(
        dict(zip(textbook.state_dict(), model.state_dict().values(), strict=True))
    )
    images = torch.rand(5, 28, 28, generator=seeded(4)) * 2 - 1
    labels = torch.arange(5)
    outputs = model(images), textbook(images[:, None])
    assert torch.allclose(*outputs, atol=1e-5)
    for output in outputs:
        F.nll_loss(output, labels).backward()
    for ours, theirs in zip(model.parameters(), textbook.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)


def test_initial_weights_are_distributed_as_pytorchs():
    for ours, theirs in zip(
        build("conv", generator=seeded(0)).parameters(), build_by_default(), strict=True
    ):
        if ours.numel() > 500:
            assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.05)
            assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.1)
        else:  # the bound alone: too few numbers for their spread
            assert ours.abs().max().item() <= 1 / 5 + 1e-6


def build_by_default():
    layers = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 5), nn.Linear(1024, 50), nn.Linear(50, 10)
    return [parameter for layer in layers for parameter in layer.parameters()]


def test_scaled_images_span_minus_one_to_one():
    assert scaled(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]


def test_confusion_matrix_equals_a_naive_count():
    rng = random.Random(5)
    targets = [rng.randrange(10) for _ in range(500)]
    predictions = [rng.randrange(10) for _ in range(500)]
    naive = [[0] * 10 for _ in range(10)]
    for target, predicted in zip(targets, predictions, strict=True):
        naive[target][predicted] += 1
    matrix = confusion_matrix(torch.tensor(targets), torch.tensor(predictions))
    assert matrix.tolist() == naive
    shares = [naive[i][i] / sum(naive[i]) for i in range(10)]
    assert class_accuracy(matrix).tolist() == pytest.approx(shares)
    wrong = sorted(
        ((naive[i][j], i, j) for i in range(10) for j in range(10) if i != j), reverse=True
    )
    pairs = most_confused(matrix, 10)
    assert [pair.count for pair in pairs] == [count for count, *_ in wrong[:10]]
    for pair in pairs:
        assert naive[pair.target][pair.predicted] == pair.count
        assert pair.share == pytest.approx(pair.count / sum(naive[pair.target]))


def test_a_perfect_matrix_has_no_confused_pairs():
    assert most_confused(torch.eye(10, dtype=torch.int64)) == []


@pytest.mark.parametrize("momentum", [0.5, 0.0])
def test_training_equals_a_plain_loop(data, momentum):
    """The train loop against torch.optim.SGD over batches taken by hand."""
    model = build("full", 20, seeded(1))
    plain = build("full", 20, seeded(1))
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.01, momentum=momentum)
    for number in (1, 2):
        order = torch.randperm(300, generator=seeded(1, number))
        total, right = 0.0, 0
        for batch in order.split(64):
            output = plain(data.train_images[batch].float() / 127.5 - 1)
            labels = data.train_labels[batch]
            loss = F.nll_loss(output, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
            right += int((output.argmax(1) == labels).sum())
    *_, last = train(model, data, replace(CLASSIC, epochs=2, momentum=momentum), seed=1)
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert last.train_loss == pytest.approx(total / 300, rel=1e-4)
    assert last.train_accuracy == pytest.approx(right / 300, abs=0.004)


@pytest.mark.parametrize("net", ["lin", "conv"])
def test_same_seed_same_network_other_seed_another(data, net):
    def trained(seed):
        model = build(net, generator=seeded(seed))
        list(train(model, data, replace(CLASSIC, epochs=1), seed))
        return model.output.weight

    assert torch.equal(trained(0), trained(0))
    assert not torch.allclose(trained(0), trained(1))


@pytest.mark.parametrize("net", ["full", "conv"])
def test_resumed_equals_uninterrupted(data, net):
    whole = build(net, generator=seeded(7))
    *_, expected = train(whole, data, SHORT, seed=7)
    model = build(net, generator=seeded(7))
    (first,) = train(model, data, replace(SHORT, epochs=1), seed=7)
    *_, resumed = train(model, data, SHORT, 7, 1, first.optimizer.state_dict())
    assert resumed.number == expected.number == 3
    assert resumed.test.loss == expected.test.loss
    for ours, theirs in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_huge_learning_rate_is_reported(data):
    with pytest.raises(TrainingDiverged, match="epoch"):
        list(train(build("lin", generator=seeded(0)), data, replace(SHORT, lr=1e38), seed=0))


def test_evaluation_is_the_mean_over_images(data):
    model = build("lin", generator=seeded(0))
    whole = evaluate(model, data.test_images, data.test_labels)
    parts = evaluate(model, data.test_images, data.test_labels, batch_size=7)
    assert whole.loss == pytest.approx(parts.loss, rel=1e-5)
    assert torch.equal(whole.predictions, parts.predictions)
    right = (whole.predictions == data.test_labels).float().mean().item()
    assert whole.accuracy == pytest.approx(right)
    assert whole.total == 100


@pytest.mark.parametrize("net", ["lin", "full", "conv"])
def test_the_tuned_recipe_resumed_equals_uninterrupted(data, net):
    """The folded network is not the one that is trained: both must be in the checkpoint."""
    recipe = replace(TUNED[net], epochs=3, evaluate_every=1, batch_size=50)
    whole = build(net, generator=seeded(7))
    *_, expected = train(whole, data, recipe, seed=7)
    model = build(net, generator=seeded(7))
    first = next(train(model, data, recipe, seed=7))
    state = {name: value.clone() for name, value in first.optimizer.state_dict().items()}
    *_, resumed = (
        train(build(net), data, recipe, 7, 1, state)
        if net == "conv"
        else train(model, data, recipe, 7, 1, state)
    )
    assert resumed.test.loss == expected.test.loss
    assert sum(p.numel() for p in whole.parameters()) == count_parameters(build(net))[1]


def test_tuned_records_come_as_often_as_it_evaluates(data):
    recipe = replace(TUNED["lin"], epochs=5, evaluate_every=2)
    assert [epoch.number for epoch in train(build("lin"), data, recipe)] == [2, 4, 5]


def test_adamw_equals_torchs(data):
    """One cycle of the rate included; torch.optim.AdamW over batches taken by hand."""
    recipe = replace(
        CLASSIC, epochs=2, lr=0.01, momentum=0.9, optimizer="adamw", weight_decay=0.3, warm_up=0.4
    )
    model, plain = build("full", 20, seeded(1)), build("full", 20, seeded(1))
    optimizer = torch.optim.AdamW(plain.parameters(), betas=(0.9, 0.99), weight_decay=0.3)
    n_updates = 0
    for number in (1, 2):
        for batch in torch.randperm(300, generator=seeded(1, number)).split(64):
            optimizer.param_groups[0]["lr"] = recipe.rate(n_updates / 10)
            n_updates += 1
            loss = F.nll_loss(plain(scaled(data.train_images[batch])), data.train_labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    list(train(model, data, recipe, seed=1))
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    assert [recipe.rate(part) for part in (0, 0.2, 0.4, 0.7)] == pytest.approx(
        [0, 0.005, 0.01, 0.005]
    )


def test_label_smoothing_is_torchs(data):
    recipe = replace(CLASSIC, epochs=1, batch_size=300, label_smoothing=0.2)
    model, plain = build("full", 20, seeded(1)), build("full", 20, seeded(1))
    list(train(model, data, recipe, seed=1))
    outputs = plain(scaled(data.train_images))
    F.cross_entropy(outputs, data.train_labels, label_smoothing=0.2).backward()
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs - 0.01 * theirs.grad, atol=1e-6)


@pytest.mark.parametrize("net", ["full", "conv"])
def test_normalization_folds_into_the_weights(data, net):
    """The plain network does what the normalized one does to all images as one batch, and
    torch.nn.BatchNorm does during training what ours does."""
    normalized = Normalized(build(net, 20, seeded(2)))
    with torch.no_grad():
        for k, layer in enumerate(normalized.gain):
            normalized.gain[layer].uniform_(-2, 2, generator=seeded(k))  # its size counts alone
            normalized.shift[layer].uniform_(-1, 1, generator=seeded(k))
    images = data.train_images[:250]
    plain = build(net, 20)
    normalized.fold_into(plain, images)
    assert torch.allclose(plain(scaled(images)), normalized(scaled(images)), atol=1e-3)
    x = torch.randn(9, 32, 4, 4, generator=seeded(5))
    if net == "conv":
        layer = nn.BatchNorm2d(32)
        layer.bias = normalized.shift["conv1"]
        layer.weight = nn.Parameter(normalized.gain["conv1"].abs())
        assert torch.allclose(layer(x), normalized._normalize("conv1", x), atol=1e-6)
    assert normalized(scaled(images[:1])).isfinite().all()


def test_varied_images(data):
    """Variation off is the images themselves; each part of it changes them, reproducibly."""
    off = Variation(turn=0, slant=0, scale=0, shift=0, elastic=0)
    images = data.train_images[:40]
    torch.testing.assert_close(vary(images, off, seeded(0)), images.float(), atol=0.02, rtol=0)
    for part in ({"turn": 0.3}, {"elastic": 0.1}, {"thickness": 1.0}, {"cutout": 8}):
        variation = replace(off, **part)
        one, again, other = (vary(images, variation, seeded(seed)) for seed in (1, 1, 2))
        assert torch.equal(one, again)
        assert not torch.allclose(one, other, atol=1)
        assert -0.01 <= one.min() and one.max() <= 255.01
    for extreme, largest in ((torch.maximum, 1), (torch.minimum, -1)):
        expected = largest * F.max_pool2d(largest * images[:, None].float(), 3, 1, 1)[:, 0]
        assert torch.equal(around(images, extreme).float(), expected)
    white = torch.full((400, 28, 28), 255, dtype=torch.uint8)
    cut = vary(white, replace(off, cutout=8), seeded(3)) == 0
    assert 0.4 < cut.flatten(1).any(1).float().mean() < 0.6
    assert cut.flatten(1).sum(1).max() == 64


def test_nesterov_and_weight_decay_are_torchs(data):
    options = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True}
    model, plain = build("full", 20, seeded(1)), build("full", 20, seeded(1))
    optimizer = torch.optim.SGD(plain.parameters(), **options)
    for batch in torch.randperm(300, generator=seeded(1, 1)).split(64):
        loss = F.nll_loss(plain(scaled(data.train_images[batch])), data.train_labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    list(train(model, data, replace(CLASSIC, epochs=1, **options), seed=1))
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_bicubic_interpolation_is_torchs():
    field = torch.randn(3, 1, 6, 6, generator=seeded(0))
    expected = F.interpolate(field, size=(28, 28), mode="bicubic", align_corners=True)
    ours = bicubic(28, 6) @ field @ bicubic(28, 6).T
    assert torch.allclose(ours, expected, atol=1e-5)
