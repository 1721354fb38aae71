"""How much faster than a plain loop? Each part is measured in turn with its plain baseline.

    python scripts/bench.py            # all parts
    python scripts/bench.py xor --json bench.json

Every figure is a median over several rounds in which baseline and ours alternate, so that a
machine whose speed drifts slows both; warm-up is excluded. Ratios first, absolute figures second.
"""

import sys
import time
from pathlib import Path
from statistics import median

# This checkout's packages, from any folder and whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from common.options import Parser, number, run

PARTS = {}
IMAGES = 6400  # in an epoch of part kuzu


def part(function):
    """Register a benchmark: `function(rounds)` returns a list of rows (see `compare`)."""
    PARTS[function.__name__] = function
    return function


def compare(name, baseline, ours, unit, rounds):
    """Time two callables in turn. Each returns how many `unit` it did; a first, uncounted round
    warms both up. Returns a row with the median rates and the median of the per-round ratios."""

    def rate(work):
        start = time.perf_counter()
        done = work()
        return done / (time.perf_counter() - start)

    pairs = [(rate(baseline), rate(ours)) for _ in range(rounds + 1)][1:]
    return {
        "name": name,
        "ratio": median(b / a for a, b in pairs),
        "baseline_per_s": median(a for a, _ in pairs),
        "ours_per_s": median(b for _, b in pairs),
        "unit": unit,
        "rounds": rounds,
    }


@part
def kuzu(rounds):
    """An epoch over IMAGES images of the built-in set, evaluation left out, on the CPU: the plain
    loop is a DataLoader with PIL and ToTensor per image, nn.Sequential and torch.optim.SGD."""
    import torch

    from kuzu.data import load_kana
    from kuzu.models import build
    from kuzu.optimizers import Momentum
    from kuzu.recipes import CLASSIC
    from kuzu.train import run_epoch, seeded

    data = load_kana(IMAGES, 10)
    loader = image_loader(data, CLASSIC.batch_size)
    threads = torch.get_num_threads()
    for net in ("lin", "full", "conv"):
        # The small networks run on one thread in kuzu_main.py; here their plain loop does too.
        torch.set_num_threads(threads if net == "conv" else 1)
        plain_net = plain_network(net)
        plain_sgd = torch.optim.SGD(plain_net.parameters(), lr=CLASSIC.lr, momentum=0.5)
        optimizer = Momentum(build(net, generator=seeded(0)), CLASSIC)

        def baseline(net=plain_net, optimizer=plain_sgd):
            for images, labels in loader:
                optimizer.zero_grad()
                torch.nn.functional.nll_loss(net(images), labels).backward()
                optimizer.step()
            return len(data.train_labels)

        def ours(optimizer=optimizer):
            order = torch.randperm(len(data.train_labels))
            run_epoch(data.train_images, data.train_labels, CLASSIC, optimizer, order, 1)
            return len(order)

        name = f"kuzu Net{net.capitalize()}, epoch against a DataLoader's"
        yield compare(name, baseline, ours, "images", rounds)
    torch.set_num_threads(threads)


@part
def xor(rounds):
    """Epochs on the nine points of check with four sigmoid units: 1,000 networks side by side
    against one network, nn.Sequential and torch.optim.Adam, in a plain loop. One thread each."""
    import torch
    from torch import nn

    from xor.model import random_networks
    from xor.tasks import grid
    from xor.train import Recipe, train

    inputs, targets = grid(3)
    n_networks, n_epochs = 1000, 500
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    plain_net = nn.Sequential(nn.Linear(2, 4), nn.Sigmoid(), nn.Linear(4, 1), nn.Sigmoid())
    adam = torch.optim.Adam(plain_net.parameters(), lr=0.01)

    def baseline():
        for _ in range(n_epochs):
            adam.zero_grad()
            nn.functional.binary_cross_entropy(plain_net(inputs)[:, 0], targets).backward()
            adam.step()
        return n_epochs

    def ours():
        model = random_networks(range(n_networks), 4, 3)
        for _ in train(model, inputs, targets, Recipe(epochs=n_epochs)):
            pass
        return n_networks * n_epochs

    yield compare("xor, networks side by side", baseline, ours, "networks x epochs", rounds)
    torch.set_num_threads(threads)


def image_loader(data, batch_size):
    """A DataLoader as torchvision's examples use it: every image through PIL and ToTensor."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision.transforms import ToTensor

    class Pictures(Dataset):
        to_tensor = ToTensor()

        def __len__(self):
            return len(data.train_labels)

        def __getitem__(self, index):
            picture = Image.fromarray(data.train_images[index].numpy())
            return self.to_tensor(picture), int(data.train_labels[index])

    return DataLoader(Pictures(), batch_size, shuffle=True)


def plain_network(net):
    """The three networks as a textbook writes them."""
    from torch import nn

    layers = {
        "lin": lambda: [nn.Flatten(), nn.Linear(784, 10)],
        "full": lambda: [nn.Flatten(), nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 10)],
        "conv": lambda: [
            *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(1024, 50), nn.ReLU(), nn.Linear(50, 10)),
        ],
    }
    return nn.Sequential(*layers[net](), nn.LogSoftmax(1))


@part
def anbn(rounds):
    """Training sequences, summed over 64 networks side by side with anbn.train; the plain loop
    (benchmarks/anbn.py) is one network, one sequence per update, a Python step per symbol. Then,
    where there is a C compiler, scan.c against torch's operations, 64 networks both. On one thread,
    as in seq_train.py."""
    import torch

    from benchmarks.anbn import N_NETWORKS, comparisons, comparisons_of_loops

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for name, baseline, ours in comparisons():
        row = compare(name, baseline, ours, "sequences", rounds)
        yield row | {"ours_per_s_and_network": row["ours_per_s"] / N_NETWORKS}
    for name, baseline, ours in comparisons_of_loops():
        yield compare(name, baseline, ours, "sequences", rounds)
    torch.set_num_threads(threads)


def parse_args(argv=None):
    parser = Parser(description=__doc__)
    # Some Pythons check an empty list against the choices as if it were one of them.
    names = list(PARTS)
    parser.add_argument("parts", nargs="*", choices=[*names, []], default=[], metavar="PART")
    parser.add_argument(
        "--rounds", type=number(int, 1), default=3, help="counted rounds per figure"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    args = parser.parse_args(argv)
    args.parts = args.parts or list(PARTS)
    return args


def main(argv=None):
    args = parse_args(argv)
    import torch

    from common.run_folder import describe, write_whole

    hardware = describe(torch.device("cpu"))
    print(
        f"{hardware}; torch {torch.__version__}; medians of {args.rounds} rounds, warm-up excluded"
    )
    results = {"hardware": hardware, "torch": torch.__version__}
    for name in args.parts:
        results[name] = []
        for row in PARTS[name](args.rounds):
            results[name].append(row)
            print(
                f"{row['name']:44s} {row['ratio']:9.2f} x   "
                f"({row['ours_per_s']:.4g} against {row['baseline_per_s']:.4g} {row['unit']}/s)"
            )
            if each := row.get("ours_per_s_and_network"):
                print(f"{'':44s} {each:9.4g} {row['unit']}/s of each network; one thread")
    if args.json:
        import json

        write_whole(args.json, json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
