"""The built-in character set: the ten kana of KMNIST, drawn from a font as many hands would.

It stands in where KMNIST cannot be had (no network), in tests and in committed figures. Pen width,
slant, size, place, bending of the strokes, ink and noise differ from image to image, so that the
three networks rank as they do on KMNIST: about 70, 84 and 93 % with the classic recipe.
"""

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F

from kuzu.distort import Distortion, distort

KANA = "おきすつなはまやれを"
ROMAJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

HAND = Distortion(rotation=14, slant=0.3, scale=0.22, shift=0.16, elastic=0.10, knots=5)
PENS = (0, 2, 4)  # extra stroke width in pixels of the drawing
NOISE = 0.22  # standard deviation of each pixel, where ink is 1
DRAWING = 84  # pixels per side at which the font is drawn; three per pixel of the result
SIDE = 28


def font_path():
    """The IPAex Gothic font file of the package matplotlib-fontja, which is not imported: that
    would change matplotlib's settings."""
    package = importlib.util.find_spec("matplotlib_fontja")
    return Path(package.origin).parent / "fonts" / "ipaexg.ttf"


def draw_kana(n_train=10_000, n_test=2_500, seed=0):
    """The built-in set: (train_images, train_labels, test_images, test_labels), images (N, 28, 28)
    uint8 with ink bright on black as in KMNIST, labels (N,) int64, classes equally frequent.

    The same seed gives the same images.
    """
    generator = torch.Generator().manual_seed(seed)
    bank = _glyphs()
    parts = []
    for n in (n_train, n_test):
        labels = torch.arange(n) % len(KANA)
        labels = labels[torch.randperm(n, generator=generator)]
        images = torch.cat([_draw(bank, part, generator) for part in labels.split(1000)])
        parts += [images, labels]
    return tuple(parts)


def _glyphs():
    """(10, pens, 84, 84) float, ink 1 on 0: every kana with every pen."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(font_path()), round(0.8 * DRAWING))
    rows = []
    for character in KANA:
        for pen in PENS:
            image = Image.new("L", (DRAWING, DRAWING))
            ImageDraw.Draw(image).text(
                (DRAWING / 2, DRAWING / 2),
                character,
                fill=255,
                font=font,
                anchor="mm",
                stroke_width=pen,
            )
            rows.append(torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8))
    return torch.stack(rows).view(len(KANA), len(PENS), DRAWING, DRAWING).float() / 255


def _draw(bank, labels, generator):
    """One image per label: labels (n,) -> (n, 28, 28) uint8."""
    n = len(labels)
    pens = torch.randint(len(PENS), (n,), generator=generator)
    # twice the size, then averaged in 2 x 2 blocks: the edges come out smooth
    bent = distort(bank[labels, pens], HAND, generator, size=2 * SIDE)
    ink = F.avg_pool2d(bent[:, None], 2)[:, 0]
    strength = 0.55 + 0.45 * torch.rand(n, 1, 1, generator=generator)
    noise = NOISE * torch.randn(ink.shape, generator=generator)
    return ((ink * strength + noise).clamp(0, 1) * 255).round().to(torch.uint8)
