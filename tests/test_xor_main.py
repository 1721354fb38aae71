"""scripts/xor_main.py as users run it, and the lines it answers bad input with."""

import json
import re
import subprocess
import sys

import pytest
import torch
import xor_main

from xor import animation, history
from xor.checkpoint import load
from xor.recipes import Recipe
from xor.results import result_lines


def folder_of(done, commands):
    folder = commands.folder(done)
    return folder, json.loads((folder / "summary.json").read_text())


def test_hand_set_steps(within, commands, tmp_path):
    done = within(xor_main, "--act", "step", "--hid", 4, "--out", tmp_path, drawn=True)
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
    folder, summary = folder_of(done, commands)
    for name in ("config.json", "activations.csv", "hidden.png", "output.png", "network.png"):
        assert (folder / name).stat().st_size > 100
    assert summary["hidden_conditions"][3] == "x + y - 3.5 >= 0"
    assert summary["accuracy"] == 100 and len(summary["activations"]) == 9
    assert not (folder / "learning.png").exists()


@pytest.mark.parametrize(
    "options",
    [
        "--act sig --hid 4 --set_weights",
        "--act sig --hid 4 --set-weights --no_cuda",
        "--act step --hid 12 --size 6",
        "--task xor --act step",
        "--set_weights --scale 0.5",
    ],
)
def test_lines_that_end_at_100_percent(options, within, tmp_path):
    done = within(xor_main, *options.split(), "--out", tmp_path)
    assert done.returncode == 0 and "Final Accuracy: 100.0" in done.stdout
    assert ("ep:  100" in done.stdout) == ("0.5" in options)  # soft steps have to be trained


def test_training_prints_the_courseworks_lines_and_saves(within, commands, tmp_path):
    done = within(xor_main, *"--task xor --hid 3 --hold 200 --out".split(), tmp_path)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"ep:  100 loss: \d\.\d{4} acc: \d+\.\d\d", lines[0])
    assert "Final Accuracy: 100.0" in lines
    folder, summary = folder_of(done, commands)
    header, *rows = (folder / "metrics.csv").read_text().splitlines()
    assert header == "epoch,loss,accuracy,solved" and len(rows) >= 2
    assert int(rows[-1].split(",")[0]) == summary["epochs"]
    assert (folder / "learning.png").exists()
    assert lines[-1 - len(result_lines(summary)) : -1] == result_lines(summary)
    saved = load(folder / "model.pt")
    assert saved.network.hid_weight.detach()[0].tolist() == summary["weights"]["hid_weight"]


def test_hand_set_weights_are_trained_on(within, commands, tmp_path):
    done = within(xor_main, *"--set_weights --epoch 150 --lr 0.01 --out".split(), tmp_path)
    assert done.returncode == 0
    assert re.findall(r"^ep: *(\d+)", done.stdout, re.MULTILINE) == ["100", "150"]
    folder, summary = folder_of(done, commands)
    assert summary["epochs"] == 150 and summary["set_by_hand"] and summary["first_right"] == 1
    assert summary["recipe"]["learning_rate"] == 0.01 and summary["recipe"]["hold"] == 150
    assert summary["weights"]["hid_weight"][0] != [10, 10]
    assert (folder / "learning.png").exists()


def test_same_seed_same_summary(within, commands, tmp_path):
    words = "--epoch 300 --seeds 3 --seed 4 --out".split()
    texts = []
    for _ in range(2):
        folder = commands.folder(within(xor_main, *words, tmp_path))
        texts.append((folder / "summary.json").read_text())
    assert texts[0] == texts[1]


def test_many_networks_are_counted(within, commands, tmp_path):
    done = within(xor_main, *"--hid 5 --seeds 30 --quiet --out".split(), tmp_path)
    assert done.returncode == 0
    interval = r"Solved: (\d+) of 30 networks .*95 % interval ([\d.]+) to ([\d.]+) %"
    found = re.search(interval, done.stdout)
    assert int(found[1]) >= 27
    folder, summary = folder_of(done, commands)
    assert summary["solved"] + sum(g["networks"] for g in summary["stuck"]) == 30
    for key in ("epochs_first_right", "epochs_stays_right"):
        assert list(summary[key]) == ["10%", "50%", "90%"]
    assert summary["epochs_first_right"]["50%"] <= summary["epochs_stays_right"]["50%"]
    assert 0 < summary["lost_in_between"] <= summary["solved"]
    assert f"Lost in between: {summary['lost_in_between']} of the" in done.stdout
    assert (folder / "epochs_to_solve.png").exists()


def test_a_stuck_network_is_reported_with_status_1(within, commands, tmp_path):
    """One unit has one dividing line, which cannot separate the diagonals."""
    done = within(xor_main, *"--hid 1 --epoch 200 --out".split(), tmp_path)
    assert done.returncode == 1
    assert re.search(r"Not solved after 200 epochs: wrong at \(.*loss \d.\d{4}", done.stdout)
    _, summary = folder_of(done, commands)
    assert summary["accuracy"] == pytest.approx(100 * (1 - len(summary["wrong_points"]) / 9))


def test_a_moving_picture_of_the_last_draw(within, commands, tmp_path, monkeypatch):
    monkeypatch.setattr(animation, "N_FRAMES", 3)
    words = "--hid 1 --epoch 30 --restarts 2 --seeds 3 --animate --quiet --out".split()
    folder = commands.folder(within(xor_main, *words, tmp_path))
    assert (folder / "animation.gif").read_bytes().startswith(b"GIF89a")


