"""What a batch asks of a network: its log-probabilities and its objective's gradients.

    differentiate = fastest(model, x, y)
    outputs, gradients = differentiate(model, x, y)

`autograd` is for every network. Its bookkeeping takes a third of an update of the small ones, for
which `backprop` is the chain rule written out: linear layers with tanh between them.
"""

import contextlib

import torch
import torch.nn.functional as F
from torch import nn


def autograd(model, x, y, smoothing=0.0):
    """Log-probabilities (B, 10) of images x (B, 28, 28), and the gradients of their mean
    cross-entropy with the labels y (B,), in the parameters' order. smoothing: probability that the
    target shares among all characters."""
    output = model(x)
    objective = F.nll_loss(output, y)
    if smoothing:
        objective = (1 - smoothing) * objective - smoothing * output.mean()
    return output.detach(), torch.autograd.grad(objective, list(model.parameters()))


@torch.no_grad()
def backprop(model, x, y, smoothing=0.0):
    """What `autograd` returns (Rumelhart, Hinton & Williams 1986), where `model` has linear layers,
    one after the other, and nothing but tanh between them."""
    layers = list(model.children())
    inputs = [x.flatten(1)]  # of each layer
    for layer in layers[:-1]:
        inputs.append(torch.tanh(layer(inputs[-1])))
    output = F.log_softmax(layers[-1](inputs[-1]), 1)
    targets = torch.full_like(output, smoothing / output.shape[1])
    targets.scatter_(1, y[:, None], 1 - smoothing + smoothing / output.shape[1])
    delta = (output.exp() - targets) / len(y)  # gradient of a layer's net input
    gradients = ()
    for layer, values in zip(layers[::-1], inputs[::-1], strict=True):
        gradients = delta.T @ values, delta.sum(0), *gradients
        if values is not inputs[0]:
            delta = delta @ layer.weight * (1 - values.square())
    return output, gradients


def fastest(model, x, y):
    """`backprop` where it gives for this batch what `autograd` does, else `autograd`: a network
    whose forward pass is changed is still trained by its own gradients."""
    if not all(type(layer) is nn.Linear for layer in model.children()):
        return autograd
    (output, expected), same = autograd(model, x, y), False
    with contextlib.suppress(RuntimeError, ValueError):  # layers side by side, or without biases
        ours, found = backprop(model, x, y)
        pairs = zip((output, *expected), (ours, *found), strict=True)
        same = all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in pairs)
    return backprop if same else autograd
