"""Reading IDX files, good and bad; the built-in set in their place."""

import gzip
import struct
from pathlib import Path

import pytest
import torch

from kuzu import data as kuzu_data
from kuzu.data import DataError, load, load_kana, load_kmnist

SUBSET = Path(__file__).parent.parent.parent / "shared" / "kmnist-7k"
NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


def idx(tensor):
    """A uint8 tensor as the bytes of an IDX file."""
    shape = tensor.shape
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    return header + tensor.to(torch.uint8).numpy().tobytes()


def write(raw, data):
    """A Data as the four official files in the folder raw."""
    for field, name in NAMES.items():
        (raw / name).write_bytes(idx(getattr(data, field)))


@pytest.fixture
def folder(tmp_path):
    """A data_dir with 40 training and 20 test images, plain; returns (raw folder, Data)."""
    raw = tmp_path / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    drawn = load_kana(40, 20, seed=9)
    write(raw, drawn)
    return raw, drawn


@pytest.fixture
def no_server(monkeypatch):
    monkeypatch.setattr(kuzu_data, "server_answers", lambda: False)


@pytest.mark.parametrize("packed", [False, True])
def test_reads_what_was_written(folder, packed):
    raw, drawn = folder
    if packed:
        for name in NAMES.values():
            (raw / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes()))
            (raw / name).unlink()
    before = sorted(path.name for path in raw.iterdir())
    data = load("auto", raw.parent.parent)
    for field in NAMES:
        assert torch.equal(getattr(data, field), getattr(drawn, field))
    assert data.title == "KMNIST subset (40 train / 20 test)"
    assert sorted(path.name for path in raw.iterdir()) == before


def test_only_the_official_counts_are_named_kmnist(folder, monkeypatch):
    monkeypatch.setattr(kuzu_data, "KMNIST_COUNTS", (40, 20))
    assert load_kmnist(folder[0].parent.parent).title == "KMNIST (40 train / 20 test)"


def cut(content):
    return content[:-1]


def spoil_magic(content):
    return b"\x89PNG" + content[4:]


@pytest.mark.parametrize("field", ["train_images", "test_labels"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut, "truncated"),
        (lambda content: content[:6], "not an IDX file"),
        (lambda content: b"", "empty"),
        (spoil_magic, "not an IDX file"),
        (lambda content: content + b"\0", "longer"),
    ],
)
def test_bad_files_are_named(folder, field, spoil, message):
    path = folder[0] / NAMES[field]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        load("auto", folder[0].parent.parent)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(b"x" * 5000)[:-9]])
def test_bad_gzip_files_are_named(folder, content):
    path = folder[0] / NAMES["train_labels"]
    path.unlink()
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(content)
    with pytest.raises(DataError, match="train-labels-idx1-ubyte.gz is"):
        load("auto", folder[0].parent.parent)


def test_labels_where_images_should_be(folder):
    raw, _ = folder
    (raw / NAMES["test_images"]).write_bytes((raw / NAMES["test_labels"]).read_bytes())
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte is not an IDX file of images"):
        load_kmnist(raw.parent.parent)


def test_images_of_another_size(folder):
    (folder[0] / NAMES["test_images"]).write_bytes(idx(torch.zeros(20, 32, 32)))
    with pytest.raises(DataError, match="32 x 32"):
        load_kmnist(folder[0].parent.parent)


def test_counts_that_differ(folder):
    (folder[0] / NAMES["train_labels"]).write_bytes(idx(torch.zeros(39)))
    with pytest.raises(DataError, match="40 images .* 39 labels"):
        load_kmnist(folder[0].parent.parent)


def test_a_label_above_nine(folder):
    (folder[0] / NAMES["train_labels"]).write_bytes(idx(torch.full((40,), 10)))
    with pytest.raises(DataError, match="label 10"):
        load_kmnist(folder[0].parent.parent)


def test_one_file_missing_is_named(folder, no_server):
    (folder[0] / NAMES["test_labels"]).unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte.gz is missing"):
        load("auto", folder[0].parent.parent)


def test_without_network_auto_falls_back_and_kmnist_does_not(tmp_path, no_server, monkeypatch):
    monkeypatch.setattr(kuzu_data, "load_kana", lambda: load_kana(20, 10))
    data = load("auto", tmp_path / "none")
    assert "cannot be reached" in data.note
    assert data.title == "built-in kana set (20 train / 10 test)"
    with pytest.raises(DataError, match="cannot be reached"):
        load("kmnist", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_failed_download_leaves_nothing(tmp_path, monkeypatch):
    import torchvision.datasets

    def broken(root, download):
        (Path(root) / "KMNIST" / "raw").mkdir(parents=True)
        (Path(root) / "KMNIST" / "raw" / "half").write_bytes(b"half")
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(kuzu_data, "server_answers", lambda: True)
    monkeypatch.setattr(torchvision.datasets, "KMNIST", broken)
    with pytest.raises(DataError, match="failed"):
        load("kmnist", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_download_is_read(folder, tmp_path, monkeypatch):
    import torchvision.datasets

    def served(root, download):
        (folder[0].parent).rename(Path(root) / "KMNIST")

    monkeypatch.setattr(kuzu_data, "server_answers", lambda: True)
    monkeypatch.setattr(torchvision.datasets, "KMNIST", served)
    data = load("auto", tmp_path / "new")
    assert torch.equal(data.train_images, folder[1].train_images)


@pytest.mark.skipif(not SUBSET.exists(), reason="the KMNIST subset is not here")
def test_the_real_subset():
    data = load("kmnist", SUBSET)
    assert data.title == "KMNIST subset (7,011 train / 10,000 test)"
    assert torch.bincount(data.test_labels).tolist() == [1000] * 10