@pytest.mark.rounding
def test_one_and_two_processes_train_the_same_networks(within, commands, tmp_path):
    """Two groups: 1,000 networks and 40."""
    words = ["--seeds", 1040, "--epoch", 30, "--restarts", 1, "--quiet", "--out", tmp_path]
    runs = [
        within(xor_main, *words, "--processes", 1, drawn=True),
        commands.run("xor_main.py --processes 2", *words, cwd=tmp_path),
    ]
    (one, first), (two, second) = (folder_of(done, commands) for done in runs)
    assert runs[0].stdout.replace(str(one), "") == runs[1].stdout.replace(str(two), "")
    assert first == second and first["restarted"] > 500
    names = ["metrics.csv", "model.pt", "learning.png", "epochs_to_solve.png"]
    assert [n for n in names if (one / n).read_bytes() != (two / n).read_bytes()] == []
    assert sorted(p.name for p in one.iterdir()) == sorted(p.name for p in two.iterdir())


def test_the_help_shows_the_recipe_and_needs_no_torch(commands):
    code = "import sys; sys.modules['torch'] = None; sys.argv[1:] = ['--help']; import runpy; "
    code += f"runpy.run_path({xor_main.__file__!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    for name, field, *_ in xor_main.TRAINING:
        default = f"{getattr(Recipe(), field):g}"
        assert re.search(rf"{name} [A-Z]+ [^-]*\(default: {default}\)", text), name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--hid 0", "at least 1"),
        ("--hid 1000000000000", "--hid"),
        ("--hid 900000000", "too large"),
        ("--seeds 900000000", "--seeds"),
        ("--seeds 100000 --hid 1000", "at most 10,000,000"),
        ("--lr nan", "finite"),
        ("--lr 1e300", "too large"),
        ("--decay 1e300", "too large"),
        ("--init -1", "above 0"),
        ("--init 1e308", "smaller --init"),
        ("--epoch 0", "at least 1"),
        ("--epoch 1e300", "whole number"),
        ("--epoch 1000000000000000000000", "too large"),
        ("--size 1", "at least 2"),
        ("--seed 18446744073709551616", "--seed"),
        ("--act step --hid 3", "needs 4 hidden units"),
        ("--set_weights --hid 3", "needs 4 hidden units"),
        ("--act step --seeds 3", "leave out --seeds"),
        ("--act step --restarts 3", "leave out --restarts"),
        ("--act step --epoch 3", "leave out --epoch"),
        ("--set_weights --lr 0.1", "add --epoch"),
        ("--set_weights --hold 9", "add --epoch"),
        ("--set_weights --seeds 2", "leave out --seeds"),
        ("--set_weights --epoch 9 --init 1", "leave out --init"),
        ("--set_weights --epoch 9 --restarts 1", "leave out --restarts"),
        ("--set_weights --scale 1e308", "smaller --scale"),
        ("--set_weights --animate", "not set by hand"),
        ("--act step --animate", "not set by hand"),
        ("--scale 3", "--set_weights"),
        ("--act step --scale 3", "sigmoid"),
        ("--lr 1e30 --quiet", "smaller --lr"),
        ("--out /dev/null/x", "run folder"),
        ("--hidden 3", "did you mean --hid?"),
        ("--mom 0.9", "unknown argument --mom ("),  # --out is not meant
        ("--act relu", "choice"),
    ],
)
def test_bad_input_is_one_line_and_status_2(options, words, within, tmp_path):
    words_given = options.split()
    if "--out" not in options:
        words_given += ["--out", tmp_path]
    done = within(xor_main, *words_given)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and words in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a cuda device")
def test_a_device_that_is_not_there(within, tmp_path):
    done = within(xor_main, "--device", "cuda", "--out", tmp_path)
    assert done.returncode == 2 and "no cuda device" in done.stderr and not done.stdout


@pytest.mark.parametrize("epoch", (1, 42, 300))
def test_interrupting_keeps_what_was_trained(epoch, within, commands, tmp_path, monkeypatch):
    """In the first epoch too, before anything was printed."""
    add = history.History.add

    def interrupted(self, record):
        if record.epoch == epoch:
            raise KeyboardInterrupt
        return add(self, record)

    monkeypatch.setattr(history.History, "add", interrupted)
    done = within(xor_main, "--seeds", 2, "--out", tmp_path)
    assert done.returncode == 130 and "Traceback" not in done.stderr
    folder, summary = folder_of(done, commands)
    assert summary["epochs"] == epoch - 1
    assert load(folder / "model.pt").model.n_networks == 2
    assert (folder / "learning.png").exists() == (epoch > 1)


def test_a_second_interrupt_leaves_the_networks(within, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(xor_main, "save", interrupted)
    assert within(xor_main, "--epoch", 5, "--out", tmp_path).returncode == 130
    (path,) = tmp_path.rglob("model.pt")
    assert load(path).model.n_networks == 1


def test_ctrl_c_while_training(commands, tmp_path):
    process = commands.start("xor_main.py --hid 1 --epoch 100000000 --out", tmp_path)
    done = commands.interrupt(process, "ep:  200")
    folder, summary = folder_of(done, commands)
    assert summary["epochs"] >= 200 and (folder / "learning.png").exists()


def test_a_closed_pipe_is_no_error(commands, tmp_path):
    """As in `xor_main.py | head -1`."""
    process = commands.start("xor_main.py --act step --out", tmp_path)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141
