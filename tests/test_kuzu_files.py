"""Image files, good and bad: each bad one is named, with advice that costs no good file."""

import gzip
import os
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from test_kuzu_data import idx

from kuzu.files import DataError, find_files, read_items

NAME = "train-images-idx3-ubyte"
IMAGES = (torch.arange(5 * 784) % 251).to(torch.uint8).view(5, 28, 28)
GOOD = idx(IMAGES)


def fails(path, match, shape=(28, 28)):
    with pytest.raises(DataError, match=match) as caught:
        read_items(path, shape)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:-1], "truncated"),
        (GOOD + b"\0", "longer"),
        (GOOD[:6], "not a file of images"),
        (b"", "empty"),
        (b"\x89PNG" + GOOD[4:], "not a file of images"),
        (idx(torch.zeros(5)), "not a file of images"),
        (idx(torch.zeros(5, 32, 32)), "32 x 32"),
        (idx(torch.zeros(0, 28, 28)), "1 to 1,000,000"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 28, 28) + b"\0" * 999, "4,294,967,295"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_bad_files_are_named(tmp_path, content, message, packed):
    path = tmp_path / (f"{NAME}.gz" if packed else NAME)
    path.write_bytes(gzip.compress(content) if packed else content)
    if content or not packed:
        fails(path, message)


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(GOOD)[:-9]])
def test_bad_gzip_files_are_named(tmp_path, content):
    path = tmp_path / f"{NAME}.gz"
    path.write_bytes(content)
    fails(path, f"{NAME}.gz is")


def test_bad_npz_files_are_named(tmp_path):
    path = tmp_path / "kmnist-train-imgs.npz"
    for content in (b"", b"not a zip file"):
        path.write_bytes(content)
        fails(path, "is")
    for arrays in ({"other": IMAGES.numpy()}, {"arr_0": IMAGES.numpy().astype(float)}):
        np.savez(path, **arrays)
        fails(path, "is")
    np.savez(path, np.array([{"a": 1}], dtype=object))  # numpy would have to unpickle it
    fails(path, "not a file of images")
    np.savez(path, IMAGES.numpy()[:, :14])
    fails(path, "14 x 28")
    np.savez(path, IMAGES.numpy())
    assert torch.equal(read_items(path, (28, 28)), IMAGES)


@pytest.mark.parametrize(
    "header", ["{'descr': '|u1', 'shape': (5, 28, 28),", "{[1]: 2}", "[", "\0", " " * 20_000]
)
def test_damaged_npz_headers_are_one_line(tmp_path, header):
    path = tmp_path / "kmnist-train-imgs.npz"
    with zipfile.ZipFile(path, "w") as archive:
        start = b"\x93NUMPY\1\0" + struct.pack("<H", len(header))
        archive.writestr("arr_0.npy", start + header.encode())
    fails(path, "is truncated or damaged. Put the official file in its place")


def test_a_damaged_member_is_one_line(tmp_path):
    path = tmp_path / "kmnist-train-imgs.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("arr_0.npy", b"\x93NUMPY\1\0")
    path.write_bytes(path.read_bytes().replace(b"BZh", b"xyz"))
    fails(path, "is truncated or damaged")


def test_what_a_header_announces_bounds_what_is_read(tmp_path):
    """A gzip or zip file may unpack to a thousand times its size."""
    bomb = GOOD[:16] + b"\0" * 30_000_000
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(bomb, 1))
    with zipfile.ZipFile(tmp_path / "kmnist-train-imgs.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("arr_0.npy", "w") as stream:
            np.lib.format.write_array(stream, IMAGES.numpy())
            stream.write(bomb)
    del bomb
    tracemalloc.start()
    for path in tmp_path.iterdir():
        fails(path, "longer than its header says")
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / NAME)
    start = time.monotonic()
    fails(tmp_path / NAME, "not a regular file")
    (tmp_path / "t10k-images-idx3-ubyte").symlink_to("/dev/zero")
    fails(tmp_path / "t10k-images-idx3-ubyte", "not a regular file")
    (tmp_path / f"{NAME}.gz").mkdir()
    fails(tmp_path / f"{NAME}.gz", "not a regular file")
    assert time.monotonic() - start < 1


def test_no_advice_to_remove_a_good_file(tmp_path):
    (tmp_path / NAME).write_bytes(GOOD[:99])
    text = fails(tmp_path / NAME, "truncated")
    assert "the other files can stay" in text
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(GOOD))
    assert f"Move it away: {NAME}.gz beside it is then read." in fails(tmp_path / NAME, "truncated")


def test_nothing_there_is_no_error(tmp_path):
    assert find_files(tmp_path) is None
    assert find_files(tmp_path / "nowhere") is None
