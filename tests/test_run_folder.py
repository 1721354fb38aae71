"""Run folders: files written whole, in a place that was found to be writable; device; progress."""

import contextlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from matplotlib.figure import Figure

from common import run_folder
from common.options import BadInput
from common.run_folder import (
    RunFolder,
    check_writable,
    choose_device,
    git_commit,
    progress,
    write_whole,
)

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[1]


def new_folder(out, **more):
    return RunFolder(SimpleNamespace(out=str(out), seed=3), "xor", "name", CPU, **more)


def test_config_and_two_runs_in_one_second(tmp_path):
    one, two = (new_folder(tmp_path, code="compiled") for _ in range(2))
    assert one.path != two.path and one.path.parent == tmp_path / "xor"
    config = json.loads((one.path / "config.json").read_text())
    assert config["options"] == {"out": str(tmp_path), "seed": 3}
    assert config["code"] == "compiled" and config["versions"]["torch"] == torch.__version__
    assert config["device"].startswith("cpu: ")


def test_files_of_a_run(tmp_path):
    folder = new_folder(tmp_path)
    folder.save_csv("metrics.csv", [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "accuracy": 1.0}])
    text = (folder.path / "metrics.csv").read_text()
    assert text == "epoch,loss,accuracy\n1,0.5,\n2,,1.0\n"
    folder.save_json("summary.json", {"a": torch.tensor([1.5]), "b": float("nan"), 3: (1, None)})
    content = json.loads((folder.path / "summary.json").read_text())
    assert content == {"a": [1.5], "b": None, "3": [1, None]}
    folder.save_text("kana.txt", "\u304a")
    assert (folder.path / "kana.txt").read_bytes() == "\u304a".encode()
    folder.save_model({"x": torch.arange(3)})
    assert torch.load(folder.path / "model.pt", weights_only=True)["x"].tolist() == [0, 1, 2]
    assert not list(folder.path.glob(".*"))


def test_a_place_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot make the run folder"):
        new_folder(tmp_path / "file")
    for path in ("file/below.json", ""):
        with pytest.raises(BadInput, match="cannot write"):
            check_writable(tmp_path / path)
    check_writable(tmp_path / "new" / "figures.json")
    assert not list((tmp_path / "new").iterdir())
    with pytest.raises(BadInput, match="cannot write .*x.json: "):
        write_whole(tmp_path / "gone" / "x.json", "text")


def test_no_space_names_the_file_and_leaves_the_old_one(tmp_path):
    write_whole(tmp_path / "x", "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(BadInput, match=f"cannot write {tmp_path}/x: File too large"):
            write_whole(tmp_path / "x", "new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "x").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_the_commit_is_that_of_this_checkout(tmp_path, monkeypatch):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git(folder, *words):
        line = ["git", "-c", "user.name=x", "-c", "user.email=x", "-C", str(folder), *words]
        options = {"env": environment, "encoding": "utf-8", "stderr": subprocess.DEVNULL}
        return subprocess.check_output(line, **options).strip()

    other = tmp_path / "other"
    (other / "copy").mkdir(parents=True)
    try:
        git(other, "init", "-q")
        git(other, "commit", "-q", "--allow-empty", "-m", "x")
    except OSError:
        pytest.skip("there is no git")
    here = git_commit()
    with contextlib.suppress(subprocess.CalledProcessError):  # these tests lie in no repository
        top, commit = git(ROOT, "rev-parse", "--show-toplevel", "HEAD").splitlines()
        assert Path(top).resolve() != ROOT or here.removesuffix("+") == commit
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert git_commit() == here
    monkeypatch.setattr(run_folder, "__file__", str(other / "scripts" / "common" / "x"))
    commit = git(other, "rev-parse", "HEAD")
    assert git_commit() == commit
    (other / "new").write_text("")
    assert git_commit() == commit + "+"
    monkeypatch.setattr(run_folder, "__file__", str(other / "copy" / "scripts" / "common" / "x"))
    assert git_commit() is None  # a copy that lies in another repository
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    args = SimpleNamespace(device="auto", no_cuda=False)
    assert choose_device(args) == CPU
    assert choose_device(args, accelerate=True) == torch.device("cuda")
    args.no_cuda = True
    assert choose_device(args, accelerate=True) == CPU
    args = SimpleNamespace(device="mps", no_cuda=False)
    with pytest.raises(BadInput, match="no mps device"):
        choose_device(args)


@pytest.mark.parametrize("missing", [True, False])
def test_progress_with_and_without_tqdm(missing, monkeypatch):
    if missing:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    else:
        pytest.importorskip("tqdm")
    bar = progress(quiet=True, total=10, initial=2, unit="seq")
    bar.update(3)
    bar.clear()
    bar.close()


FIGURE = """
import sys
sys.path.insert(0, sys.argv[1])
from common.options import run
def main():
    from types import SimpleNamespace
    import torch
    from common.run_folder import RunFolder
    args = SimpleNamespace(out=sys.argv[2], seed=0)
    folder = RunFolder(args, "toy", "figure", torch.device("cpu"))
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().set_title("title")
    folder.save_figure(figure, "figure.png")
    print(folder)
run(main)
"""


def test_figures_do_not_depend_on_what_is_inherited(tmp_path):
    (tmp_path / "figure.py").write_text(FIGURE)
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\naxes.facecolor: red\n")
    line = [sys.executable, "figure.py", str(Path(run_folder.__file__).parents[1]), "out"]
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    plain, figure = new_folder(tmp_path), Figure()
    figure.subplots().set_title("title")
    plain.save_figure(figure, "figure.png")
    odd = tmp_path / done.stdout.strip() / "figure.png"
    assert odd.read_bytes() == (plain.path / "figure.png").read_bytes()
