"""Augmentation of training images, so that a network never sees the same one twice.

    augment(images, Augmentation(thickness=0.5, cutout=10), generator)   # a new epoch's images

Each image is drawn with a thicker or thinner pen, moved by a random smooth map (turn, slant, scale,
shift, elastic) and now and then has a square cut out of it (DeVries & Taylor 2017). Random numbers
are drawn on the CPU, so that a seed means the same images on every device.
"""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F

CHUNK_SIZE = 512  # images at once, so that they fit the cache


@dataclass(frozen=True)
class Augmentation:
    """How much images vary. The first four are the largest value of a uniform draw."""

    turn: float = 0.0  # radians
    slant: float = 0.0  # horizontal shift per vertical unit
    scale: float = 0.0  # log of the size, for width and height separately
    shift: float = 0.0  # in half image widths
    elastic: float = 0.0  # standard deviation of the control points' displacement, half widths
    control_points: int = 5  # per side of the elastic grid
    thickness: float = 0.0  # largest part of the way to a pen one pixel wider or narrower all round
    cutout: int = 0  # side of the square, in pixels
    cutout_share: float = 0.5  # of the images have a square cut out


def augment(images, augmentation, generator):
    """uint8 images (N, 28, 28) -> float32 images (N, 28, 28) from 0 to 255, each one varied."""
    parts = (augment_chunk(part, augmentation, generator) for part in images.split(CHUNK_SIZE))
    return torch.cat(list(parts))


def augment_chunk(images, augmentation, generator):
    """`augment` for a few images: pen, smooth map, square."""
    n, side, _ = images.shape

    def draw(*shape):
        return torch.rand(*shape, generator=generator).to(images.device)

    x = images.float()  # (N, 28, 28)
    if augmentation.thickness:
        wider = (2 * draw(n, 1, 1) - 1) * augmentation.thickness
        thick, thin = (extreme_of_nine(images, f) for f in (torch.maximum, torch.minimum))
        x = torch.lerp(x, torch.where(wider > 0, thick, thin).float(), wider.abs())
    x = distort(x, augmentation, generator)
    if augmentation.cutout:
        row, column = draw(2, n, 1, 1) * side
        place = torch.arange(side, device=images.device)
        rows = (place[:, None] - row).abs() < augmentation.cutout / 2  # (N, 28, 1)
        columns = (place - column).abs() < augmentation.cutout / 2  # (N, 1, 28)
        chosen = draw(n, 1, 1) < augmentation.cutout_share
        x = x.masked_fill(rows & columns & chosen, 0.0)
    return x


def extreme_of_nine(images, extreme):
    """The largest or smallest value of each pixel of images (N, 28, 28) and its eight neighbours;
    extreme: torch.maximum or torch.minimum."""
    for axis in (1, 2):
        padded = torch.cat((images.narrow(axis, 0, 1), images, images.narrow(axis, -1, 1)), axis)
        images = functools.reduce(extreme, padded.unfold(axis, 3, 1).unbind(3))
    return images


def distort(images, augmentation, generator):
    """Images (N, R, R) resampled once through random smooth maps, one map per image. Pixels from
    outside an image repeat its border."""
    n, size, _ = images.shape
    grid = affine_grid(n, size, augmentation, generator, device=images.device)  # (N, R, R, 2)
    if augmentation.elastic:
        c = augmentation.control_points
        field = torch.randn(n, c, c, 2, generator=generator) * augmentation.elastic
        field, smooth = field.to(images.device), bicubic(size, c).to(images.device)  # (R, C)
        rows = torch.einsum("yc,ncdk->nydk", smooth, field)  # (N, R, C, 2)
        grid = grid + torch.einsum("xd,nydk->nyxk", smooth, rows)
    return F.grid_sample(images[:, None], grid, padding_mode="border", align_corners=False)[:, 0]


@functools.cache
def bicubic(size, n_points):
    """The matrix (size, n_points) that interpolates values at n_points places, from border to
    border, at size places: bicubic interpolation is this product along both axes."""
    points = torch.eye(n_points)[:, None, :, None]  # (C, 1, C, 1)
    places = F.interpolate(points, size=(size, 1), mode="bicubic", align_corners=True)
    return places[:, 0, :, 0].T.contiguous()


def affine_grid(n, size, augmentation, generator, align_corners=False, device="cpu"):
    """Sampling positions (n, size, size, 2) of n random affine maps of the square [-1, 1]^2:
    for the centres of size x size pixels or, with align_corners, for points up to its border."""

    def uniform(columns, largest):
        return (torch.rand(n, columns, generator=generator) * 2 - 1) * largest

    angle, slant = uniform(1, augmentation.turn), uniform(1, augmentation.slant)  # (N, 1)
    scale = torch.exp(uniform(2, augmentation.scale))  # (N, 2) width, height
    shift = uniform(2, augmentation.shift)
    cos, sin = torch.cos(angle), torch.sin(angle)
    turned = torch.stack((torch.cat((cos, -sin), 1), torch.cat((sin, cos), 1)), 1)  # (N, 2, 2)
    slanted = torch.eye(2).repeat(n, 1, 1)
    slanted[:, 0, 1] = slant[:, 0]
    linear = turned @ slanted * scale[:, None, :]  # (N, 2, 2)
    maps = torch.cat((linear, shift[:, :, None]), 2).to(device)  # (N, 2, 3)
    return F.affine_grid(maps, (n, 1, size, size), align_corners)
