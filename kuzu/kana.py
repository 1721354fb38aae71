"""Draw the built-in character set: ten hiragana in several writing styles, 28 x 28, offline.

A stand-in for KMNIST where there is no network, made as hard: cursive characters come in several
quite different shapes per class, so a linear network reaches about 70 %, a hidden layer about 84 %
and convolutions about 93 %. Ten thousand images take about a second on one core.

A character is a few curves (strokes.txt) cut into short segments. A random smooth map moves the
segments' ends, and the nearer a pixel is to a segment, the more ink it gets.

    images, labels = draw_kana(1000, seed=0)    # (1000, 28, 28) uint8, (1000,) int64
"""

import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .augment import Augmentation, affine_grid

STROKES = Path(__file__).with_name("strokes.txt")
KANA = "おきすつなはまやれを"
ROMAJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

SIZE = 28  # pixels per side
MARGIN = 0.05  # of the image on each side of a character, before it is moved
SEGMENT = 0.075  # length of a segment before it is moved, in widths of the character
PEN_WIDTHS = (1.4, 3.6)  # pixels, thinnest and thickest
EDGE = 1.0  # pixels over which the ink fades at a stroke's edge
N_STYLES = 16  # per character: more than a linear network can hold
STYLE = Augmentation(turn=0.4, slant=0.5, scale=0.3, shift=0.2, elastic=0.1)  # between styles
VARIATION = Augmentation(turn=0.08, slant=0.12, scale=0.08, shift=0.08)  # within a style
HASTE = 0.105  # mean of a drawing's own elastic displacement: most are careful, a few are not
NOISE = 0.1  # standard deviation of the paper's grain, in units of full white


