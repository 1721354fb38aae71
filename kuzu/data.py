"""Images in memory: KMNIST from its IDX files (plain or gzip), or the built-in kana set.

data = load("auto", "data")       # what lies there; else download; else the built-in set
data.title                        # "KMNIST (60,000 train / 10,000 test)"
"""

import contextlib
import gzip
import io
import math
import os
import socket
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from .kana import KANA, ROMAJI, draw_kana

__all__ = ["KANA", "ROMAJI", "Data", "DataError", "load", "load_kana", "load_kmnist"]

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
KMNIST_COUNTS = (60_000, 10_000)
KANA_COUNTS = (20_000, 4_000)
SERVER = "http://codh.rois.ac.jp/kmnist/dataset/kmnist/"
PATIENCE = 4  # seconds to wait for the server's first answer


class DataError(ValueError):
    """The data cannot be used; the message names the file and says what to do."""


class Unreachable(DataError):
    """The server did not answer."""


@dataclass(frozen=True)
class Data:
    """A training and a test set in memory.

    Images are (N, 28, 28) uint8, labels (N,) int64 from 0 to 9 in the order of KANA. `note` says
    why another set than the one first looked for was taken; empty otherwise.
    """

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

    def to(self, device):
        """The same data on a device."""
        tensors = ("train_images", "train_labels", "test_images", "test_labels")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


def load(dataset="auto", data_dir="data"):
    """Load "kmnist", "kana" or "auto" (the first of: files in data_dir, download, built-in set).

    Raises DataError for files that are there but cannot be used, and, for "kmnist", if there are
    none and the server cannot be reached.
    """
    if dataset == "kana":
        return load_kana()
    if find_files(data_dir) is None:
        try:
            download(data_dir)
        except Unreachable as error:
            if dataset == "kmnist":
                raise
            note = f"{error} Training on the built-in kana set instead."
            return replace(load_kana(), note=note)
    return load_kmnist(data_dir)


def load_kana(n_train=KANA_COUNTS[0], n_test=KANA_COUNTS[1], seed=0):
    """The built-in set: drawn characters, the same at every call."""
    images, labels = draw_kana(n_train + n_test, seed)
    return Data(
        "built-in kana set", images[:n_train], labels[:n_train], images[n_train:], labels[n_train:]
    )


def load_kmnist(data_dir):
    """KMNIST as it lies in data_dir/KMNIST/raw; nothing is written there.

    Raises DataError if a file is missing, truncated, foreign or does not fit the others.
    """
    paths = find_files(data_dir)
    if paths is None:
        raise DataError(f"There is no KMNIST/raw folder with IDX files in {data_dir}.")
    tensors = []
    for part in ("train", "test"):
        images_path, labels_path = paths[part]
        images = read_idx(images_path, (28, 28))
        labels = read_idx(labels_path, ()).long()
        if len(images) != len(labels):
            raise DataError(
                f"{images_path} holds {len(images):,} images but {labels_path} {len(labels):,} "
                "labels: the two files do not belong together."
            )
        if labels.max() > 9:
            raise DataError(f"{labels_path} holds the label {labels.max()}; KMNIST's are 0 to 9.")
        tensors += [images, labels]
    whole = (len(tensors[1]), len(tensors[3])) == KMNIST_COUNTS
    return Data("KMNIST" if whole else "KMNIST subset", *tensors)


def find_files(data_dir):
    """The paths of the four files, {"train": (images, labels), "test": ...}; None if none exists.

    Raises DataError if only some of them are there.
    """
    folder = Path(data_dir) / "KMNIST" / "raw"
    paths, missing = {}, []
    for part, names in FILES.items():
        found = []
        for name in names:
            candidates = [folder / name, folder / f"{name}.gz"]
            there = [path for path in candidates if path.exists()]
            found += there[:1]
            missing += [] if there else [candidates[1]]
        paths[part] = tuple(found)
    if len(missing) == 4:
        return None
    if missing:
        raise DataError(
            f"{missing[0]} is missing (plain or .gz): add it, or remove the folder's other files "
            "to download all of them anew."
        )
    return paths


def read_idx(path, item_shape):
    """Read an IDX file of unsigned bytes, gzip or plain: (N, *item_shape) uint8.

    Raises DataError naming the file if it is empty, truncated, foreign or of another shape.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    advice = "Remove it and the folder's other files to download them anew."
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is truncated or not a gzip file ({error}). {advice}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    n_axes = 1 + len(item_shape)
    header = 4 + 4 * n_axes
    if not content:
        raise DataError(f"{path} is empty. {advice}")
    if content[:4] != bytes((0, 0, 8, n_axes)) or len(content) < header:
        kind = "images" if item_shape else "labels"
        raise DataError(f"{path} is not an IDX file of {kind}. {advice}")
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4)]
    if tuple(shape[1:]) != item_shape:
        found = " x ".join(str(side) for side in shape[1:])
        raise DataError(f"{path} holds images of {found} pixels; KMNIST's are 28 x 28.")
    if shape[0] == 0:
        raise DataError(f"{path} holds no items. {advice}")
    wanted = header + math.prod(shape)
    if len(content) != wanted:
        state = "truncated" if len(content) < wanted else "longer than its header says"
        raise DataError(
            f"{path} is {state}: {len(content):,} bytes instead of {wanted:,}. {advice}"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header).view(shape)


def download(data_dir):
    """Download KMNIST with torchvision (MD5 checked) into data_dir/KMNIST/raw, whole or not at all.

    Raises Unreachable within a few seconds if the server does not answer.
    """
    if not server_answers():
        raise Unreachable(
            f"There is no KMNIST in {data_dir}, and its server {SERVER} cannot be reached."
        )
    from torchvision.datasets import KMNIST

    os.makedirs(data_dir, exist_ok=True)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE * 3)
    try:
        with tempfile.TemporaryDirectory(dir=data_dir, prefix=".download-") as unfinished:
            shown = sys.stderr if sys.stderr.isatty() else io.StringIO()  # torchvision's bars
            with contextlib.redirect_stderr(shown):
                KMNIST(unfinished, download=True)
            os.replace(Path(unfinished) / "KMNIST", Path(data_dir) / "KMNIST")
    except (OSError, RuntimeError) as error:
        raise Unreachable(f"The download of KMNIST into {data_dir} failed: {error}.") from None
    finally:
        socket.setdefaulttimeout(patience)


def server_answers():
    """Whether the server answers within PATIENCE seconds, looking up its name included.

    In a thread, since a name look-up has no time limit of its own.
    """
    answers = []

    def ask():
        with contextlib.suppress(OSError, ValueError):
            request = urllib.request.Request(SERVER, method="HEAD")
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE):
                    answers.append(True)
            except urllib.error.HTTPError as error:
                answers.append(error.code in (403, 404, 405))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return any(answers)
