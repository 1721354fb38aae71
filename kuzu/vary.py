"""Vary training images, so that a network never sees the same one twice.

    vary(images, Variation(thickness=0.5, cutout=10), generator)   # a new epoch's images

Each image is drawn with a thicker or thinner pen, bent (distort.py), and now and then has a square
cut out of it (DeVries & Taylor 2017).
"""

from dataclasses import dataclass

import torch

from .distort import Distortion, distort

AT_ONCE = 512  # images, so that they fit the cache


@dataclass(frozen=True)
class Variation:
    """How much images vary. The first six as in distort.Distortion."""

    turn: float = 0.2
    slant: float = 0.2
    scale: float = 0.15
    shift: float = 0.1
    elastic: float = 0.05
    control_points: int = 6
    thickness: float = 0.0  # largest part of the way to a pen one pixel wider or narrower all round
    cutout: int = 0  # side of the square, in pixels
    cutout_share: float = 0.5  # of the images have a square cut out


def vary(images, variation, generator):
    """uint8 images (N, 28, 28) -> float32 images (N, 28, 28) from 0 to 255, each one varied.

    generator: a CPU torch.Generator; a seed means the same images on every device.
    """
    return torch.cat([_vary(part, variation, generator) for part in images.split(AT_ONCE)])


def around(images, extreme):
    """The largest or smallest value of each pixel of images (N, 28, 28) and its eight neighbours;
    extreme: torch.maximum or torch.minimum."""
    for axis in (1, 2):
        last = images.shape[axis] - 1
        before, after = images.narrow(axis, 0, last), images.narrow(axis, 1, last)
        pairs = extreme(before, after)
        ends = images.narrow(axis, 0, 1), images.narrow(axis, last, 1)
        images = extreme(torch.cat((ends[0], pairs), axis), torch.cat((pairs, ends[1]), axis))
    return images


def _vary(images, variation, generator):
    n, side, _ = images.shape
    device = images.device

    def draw(*shape):
        return torch.rand(*shape, generator=generator).to(device)

    x = images.float()  # (N, 28, 28)
    if variation.thickness:
        wider = (2 * draw(n, 1, 1) - 1) * variation.thickness
        thick, thin = (around(images, extreme) for extreme in (torch.maximum, torch.minimum))
        other = torch.where(wider > 0, thick, thin).float()
        x = torch.lerp(x, other, wider.abs())
    bent = Distortion(
        turn=variation.turn,
        slant=variation.slant,
        scale=variation.scale,
        shift=variation.shift,
        elastic=variation.elastic,
        control_points=variation.control_points,
    )
    x = distort(x[:, None], bent, generator)[:, 0]  # (N, 28, 28)
    if variation.cutout:
        row, column = draw(2, n, 1, 1) * side
        place = torch.arange(side, device=device)
        rows = (place[:, None] - row).abs() < variation.cutout / 2  # (N, 28, 1)
        columns = (place - column).abs() < variation.cutout / 2  # (N, 1, 28)
        cut = draw(n, 1, 1) < variation.cutout_share
        x = x.masked_fill(rows & columns & cut, 0.0)
    return x