def draw_kana(n_images, seed=0):
    """Draw `n_images` characters, the ten classes equally often (up to a remainder) and shuffled:
    images (N, 28, 28) uint8, white on black, and labels (N,) int64 in the order of KANA. The same
    seed gives the same images; the writing styles are the same for every seed."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randperm(n_images, generator=generator) % len(KANA)  # (N,)
    styles = displacements(len(KANA) * N_STYLES, STYLE, torch.Generator().manual_seed(28))
    styles = styles.unflatten(0, (len(KANA), N_STYLES))  # (10, N_STYLES, C, C, 2)
    segments, n_threads = character_segments(), torch.get_num_threads()
    # A few images at a time are too little to share: where anything else runs, threads would wait
    # for each other 20 times as long as they work.
    torch.set_num_threads(1)
    try:
        images = [draw(part, segments, styles, generator) for part in labels.split(2000)]
    finally:
        torch.set_num_threads(n_threads)
    return torch.cat(images), labels


def read_shapes():
    """{character: its shapes}; a shape is a list of strokes, each a list of (x, y) from 0 to 1."""
    shapes = {kana: [] for kana in KANA}
    for line in STROKES.read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 1:  # a character: a new shape of it
            strokes = []
            shapes[words[0]].append(strokes)
        elif words:
            strokes.append([tuple(int(value) / 100 for value in xy.split(",")) for xy in words])
    return shapes


def character_segments():
    """Every character in every style, not yet bent: the ends of its segments, (10, N_STYLES, P, 2,
    2), in a square from -1 to 1. A character's shapes take turns among its styles; those with fewer
    than P segments repeat their last one."""
    cut = [[cut_strokes(strokes) for strokes in shapes] for shapes in read_shapes().values()]
    longest = max(len(shape) for shapes in cut for shape in shapes)
    segments = []
    for shapes in cut:
        for shape in itertools.islice(itertools.cycle(shapes), N_STYLES):
            segments.append(torch.cat((shape, shape[-1:].expand(longest - len(shape), 2, 2))))
    return torch.stack(segments).unflatten(0, (len(KANA), N_STYLES))


def catmull_rom(points, n_steps=16):
    """The Catmull-Rom spline (Catmull & Rom 1974) through a stroke's points, n_steps positions per
    span: (Q, 2)."""
    p = np.array(points)
    p = np.concatenate((2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]))  # straight on at both ends
    t = np.linspace(0, 1, n_steps, endpoint=False)[:, None]
    spans = [
        b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True)
    ]
    return np.concatenate((*spans, p[-2:-1]))


def cut_strokes(strokes):
    """Strokes, each a list of (x, y) from 0 to 1, as segments of nearly equal length: their ends
    (P, 2, 2) in a square from -1 to 1, with a margin."""
    segments = []
    for stroke in strokes:
        curve = catmull_rom(stroke)  # (Q, 2)
        steps = np.linalg.norm(np.diff(curve, axis=0, prepend=curve[:1]), axis=1)
        along = np.cumsum(steps)
        places = np.linspace(0, along[-1], int(np.ceil(along[-1] / SEGMENT)) + 1)
        x, y = curve.T
        cuts = np.stack((np.interp(places, along, x), np.interp(places, along, y)), 1)
        segments.append(np.stack((cuts[:-1], cuts[1:]), 1))
    return torch.from_numpy(np.concatenate(segments) * 2 - 1).float() * (1 - 2 * MARGIN)


def displacements(n, augmentation, generator):
    """Random displacements of C x C control points in the square from -1 to 1: (n, C, C, 2)."""
    c = augmentation.control_points
    straight = affine_grid(n, c, Augmentation(), generator, align_corners=True)
    bent = affine_grid(n, c, augmentation, generator, align_corners=True)
    return bent - straight + torch.randn(n, c, c, 2, generator=generator) * augmentation.elastic


def draw(labels, segments, styles, generator):
    """One picture per label: (N, 28, 28) uint8."""
    n = len(labels)
    style = torch.randint(N_STYLES, (n,), generator=generator)
    thin, thick = PEN_WIDTHS
    width = thin + (thick - thin) * torch.rand(n, generator=generator)
    field = styles[labels, style] + displacements(n, VARIATION, generator)  # (N, C, C, 2)
    # Exponential, but not by exponential_: that differs between builds with and without MKL.
    haste = -HASTE * torch.log1p(-torch.rand(n, 1, 1, 1, generator=generator))
    field = field + haste * torch.randn(field.shape, generator=generator)
    ends = segments[labels, style]  # (N, P, 2, 2)
    moves = F.grid_sample(field.permute(0, 3, 1, 2), ends, align_corners=True)  # (N, 2, P, 2)
    ink = rasterize(ends + moves.permute(0, 2, 3, 1), width)  # (N, 28, 28)
    ink = ink + NOISE * torch.randn(ink.shape, generator=generator)
    return (ink.clamp(0, 1) * 255).round().to(torch.uint8)


def rasterize(ends, width, size=SIZE):
    """The ink of a round pen of width (N,) pixels drawn along segments with ends (N, P, 2, 2) in a
    square from -1 to 1: images (N, size, size) from 0 to 1."""
    pixels = (ends + 1) * (size / 2)
    # A few images at a time, whose distances stay in the processor's cache.
    distance = torch.cat([distances(part, size) for part in pixels.split(8)])
    return ((width[:, None, None] / 2 - distance) / EDGE + 0.5).clamp(0, 1)


def distances(ends, size):
    """From each pixel's centre to the nearest of an image's segments, ends (N, P, 2, 2), both in
    pixels: (N, size, size)."""
    start, stop = ends.unbind(2)  # (N, P, 2)
    middle, half = (start + stop) / 2, (stop - start) / 2
    reach = half.norm(dim=2)  # (N, P)
    angle = torch.atan2(half[:, None, :, 1], half[:, None, :, 0])  # (N, 1, P)
    centres = torch.arange(size)[:, None] + 0.5
    x, y = (centres - middle[:, None, :, i] for i in (0, 1))  # (N, size, P)
    cos, sin = angle.cos(), angle.sin()
    # In the directions along and across a segment; (N, rows, columns, P).
    along = (x * cos)[:, None] + (y * sin)[:, :, None]
    across = (x * sin)[:, None] - (y * cos)[:, :, None]
    beyond = along.abs_().sub_(reach[:, None, None]).relu_()  # the segment's end
    return beyond.square_().addcmul_(across, across).amin(3).sqrt()
