"""A 5 x 5 convolution in a sixth of the multiplications (Winograd 1980; Lavin & Gray 2016).

    y = convolve(x, layer.weight)   # layer(x) without its bias, within rounding

Four outputs of a convolution with five weights are coefficients of a product of polynomials, which
follows from its values at eight points: 8 multiplications instead of 20, and in two dimensions 64
instead of 400. What remains are products of matrices.
"""

import functools

import torch
import torch.nn.functional as F

OUTPUTS, TAPS = 4, 5  # outputs of a tile, weights: both per dimension
SIDE = OUTPUTS + TAPS - 1  # pixels of a tile
POINTS = (0, 1, -1, 2, -2, 0.5, -0.5)  # and infinity; none is large, so that rounding stays small


@functools.cache
@torch.inference_mode(False)  # or what an evaluation keeps here would not do for training
def transforms(size, dtype):
    """What pixels, weights and products are multiplied by: (8 T, size) for the T tiles of a row of
    pixels, (64, 25) and (16, 64) for both dimensions at once."""
    points = torch.tensor(POINTS, dtype=torch.float64)[:, None]

    def values(n):
        """Of polynomials with n coefficients at the eight points; at infinity the last one."""
        return torch.cat((points ** torch.arange(n), torch.eye(n)[-1:]))  # (8, n)

    weights, outputs = values(TAPS), values(OUTPUTS).T  # (8, 5), (4, 8)
    tiles = [
        F.pad(torch.linalg.inv(values(SIDE)).T, (start, size - SIDE - start))
        for start in range(0, size - TAPS + 1, OUTPUTS)
    ]
    pixels = torch.stack(tiles, 1).flatten(0, 1)  # (8 T, size)
    both = pixels, torch.kron(weights, weights), torch.kron(outputs, outputs)
    return [matrix.to(dtype) for matrix in both]


def convolve(x, weight):
    """F.conv2d of images (N, C, S, S) and weights (K, C, 5, 5): (N, K, S - 4, S - 4), whose size
    is a multiple of 4. On the CPU with the channels last in memory; elsewhere F.conv2d itself."""
    if not x.is_cpu:
        return F.conv2d(x, weight)
    (n, c, size, _), k = x.shape, len(weight)
    pixels, weights, outputs = transforms(size, x.dtype)
    t = len(pixels) // SIDE
    x = pixels @ x.permute(2, 3, 0, 1).reshape(size, -1)  # (8 T, S N C)
    x = pixels @ x.view(SIDE * t, size, n * c)  # (8 T, 8 T, N C)
    x = x.view(SIDE, t, SIDE, -1).transpose(1, 2).reshape(SIDE**2, -1, c)  # (64, T T N, C)
    weight = weights @ weight.permute(2, 3, 1, 0).reshape(TAPS**2, -1)
    y = x @ weight.view(SIDE**2, c, k)  # (64, T T N, K)
    y = (outputs @ y.view(SIDE**2, -1)).view(OUTPUTS, OUTPUTS, t, t, n, k)
    y = y.permute(4, 2, 0, 3, 1, 5).reshape(n, t * OUTPUTS, t * OUTPUTS, k)
    return y.permute(0, 3, 1, 2)
