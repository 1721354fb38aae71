"""scripts/kuzu_main.py as users run it, on a few hundred images; its bad-input lines."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import kuzu_main
import pytest
import torch
from test_kuzu_data import NAMES, idx

from common.options import run

ROOT = Path(__file__).parent.parent
MATRIX_ROW = re.compile(r"^ ?\[+( *\d+\.){10}\]+$")
TEST_LINE = re.compile(r"^Test set: Average loss: \d+\.\d{4}, Accuracy: (\d+)/(\d+) \(\d+%\)$")


def start(*options, cwd=ROOT):
    line = [sys.executable, str(ROOT / "scripts" / "kuzu_main.py"), *map(str, options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment)


@pytest.fixture
def within(monkeypatch, capsys):
    """start() without a new process: what takes seconds to import is imported once."""

    def call(*options):
        line = ["kuzu_main.py", *map(str, options)]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as caught:
            run(kuzu_main.main)
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(line, caught.value.code, shown.out, shown.err)

    return call


def folder_of(done):
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1].removeprefix("Run folder: "))


def summary_of(done):
    return json.loads((folder_of(done) / "summary.json").read_text())


def without_times(summary):
    for network in summary["networks"]:
        del network["training_seconds"]
    return summary


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    """NetConv after two epochs: what was printed, and its run folder."""
    out = tmp_path_factory.mktemp("out")
    done = start("--net", "conv", "--epochs", 2, "--data-dir", data_dir, "--out", out)
    return done, folder_of(done)


def test_what_is_printed(trained):
    done, folder = trained
    lines = done.stdout.splitlines()
    assert "Data: KMNIST subset (300 train / 100 test)" in lines
    losses = [line for line in lines if line.startswith("Train Epoch")]
    assert len(losses) == 2
    assert re.fullmatch(r"Train Epoch: 2 \[0/300 \(0%\)\]\tLoss: \d+\.\d{6}", losses[1])
    tests = [index for index, line in enumerate(lines) if line.startswith("Test set")]
    assert len(tests) == 2
    for index in tests:
        right, total = map(int, TEST_LINE.match(lines[index]).groups())
        matrix = [line for line in lines[index - 11 : index - 1]]
        assert all(MATRIX_ROW.match(line) for line in matrix)
        counts = [[float(n) for n in re.findall(r"\d+", line)] for line in matrix]
        assert total == 100 == sum(map(sum, counts))
        assert right == sum(counts[i][i] for i in range(10))
        assert lines[index - 1] == ""
    assert any("103,856" in line for line in lines)
    assert done.stderr == ""


def test_the_run_folder(trained):
    _, folder = trained
    names = {path.name for path in folder.iterdir()}
    figures = {"confusion.png", "learning_curves.png", "confused_pairs.png", "filters.png"}
    assert {"config.json", "metrics.csv", "summary.json", "model.pt"} | figures == names
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["parameters"] == 103856
    assert summary["data"] == "KMNIST subset (300 train / 100 test)"
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["test_accuracy"]) == summary["mean_accuracy"]
    saved = torch.load(folder / "model.pt", weights_only=True)
    assert sum(tensor.numel() for tensor in saved["model"].values()) == 103856


def test_eval_only_repeats_the_test_line_and_matrix(trained, data_dir, tmp_path):
    done, folder = trained
    again = start(
        *("--checkpoint", folder / "model.pt", "--eval_only"),
        *("--data_dir", data_dir, "--out", tmp_path),
    )
    folder_of(again)
    shown = [
        line for line in again.stdout.splitlines() if line.startswith((" [", "[[", "Test set"))
    ]
    before = [
        line for line in done.stdout.splitlines() if line.startswith((" [", "[[", "Test set"))
    ]
    assert len(shown) == 11
    assert shown == before[-11:]


def test_resume_ends_as_an_uninterrupted_run(trained, data_dir, tmp_path):
    _, folder = trained
    options = ("--data_dir", data_dir, "--epochs", 3, "--quiet", "--out", tmp_path)
    resumed = start("--checkpoint", folder / "model.pt", "--resume", *options)
    whole = start("--net", "conv", *options)
    assert without_times(summary_of(resumed)) == without_times(summary_of(whole))
    models = [torch.load(folder_of(d) / "model.pt", weights_only=True) for d in (resumed, whole)]
    for name, tensor in models[0]["model"].items():
        assert torch.equal(tensor, models[1]["model"][name])
    metrics = [(folder_of(d) / "metrics.csv").read_text().splitlines() for d in (resumed, whole)]
    assert len(metrics[0]) == 4
    # Equal but for the last column, the seconds.
    for ours, theirs in zip(*metrics, strict=True):
        assert ours.rsplit(",", 1)[0] == theirs.rsplit(",", 1)[0]


def test_same_seed_same_summary_and_several_seeds(data_dir, tmp_path, within):
    """The coursework's own command line, twice at once as two seeds."""
    options = ("--net", "full", "--lr", 0.01, "--mom", 0.5, "--epochs", 2, "--no_cuda")
    options += ("--data_dir", data_dir, "--out", tmp_path)
    one, again = (without_times(summary_of(within(*options))) for _ in range(2))
    assert one == again
    done = within(*options, "--seeds", 2, "--quiet")
    both = summary_of(done)
    assert [network["seed"] for network in both["networks"]] == [0, 1]
    assert both["networks"][0]["accuracy"] == one["networks"][0]["accuracy"]
    accuracies = [network["accuracy"] for network in both["networks"]]
    assert both["mean_accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert both["std_accuracy"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5)
    assert sum(map(sum, both["confusion"])) == 200
    assert "Train Epoch" not in done.stdout
    assert {"model_s0.pt", "model_s1.pt"} <= {path.name for path in folder_of(done).iterdir()}


NO_CUDA = not torch.cuda.is_available()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", 0), "--epochs"),
        (("--lr", -0.1), "--lr"),
        (("--lr", "nan"), "--lr"),
        (("--lr", "inf"), "--lr"),
        (("--mom", "-1"), "--mom"),
        (("--batch_size", 0), "--batch_size"),
        (("--net", "resnet"), "--net"),
        (("--lr", "1e38", "--net", "lin"), "learning rate"),
        (("--out", "FILE/below"), "run folder"),
        (("--eval_only",), "--checkpoint"),
        (("--resume",), "--checkpoint"),
        (("--checkpoint", "missing.pt", "--eval_only"), "missing.pt"),
        (("--checkpoint", "FILE", "--eval_only"), "not a checkpoint"),
        (("--checkpoint", "OTHER", "--eval_only"), "not a checkpoint of kuzu_main.py"),
        (("--checkpoint", "CONV", "--resume", "--net", "lin"), "--net conv"),
        (("--checkpoint", "CONV", "--resume", "--epochs", 2), "2 epochs already"),
        (("--checkpoint", "CONV", "--resume", "--epochs", 3, "--lr", 0.5), "lr 0.01"),
        pytest.param(
            *(("--device", "cuda"), "no cuda"),
            marks=pytest.mark.skipif(not NO_CUDA, reason="there is a GPU"),
        ),
    ],
)
def test_bad_input_ends_in_one_line(
    options, message, trained, data_dir, tmp_path, monkeypatch, within
):
    (tmp_path / "FILE").write_text("no folder, no checkpoint")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "OTHER")
    names = {"CONV": trained[1] / "model.pt"}
    names |= {name: tmp_path / name for name in ("FILE", "OTHER", "FILE/below")}
    options = [names.get(option, option) for option in options]
    monkeypatch.chdir(tmp_path)
    done = within("--data_dir", data_dir, "--out", tmp_path / "out", *options)
    check_one_line(done, message)


