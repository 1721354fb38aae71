"""Batch normalization during training, folded into the weights afterwards (Ioffe & Szegedy 2015).

During training what a hidden layer passes on is normalized over the batch, channel by channel, then
scaled and shifted by learned amounts. With the mean and variance over all training images in place
of the batch's this is a linear map: it is folded into the layer's weights, and the network that is
evaluated, counted and saved is the plain one. (NetConv is normalized after pooling, where a quarter
of the values is left; the gain being positive, the folded map does the same before pooling.)

    (w x + b - mean) / std * gain + shift  =  (w gain / std) x + (b - mean) gain / std + shift
"""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from .models import scaled

EPSILON = 1e-5
BATCH_SIZE = 500  # images whose statistics are taken at once


class BatchNormalized(nn.Module):
    """A copy of `model` with batch normalization after every layer but the last."""

    def __init__(self, model):
        super().__init__()
        self.model = copy.deepcopy(model)
        self.gain, self.shift = nn.ParameterDict(), nn.ParameterDict()
        for name, layer in list(self.model.named_children())[:-1]:
            self.gain[name] = nn.Parameter(torch.ones_like(layer.bias))
            self.shift[name] = nn.Parameter(torch.zeros_like(layer.bias))

    def forward(self, images):
        return self.model(images, self.norm)

    def norm(self, layer, x):
        """x (N, channels) or (N, channels, rows, columns), normalized over all axes but channels;
        of the gain its size counts alone."""
        gain, shift = self.gain[layer].abs(), self.shift[layer]
        if x.numel() == x.shape[1]:  # one value per channel is its own mean
            return (x - x) * gain + shift
        return F.batch_norm(x, None, None, gain, shift, training=True, eps=EPSILON)


@torch.no_grad()
def sync_eval_model(trained, model, images):
    """Make the plain `model` do what the BatchNormalized `trained` does with the statistics of
    uint8 or float images (N, 28, 28) from 0 to 255."""
    statistics = {name: [] for name in trained.gain}

    def observe(layer, x):
        axes = [axis for axis in range(x.dim()) if axis != 1]
        statistics[layer].append(torch.stack((x.mean(axes), x.square().mean(axes))))
        return trained.norm(layer, x)

    parts = images.split(BATCH_SIZE)
    if len(parts) > 1 and len(parts[-1]) < BATCH_SIZE:  # every part weighs the same
        parts = parts[:-1]
    for part in parts:
        trained.model(scaled(part), observe)
    model.load_state_dict(trained.model.state_dict())
    for name, moments in statistics.items():
        mean, square = torch.stack(moments).mean(0)  # (channels,) each
        layer, gain = getattr(model, name), trained.gain[name].abs()
        fold_batchnorm(layer, mean, square - mean.square(), gain, trained.shift[name])


@torch.no_grad()
def fold_batchnorm(layer, mean, variance, gain, shift):
    """Fold the normalization of a layer's output, all (channels,), into its weights and bias."""
    factor = gain * (variance + EPSILON).rsqrt()
    layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.dim() - 1)))
    layer.bias.sub_(mean).mul_(factor).add_(shift)
