"""The points and targets: the m x m grid, coloured like a checkerboard. No torch until one is made.

m = 2 (xor):    (0, 0) -> 0    (0, 1) -> 1    (1, 0) -> 1    (1, 1) -> 0
m = 3 (check):  nine points, target (x + y) mod 2
"""

SIZES = {"xor": 2, "check": 3}


class XorError(ValueError):
    """A task, network, recipe or file that cannot be used; the message says why, in one line."""


def grid(size, device=None):
    """The points (x, y), x and y in 0..size-1, and their targets (x + y) mod 2.

    Returns inputs (N, 2) and targets (N,) with N = size * size, both float32; x runs slowest.
    Raises XorError for a size below 2, which has one class only.
    """
    import torch

    if size < 2:
        raise XorError(f"a grid of size {size} has points of one class only; take 2 or more")
    side = torch.arange(size, device=device)
    inputs = torch.cartesian_prod(side, side)  # (N, 2)
    return inputs.float(), (inputs.sum(dim=1) % 2).float()
