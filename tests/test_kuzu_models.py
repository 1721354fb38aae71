"""The three networks: shapes, sizes, textbook forms, initial weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kuzu.models import build, count_parameters, scaled
from kuzu.train import seeded


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


@pytest.mark.rounding
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
