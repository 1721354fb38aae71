"""An epoch of the classifiers against a plain loop: a DataLoader with PIL and to_tensor for every
image, nn.Sequential and torch.optim.SGD. On the CPU, evaluation left out."""

import torch
from PIL.Image import fromarray
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import compare, peak
from kuzu.data import load_kana
from kuzu.device import limit_threads
from kuzu.models import build
from kuzu.recipes import CLASSIC
from kuzu.train import seeded, train

IMAGES = 6400  # in an epoch
# Multiplications and additions of an update, per image: twice the weights' uses in the forward
# pass, once more for the weights' gradients, and once more for the inputs' but in the first layer.
# NetConv's second convolution is Winograd's, whose changes of pixels and outputs have no weights.
WINOGRAD = 4 * (16 * 12 * 32 * (12 + 16) + 16 * 64 * 4 * 64) + 6 * 64 * 4 * 32 * 64
OPERATIONS = {
    "lin": 4 * 784 * 10,
    "full": 4 * 784 * 100 + 6 * 100 * 10,
    "conv": 4 * 576 * 25 * 32 + WINOGRAD + 6 * (1024 * 50 + 50 * 10),
}


def rows(rounds):
    """A row for each network; `share` is the part of the processor's peak that is reached."""
    data = load_kana(IMAGES, 10)
    loader = DataLoader(Pictures(data), CLASSIC.batch_size, shuffle=True)
    threads = torch.get_num_threads()
    for net in ("lin", "full", "conv"):
        torch.set_num_threads(threads)
        limit_threads(net)  # as kuzu_main.py does; for the plain loop too
        plain_net, model = plain_network(net), build(net, generator=seeded(0))
        sgd = torch.optim.SGD(plain_net.parameters(), lr=CLASSIC.lr, momentum=CLASSIC.momentum)

        def baseline(net=plain_net, optimizer=sgd):
            for images, labels in loader:
                optimizer.zero_grad()
                nn.functional.nll_loss(net(images), labels).backward()
                optimizer.step()
            return IMAGES

        def ours(model=model):
            next(train(model, data, CLASSIC))
            return IMAGES

        name = f"Net{net.capitalize()}, an epoch against a DataLoader's"
        row = compare(name, baseline, ours, "images", rounds)
        yield row | {"share": row["ours_per_s"] * OPERATIONS[net] / peak()}


class Pictures(Dataset):
    """The training images as torchvision's examples read them, one by one."""

    def __init__(self, data):
        from torchvision.transforms.functional import to_tensor  # imports much, for this alone

        self.images, self.labels = data.train_images, data.train_labels
        self.to_tensor = to_tensor

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.to_tensor(fromarray(self.images[index].numpy())), int(self.labels[index])


def plain_network(net):
    """The three networks as a textbook writes them."""
    layers = {
        "lin": [nn.Flatten(), nn.Linear(784, 10)],
        "full": [nn.Flatten(), nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 10)],
        "conv": [nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2)]
        + [nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)]
        + [nn.Flatten(), nn.Linear(1024, 50), nn.ReLU(), nn.Linear(50, 10)],
    }
    return nn.Sequential(*layers[net], nn.LogSoftmax(1))
