"""Linear, MLP and CNN classifiers of images (N, 28, 28) scaled to [-1, 1].

    NetLin    784 - 10                                                     7,850 parameters
    NetFull   784 - 100 tanh - 10                                         79,510
    NetConv   conv 5x5 32, pool, conv 5x5 64, pool, 1024 - 50 - 10       103,856

Each returns log-probabilities (N, 10). `norm(layer, x)` may normalize what a hidden layer passes to
its activation function; see batchnorm.py.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .winograd import convolve


def identity(layer, x):
    """No normalization."""
    return x


class NetLin(nn.Module):
    """Logistic regression."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(784, 10)

    def forward(self, images, norm=identity):
        return F.log_softmax(self.output(images.flatten(1)), 1)


class NetFull(nn.Module):
    """A multi-layer perceptron with one hidden layer of tanh units."""

    def __init__(self, n_hidden=100):
        super().__init__()
        self.hidden = nn.Linear(784, n_hidden)
        self.output = nn.Linear(n_hidden, 10)

    def forward(self, images, norm=identity):
        x = torch.tanh(norm("hidden", self.hidden(images.flatten(1))))  # (N, H)
        return F.log_softmax(self.output(x), 1)


class NetConv(nn.Module):
    """Two convolutions, each with 2 x 2 max-pooling and ReLU, then a hidden layer."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.hidden = nn.Linear(1024, 50)
        self.output = nn.Linear(50, 10)
        self.to(memory_format=torch.channels_last)  # faster convolutions

    def forward(self, images, norm=identity):
        # Pooling before the bias and the ReLU gives the same result, with a quarter of their work.
        x = F.max_pool2d(self.conv1(images[:, None]), 2)  # (N, 32, 12, 12)
        x = F.relu(norm("conv1", x))
        x = F.max_pool2d(convolve(x, self.conv2.weight), 2)  # (N, 64, 4, 4)
        x = F.relu(norm("conv2", x + self.conv2.bias[:, None, None]))
        x = F.relu(norm("hidden", self.hidden(x.flatten(1))))  # (N, 50)
        return F.log_softmax(self.output(x), 1)


NETS = {"lin": NetLin, "full": NetFull, "conv": NetConv}


def build(net, n_hidden=100, generator=None):
    """A new network "lin", "full" (with n_hidden units) or "conv". Its weights and biases are drawn
    from a CPU torch.Generator, as PyTorch does by default: uniform on +-1/sqrt(fan-in)."""
    model = NetFull(n_hidden) if net == "full" else NETS[net]()
    with torch.no_grad():
        for layer in model.children():
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for values in layer.parameters():  # weight, bias
                values.uniform_(-bound, bound, generator=generator)
    return model


def scaled(images, out=None):
    """Images from 0 to 255, of any type, as float32 ones on [-1, 1]: new ones, or the first of
    `out`."""
    out = images.new_empty(images.shape, dtype=torch.float32) if out is None else out[: len(images)]
    return out.copy_(images).sub_(127.5).div_(127.5)
