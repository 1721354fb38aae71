"""Characters in memory: KMNIST from its files, or the built-in kana set.

    data = load("auto", "data")
    data.train_images      # (N, 28, 28) uint8
    str(data)              # "KMNIST subset (7,011 training / 10,000 test images)"

KMNIST's files are read as they lie, packed (.gz) or not; nothing is written beside them.
"""

import contextlib
import gzip
import io
import shutil
import socket
import struct
import tempfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from kuzu.kana import draw_kana

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
DOWNLOAD_SECONDS = 5  # of silence from the server, then it counts as out of reach


class DataError(ValueError):
    """A file of the data set is missing or is not what its name says."""


@dataclass
class Characters:
    """A data set. Images (N, 28, 28) uint8, labels (N,) int64 in 0..9."""

    name: str
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor
    warning: str | None = None  # why this data set was taken, where the user should know

    def __str__(self):
        train, test = len(self.train_images), len(self.test_images)
        return f"{self.name} ({train:,} training / {test:,} test images)"

    def to(self, device):
        """The same data on another device."""
        moved = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return replace(self, **moved)


def load(dataset="auto", folder="data"):
    """Load "kmnist", the built-in "kana", or "auto": KMNIST from `folder`/KMNIST/raw, else by
    download into it, else the built-in set, with the reason in `warning`.

    Raises DataError for a broken file, and for "kmnist" if it is neither there nor to be had.
    """
    if dataset == "kana":
        return Characters("built-in kana", *draw_kana())
    if dataset not in ("auto", "kmnist"):
        raise DataError(f"unknown data set {dataset!r}; choose auto, kmnist or kana")
    raw = Path(folder) / "KMNIST" / "raw"
    if not any(_found(raw, name) for name in FILES):
        try:
            download(folder)
        except (OSError, RuntimeError) as error:
            reason = f"KMNIST is not in {raw} and cannot be downloaded ({_one_line(error)})"
            if dataset == "kmnist":
                raise DataError(
                    f"{reason}; put its four files there, or use --dataset kana"
                ) from None
            return replace(load("kana"), warning=f"{reason}; using the built-in kana set instead")
    return read_kmnist(raw)


def read_kmnist(raw):
    """The data set whose four IDX files lie in the folder `raw`. Raises DataError."""
    parts = []
    for name in FILES:
        path = _found(raw, name)
        if path is None:
            raise DataError(f"{Path(raw) / name}.gz is missing; copy or download it again")
        parts.append(read_idx(path, 3 if "images" in name else 1))
    for images, labels, name in ((*parts[:2], FILES[1]), (*parts[2:], FILES[3])):
        path = _found(raw, name)
        if len(images) != len(labels):
            raise DataError(
                f"{path} has {len(labels)} labels for {len(images)} images; the two files do not "
                "belong together, download both again"
            )
        if images.shape[1:] != (28, 28):
            raise DataError(f"the images beside {path} are {tuple(images.shape[1:])}, not 28 x 28")
        if len(labels) == 0 or int(labels.max()) > 9:
            raise DataError(f"{path} holds no labels 0 to 9; it is not KMNIST's")
    whole = (len(parts[0]), len(parts[2])) == (60_000, 10_000)
    train_images, train_labels, test_images, test_labels = parts
    return Characters(
        "KMNIST" if whole else "KMNIST subset",
        train_images,
        train_labels.long(),
        test_images,
        test_labels.long(),
    )


def read_idx(path, n_dims):
    """The bytes of an IDX file with `n_dims` dimensions, packed or not, as a uint8 tensor.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each size as
    a big-endian 32-bit number, then the values (Y. LeCun's description of MNIST).
    Raises DataError naming the file if it is empty, truncated or another kind of file.
    """
    again = "delete it and download it again"
    try:
        content = Path(path).read_bytes()
        if Path(path).suffix == ".gz" and content:
            content = gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is truncated or not a gzip file ({error}); {again}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if not content:
        raise DataError(f"{path} is empty; {again}")
    if len(content) < 4 + 4 * n_dims or content[:4] != bytes((0, 0, 8, n_dims)):
        raise DataError(f"{path} is not an IDX file with {n_dims} dimension(s) of bytes; {again}")
    shape = struct.unpack(f">{n_dims}I", content[4 : 4 + 4 * n_dims])
    values = torch.frombuffer(bytearray(content), dtype=torch.uint8)[4 + 4 * n_dims :]
    if len(values) != torch.Size(shape).numel():
        raise DataError(
            f"{path} should hold {torch.Size(shape).numel()} values but has {len(values)}: it is "
            f"truncated or damaged; {again}"
        )
    return values.reshape(shape)


def download(folder):
    """Fetch KMNIST's four files through torchvision, which checks their MD5, into
    `folder`/KMNIST/raw, all of them or none. Raises OSError or RuntimeError if it cannot be."""
    from torchvision.datasets import KMNIST

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            with contextlib.redirect_stdout(io.StringIO()):
                KMNIST(scratch, download=True)
            raw = Path(folder) / "KMNIST" / "raw"
            raw.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                shutil.move(Path(scratch) / "KMNIST" / "raw" / f"{name}.gz", raw / f"{name}.gz")
    finally:
        socket.setdefaulttimeout(before)


def _found(raw, name):
    """The path of a file, unpacked or packed, or None."""
    for path in (Path(raw) / name, Path(raw) / f"{name}.gz"):
        if path.exists():
            return path
    return None


def _one_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
