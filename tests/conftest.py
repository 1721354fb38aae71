"""What the tests of several scripts share."""

import pytest
from test_kuzu_data import write

from kuzu.data import load_kana


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """300 training and 100 test images in the official files' format."""
    folder = tmp_path_factory.mktemp("data")
    raw = folder / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    write(raw, load_kana(300, 100, seed=2))
    return folder
