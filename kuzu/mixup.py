"""Mixup inside a network: what it makes of one image, blended with what it makes of another.

A batch is blended with itself, moved on by one image, at a place drawn for every batch: the input
or what a layer passes on. The loss blends both images' labels alike (manifold mixup, Verma et al.
2019; at the input alone: Zhang et al. 2018). What lies between two ways of writing a character then
counts as that character, and what lies between two characters as uncertain.
"""

import torch

INPUT = "input"


def places(model):
    """Where a network blends: its input, and all its layers before the last two."""
    return [INPUT, *[name for name, _ in model.named_children()][:-2]]


def draw(n_images, batch_size, concentration, names, generator):
    """An epoch's blends: shares (N,) of each image itself, at least one half, the larger of a
    Beta(concentration, concentration) variable and its complement; and a place of every batch.

    generator: a CPU torch.Generator.
    """
    # Beta as a ratio of gammas; small ones vanish in single precision.
    shape = torch.full((2, n_images), concentration, dtype=torch.float64)
    one, other = torch._standard_gamma(shape, generator=generator).clamp_(min=1e-300)
    share = one / (one + other)
    n_batches = -(-n_images // batch_size)
    at = torch.randint(len(names), (n_batches,), generator=generator)
    return torch.maximum(share, 1 - share).float(), [names[k] for k in at.tolist()]


def blend(x, share):
    """share of every row of x (B, ...), and the rest of the row before it; share: (B,)."""
    return torch.lerp(x.roll(1, 0), x, share.view(-1, *[1] * (x.dim() - 1)))
