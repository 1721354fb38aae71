"""Gradients by hand against autograd's, and when they are used."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from kuzu.backprop import autograd, backprop, fastest
from kuzu.batchnorm import BatchNormalized
from kuzu.models import build
from kuzu.train import seeded


class Full(nn.Module):
    """NetFull as it was before a newcomer changed it."""

    def __init__(self):
        super().__init__()
        self.hidden, self.output = nn.Linear(784, 30), nn.Linear(30, 10)

    def forward(self, images):
        return F.log_softmax(self.output(torch.tanh(self.hidden(images.flatten(1)))), 1)


class Deep(Full):
    """Two hidden layers: one that a newcomer has added."""

    def __init__(self):
        super().__init__()
        del self.output
        self.second, self.output = nn.Linear(30, 20), nn.Linear(20, 10)

    def forward(self, images):
        x = torch.tanh(self.second(torch.tanh(self.hidden(images.flatten(1)))))
        return F.log_softmax(self.output(x), 1)


class Rectified(Full):
    """As many layers, another activation function."""

    def forward(self, images):
        return F.log_softmax(self.output(F.relu(self.hidden(images.flatten(1)))), 1)


class Sum(Full):
    """Two layers side by side."""

    def __init__(self):
        super().__init__()
        self.output, self.direct = nn.Linear(30, 10), nn.Linear(784, 10)

    def forward(self, images):
        x = images.flatten(1)
        return F.log_softmax(self.output(torch.tanh(self.hidden(x))) + self.direct(x), 1)


class Unbiased(Full):
    """A layer without biases."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 30, bias=False)


@pytest.fixture
def batch():
    images = torch.rand(7, 28, 28, generator=seeded(1)) * 2 - 1
    return images, torch.tensor([3, 1, 4, 1, 5, 9, 2])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("model", [build("lin"), build("full", 20), Deep()])
def test_backprop_gives_what_autograd_does(model, batch, smoothing):
    model, images = model.double(), batch[0].double()
    output, gradients = backprop(model, images, batch[1], smoothing)
    expected, theirs = autograd(model, images, batch[1], smoothing)
    assert torch.allclose(output, expected, atol=1e-12)
    for parameter, found, gradient in zip(model.parameters(), gradients, theirs, strict=True):
        assert found.shape == parameter.shape
        assert torch.allclose(found, gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "model, expected",
    [
        (build("lin"), backprop),
        (build("full"), backprop),
        (Deep(), backprop),
        (Rectified(), autograd),  # whatever its layers are, its gradients are its own
        (Sum(), autograd),
        (Unbiased(), autograd),
        (build("conv"), autograd),
        (BatchNormalized(build("full")), autograd),
    ],
)
def test_backprop_is_used_where_it_is_right(model, expected, batch):
    assert fastest(model, *batch) is expected
