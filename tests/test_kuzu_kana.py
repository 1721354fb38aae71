"""The built-in set: its strokes, the rasterizer against a naive one, and how hard it is."""

import importlib
import sys
from collections import Counter

import numpy as np
import pytest
import torch

import kuzu
from kuzu.data import load_kana
from kuzu.kana import KANA, ROMAJI, catmull_rom, cut_strokes, draw_kana, rasterize, read_shapes
from kuzu.models import build
from kuzu.recipes import Recipe
from kuzu.train import seeded, train

SHAPES = read_shapes()


@pytest.fixture(scope="module")
def drawn():
    return load_kana(3000, 1000, seed=1)


def naive_ink(segments, width, size):
    """Ink (size, size) of a round pen: each pixel's distance to points set densely on the segments,
    with ends (P, 2, 2) in pixels."""
    t = np.linspace(0, 1, 200)[:, None, None]
    points = (segments[:, 0] * (1 - t) + segments[:, 1] * t).reshape(-1, 2)  # (200 * P, 2)
    ink = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            distance = np.hypot(*(points - (column + 0.5, row + 0.5)).T).min()
            ink[row, column] = min(max(width / 2 - distance + 0.5, 0), 1)
    return ink


def test_ink_agrees_with_a_naive_distance():
    ends = torch.stack([cut_strokes([SHAPES["す"][0][i]])[:8] for i in (0, 1)])  # (2, 8, 2, 2)
    ends[1, 5] = ends[1, 5, :1]  # a segment without length
    widths = torch.tensor([1.4, 3.6])
    images = rasterize(ends, widths)
    assert images.shape == (2, 28, 28)
    for image, segments, width in zip(images, ends, widths, strict=True):
        expected = naive_ink((segments.double().numpy() + 1) * 14, float(width), 28)
        assert 20 < expected.sum() < 300
        assert np.abs(image.numpy() - expected).max() < 0.01


def test_a_bar_lies_where_it_should():
    """x to the right, y downwards; the pen's width in pixels, round at the ends."""
    bar = torch.tensor([[[[-0.5, -0.25], [0.5, -0.25]]]])  # from (4, 6) to (12, 6) of 16 pixels
    image = rasterize(bar, torch.tensor([2.0]), size=16)[0]
    assert torch.allclose(image[4:8, 8], torch.tensor([0, 1.0, 1.0, 0]))
    assert image[:, :3].sum() == 0 and image[:, 13:].sum() == 0 and image[9:].sum() == 0


@pytest.mark.parametrize("kana", KANA)
def test_every_stroke_of_every_shape_leaves_ink(kana):
    """Without any one stroke the picture is another one, and all lie within the square."""
    for strokes in SHAPES[kana]:
        assert all(0 < value < 1 for stroke in strokes for point in stroke for value in point)
        for left_out in range(len(strokes)):
            rest = strokes[:left_out] + strokes[left_out + 1 :]
            pictures = [
                rasterize(cut_strokes(part)[None], torch.tensor([2.0]))[0].sum()
                for part in (strokes, rest)
                if part
            ]
            assert pictures[0] - sum(pictures[1:]) > 8  # pixels


def test_printed_shapes_have_the_strokes_that_children_learn():
    assert {kana: len(SHAPES[kana][0]) for kana in KANA} == dict(
        zip(KANA, (3, 3, 2, 1, 4, 3, 3, 3, 2, 3), strict=True)
    )
    assert len(ROMAJI) == len(KANA) == 10
    assert min(len(shapes) for shapes in SHAPES.values()) > 1


def test_a_curve_passes_through_its_points_and_is_cut_evenly():
    points = [(0.1, 0.2), (0.5, 0.3), (0.6, 0.9), (0.2, 0.7)]
    curve = catmull_rom(points)
    assert np.abs(curve[::16] - points).max() < 1e-12
    assert np.abs(catmull_rom([(0.2, 0.2), (0.4, 0.5), (0.6, 0.8)]) @ (3, -2) - 0.2).max() < 1e-12
    ends = cut_strokes([points, points[:2]])
    lengths = (ends[:, 1] - ends[:, 0]).norm(dim=1)
    assert lengths.max() < 1.15 * lengths.min()
    lifted = (ends[1:, 0] != ends[:-1, 1]).any(1)
    assert lifted.sum() == 1


def test_deterministic_balanced_and_visible():
    images, labels = draw_kana(205, seed=4)
    again, labels_again = draw_kana(205, seed=4)
    assert images.dtype == torch.uint8 and images.shape == (205, 28, 28)
    assert labels.dtype == torch.int64
    assert torch.equal(images, again) and torch.equal(labels, labels_again)
    assert not torch.equal(images, draw_kana(205, seed=5)[0])
    assert set(Counter(labels.tolist()).values()) == {20, 21}
    bright = (images > 127).float().mean((1, 2))  # (N,)
    assert bright.min() > 0.01 and bright.max() < 0.6


def test_drawn_on_one_thread(monkeypatch):
    """Beside other work several would take minutes; the caller's number is his again."""
    threads, kana = [], sys.modules["kuzu.kana"]
    whole = kana.draw

    def watched(*arguments):
        threads.append(torch.get_num_threads())
        return whole(*arguments)

    monkeypatch.setattr(kana, "draw", watched)
    torch.set_num_threads(2)
    try:
        draw_kana(20)
        assert threads == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_training_and_test_images_are_different_drawings(drawn):
    seen = {image.numpy().tobytes() for image in drawn.train_images}
    assert len(seen) == len(drawn.train_images)
    assert not seen & {image.numpy().tobytes() for image in drawn.test_images}


def test_drawn_without_a_font(monkeypatch):
    for name in ("PIL", "matplotlib", "matplotlib_fontja"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    monkeypatch.delitem(sys.modules, "kuzu.kana")
    monkeypatch.delattr(kuzu, "kana")
    fresh = importlib.import_module("kuzu.kana")
    assert fresh.draw_kana is not draw_kana
    assert torch.equal(fresh.draw_kana(20)[0], draw_kana(20)[0])


def test_every_character_can_be_told_from_its_drawings(drawn):
    """The mean drawing of a class resembles the class's own images most, for most classes."""
    train, test = (
        part.flatten(1).double() for part in (drawn.train_images, drawn.test_images)
    )  # (N, 784)
    means = torch.stack([train[drawn.train_labels == index].mean(0) for index in range(10)])
    nearest = torch.cdist(test, means).argmin(1)
    for index in range(10):
        right = (nearest == index)[drawn.test_labels == index].double().mean()
        assert 0.2 < right < 0.9  # chance is 0.1


def test_a_hidden_layer_sees_more_than_a_linear_network(drawn):
    accuracy = {}
    for net in ("lin", "full"):
        model = build(net, generator=seeded(0))
        *_, last = train(model, drawn, Recipe(epochs=10, lr=0.05))
        accuracy[net] = last.test.accuracy
    assert 0.5 < accuracy["lin"] < accuracy["full"] - 0.04
    assert accuracy["full"] < 0.9
