"""The files that hold images and labels: KMNIST's IDX files, plain or gzip, and its makers' npz.

How much is read is known from a file's header before anything else of it is read.
"""

import gzip
import math
import struct
import zipfile
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
    first folder that holds all four; None if there are none. Raises DataError if only some of them
    are there."""
    missing = None
    for folder in (Path(data_dir, name) for name in FOLDERS):
        there = [existing(folder, names) for names in CANDIDATES]
        if all(there):
            return [paths[0] for paths in there]
        if any(there):
            missing = missing or folder / CANDIDATES[there.index([])][2]
    if missing:
        raise DataError(
            f"{missing} is missing (nor is it there plain or as npz): put it there, the other "
            "files can stay."
        )


def existing(folder, names):
    """The paths of those files that are there."""
    return [folder / name for name in names if (folder / name).exists()]


def read_items(path, item_shape):
    """Read a file of unsigned bytes: (N, *item_shape) uint8. Raises DataError naming the file if it
    is empty, truncated, foreign or of another shape."""
    kind = "images" if item_shape else "labels"
    try:
        if not path.is_file():
            raise DataError("not a regular file")
        with opened(path) as stream:
            shape = header_shape(stream, path.suffix == ".npz", 1 + len(item_shape))
            if shape is None:
                empty = path.stat().st_size == 0
                raise DataError("empty" if empty else f"not a file of {kind} in this format")
            if shape[1:] != item_shape:
                sides = " x ".join(map(str, shape[1:]))
                raise DataError(f"a file of images of {sides} pixels; KMNIST's are 28 x 28")
            if not 0 < shape[0] <= MAX_ITEMS:
                raise DataError(f"a file of {shape[0]:,} {kind}: 1 to {MAX_ITEMS:,} can be read")
            size = math.prod(shape)
            content = stream.read(size + 1)
        if len(content) != size:
            state = "truncated" if len(content) < size else "longer than its header says"
            raise DataError(f"{state}: {size:,} bytes should follow the header")
    except MemoryError:
        raise
    except Exception as error:  # as many kinds as there are ways to damage a file
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from None
        fault = error if isinstance(error, DataError) else "truncated or damaged"
        raise DataError(f"{path} is {fault}. {advice(path)}") from None
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).view(shape)


def opened(path):
    """The file's bytes, unpacked."""
    if path.suffix == ".npz":
        return zipfile.ZipFile(path).open("arr_0.npy")
    return gzip.open(path) if path.suffix == ".gz" else open(path, "rb")


def header_shape(stream, is_npz, n_axes):
    """The shape of an array of unsigned bytes with n_axes axes; None if the header has none."""
    if is_npz:
        if np.lib.format.read_magic(stream) != (1, 0):
            return None
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        return None if by_columns or dtype != np.uint8 or len(shape) != n_axes else shape
    magic, sides = stream.read(4), stream.read(4 * n_axes)
    if magic != bytes((0, 0, 8, n_axes)) or len(sides) < 4 * n_axes:
        return None
    return struct.unpack(f">{n_axes}I", sides)


def advice(path):
    """What to do about a bad file: never to remove a good one."""
    names = next(names for names in CANDIDATES if path.name in names)
    for other in existing(path.parent, names):
        if other != path:
            return f"Move it away: {other.name} beside it is then read."
    return "Put the official file in its place; the other files can stay."
