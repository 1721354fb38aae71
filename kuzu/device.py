"""Whether this machine can train a network: memory, and an accelerator that computes as the CPU."""

import os
from dataclasses import replace

import torch
import torch.nn.functional as F

from .models import build, count_parameters
from .train import prepare, run_epoch, seeded

THREADS = {"lin": 1, "full": 2}  # at most: their products are too small to share among more
TOLERANCE = 0.02  # relative difference of losses; the lower precision of a GPU is far below it


class NotEnoughMemory(ValueError):
    """The network or its batches do not fit into memory; the message says what to lower."""


class DeviceError(ValueError):
    """A device fails, or computes something else than the CPU."""


def limit_threads(net):
    """Let torch use no more threads for a network than make it faster."""
    torch.set_num_threads(min(torch.get_num_threads(), THREADS.get(net, 2**31 - 1)))


def check_memory(net, n_hidden, batch_size, memory=None):
    """Raise NotEnoughMemory if training would need more than `memory` bytes, all that this machine
    has if None. An estimate: it is to catch what is far too large before it is tried."""
    if memory is None:
        if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", ()):
            return
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # Weights, gradients, two moments and what is kept of a record; values and their gradients.
    one, two = (count_parameters(build(net, n))[1] for n in (1, 2))  # linear in n_hidden
    weights = 24 * (one + (n_hidden - 1) * (two - one))  # bytes
    values = 4 * {"lin": 1600, "full": 1600 + 4 * n_hidden, "conv": 75_000}[net] * batch_size
    if weights + values > memory:
        lower = "--hid" if weights > values else "--batch_size"
        raise NotEnoughMemory(
            f"training needs about {(weights + values) / 1e9:,.0f} GB of memory and this machine "
            f"has {memory / 1e9:,.0f} GB: lower {lower}"
        )


def usable_device(device, fall_back, net, n_hidden, recipe, data):
    """(the device to train on, what is wrong with `device` or None): `device` if it trains as the
    CPU does; else the CPU if `fall_back`, else DeviceError is raised."""
    try:
        if device.type != "cpu":
            check_device(device, net, n_hidden, recipe, data)
    except DeviceError as error:
        if not fall_back:
            raise
        return torch.device("cpu"), f"{error}; the CPU is used instead."
    return device, None


def check_device(device, net, n_hidden, recipe, data):
    """Raise DeviceError unless the losses of the first two batches are the CPU's: the first is that
    of the weights drawn, the second depends on the first one's gradients."""
    size = min(recipe.batch_size, len(data.train_labels))
    places = torch.arange(2 * size) % len(data.train_labels)
    images, labels = data.train_images[places], data.train_labels[places]
    recipe = replace(recipe, lr=0.01, warm_up=None)  # a cycle's first rate is 0

    def losses(device):
        trained, optimizer = prepare(build(net, n_hidden, seeded(0)).to(device), recipe)
        part = images.to(device), labels.to(device), torch.arange(2 * size, device=device)
        outputs = run_epoch(trained, optimizer, *part, recipe, lambda: 0.0)
        by_image = F.nll_loss(outputs, part[1], reduction="none")  # (N,)
        return by_image.view(2, size).mean(1).tolist()

    expected = losses(torch.device("cpu"))
    try:
        found = losses(device)
    except Exception as error:  # whatever a driver throws
        raise DeviceError(f"{device} fails: {' '.join(str(error).split())}") from None
    for ours, theirs in zip(found, expected, strict=True):
        if not abs(ours - theirs) <= TOLERANCE * theirs:
            raise DeviceError(f"{device} finds a loss of {ours:.4f}, the CPU one of {theirs:.4f}")
