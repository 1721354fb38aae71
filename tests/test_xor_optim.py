"""The optimizer against torch.optim.Adam."""

import torch

from xor.optim import Adam


def pair(decay):
    """The same parameters (5 networks) under torch's Adam, in double precision, and ours."""
    start = torch.randn(5, 3, 2, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    theirs, ours = start.clone().requires_grad_(), start.clone()
    return theirs, torch.optim.Adam([theirs], weight_decay=decay), ours, Adam([ours], [decay])


def test_updates_against_torch():
    for decay in (0, 0.1):
        theirs, reference, ours, adam = pair(decay)
        for step in range(1, 30):
            gradient = torch.sin(torch.arange(30.0).double() * step).view(5, 3, 2)
            theirs.grad = gradient.clone()
            reference.param_groups[0]["lr"] = 0.1 / step
            reference.step()
            adam.step([gradient.clone()], 0.1 / step)
            torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-12)


def test_networks_that_are_left_do_not_change_the_others():
    _, _, whole, adam = pair(0.1)
    _, _, ours, other = pair(0.1)
    gradient = torch.ones_like(whole) * torch.arange(5.0).view(5, 1, 1)
    chosen = torch.tensor([True, False, True, True, False])
    for step in range(6):
        if step == 3:
            ours = ours[chosen]
            other.select([ours], chosen)
        adam.step([gradient.clone()], 0.1)
        other.step([gradient[chosen] if step >= 3 else gradient.clone()], 0.1)
    torch.testing.assert_close(ours, whole[chosen])
