"""Data files and checkpoints with any byte changed or the end cut off: read, or named in a line."""

import gzip
import io

import numpy as np
import pytest
import torch
from test_kuzu_checkpoint import trained
from test_kuzu_data import idx

from kuzu.checkpoint import CheckpointError, load
from kuzu.data import load_kana
from kuzu.files import DataError, read_items
from kuzu.recipes import CLASSIC

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

IMAGES = (torch.arange(5 * 784) % 251).to(torch.uint8).view(5, 28, 28)


def packed():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, IMAGES.numpy())
    return buffer.getvalue()


def checkpoint():
    buffer = io.BytesIO()
    torch.save(trained("full", CLASSIC, load_kana(20, 10), 2).content(), buffer)
    return buffer.getvalue()


NAME = "train-images-idx3-ubyte"
FILES = {
    NAME: idx(IMAGES),
    f"{NAME}.gz": gzip.compress(idx(IMAGES)),
    "kmnist-train-imgs.npz": packed(),
}


def spoiled(content, data):
    """Up to three bytes set anywhere, most often where headers are; or the end cut off."""
    content = bytearray(content)
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
        return content
    ends = st.integers(0, 199) | st.integers(len(content) - 300, len(content) - 1)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(ends | st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    return content


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(data=st.data())
def test_image_files(tmp_path_factory, data):
    name = data.draw(st.sampled_from(sorted(FILES)))
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(spoiled(FILES[name], data))
    try:
        assert read_items(path, (28, 28)).shape[1:] == (28, 28)
    except DataError as error:
        assert name in str(error) and "\n" not in str(error)


@pytest.fixture(scope="module")
def content():
    return checkpoint()


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(data=st.data())
def test_checkpoints(tmp_path_factory, content, data):
    path = tmp_path_factory.getbasetemp() / "model.pt"
    path.write_bytes(spoiled(content, data))
    try:
        assert load(path).net == "full"
    except CheckpointError as error:
        assert "model.pt" in str(error) and "\n" not in str(error)