def check_one_line(done, message):
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("kuzu_main.py: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("field", "content", "message"),
    [
        ("train_images", b"", "train-images"),
        ("test_images", lambda good: good[: len(good) // 2], "t10k-images"),
        ("train_labels", b"not an IDX file at all", "train-labels"),
        ("test_labels", lambda good: idx(torch.zeros(99, dtype=torch.uint8)), "99"),
        ("train_images", None, "train-images"),
        ("train_images", "all missing", "cannot be reached"),
    ],
    ids=("empty", "truncated", "foreign", "other number", "missing", "all missing, offline"),
)
def test_bad_data_ends_in_one_line(
    field, content, message, data_dir, tmp_path, monkeypatch, capsys
):
    raw = tmp_path / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in NAMES.values():
        (raw / name).write_bytes((data_dir / "KMNIST" / "raw" / name).read_bytes())
    file = raw / NAMES[field]
    if content is None:
        file.unlink()
    elif content != "all missing":
        file.write_bytes(content(file.read_bytes()) if callable(content) else content)
    if content == "all missing":
        raw.rename(tmp_path / "elsewhere")
    monkeypatch.setattr("kuzu.data.server_answers", lambda: False)
    options = ("--dataset", "kmnist", "--data_dir", tmp_path, "--out", tmp_path)
    monkeypatch.setattr(sys, "argv", ["kuzu_main.py", *map(str, options)])
    with pytest.raises(SystemExit) as caught:
        run(kuzu_main.main)
    shown = capsys.readouterr()
    check_one_line(subprocess.CompletedProcess((), caught.value.code, "", shown.err), message)
    assert not (tmp_path / "kuzu").exists()


def test_interrupted_run_keeps_what_was_trained(data_dir, tmp_path):
    script = str(ROOT / "scripts" / "kuzu_main.py")
    options = ("--net", "lin", "--epochs", "100000", "--data_dir", data_dir, "--out", tmp_path)
    process = subprocess.Popen(
        [sys.executable, script, *map(str, options)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    for line in process.stdout:
        if line.startswith("Train Epoch: 3 "):
            process.send_signal(signal.SIGINT)
            break
    last = process.communicate(timeout=120)[0].splitlines()[-1]
    assert process.returncode == 130
    folder = Path(last.removeprefix("Run folder: "))
    summary = json.loads((folder / "summary.json").read_text())
    saved = torch.load(folder / "model.pt", weights_only=True)
    assert summary["interrupted"] and saved["epoch"] == summary["networks"][0]["epochs"] >= 2


def test_the_tuned_recipe_says_what_both_reach_in_equal_time(data_dir, tmp_path, within):
    options = ("--net", "conv", "--recipe", "tuned", "--epochs", 2, "--data_dir", data_dir)
    done = within(*options, "--out", tmp_path)
    summary = summary_of(done)
    assert summary["parameters"] == 103_856 and summary["recipe"]["name"] == "tuned"
    assert set(summary["equal_time"]) == {"classic", "tuned"}
    assert summary["equal_time"]["classic"]["epochs"] == 10
    assert "At equal time, seed 0: classic " in done.stdout
    checkpoint = folder_of(done) / "model.pt"
    again = within(
        "--checkpoint", checkpoint, "--eval_only", "--data_dir", data_dir, "--out", tmp_path
    )
    assert summary_of(again)["networks"][0]["loss"] == summary["networks"][0]["loss"]
    resumed = ("--checkpoint", checkpoint, "--resume", "--epochs", 3, "--data_dir", data_dir)
    assert summary_of(within(*resumed, "--out", tmp_path))["networks"][0]["epochs"] == 3
    other = within(*resumed, "--recipe", "classic", "--out", tmp_path)
    assert other.returncode == 2 and "tuned recipe" in other.stderr
