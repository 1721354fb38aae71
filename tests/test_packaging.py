"""The packages by themselves: what they import, what the README does with them, whole in the wheel;
everything else as well in the sdist."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anbn import recipes
from anbn.catalogue import named
from anbn.handset import handset
from anbn.networks import Networks, pack

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("kuzu", "xor", "anbn")
PARTS = (*PACKAGES, "scripts", "tests", ".ci")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_needs_no_other_and_prints_nothing(package):
    foreign = {"common", "reporting", "benchmarks", "argparse", *PACKAGES} - {package}
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            assert not {name.split(".")[0] for name in names} & foreign, path
            assert not (isinstance(node, ast.Name) and node.id == "print"), path


def test_the_readmes_python_runs(tmp_path, monkeypatch, capsys):
    """Block by block, from a folder with a run; the training cut short."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    explain, language, train = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    folder = Path("results/seq/RUN")
    folder.mkdir(parents=True)
    networks = Networks(handset(named("anbn")), named("anbn"), seeds=[0], hand_set=True)
    torch.save(pack(networks), folder / "model.pt")
    exec(explain, {})
    assert len(capsys.readouterr().out.splitlines()) > 3
    exec(language, {"__name__": "separated"})
    Path("separated.py").write_text(language)
    whole = recipes.default_recipe
    short = {"n_sequences": 800}
    monkeypatch.setattr(recipes, "default_recipe", lambda *a, **k: replace(whole(*a, **k), **short))
    exec(train, {})
    *records, first_failing = capsys.readouterr().out.splitlines()
    assert records and all(len(record.split(",")) == 8 for record in records)
    assert first_failing.startswith("tensor(")


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
    assert names == {name for name in wanted if name.split("/")[0] in PACKAGES}
