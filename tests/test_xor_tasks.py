"""The points against the definition."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from xor.tasks import XorError, grid

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("size", range(2, 7))
def test_grid_against_the_definition(size):
    inputs, targets = grid(size)
    pairs = zip(inputs.tolist(), targets.tolist(), strict=True)
    truth = {(x, y): (x + y) % 2 for x, y in itertools.product(range(size), repeat=2)}
    assert {tuple(map(int, point)): target for point, target in pairs} == truth


def test_grid_needs_two_classes():
    with pytest.raises(XorError, match="one class"):
        grid(1)


def test_help_needs_no_torch():
    code = "import sys, xor.tasks, xor.recipes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
