"""The strokes of ten hiragana, several shapes of each: what the built-in set is drawn from.

A shape is a list of strokes, in the order they are written; a stroke is a list of points that the
pen passes through, in hundredths of a square, x to the right and y downwards. The first shape of
each character is the printed one, the others are handwritten: strokes that join, loops that open,
dots that become hooks, and for some an older form, close to the Chinese character it came from.
"""

import numpy as np

# "x,y x,y ..." is a stroke, "|" lifts the pen.
WRITTEN = {
    "お": (
        "14,32 36,31 60,27 | 37,9 37,40 36,70 33,84 22,85 13,77 19,65 38,54 62,50 80,57 84,70 "
        "77,82 58,89 | 70,20 79,26 87,36",
        # the vertical runs on into a flat loop, the dot low
        "12,36 34,33 56,28 | 36,8 36,38 34,66 29,80 17,78 16,68 34,56 60,46 80,51 86,66 78,83 "
        "56,93 | 74,24 88,30",
        # one pull of the brush: the bar swings into the vertical, the bow ends in the dot
        "18,34 40,28 50,22 44,14 38,30 35,60 30,80 18,80 20,66 44,52 70,54 76,70 62,86 54,80 "
        "66,52 82,22",
        # the cursive form: a short bar, a tight loop low on the left, a bow that closes
        "24,28 54,24 | 40,8 38,42 34,72 22,86 14,80 24,70 48,54 76,54 84,70 68,84 50,78 | 70,20 "
        "84,30",
    ),
    "き": (
        "20,28 48,26 76,19 | 15,47 48,44 84,36 | 42,8 50,28 60,46 71,62 58,60 40,62 28,70 32,82 "
        "48,89 74,88",
        # the last stroke apart from the slanted one
        "20,29 48,26 76,20 | 16,48 48,44 84,37 | 42,8 50,28 61,48 70,64 57,60 | 26,68 30,82 "
        "48,90 74,88",
        # both bars in one zigzag
        "22,26 50,24 74,18 58,28 24,44 52,44 82,36 | 44,8 54,32 68,58 72,66 52,62 30,70 36,84 "
        "70,88",
        # the bars short, the sweep below wide
        "32,22 68,16 | 28,38 50,36 72,30 | 48,6 52,30 62,56 | 24,58 18,74 34,88 60,88 82,80",
        # the second bar swings into the slanted stroke, and that into the sweep
        "24,30 48,27 70,20 | 18,48 48,44 76,36 68,18 52,8 50,22 58,44 70,62 50,62 30,70 36,84 "
        "56,88 78,86",
    ),
    "す": (
        "9,29 48,27 91,24 | 59,7 60,28 60,52 56,64 45,66 38,57 43,47 54,46 61,54 60,70 52,84 36,94",
        # a wide loop far to the left
        "12,28 50,26 88,24 | 56,6 58,30 58,48 44,60 26,58 26,44 42,40 58,46 62,62 54,80 34,93",
        # no loop: the vertical bends and leaves
        "12,32 48,28 88,26 | 58,8 58,32 54,46 46,52 50,60 58,66 52,82 38,92",
        # the bar turns into the vertical without lifting
        "12,34 44,28 80,24 72,12 60,10 56,30 58,52 46,64 36,54 48,44 60,54 56,76 36,94",
        # an older form, after 寸
        "16,34 50,30 84,28 | 60,8 62,40 60,74 54,88 42,80 | 28,50 38,56 44,66",
    ),
    "つ": (
        "8,36 34,27 62,23 82,30 90,46 84,63 66,76 40,83",
        # flat and wide
        "6,50 24,40 54,34 82,38 92,50 82,62 58,68",
        # hooked start, deep bow
        "20,18 16,32 22,34 48,22 74,26 84,46 74,70 50,86 26,90",
        # narrow and tall, as it stands between other characters
        "30,30 44,20 60,24 66,42 60,66 40,86",
        # an older form, after 川
        "22,24 24,44 18,66 | 48,26 50,44 46,62 | 74,16 80,44 78,70 64,90",
    ),
    "な": (
        "12,29 34,28 52,24 | 35,8 29,34 13,62 | 66,20 77,25 88,34 | 64,42 63,62 63,78 54,89 40,89 "
        "32,80 40,71 54,70 70,76 86,86",
        # the dot runs on into the last stroke
        "14,28 52,24 | 36,8 30,34 14,60 | 64,24 82,28 78,38 64,46 62,66 60,82 48,90 34,84 40,72 "
        "60,74 84,86",
        # the whole in one line: bar, fall, dot, loop
        "18,30 50,22 40,10 32,34 16,60 30,54 56,34 70,40 64,56 60,78 44,88 36,78 52,72 82,84",
        # the loop a knot low on the right
        "14,26 56,22 | 36,6 32,30 12,54 | 68,30 84,40 | 30,60 52,56 66,64 58,82 42,84 42,72 60,70 "
        "84,80",
    ),
    "は": (
        "20,11 15,36 14,64 19,89 26,72 | 38,35 64,34 89,31 | 66,9 67,40 67,72 60,86 48,88 39,80 "
        "46,71 60,71 76,77 89,87",
        # the first stroke runs over into the bar
        "20,12 14,42 16,76 22,82 36,54 42,38 64,34 86,30 | 66,10 66,44 66,74 54,88 40,82 48,71 "
        "68,74 88,86",
        # bar and vertical in one
        "20,14 16,40 18,80 | 38,38 62,34 82,28 76,16 68,14 66,40 66,72 56,86 44,82 50,72 68,74 "
        "88,84",
        # an older form, after 八
        "38,22 34,46 14,76 | 52,20 62,28 66,50 88,78",
    ),
    "ま": (
        "18,25 50,24 82,22 | 20,44 50,43 80,41 | 50,7 51,40 51,72 44,86 30,88 20,80 28,71 46,71 "
        "64,77 82,88",
        # the bars in one zigzag
        "22,24 54,22 78,20 62,30 26,42 54,42 78,40 | 50,8 52,42 50,74 38,88 24,82 32,71 54,73 "
        "80,86",
        # the second bar runs on into the vertical
        "20,26 50,24 80,20 | 24,44 54,42 74,38 64,24 54,12 50,34 50,72 38,86 26,80 36,71 56,74 "
        "80,84",
        # an older form, after 万
        "14,26 50,24 86,22 | 46,26 40,50 18,84 | 42,48 66,44 72,56 66,80 54,86 46,76",
    ),
    "や": (
        "9,51 32,41 60,31 80,31 90,42 84,54 70,59 56,57 | 50,9 57,16 60,26 | 26,24 36,50 46,74 "
        "54,93",
        # the dot a hook on the bow
        "12,54 34,42 58,26 54,12 48,16 58,28 78,30 88,44 76,58 58,56 | 28,26 40,58 54,92",
        # narrow, the bow closing on the slanted stroke
        "14,44 40,34 66,30 74,42 62,54 46,52 | 54,12 60,24 | 32,20 38,54 44,92",
        # one line: the bow falls back into the slanted stroke
        "10,46 36,36 66,26 84,34 80,52 60,56 40,44 30,22 34,44 46,72 56,92",
    ),
    "れ": (
        "30,8 31,50 30,92 | 10,32 28,29 37,26 30,42 10,72 28,50 50,31 63,28 68,40 65,62 67,80 "
        "78,83 92,68",
        # the vertical turns into the zigzag without lifting
        "30,8 30,50 28,90 22,76 12,42 34,28 30,44 12,70 34,46 58,28 66,40 62,66 68,84 90,74",
        # the last part straight down
        "32,10 32,50 32,92 | 12,34 38,28 28,46 10,66 32,48 56,30 68,36 68,60 70,80 84,86",
        # an older form, after 礼
        "34,8 34,36 32,62 30,84 | 12,34 42,26 14,60 36,48 58,32 56,56 50,74 60,88 88,80",
    ),
    "を": (
        "17,24 46,23 75,19 | 47,6 38,28 16,57 32,47 46,45 54,53 55,72 | 88,41 62,51 40,62 32,75 "
        "40,86 58,90 80,88",
        # the second stroke runs on into the last
        "18,26 48,24 76,20 | 46,8 36,32 18,56 36,46 52,48 54,62 48,74 60,62 86,42 60,50 34,66 "
        "34,82 54,90 80,88",
        # one line from the bar on
        "18,30 46,26 66,20 56,10 44,16 34,38 16,58 38,46 54,52 54,68 64,56 84,46 48,60 34,76 50,90 "
        "78,86",
        # the cursive form: bar, zigzag, sweep
        "24,20 66,16 | 46,8 28,42 50,36 62,42 44,60 28,66 30,80 52,88 82,82",
    ),
}


def parse(shape):
    """The strokes of a shape written as above: a list of lists of (x, y) from 0 to 1."""
    return [
        [tuple(int(value) / 100 for value in point.split(",")) for point in stroke.split()]
        for stroke in shape.split("|")
    ]


SHAPES = {kana: [parse(shape) for shape in shapes] for kana, shapes in WRITTEN.items()}
KANA = "".join(SHAPES)


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
