"""Random command lines, checkpoints and data files: whatever people give, a script ends with status
0, 1, 2 or 130, one line says what is wrong, and no file that was there is touched.

Each test takes FUZZ_SECONDS (default 2), with the same examples every time; more seconds, more of
them.
"""

import copy
import importlib
import math
import os
import re
import shutil
import time
from pathlib import Path

import pytest
import torch

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies
pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("FUZZ_SECONDS", 2))
# Small sizes and absurd ones: what lies between is right, and takes long.
VALUES = ["", "0", "1", "2", "3", "-1", "0.5", "1e-3", "1e30", "1e300", "nan", "inf", "-inf", "x"]
VALUES += ["99999999999", str(2**63 - 1), str(2**64), "True", "False", "None", "'", "\u304a", "a"]
VALUES += "anbn anb2n reber anbncndnen anbmcmdn anbmcn+m dyck1 dyck2 a.txt b.py usual far".split()
VALUES += ["lin", "full", "conv", "tuned"]
VALUES += ["lstm", "srn", "adam", "sgd", "step", "sig", "xor", "check", "cpu", "cuda", "missing.pt"]
TINY = {
    "kuzu_main": "--out out --net lin --epochs 1 --data_dir {data_dir}",
    "xor_main": "--out out --epoch 20 --hold 3",
    "seq_train": "--out out --epoch 0.1 --seeds 2 --length 2 --n_most 9 --hid 2",
    "seq_plot": "--out out --num_plot 2",
    "report": "--out out --text_only",
    "bench": "--rounds 0",  # refused: nothing is measured here
}
# The sizes are kept tiny, nothing is downloaded, and files are the concern of the other tests.
LEFT_OUT = {"--help", "--out", "--out_path", "--data_dir", "--dataset", "--processes", "--rounds"}


def for_seconds(body, *strategies):
    """Call body(*example) with random examples, for SECONDS or until one fails."""
    end, failed = time.monotonic() + SECONDS, False

    @hypothesis.settings(
        max_examples=1000,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],  # the first failure is small enough
        suppress_health_check=list(hypothesis.HealthCheck),  # a busy machine is no failure
        report_multiple_bugs=False,
    )
    @hypothesis.given(st.tuples(*strategies))
    def given(example):
        nonlocal failed
        if time.monotonic() < end or failed:
            try:
                body(*example)
            except BaseException:
                failed = True
                raise

    given()


@pytest.fixture
def script(within, tmp_path, monkeypatch, data_dir):
    """script(name, *words): its CompletedProcess, from the folder tmp_path. A traceback, or an end
    that is not as promised, fails the test."""
    monkeypatch.chdir(tmp_path)

    def call(name, *words):
        tiny = TINY[name].format(data_dir=data_dir).split()
        done = within(importlib.import_module(name), *tiny, *words)
        errors = [line for line in done.stderr.splitlines() if ": warning: " not in line]
        assert done.returncode in (0, 1, 2, 130), done
        assert len(errors) == (done.returncode == 2), done
        assert all(re.match(rf"{name}.py: error: \S", line) for line in errors), done
        return done

    return call


@pytest.mark.parametrize("name", list(TINY))
def test_command_lines(name, script, within):
    text = within(importlib.import_module(name), "--help").stdout
    names = sorted(set(re.findall(r"--\w+", text)) - LEFT_OUT)
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(VALUES))
    option = pairs.flatmap(lambda o: st.sampled_from([o, (o[0],), (f"{o[0]}={o[1]}",)]))
    for_seconds(
        lambda options: script(name, *sum(options, ())), st.lists(option, min_size=1, max_size=4)
    )


def leaves(content, path=()):
    """Paths to everything that a nested checkpoint holds."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        if isinstance(value, (dict, list, tuple)) and len(value):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def changed(content, path, change):
    """A copy of `content` with `change` applied to what lies at `path`."""
    if not path:
        return change(content)
    key, *rest = path
    content = list(content) if isinstance(content, tuple) else copy.copy(content)
    content[key] = changed(content[key], rest, change)
    return content


def without_first(value):
    if isinstance(value, dict):
        return dict(list(value.items())[1:])
    return value[1:] if isinstance(value, (list, tuple, str)) else None


CHANGES = [
    *(lambda _, value=value: value for value in (None, "x", -1, 10**30, math.nan, [], {}, True)),
    lambda _: torch.full((2, 3), math.nan),
    lambda _: torch.tensor(3),
    lambda value: value.double() if isinstance(value, torch.Tensor) else [value],
    lambda value: value[None] if isinstance(value, torch.Tensor) else (value, value),
    lambda value: value * math.inf if isinstance(value, torch.Tensor) else str(value),
    without_first,
]


@pytest.fixture
def saved(script):
    """saved(name): a checkpoint that the script has just written."""

    def call(name):
        done = script(name)
        folder = done.stdout.splitlines()[-1].removeprefix("Run folder: ")
        return Path(folder).resolve() / "model.pt"

    return call


READERS = {
    "kuzu_main": [
        ("kuzu_main", "--eval_only", "--checkpoint"),
        ("kuzu_main", "--resume", "--epochs", "2", "--checkpoint"),
    ],
    "seq_train": [
        ("seq_train", "--epoch", "0.2", "--resume"),
        ("seq_plot", "--checkpoint"),
    ],
}


@pytest.mark.parametrize("writer", list(READERS))
def test_checkpoints(writer, script, saved, tmp_path):
    good = saved(writer)
    data = good.read_bytes()
    content = torch.load(good, weights_only=True)
    bad = tmp_path / "model.pt"

    def body(reader, path, change, cut, flipped):
        if cut:  # bytes of the file instead of what it holds
            damaged = bytearray(data[: flipped % len(data)] if cut == 1 else data)
            damaged[flipped % len(data) - 1 :][:1] = b"\xff"
            bad.write_bytes(damaged)
        else:
            torch.save(changed(content, path, change), bad)
        before = bad.read_bytes()
        script(*reader, bad)
        assert bad.read_bytes() == before and good.read_bytes() == data

    for_seconds(
        body,
        st.sampled_from(READERS[writer]),
        st.sampled_from(list(leaves(content))),
        st.sampled_from(CHANGES),
        st.sampled_from([0, 0, 0, 1, 2]),
        st.integers(0, 10**6),
    )


def test_data_files(script, data_dir, tmp_path):
    files = sorted(path for path in data_dir.rglob("*") if path.is_file())

    def body(file, start, what):
        folder = tmp_path / "data"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(data_dir, folder)
        bad = folder / file.relative_to(data_dir)
        content = file.read_bytes()
        start %= len(content)
        bad.write_bytes(content[:start] + what + content[start + len(what) :] * bool(what))
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        script("kuzu_main", "--quiet", "--dataset", "kmnist", "--data_dir", folder)
        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    what = st.sampled_from([b"", b"\xff", b"\0" * 4, b"x" * 100])
    for_seconds(body, st.sampled_from(files), st.integers(0, 10**6), what)
