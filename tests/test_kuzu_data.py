"""Which images are loaded, what they are called, and what takes their place."""

import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kuzu import data as kuzu_data
from kuzu import download
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


def write_gzip(raw, data):
    for field, name in NAMES.items():
        (raw / f"{name}.gz").write_bytes(gzip.compress(idx(getattr(data, field)), mtime=0))


def write_dotted(raw, data):
    for field, name in NAMES.items():
        (raw / name.replace("-idx", ".idx")).write_bytes(idx(getattr(data, field)))


def write_npz(raw, data):
    for field in NAMES:
        part, kind = field.split("_")
        array = getattr(data, field).to(torch.uint8).numpy()
        kind = "imgs" if kind == "images" else kind
        np.savez_compressed(raw / f"kmnist-{part}-{kind}.npz", array)


@pytest.fixture(scope="module")
def drawn():
    return load_kana(40, 20, seed=9)


@pytest.fixture
def no_server(monkeypatch):
    monkeypatch.setattr(download, "server_answers", lambda: False)


@pytest.mark.parametrize("form", [write, write_gzip, write_dotted, write_npz])
@pytest.mark.parametrize("place", ["", "KMNIST/raw", "KMNIST", "raw"])
def test_every_form_in_every_place(tmp_path, drawn, form, place, no_server):
    (tmp_path / "mine" / place).mkdir(parents=True)
    form(tmp_path / "mine" / place, drawn)
    before = sorted(tmp_path.rglob("*"))
    for dataset in ("auto", "kmnist"):
        data = load(dataset, tmp_path / "mine")
        assert data.title == "images in mine (40 train / 20 test)"
        for field in NAMES:
            assert torch.equal(getattr(data, field), getattr(drawn, field))
            assert getattr(data, field).dtype == getattr(drawn, field).dtype
    assert sorted(tmp_path.rglob("*")) == before


def test_a_whole_folder_is_preferred_to_a_part(tmp_path, drawn, no_server):
    (tmp_path / "raw").mkdir()
    write(tmp_path / "raw", drawn)
    (tmp_path / NAMES["test_labels"]).write_bytes(b"")
    assert torch.equal(load_kmnist(tmp_path).test_images, drawn.test_images)


def test_files_that_do_not_belong_together(tmp_path, drawn):
    write(tmp_path, drawn)
    (tmp_path / NAMES["train_labels"]).write_bytes(idx(torch.zeros(39)))
    with pytest.raises(DataError, match="40 images .* 39 labels.* Put the official files"):
        load_kmnist(tmp_path)
    (tmp_path / NAMES["train_labels"]).write_bytes(idx(torch.full((40,), 10)))
    with pytest.raises(DataError, match="label 10; .* Put the official file"):
        load_kmnist(tmp_path)


def test_one_file_missing_is_named(tmp_path, drawn, no_server):
    write(tmp_path, drawn)
    (tmp_path / NAMES["test_labels"]).unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte.gz is missing"):
        load("auto", tmp_path)


def test_only_the_official_files_are_named_kmnist(tmp_path, monkeypatch):
    """With small counts and checksums in the place of the official ones."""
    official = replace(load_kana(200, 60, seed=3), train_labels=torch.arange(200) % 10)
    tensors = [getattr(official, field) for field in NAMES]
    start = kuzu_data.checksum(*(tensor[:30] for tensor in tensors))
    monkeypatch.setattr(kuzu_data, "KMNIST_COUNTS", (200, 60))
    monkeypatch.setattr(kuzu_data, "START", 30)
    monkeypatch.setattr(kuzu_data, "START_SHA256", start)
    monkeypatch.setattr(kuzu_data, "TEST_SHA256", kuzu_data.checksum(*tensors[2:]))
    monkeypatch.setattr(kuzu_data, "N_PER_CLASS", 20)

    def name(form=write, n_train=200, **changed):
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "KMNIST"
        folder.mkdir(parents=True)
        fields = {field: getattr(official, field).clone() for field in NAMES}
        for field in ("train_images", "train_labels"):
            fields[field] = fields[field][:n_train]
        for field, place in changed.items():
            fields[field][place] = 9 - fields[field][place]
        form(folder, kuzu_data.Data("", **fields))
        return load_kmnist(folder).title

    assert name() == "KMNIST (200 train / 60 test)"
    assert name(write_npz) == "KMNIST (200 train / 60 test)"
    assert name(n_train=150) == "KMNIST subset (150 train / 60 test)"
    foreign = "images in KMNIST (200 train / 60 test)"
    assert name(train_images=(0, 14, 14)) == foreign
    assert name(train_labels=150) == foreign  # no longer as many of each class
    assert name(test_images=(59, 14, 14)) == foreign
    assert name(n_train=20) == "images in KMNIST (20 train / 60 test)"
    assert name(write_gzip) == foreign  # not the official gzip files
    files = [next(tmp_path.rglob(f"{name}.gz")) for name in list(NAMES.values())[:2]]
    sums = tuple(hashlib.md5(file.read_bytes()).hexdigest() for file in files)
    monkeypatch.setattr(kuzu_data, "GZIP_MD5", sums)
    assert name(write_gzip) == "KMNIST (200 train / 60 test)"


@pytest.mark.skipif(not SUBSET.exists(), reason="the KMNIST subset is not here")
def test_the_real_subset():
    data = load("kmnist", SUBSET)
    assert data.title == "KMNIST subset (7,011 train / 10,000 test)"
    assert torch.bincount(data.test_labels).tolist() == [1000] * 10


def test_a_folder_of_any_name_can_be_shown(tmp_path, drawn):
    folder = tmp_path / "a\nb \udcff"
    folder.mkdir()
    write(folder, drawn)
    load_kmnist(folder).title.encode()
    assert "\n" not in load_kmnist(folder).title


def test_without_network_kana_is_drawn_only_where_nothing_was_asked_for(
    tmp_path, no_server, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kuzu_data, "load_kana", lambda: load_kana(20, 10))
    data = load("auto")
    assert "cannot be reached" in data.note
    assert data.title == "built-in kana set (20 train / 10 test)"
    for asked_for in (("kmnist",), ("kmnist", "none"), ("auto", "none"), ("auto", "data")):
        with pytest.raises(DataError, match="cannot be reached.*Looked for train-images") as caught:
            load(*asked_for)
        folder = asked_for[1] if len(asked_for) > 1 else "data"
        assert str(Path(folder, "KMNIST", "raw")) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_home_folders(tmp_path, drawn, monkeypatch):
    write(tmp_path, drawn)
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    assert load("kmnist", f"~/{tmp_path.name}").title.endswith("(40 train / 20 test)")
