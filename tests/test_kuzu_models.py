"""The three networks: shapes, sizes, textbook forms, initial weights."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kuzu.models import build, scaled
from kuzu.train import seeded


@pytest.mark.parametrize(("net", "parameters"), [("lin", 7850), ("full", 79510), ("conv", 103856)])
def test_shapes_and_parameter_counts(net, parameters):
    model = build(net)
    assert sum(p.numel() for p in model.parameters()) == parameters
    output = model(torch.rand(7, 28, 28))  # (N, 10)
    assert output.shape == (7, 10)
    assert torch.allclose(output.exp().sum(1), torch.ones(7))


@pytest.mark.rounding
def test_conv_equals_the_textbook_network():
    """ReLU before pooling, images in rows of channels: as a textbook writes NetConv."""
    model = build("conv", generator=seeded(3)).double()
    textbook = nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 50), nn.ReLU(), nn.Linear(50, 10), nn.LogSoftmax(1)),
    ).double()
    textbook.load_state_dict(
        dict(zip(textbook.state_dict(), model.state_dict().values(), strict=True))
    )
    images = torch.rand(5, 28, 28, generator=seeded(4)).double() * 2 - 1
    labels = torch.arange(5)
    outputs = model(images), textbook(images[:, None])
    assert torch.allclose(*outputs, rtol=0, atol=1e-10)
    for output in outputs:
        F.nll_loss(output, labels).backward()
    for ours, theirs in zip(model.parameters(), textbook.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=0, atol=1e-10)


def test_initial_weights_are_distributed_as_pytorchs():
    model = build("conv", generator=seeded(0))
    for ours, theirs in zip(model.parameters(), build_by_default(), strict=True):
        if ours.numel() > 500:  # or there are too few numbers for their spread
            assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.05)
            assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.1)
    for layer in model.children():
        bound = layer.weight[0].numel() ** -0.5
        for values in layer.parameters():
            assert bound / 2 < values.abs().max().item() < bound + 1e-6


def build_by_default():
    layers = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 5), nn.Linear(1024, 50), nn.Linear(50, 10)
    return [parameter for layer in layers for parameter in layer.parameters()]


def test_scaled_images_span_minus_one_to_one():
    assert scaled(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
