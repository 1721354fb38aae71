"""The convolution by Winograd's method against torch's."""

import pytest
import torch
import torch.nn.functional as F

from kuzu.train import seeded
from kuzu.winograd import convolve, transforms


@pytest.mark.rounding
@pytest.mark.parametrize("size", [8, 12, 20])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-4), (torch.float64, 1e-13)])
def test_outputs_and_gradients_are_torchs(size, dtype, error):
    generator = seeded(0)
    x = torch.rand(3, 4, size, size, generator=generator, dtype=torch.float64) * 2 - 1
    weight = (torch.rand(6, 4, 5, 5, generator=generator, dtype=torch.float64) * 2 - 1) / 10
    seen = torch.rand(3, 6, size - 4, size - 4, generator=generator, dtype=torch.float64)
    results = []
    for function, kind in ((convolve, dtype), (F.conv2d, torch.float64)):
        inputs = [values.to(kind).requires_grad_() for values in (x, weight)]
        output = function(*inputs)
        results.append([output, *torch.autograd.grad((output * seen).sum(), inputs)])
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == dtype and ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < error * theirs.abs().max()


def test_outputs_lie_as_a_convolution_with_channels_last_lays_them():
    output = convolve(torch.rand(2, 3, 12, 12), torch.rand(5, 3, 5, 5))
    assert output.is_contiguous(memory_format=torch.channels_last)


def test_evaluated_first_and_differentiated_later():
    """What is kept of the first call must serve gradients too."""
    transforms.cache_clear()
    with torch.inference_mode():
        convolve(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 5, 5))
    weight = torch.rand(1, 1, 5, 5, requires_grad=True)
    convolve(torch.rand(1, 1, 8, 8), weight).sum().backward()
    assert weight.grad.isfinite().all()
