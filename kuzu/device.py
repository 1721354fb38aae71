"""Where a network is trained: threads of the CPU, or an accelerator that agrees with the CPU."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from .models import build
from .train import prepare, run_epoch, seeded

THREADS = {"lin": 1, "full": 2}  # at most: their products are too small to share among more
TOLERANCE = 0.02  # relative difference of losses; the lower precision of a GPU is far below it


class DeviceError(ValueError):
    """A device fails, or computes something else than the CPU."""


def limit_threads(net):
    """Let torch use no more threads for a network than make it faster."""
    torch.set_num_threads(min(torch.get_num_threads(), THREADS.get(net, 2**31 - 1)))


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
    # Two batches where the images are fewer than one; and a cycle's first rate is 0.
    recipe = replace(recipe, batch_size=size, lr=0.01, warm_up=None)

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
