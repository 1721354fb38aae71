"""Bend a whole batch of images at random, in one resampling: slant, turn, scale, shift, elastic.

Used to draw the built-in set (kana.py) and to vary the training images of the tuned recipe. Each
image's random numbers are drawn on the CPU, so a seed means the same picture on every device.
"""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Distortion:
    """How much images vary. Each figure is the largest value of a uniform draw, except elastic."""

    turn: float = 0.0  # radians
    slant: float = 0.0  # horizontal shift per vertical unit
    scale: float = 0.0  # log of the size, for width and height separately
    shift: float = 0.0  # in half image widths
    elastic: float = 0.0  # standard deviation of the control points' displacement, half widths
    control_points: int = 5  # per side of the elastic grid


def distort(images, distortion, generator, size=None, field=None):
    """Return `images` resampled through random smooth maps, one map per image.

    images: (N, 1, R, R) float. generator: a CPU torch.Generator. size: side of the result, the
    images' own if None. field: (N, C, C, 2) displacements of control points added to the random
    ones, in half widths. Pixels from outside an image repeat its border. Returns
    (N, 1, size, size).
    """
    n = len(images)
    size = size or images.shape[-1]
    device = images.device
    grid = affine_grid(n, size, distortion, generator, device=device)  # (N, size, size, 2)
    if distortion.elastic:
        c = distortion.control_points
        random_field = torch.randn(n, c, c, 2, generator=generator) * distortion.elastic
        field = random_field if field is None else field + random_field
    if field is not None:
        field = field.to(device)
        smooth = bicubic(size, field.shape[1]).to(device)  # (size, C)
        rows = torch.einsum("yc,ncdk->nydk", smooth, field)  # (N, size, C, 2)
        grid = grid + torch.einsum("xd,nydk->nyxk", smooth, rows)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


@functools.cache
def bicubic(size, n_points):
    """The matrix (size, n_points) that interpolates values at n_points places, from border to
    border, at size places: bicubic interpolation is this product along both axes."""
    points = torch.eye(n_points)[:, None, :, None]  # (C, 1, C, 1)
    places = F.interpolate(points, size=(size, 1), mode="bicubic", align_corners=True)
    return places[:, 0, :, 0].T.contiguous()


def affine_grid(n, size, distortion, generator, align_corners=False, device="cpu"):
    """Sampling positions (n, size, size, 2) of n random affine maps of the square [-1, 1]^2:
    for the centres of size x size pixels or, with align_corners, for points up to its border."""

    def uniform(columns, largest):
        return (torch.rand(n, columns, generator=generator) * 2 - 1) * largest

    angle = uniform(1, distortion.turn)  # (N, 1)
    slant = uniform(1, distortion.slant)
    scale = torch.exp(uniform(2, distortion.scale))  # (N, 2) width, height
    shift = uniform(2, distortion.shift)
    cos, sin = torch.cos(angle), torch.sin(angle)
    turned = torch.stack((torch.cat((cos, -sin), 1), torch.cat((sin, cos), 1)), 1)  # (N, 2, 2)
    slanted = torch.eye(2).repeat(n, 1, 1)
    slanted[:, 0, 1] = slant[:, 0]
    linear = turned @ slanted * scale[:, None, :]  # (N, 2, 2)
    maps = torch.cat((linear, shift[:, :, None]), 2).to(device)  # (N, 2, 3)
    return F.affine_grid(maps, (n, 1, size, size), align_corners)
