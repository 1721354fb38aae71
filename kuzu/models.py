"""NetLin, NetFull, NetConv: the three classifiers of the coursework, with its exact sizes.

    NetLin    784-10                                                                7,850 parameters
    NetFull   784-100-10, tanh                                                     79,510
    NetConv   conv 5x5 1-32, ReLU, pool 2, conv 5x5 32-64, ReLU, pool 2,
              linear 1024-50, ReLU, linear 50-10                                  103,856

All read images (N, 28, 28) scaled to -1..1 and return log-probabilities (N, 10).
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

N_PIXELS, N_CLASSES = 28 * 28, 10


class ModelError(ValueError):
    """There is no such network."""


class NetLin(nn.Module):
    """Logistic regression on the pixels."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(N_PIXELS, N_CLASSES)

    def forward(self, images):
        return F.log_softmax(self.output(images.flatten(1)), dim=1)


class NetFull(nn.Module):
    """One hidden layer of `hid` tanh units."""

    def __init__(self, hid=100):
        super().__init__()
        self.hidden = nn.Linear(N_PIXELS, hid)
        self.output = nn.Linear(hid, N_CLASSES)

    def forward(self, images):
        hidden = torch.tanh(self.hidden(images.flatten(1)))  # (N, hid)
        return F.log_softmax(self.output(hidden), dim=1)


class NetConv(nn.Module):
    """Two convolutions with pooling, one hidden layer of 50 ReLU units."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.hidden = nn.Linear(1024, 50)
        self.output = nn.Linear(50, N_CLASSES)

    def forward(self, images):
        # the maximum of a block is the same before and after ReLU; pooling first leaves ReLU a
        # quarter of the values
        maps = F.relu(F.max_pool2d(self.conv1(images[:, None]), 2))  # (N, 32, 12, 12)
        maps = F.relu(F.max_pool2d(self.conv2(maps), 2))  # (N, 64, 4, 4)
        hidden = F.relu(self.hidden(maps.flatten(1)))  # (N, 50)
        return F.log_softmax(self.output(hidden), dim=1)


NETS = {"lin": NetLin, "full": NetFull, "conv": NetConv}


def make(net, generator, hid=100):
    """The network called "lin", "full" or "conv" with initial weights from `generator`: uniform
    in +-1/sqrt(inputs of a unit), biases too, as PyTorch draws them. Raises ModelError."""
    if net not in NETS:
        raise ModelError(f"unknown network {net!r}; choose lin, full or conv")
    if hid < 1:
        raise ModelError(f"{hid} hidden units make no network; at least 1 is needed")
    model = NetFull(hid) if net == "full" else NETS[net]()
    with torch.no_grad():
        for layer in model.children():
            bound = 1 / math.sqrt(layer.weight[0].numel())
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
    return model


def parameter_counts(model):
    """Rows (layer, shape of its weights, weights, biases) in order, for a table."""
    return [
        (name, tuple(layer.weight.shape), layer.weight.numel(), layer.bias.numel())
        for name, layer in model.named_children()
    ]
