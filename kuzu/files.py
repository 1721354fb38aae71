"""The files that hold images and labels: KMNIST's IDX files, plain or gzip, and its makers' npz.

How much is read is known from a file's header before anything else of it is read.
"""

import contextlib
import gzip
import lzma
import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

FOLDERS = ("", "KMNIST/raw", "KMNIST", "raw")  # in the data folder
CANDIDATES = [  # names of each file: as published, with a dot for the last dash, gzip, npz
    [idx, dotted, f"{idx}.gz", f"{dotted}.gz", f"kmnist-{npz}.npz"]
    for idx, dotted, npz in (
        ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "train-imgs"),
        ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte", "train-labels"),
        ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte", "test-imgs"),
        ("t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte", "test-labels"),
    )
]
MAX_ITEMS = 1_000_000  # images or labels in a file


class DataError(ValueError):
    """The data cannot be used; the message names the file and says what to do."""


def find_files(data_dir):
    """The paths of training images, training labels, test images and test labels, all from the
    first folder that holds all four; None if there are none.

    Raises DataError if only some of them are there.
    """
    some = []
    for name in FOLDERS:
        folder = Path(data_dir) / name
        paths = [next(iter(existing(folder, names)), None) for names in CANDIDATES]
        if all(paths):
            return paths
        if any(paths):
            some.append(folder / CANDIDATES[paths.index(None)][2])
    if some:
        raise DataError(
            f"{some[0]} is missing (nor is it there plain or as npz): put it there, the other "
            "files can stay."
        )
    return None


def existing(folder, names):
    """The paths of those files that are there."""
    return [folder / name for name in names if (folder / name).exists()]


def read_items(path, item_shape):
    """Read a file of unsigned bytes: (N, *item_shape) uint8.

    Raises DataError naming the file if it is empty, truncated, foreign or of another shape.
    """
    kind = "images" if item_shape else "labels"
    try:
        if not path.is_file():
            raise ValueError("not a regular file")
        with opened(path) as stream:
            shape = (npy_shape if path.suffix == ".npz" else idx_shape)(stream)
            if shape is None or len(shape) != 1 + len(item_shape):
                empty = path.stat().st_size == 0
                raise ValueError("empty" if empty else f"not a file of {kind} in this format")
            if shape[1:] != item_shape:
                sides = " x ".join(map(str, shape[1:]))
                raise ValueError(f"a file of images of {sides} pixels; KMNIST's are 28 x 28")
            if not 0 < shape[0] <= MAX_ITEMS:
                raise ValueError(f"a file of {shape[0]:,} {kind}: 1 to {MAX_ITEMS:,} can be read")
            size = math.prod(shape)
            content = stream.read(size + 1)
        if len(content) != size:
            state = "truncated" if len(content) < size else "longer than its header says"
            raise ValueError(f"{state}: {size:,} bytes should follow the header")
    except DAMAGED as error:
        raise DataError(f"{path} is truncated or damaged ({error}). {advice(path)}") from None
    except ValueError as error:
        raise DataError(f"{path} is {error}. {advice(path)}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).view(shape)


# Besides those of the formats themselves: no arr_0 in the archive, a compression or encryption that
# Python does not know.
DAMAGED = (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, KeyError)
DAMAGED += (RuntimeError,)


@contextlib.contextmanager
def opened(path):
    """The file's bytes, unpacked."""
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive, archive.open("arr_0.npy") as stream:
            yield stream
    else:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            yield stream


def idx_shape(stream):
    """The shape in the header of an IDX file of unsigned bytes; None if it has none."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not 1 <= magic[3] <= 4:
        return None
    sides = stream.read(4 * magic[3])
    shape = tuple(int.from_bytes(sides[i : i + 4], "big") for i in range(0, len(sides), 4))
    return shape if len(sides) == 4 * magic[3] else None


def npy_shape(stream):
    """The shape in the header of a numpy array of unsigned bytes; None if it has none."""
    if np.lib.format.read_magic(stream) != (1, 0):
        return None
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
    return None if by_columns or dtype != np.uint8 else shape


def advice(path):
    """What to do about a bad file: never to remove a good one."""
    names = next(names for names in CANDIDATES if path.name in names)
    others = [other for other in existing(path.parent, names) if other != path]
    if others:
        return f"Move it away: {others[0].name} beside it is then read."
    return "Put the official file in its place; the other files can stay."
