"""The wheel holds the packages whole, the sdist everything else as well."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("kuzu", "xor", "anbn", "scripts", "tests", ".ci")


@pytest.mark.slow
def test_wheel_and_sdist_are_whole(tmp_path):
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip("an older setuptools than pyproject.toml asks for")
    tree = tmp_path / "tree"
    hide = shutil.ignore_patterns("__pycache__")
    for name in PARTS:
        shutil.copytree(ROOT / name, tree / name, ignore=hide)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md"):
        shutil.copyfile(ROOT / name, tree / name)
    wanted = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    build = "from setuptools.build_meta import *; build_sdist('..'); build_wheel('..')"
    done = subprocess.run([sys.executable, "-c", build], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (sdist,), (wheel,) = tmp_path.glob("*.tar.gz"), tmp_path.glob("*.whl")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert wanted <= names
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {name for name in wanted if name.split("/")[0] in ("kuzu", "xor", "anbn")}
