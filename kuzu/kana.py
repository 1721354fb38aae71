"""Draw the built-in character set: ten hiragana in several made-up hands, 28 x 28, offline.

A stand-in for KMNIST where there is no network, made as hard: cursive characters come in several
quite different shapes per class, so a linear network reaches about 70 %, a hidden layer about 84 %
and convolutions about 93 %. Ten thousand images take a few seconds on one core.

    images, labels = draw_kana(1000, seed=0)    # (1000, 28, 28) uint8, (1000,) int64
"""

from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F

from .distort import Distortion, affine_grid, distort

KANA = "おきすつなはまやれを"
ROMAJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

PEN_WIDTHS = (0, 1, 2, 3)  # pixels added around each stroke of a 64-pixel drawing
HANDS = 20  # shapes per character: what a linear network cannot hold
HAND = Distortion(turn=0.8, slant=0.5, scale=0.3, shift=0.2, elastic=0.08)  # between hands
VARIATION = Distortion(turn=0.08, slant=0.12, scale=0.08, shift=0.08)  # within a hand
HASTE = 0.06  # mean displacement of control points: most drawings are careful, a few are not
NOISE = 0.1  # standard deviation of the paper's grain, in units of full white


class FontMissing(ValueError):
    """The font that the characters are drawn from is not installed."""


def font_path():
    """The file of the Japanese font that comes with the package matplotlib-fontja.

    Found without importing the package, which would change matplotlib's settings.
    """
    found = find_spec("matplotlib_fontja")
    if found is not None:
        for path in sorted((Path(found.origin).parent / "fonts").glob("*.ttf")):
            return path
    raise FontMissing(
        "The built-in kana set needs the font of the package matplotlib-fontja: "
        "python -m pip install matplotlib-fontja"
    )


def glyphs(resolution=64):
    """Each character in each pen width: (10, pen widths, resolution, resolution) float, 0 to 1."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(font_path()), int(resolution * 0.86))
    drawn = []
    for kana in KANA:
        for width in PEN_WIDTHS:
            picture = Image.new("L", (resolution, resolution))
            ImageDraw.Draw(picture).text(
                (resolution / 2, resolution / 2),
                kana,
                font=font,
                fill=255,
                anchor="mm",
                stroke_width=width,
            )
            drawn.append(torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8))
    shape = (len(KANA), len(PEN_WIDTHS), resolution, resolution)
    return torch.stack(drawn).view(shape).float() / 255


def draw_kana(n_images, seed=0, chunk=2000):
    """Draw `n_images` characters, the ten classes equally often (up to a remainder) and shuffled.

    The same seed gives the same images; the hands are the same for every seed. Returns images
    (N, 28, 28) uint8, white on black, and labels (N,) int64 in the order of KANA.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randperm(n_images, generator=generator) % len(KANA)  # (N,)
    characters = glyphs()
    hands = hand_shapes()
    images = [draw(part, characters, hands, generator) for part in labels.split(chunk)]
    empty = torch.zeros(0, 28, 28, dtype=torch.uint8)
    return torch.cat([empty, *images]), labels


def hand_shapes():
    """How each hand bends each character: (10, HANDS, C, C, 2) control-point displacements."""
    c, n = HAND.control_points, len(KANA) * HANDS
    generator = torch.Generator().manual_seed(28)
    straight = affine_grid(n, c, Distortion(), generator, align_corners=True)
    bent = affine_grid(n, c, HAND, generator, align_corners=True)
    elastic = torch.randn(n, c, c, 2, generator=generator) * HAND.elastic
    return (bent - straight + elastic).view(len(KANA), HANDS, c, c, 2)


def draw(labels, characters, hands, generator):
    """One picture per label: (N, 28, 28) uint8."""
    n = len(labels)
    pen = torch.randint(len(PEN_WIDTHS), (n,), generator=generator)
    hand = torch.randint(HANDS, (n,), generator=generator)
    ink = characters[labels, pen][:, None]  # (N, 1, R, R)
    # Sampled at twice the size and averaged, so that thin strokes keep their ink.
    haste = torch.empty(n, 1, 1, 1).exponential_(generator=generator) * HASTE
    field = hands[labels, hand]  # (N, C, C, 2)
    field = field + haste * torch.randn(field.shape, generator=generator)
    fine = distort(ink, VARIATION, generator, size=56, field=field)
    ink = F.avg_pool2d(fine, 2)[:, 0]  # (N, 28, 28)
    ink = ink + NOISE * torch.randn(ink.shape, generator=generator)
    return (ink.clamp(0, 1) * 255).round().to(torch.uint8)
