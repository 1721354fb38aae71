"""Batch normalization that is gone when the training is over (Ioffe & Szegedy 2015).

During training what a hidden layer passes on is normalized over the batch, channel by channel, then
scaled and shifted by learned amounts: after pooling, where a quarter of the values is left. With
the mean and variance over all training images in place of the batch's this is a linear map, and,
its gain being positive, does the same before pooling: it is folded into the layer's weights, and
the network that is evaluated, counted and saved is the plain one.

    (w x + b - mean) / std * gain + shift  =  (w gain / std) x + (b - mean) gain / std + shift
"""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from .models import scaled

EPSILON = 1e-5
BATCH = 500  # images whose statistics are taken at once


class Normalized(nn.Module):
    """A copy of `model` with normalization after every layer but the last."""

    def __init__(self, model):
        super().__init__()
        self.model = copy.deepcopy(model)
        layers = dict(list(model.named_children())[:-1])
        device = next(model.parameters()).device
        self.gain, self.shift = (
            nn.ParameterDict(
                {
                    name: nn.Parameter(torch.full((len(layer.bias),), value, device=device))
                    for name, layer in layers.items()
                }
            )
            for value in (1.0, 0.0)
        )

    def forward(self, images):
        return self.model(images, self._normalize)

    def _normalize(self, layer, x):
        gain, shift = self.gain[layer].abs(), self.shift[layer]
        if x.numel() == x.shape[1]:  # a batch of one: each value is its own mean
            return 0 * x + shift
        return F.batch_norm(x, None, None, gain, shift, training=True, eps=EPSILON)

    @torch.no_grad()
    def fold_into(self, model, images):
        """Make `model` the plain network that does what this one does on images (N, 28, 28), from
        0 to 255, taken together."""
        statistics = {name: [] for name in self.gain}

        def look(layer, x):
            axes = [axis for axis in range(x.dim()) if axis != 1]
            statistics[layer].append(torch.stack((x.mean(axes), x.square().mean(axes))))
            return self._normalize(layer, x)

        parts = images.split(BATCH)
        if len(parts) > 1 and len(parts[-1]) < BATCH:  # every part weighs the same
            parts = parts[:-1]
        for part in parts:
            self.model(scaled(part), look)
        model.load_state_dict(self.model.state_dict())
        for name, moments in statistics.items():
            mean, square = torch.stack(moments).mean(0)  # (channels,) each
            factor = self.gain[name].abs() * (square - mean.square() + EPSILON).rsqrt()
            layer = getattr(model, name)
            layer.weight.mul_(factor.view(-1, *[1] * (layer.weight.dim() - 1)))
            layer.bias.sub_(mean).mul_(factor).add_(self.shift[name])
