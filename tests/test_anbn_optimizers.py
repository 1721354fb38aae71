"""Momentum and Adam against torch.optim's, and a resumed run."""

import pytest
import torch

from anbn.optimizers import Adam, Momentum

TORCHS = {
    Momentum: lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.8),
    Adam: lambda parameters: torch.optim.Adam(parameters, lr=0.1, betas=(0.8, 0.99)),
}
RATES = torch.linspace(0.1, 0.02, 30).tolist()


def some_parameters():
    generator = torch.Generator().manual_seed(2)
    shapes = ((3, 2, 4), (3, 5))
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def loss(parameters, n):
    return sum((p.cos() * (1 + n % 3)).sum() + p.pow(4).sum() / 4 for p in parameters)


@pytest.mark.parametrize("kind", TORCHS)
@pytest.mark.parametrize("stop", [None, 11])
def test_steps_are_torchs(kind, stop):
    ours, theirs = some_parameters(), some_parameters()
    optimizer, reference = kind(ours, 0.8, 0.99), TORCHS[kind](theirs)
    for n, lr in enumerate(RATES):
        if n == stop:  # as a resumed run does
            state = optimizer.state_dict()
            optimizer = kind(ours, 0.8, 0.99)
            optimizer.load_state_dict(state)
        optimizer.collect(torch.autograd.grad(loss(ours, n), ours))
        optimizer.turn()
        optimizer.apply(optimizer.numbers(lr))
        reference.param_groups[0]["lr"] = lr
        reference.zero_grad()
        loss(theirs, n).backward()
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)
