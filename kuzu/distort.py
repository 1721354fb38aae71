"""Random distortion of many images in one batch: affine maps and smooth elastic displacement.

Used to draw the built-in characters with ever different hands, and by the tuned recipe to show a
network other images in every epoch. Everything is drawn from an explicit generator.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Distortion:
    """How far an image is distorted, each uniformly within +- the given size."""

    rotation: float = 0.0  # degrees
    slant: float = 0.0  # horizontal shift per unit of height
    scale: float = 0.0  # logarithm of the scale, each axis by itself
    shift: float = 0.0  # part of half the image's width
    elastic: float = 0.0  # standard deviation of displacements, part of half the width
    knots: int = 4  # displacements are drawn on a knots x knots grid and interpolated


def distort(images, distortion, generator, size=None):
    """images (N, h, w) float -> (N, size, size), each distorted by its own random map.

    size: of the result, h by default. What comes from outside the image takes the value of its
    border. Random numbers come from `generator`, on the CPU, whatever the images' device.
    """
    n, size = len(images), size or images.shape[-1]
    grid = _grid(n, size, distortion, generator).to(images.device)
    return F.grid_sample(
        images[:, None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[:, 0]


def _grid(n, size, distortion, generator):
    """Where each pixel of n results comes from: (n, size, size, 2) in -1..1, x before y."""

    def uniform(spread):
        return (2 * torch.rand(n, generator=generator) - 1) * spread

    angle = uniform(math.radians(distortion.rotation))
    slant, wide, high = uniform(distortion.slant), *(uniform(distortion.scale) for _ in range(2))
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], 1)
    one, zero = torch.ones(n), torch.zeros(n)
    shear = torch.stack([torch.stack([one, slant], -1), torch.stack([zero, one], -1)], 1)
    stretch = torch.diag_embed(torch.stack([wide.exp(), high.exp()], -1))
    move = torch.stack([uniform(distortion.shift), uniform(distortion.shift)], -1)
    affine = torch.cat([rotation @ shear @ stretch, move[..., None]], -1)  # (n, 2, 3)
    grid = F.affine_grid(affine, (n, 1, size, size), align_corners=False)
    if distortion.elastic:
        knots = torch.randn(n, 2, distortion.knots, distortion.knots, generator=generator)
        bend = F.interpolate(knots, size=(size, size), mode="bicubic", align_corners=True)
        grid = grid + distortion.elastic * bend.permute(0, 2, 3, 1)
    return grid
