"""Images in memory: KMNIST or files of its form, or the built-in kana set.

data = load("auto", "data")       # what lies there; else download; else the built-in set
data.title                        # "KMNIST (60,000 train / 10,000 test)"
"""

import functools
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from .download import Unreachable, download
from .files import CANDIDATES, FOLDERS, DataError, advice, find_files, read_items
from .kana import draw_kana

KANA_COUNTS = (20_000, 4_000)
KMNIST_COUNTS = (60_000, 10_000)
# Checksums. The training files' are published for their gzip form alone; in another form they are
# known by their number, 6,000 of each class and their first 1,000.
GZIP_MD5 = ("bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344")
TEST_SHA256 = "b261a157ded5e2973938c34468741461b8ce1e598bcbab78df91503860f977f1"
N_PER_CLASS = 6000
START = 1000  # so many images and labels of each set say whose they are, in a subset too
START_SHA256 = "67dba956f2881d94cfe79b607c8090db4f5aa0707bcd7c0fb8ce78ac2c52380b"


@dataclass(frozen=True)
class Data:
    """A training and a test set in memory: images (N, 28, 28) uint8, labels (N,) int64 from 0 to 9
    in the order of kana.KANA. note: why another set than the one first looked for was taken."""

    name: str
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    note: str = ""

    @property
    def title(self):
        """Name and counts, as every output and figure shows them."""
        return f"{self.name} ({len(self.train_labels):,} train / {len(self.test_labels):,} test)"

    @functools.cached_property
    def sha256(self):
        """Of all images and labels: what tells apart two sets of the same title."""
        return checksum(self.train_images, self.train_labels, self.test_images, self.test_labels)

    def to(self, device):
        tensors = ("train_images", "train_labels", "test_images", "test_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


def load(dataset="auto", data_dir=None, report=None):
    """Load "kmnist", "kana" or "auto": files in data_dir, else a download into it, else the
    built-in set. data_dir: "data" if None; where it is given nothing takes the place of its images.
    report: called with a line of text before a download.

    Raises DataError for files that cannot be used, and if there are none, none can be downloaded
    and nothing may take their place.
    """
    if dataset == "kana":
        return load_kana()
    folder = Path(os.path.expanduser(data_dir or "data"))
    if find_files(folder) is None:
        try:
            download(folder, report)
        except Unreachable as error:
            if dataset == "auto" and data_dir is None:
                note = f"{error} The built-in kana set is used instead."
                return replace(load_kana(), note=note)
            files = ", ".join(names[0] for names in CANDIDATES)
            raise DataError(
                f"{error} Looked for {files} (plain or .gz, or the kmnist-*.npz files) in "
                f"{', '.join(str(folder / name) for name in FOLDERS)}."
            ) from None
    return load_kmnist(folder)


def load_kana(n_train=KANA_COUNTS[0], n_test=KANA_COUNTS[1], seed=0):
    """The built-in set: drawn characters, the same at every call."""
    images, labels = draw_kana(n_train + n_test, seed)
    train, test = slice(n_train), slice(n_train, None)
    return Data("built-in kana set", images[train], labels[train], images[test], labels[test])


def load_kmnist(data_dir):
    """The images as they lie in data_dir; nothing is written there. Raises DataError if a file is
    missing, truncated, foreign or does not fit the others."""
    paths = find_files(data_dir)
    if paths is None:
        raise DataError(f"There are no image files in {data_dir}.")
    tensors = []
    for images_path, labels_path in (paths[:2], paths[2:]):
        images, labels = read_items(images_path, (28, 28)), read_items(labels_path, ()).long()
        if len(images) != len(labels):
            raise DataError(
                f"{images_path} holds {len(images):,} images but {labels_path} {len(labels):,} "
                "labels: they do not belong together. Put the official files in their place."
            )
        if labels.max() > 9:
            fault = f"{labels_path} holds the label {labels.max()}; KMNIST's are 0 to 9."
            raise DataError(f"{fault} {advice(labels_path)}")
        tensors += [images, labels]
    return Data(name_of(data_dir, paths, tensors), *tensors)


def name_of(data_dir, paths, tensors):
    """KMNIST for the official files, "KMNIST subset" for the first images of theirs, else the
    folder's name."""
    missing = [n - len(labels) for n, labels in zip(KMNIST_COUNTS, tensors[1::2], strict=True)]
    if min(missing) >= 0 and checksum(*(part[:START] for part in tensors)) == START_SHA256:
        if max(missing) > 0:
            return "KMNIST subset"
        packed = [pair for pair in zip(paths, GZIP_MD5, strict=False) if pair[0].suffix == ".gz"]
        if (
            checksum(*tensors[2:]) == TEST_SHA256
            and tensors[1].bincount().tolist() == [N_PER_CLASS] * 10
            and all(hashlib.md5(path.read_bytes()).hexdigest() == md5 for path, md5 in packed)
        ):
            return "KMNIST"
    folder = Path(data_dir).resolve().name or str(data_dir)
    return "images in " + " ".join(os.fsencode(folder).decode(errors="replace").split())


def checksum(*tensors):
    """SHA-256 of images and labels, a byte each."""
    content = b"".join(tensor.cpu().to(torch.uint8).numpy().tobytes() for tensor in tensors)
    return hashlib.sha256(content).hexdigest()
