"""scripts/xor_main.py as users run it, and the lines it answers bad input with."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import xor_main

from common.options import run
from xor.train import Recipe

ROOT = Path(__file__).parent.parent


def start(*options):
    line = [sys.executable, str(ROOT / "scripts" / "xor_main.py"), *map(str, options)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=environment)


def folder_of(output):
    return Path(output.splitlines()[-1].removeprefix("Run folder: "))


def test_hand_set_steps(tmp_path):
    done = start("--act", "step", "--hid", 4, "--out", tmp_path)
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "Final Weights:" and lines[1].startswith("tensor(")
    assert "Final Accuracy: 100.0" in lines
    assert "  h1 - h2 + h3 - h4 - 0.5 >= 0" in lines
    table = lines.index("  X  Y  T  h1  h2  h3  h4 output") + 1
    for row in lines[table : table + 9]:
        x, y, target, *hidden, output = map(int, row.split())
        assert target == output == (x + y) % 2
        assert hidden == [int(x + y >= k + 0.5) for k in range(4)]
    folder = folder_of(done.stdout)
    for name in ("config.json", "activations.csv", "hidden.png", "output.png", "network.png"):
        assert (folder / name).stat().st_size > 100
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["hidden_conditions"][3] == "x + y - 3.5 >= 0"
    assert summary["accuracy"] == 100 and len(summary["activations"]) == 9


@pytest.mark.parametrize(
    "options",
    [
        "--act sig --hid 4 --set_weights",
        "--act sig --hid 4 --set-weights --no_cuda",
        "--act step --hid 12 --size 6",
        "--task xor --act step",
    ],
)
def test_lines_that_end_at_100_percent(options, tmp_path, capsys):
    assert xor_main.main([*options.split(), "--out", str(tmp_path)]) == 0
    assert "Final Accuracy: 100.0" in capsys.readouterr().out


def test_training_prints_the_courseworks_lines_and_saves(tmp_path):
    done = start("--task", "xor", "--hid", 3, "--hold", 200, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"ep:  100 loss: \d\.\d{4} acc: \d+\.\d\d", lines[0])
    assert "Final Accuracy: 100.0" in lines
    folder = folder_of(done.stdout)
    header, *rows = (folder / "metrics.csv").read_text().splitlines()
    assert header == "epoch,loss,accuracy,solved" and len(rows) >= 2
    assert (folder / "learning.png").exists()
    saved = torch.load(folder / "model.pt", weights_only=True)
    assert saved["model"]["hid_weight"].shape == (1, 3, 2)


def test_same_seed_same_summary(tmp_path, capsys):
    texts = []
    for _ in range(2):
        xor_main.main(["--epoch", "300", "--seeds", "3", "--seed", "4", "--out", str(tmp_path)])
        folder = folder_of(capsys.readouterr().out)
        texts.append((folder / "summary.json").read_text())
    assert texts[0] == texts[1]


def test_many_networks_are_counted(tmp_path, capsys):
    options = ["--hid", "5", "--seeds", "30", "--quiet", "--out", str(tmp_path)]
    assert xor_main.main(options) == 0
    output = capsys.readouterr().out
    found = re.search(
        r"Solved: (\d+) of 30 networks .*95 % interval ([\d.]+) to ([\d.]+) %", output
    )
    assert int(found[1]) >= 27
    folder = folder_of(output)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["solved"] + sum(g["networks"] for g in summary["stuck"]) == 30
    assert summary["epochs_to_solve"]["10%"] <= summary["epochs_to_solve"]["90%"]
    assert (folder / "epochs_to_solve.png").exists()


def test_a_stuck_network_is_reported_with_status_1(tmp_path, capsys):
    """One unit has one dividing line, which cannot separate the diagonals."""
    options = ["--hid", "1", "--epoch", "200", "--out", str(tmp_path)]
    assert xor_main.main(options) == 1
    output = capsys.readouterr().out
    assert re.search(r"Stuck on a plateau after 200 epochs: loss \d.\d{4}, wrong at \(", output)
    summary = json.loads((folder_of(output) / "summary.json").read_text())
    assert summary["accuracy"] == pytest.approx(100 * (1 - len(summary["wrong_points"]) / 9))


def test_defaults_shown_are_those_of_the_recipe():
    args = xor_main.parse_args([])
    given = Recipe(args.epoch, args.hold, args.lr, args.init, args.decay, args.restarts)
    assert given == Recipe()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--hid 0", "at least 1"),
        ("--lr nan", "finite"),
        ("--init -1", "above 0"),
        ("--epoch 0", "at least 1"),
        ("--size 1", "at least 2"),
        ("--act step --hid 3", "needs 4 hidden units"),
        ("--set_weights --hid 3", "needs 4 hidden units"),
        ("--act step --seeds 3", "leave out --seeds"),
        ("--act step --restarts 3", "--restarts"),
        ("--scale 3", "--set_weights"),
        ("--act step --scale 3", "sigmoid"),
        ("--lr 1e30 --quiet", "diverged"),
        ("--out /dev/null/x", "run folder"),
        ("--hidden 3", "unknown argument"),
        ("--act relu", "choice"),
    ],
)
def test_bad_input_is_one_line_and_status_2(options, words, tmp_path, monkeypatch, capsys):
    line = ["xor_main.py", *options.split()]
    if "--out" not in options:
        line += ["--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as ended:
        run(xor_main.main)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.count("\n") == 1 and words in error


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a cuda device")
def test_a_device_that_is_not_there():
    done = start("--device", "cuda")
    assert done.returncode == 2 and "no cuda device" in done.stderr and not done.stdout


def test_interrupting_keeps_what_was_trained(tmp_path, monkeypatch, capsys):
    from xor_output import Output

    report = Output.epoch

    def interrupted(self, record):
        report(self, record)
        if record.epoch == 300:
            raise KeyboardInterrupt

    monkeypatch.setattr(Output, "epoch", interrupted)
    assert xor_main.main(["--out", str(tmp_path)]) == 130
    folder = folder_of(capsys.readouterr().out)
    assert (folder / "model.pt").exists()
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 300


def test_a_closed_pipe_is_no_error(tmp_path):
    """As in `xor_main.py | head -1`."""
    line = [sys.executable, str(ROOT / "scripts" / "xor_main.py"), "--act", "step"]
    process = subprocess.Popen(
        [*line, "--out", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141
