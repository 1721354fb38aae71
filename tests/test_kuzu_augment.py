"""Augmentation of images: off it changes nothing, each part changes what it says."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from kuzu.augment import Augmentation, affine_grid, augment, bicubic, extreme_of_nine
from kuzu.data import load_kana
from kuzu.train import seeded

OFF = Augmentation()


@pytest.fixture(scope="module")
def images():
    return load_kana(600, 1).train_images


def test_off_is_the_images_themselves(images):
    torch.testing.assert_close(augment(images, OFF, seeded(0)), images.float(), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    "part", [{"turn": 0.3}, {"shift": 0.1}, {"elastic": 0.1}, {"thickness": 1.0}, {"cutout": 8}]
)
def test_the_same_seed_gives_the_same_images(images, part):
    one, again, other = (augment(images, replace(OFF, **part), seeded(s)) for s in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other, atol=1)
    assert not torch.allclose(one, images.float(), atol=1)
    assert -0.01 <= one.min() and one.max() <= 255.01


def test_pens_are_those_of_max_pooling(images):
    for extreme, sign in ((torch.maximum, 1), (torch.minimum, -1)):
        expected = sign * F.max_pool2d(sign * images[:40, None].float(), 3, 1, 1)[:, 0]
        assert torch.equal(extreme_of_nine(images[:40], extreme).float(), expected)


def test_half_of_the_images_have_a_square_cut_out():
    white = torch.full((400, 28, 28), 255, dtype=torch.uint8)
    cut = augment(white, replace(OFF, cutout=8), seeded(3)) == 0
    assert 0.4 < cut.flatten(1).any(1).float().mean() < 0.6
    assert cut.flatten(1).sum(1).max() == 64


def test_a_shift_moves_the_picture_by_whole_pixels(images):
    """What affine_grid gives for a shift of 4 pixels, sampled, is the picture 4 pixels further."""
    grid = affine_grid(1, 28, OFF, seeded(0)) + torch.tensor([4 * 2 / 28, 0.0])
    moved = F.grid_sample(images[:1, None].float(), grid, align_corners=False)[0, 0]
    torch.testing.assert_close(moved[:, :24], images[0, :, 4:].float(), atol=0.02, rtol=0)


def test_bicubic_interpolation_is_torchs():
    field = torch.randn(3, 1, 6, 6, generator=seeded(0))
    expected = F.interpolate(field, size=(28, 28), mode="bicubic", align_corners=True)
    ours = bicubic(28, 6) @ field @ bicubic(28, 6).T
    assert torch.allclose(ours, expected, atol=1e-5)
