"""Batch normalization against torch.nn.BatchNorm, and folded into the weights."""

import pytest
import torch
from torch import nn

from kuzu.batchnorm import EPSILON, BatchNormalized, fold_batchnorm, sync_eval_model
from kuzu.data import load_kana
from kuzu.models import build, scaled
from kuzu.train import seeded


@pytest.fixture(scope="module")
def images():
    return load_kana(250, 1).train_images


def normalized(net):
    """A network with some gains below zero, of which the size counts alone, and shifts."""
    trained = BatchNormalized(build(net, 20, seeded(2)))
    with torch.no_grad():
        for k, layer in enumerate(trained.gain):
            trained.gain[layer].uniform_(-2, 2, generator=seeded(k))
            trained.shift[layer].uniform_(-1, 1, generator=seeded(k))
    return trained


def torchs(trained, layer, kind):
    module = kind(len(trained.gain[layer]), eps=EPSILON)
    module.weight = nn.Parameter(trained.gain[layer].abs())
    module.bias = trained.shift[layer]
    return module


@pytest.mark.parametrize(
    ("layer", "kind", "shape"),
    [("conv1", nn.BatchNorm2d, (9, 32, 4, 4)), ("hidden", nn.BatchNorm1d, (9, 50))],
)
def test_a_layer_is_normalized_as_torch_does(layer, kind, shape):
    trained = normalized("conv")
    x = torch.randn(shape, generator=seeded(5))
    expected = torchs(trained, layer, kind)(x)
    assert torch.allclose(expected, trained.norm(layer, x), atol=1e-6)


@pytest.mark.parametrize("layer", [nn.Linear(7, 3), nn.Conv2d(2, 3, 2)])
def test_a_folded_layer_is_torchs_evaluated_batchnorm(layer):
    x = torch.randn(5, *((7,) if layer.weight.dim() == 2 else (2, 6, 6)), generator=seeded(1))
    kind = nn.BatchNorm1d if layer.weight.dim() == 2 else nn.BatchNorm2d
    norm = kind(3, eps=EPSILON).eval()
    with torch.no_grad():
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
            values.uniform_(0.5, 2, generator=seeded(2))
        expected = norm(layer(x))
        fold_batchnorm(layer, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        assert torch.allclose(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize("net", ["full", "conv"])
def test_the_plain_network_does_what_the_trained_one_does(images, net):
    """To all images as one batch."""
    trained, plain = normalized(net), build(net, 20)
    sync_eval_model(trained, plain, images)
    assert torch.allclose(plain(scaled(images)), trained(scaled(images)), atol=1e-3)


@pytest.mark.parametrize("net", ["full", "conv"])
def test_a_batch_of_one_image_has_gradients(images, net):
    trained = normalized(net)
    output = trained(scaled(images[:1]))
    gradients = torch.autograd.grad(output[0, 3], list(trained.parameters()))
    assert output.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients)
